//! Takes out of pictures what they tell beside the picture: where and when it was taken and by what, comments, other pictures inside,
//! and whatever was hung on behind. Pixels and colours stay as they are. Of GIF nothing is taken out: cameras don't write it.
//!
//! The structure is read here because what is wanted is the opposite of what libraries for metadata do: to keep only what is known to be
//! needed, up to the end of the picture and not of the file.

use image::{ImageFormat, metadata::Orientation};

/// None where the bytes are not built as they should be.
pub fn strip(bytes: &[u8], format: ImageFormat, orientation: Orientation) -> Option<Vec<u8>> {
    match format {
        ImageFormat::Jpeg => jpeg(bytes, orientation),
        ImageFormat::Png => png(bytes),
        ImageFormat::WebP => webp(bytes, orientation),
        _ => Some(bytes.to_owned()),
    }
}

/// EXIF that says how the picture is to be turned, and nothing else (TIFF 6.0: one directory with one SHORT, tag 0x0112).
fn turned(orientation: Orientation) -> [u8; 26] {
    let mut tiff = *b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0";
    tiff[18] = orientation.to_exif();
    tiff
}

/// ITU-T T.81 annex B.
fn jpeg(bytes: &[u8], orientation: Orientation) -> Option<Vec<u8>> {
    const RESTARTS: std::ops::RangeInclusive<u8> = 0xd0..=0xd7;
    const END: u8 = 0xd9;
    const SCAN: u8 = 0xda;
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    let mut kept = Vec::with_capacity(bytes.len() + 36);
    kept.extend([0xff, 0xd8]);
    if orientation != Orientation::NoTransforms {
        let exif = turned(orientation);
        // Marker APP1, then its length with itself.
        kept.extend([0xff, 0xe1, 0, 8 + 26]);
        kept.extend(b"Exif\0\0");
        kept.extend(exif);
    }
    loop {
        rest = rest.strip_prefix(&[0xff])?;
        let marker = *rest.first()?;
        if marker == 0xff {
            continue;
        }
        rest = &rest[1..];
        if marker == END {
            kept.extend([0xff, END]);
            return Some(kept);
        }
        let length = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
        let content = rest.get(2..length)?;
        if is_kept_in_jpeg(marker, content) {
            kept.extend([0xff, marker]);
            kept.extend(&rest[..length]);
        }
        rest = &rest[length..];
        if marker == SCAN {
            let is_marker =
                |pair: &[u8]| pair[0] == 0xff && pair[1] != 0 && !RESTARTS.contains(&pair[1]);
            // A picture that was cut off can still be shown as far as it goes.
            let scan = rest.windows(2).position(is_marker).unwrap_or(rest.len());
            kept.extend(&rest[..scan]);
            rest = &rest[scan..];
            if rest.is_empty() {
                kept.extend([0xff, END]);
                return Some(kept);
            }
        }
    }
}

fn is_kept_in_jpeg(marker: u8, content: &[u8]) -> bool {
    match marker {
        // JFIF without a small picture in it.
        0xe0 => content.starts_with(b"JFIF\0") && content.len() == 14,
        0xe2 => content.starts_with(b"ICC_PROFILE\0"),
        // Says how colours are coded.
        0xee => content.starts_with(b"Adobe"),
        0xe0..=0xef | 0xfe => false,
        _ => true,
    }
}

/// ISO/IEC 15948, with APNG.
fn png(bytes: &[u8]) -> Option<Vec<u8>> {
    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    const KEPT: &[&[u8; 4]] = &[
        b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB",
        b"bKGD", b"pHYs", b"cICP", b"mDCV", b"cLLI", b"acTL", b"fcTL", b"fdAT",
    ];
    let mut rest = bytes.strip_prefix(SIGNATURE)?;
    let mut kept = Vec::with_capacity(bytes.len());
    kept.extend(SIGNATURE);
    loop {
        let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
        let whole = usize::try_from(length).ok()?.checked_add(12)?;
        let chunk = rest.get(..whole)?;
        let kind = &chunk[4..8];
        if KEPT.iter().any(|kept| kept.as_slice() == kind) {
            kept.extend(chunk);
        }
        if kind == b"IEND" {
            return Some(kept);
        }
        rest = &rest[whole..];
    }
}

/// RFC 9649.
fn webp(bytes: &[u8], orientation: Orientation) -> Option<Vec<u8>> {
    const KEPT: &[&[u8; 4]] = &[
        b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP",
    ];
    const HAS_EXIF: u8 = 0x08;
    const HAS_XMP: u8 = 0x04;
    if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WEBP" {
        return None;
    }
    let size = usize::try_from(u32::from_le_bytes(bytes[4..8].try_into().ok()?)).ok()?;
    let mut rest = bytes.get(12..size.checked_add(8)?)?;
    let mut kept = b"RIFF\0\0\0\0WEBP".to_vec();
    let is_turned = orientation != Orientation::NoTransforms;
    while !rest.is_empty() {
        let length = usize::try_from(u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?)).ok()?;
        let whole = length.checked_add(8)?;
        let kind = &rest[..4];
        if KEPT.iter().any(|kept| kept.as_slice() == kind) {
            let at = kept.len();
            kept.extend(rest.get(..whole)?);
            kept.resize(kept.len().next_multiple_of(2), 0);
            if kind == b"VP8X" {
                let flags = kept.get_mut(at + 8)?;
                *flags &= !(HAS_EXIF | HAS_XMP);
                *flags |= if is_turned { HAS_EXIF } else { 0 };
            }
        }
        rest = rest.get(whole.next_multiple_of(2)..).unwrap_or_default();
    }
    if is_turned {
        kept.extend(b"EXIF\x1a\0\0\0");
        kept.extend(turned(orientation));
    }
    let size = u32::try_from(kept.len() - 8).ok()?;
    kept[4..8].copy_from_slice(&size.to_le_bytes());
    Some(kept)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageDecoder, ImageReader};
    use proptest::prelude::*;

    use super::*;

    const FORMATS: [ImageFormat; 4] = [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
    ];

    fn picture(format: ImageFormat) -> Vec<u8> {
        let pixels = image::RgbImage::from_fn(37, 21, |x, y| {
            image::Rgb([(x * 6) as u8, (y * 12) as u8, 99])
        });
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::from(pixels)
            .write_to(&mut bytes, format)
            .unwrap();
        bytes.into_inner()
    }

    fn decoded(bytes: &[u8], format: ImageFormat) -> (DynamicImage, Orientation) {
        let mut decoder = ImageReader::with_format(Cursor::new(bytes), format)
            .into_decoder()
            .unwrap();
        let orientation = decoder.orientation().unwrap();
        (DynamicImage::from_decoder(decoder).unwrap(), orientation)
    }

    #[test]
    fn pixels_stay() {
        for format in FORMATS {
            let bytes = picture(format);
            let stripped = strip(&bytes, format, Orientation::NoTransforms).unwrap();
            assert_eq!(
                decoded(&bytes, format),
                decoded(&stripped, format),
                "{format:?}"
            );
        }
    }

    #[test]
    fn a_jpeg_loses_what_it_tells_and_keeps_how_it_is_turned() {
        let plain = picture(ImageFormat::Jpeg);
        let gps = b"Exif\0\0GPS 50.94N 6.96E";
        let segment = |marker: u8, content: &[u8]| {
            let mut segment = vec![0xff, marker];
            segment.extend(u16::try_from(content.len() + 2).unwrap().to_be_bytes());
            segment.extend(content);
            segment
        };
        let bytes = [
            &[0xff, 0xd8][..],
            &segment(0xe1, gps),
            &segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0GPS"),
            &segment(0xe2, b"MPF\0GPS"),
            &segment(0xed, b"Photoshop 3.0\0GPS"),
            &segment(0xfe, b"GPS"),
            &plain[2..],
            &plain,
            b"GPS<script>",
        ]
        .concat();
        let stripped = strip(&bytes, ImageFormat::Jpeg, Orientation::Rotate90).unwrap();
        assert!(!stripped.windows(3).any(|three| three == b"GPS"));
        assert!(!stripped.windows(8).any(|eight| eight == b"<script>"));
        assert!(
            stripped.len() < plain.len() + 40,
            "the picture behind is gone too"
        );
        let (pixels, orientation) = decoded(&stripped, ImageFormat::Jpeg);
        assert_eq!(
            (pixels, orientation),
            (decoded(&plain, ImageFormat::Jpeg).0, Orientation::Rotate90)
        );
    }

    #[test]
    fn png_and_webp_lose_what_they_tell() {
        let plain = picture(ImageFormat::Png);
        let chunk = b"\0\0\0\x07tEXtGPS\0abc\0\0\0\0";
        let end = plain.len() - 12;
        let bytes = [&plain[..end], chunk, &plain[end..], b"GPS"].concat();
        assert_eq!(
            strip(&bytes, ImageFormat::Png, Orientation::NoTransforms),
            Some(plain)
        );

        let plain = picture(ImageFormat::WebP);
        let mut bytes = [&plain[..], b"EXIF\x03\0\0\0GPS\0", b"XMP \x04\0\0\0GPS?"].concat();
        let size = u32::try_from(bytes.len() - 8).unwrap().to_le_bytes();
        bytes[4..8].copy_from_slice(&size);
        bytes.extend(b"GPS");
        assert_eq!(
            strip(&bytes, ImageFormat::WebP, Orientation::NoTransforms),
            Some(plain)
        );
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(mut bytes in prop::collection::vec(any::<u8>(), 0..300), which in 0..4_usize, begin in 0..60_usize) {
            let format = FORMATS[which];
            // Something that begins well comes further.
            let well = picture(format);
            bytes.splice(0..0, well[..begin.min(well.len())].iter().copied());
            strip(&bytes, format, Orientation::Rotate180);
        }

        #[test]
        fn no_damage_is_too_odd(at in any::<prop::sample::Index>(), byte in any::<u8>(), which in 0..4_usize) {
            let format = FORMATS[which];
            let mut bytes = picture(format);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            strip(&bytes, format, Orientation::NoTransforms);
        }
    }
}
