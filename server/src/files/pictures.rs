//! Reads pictures and makes small ones, one after the other on a thread of its own: whatever someone uploads, it takes one core for a
//! while and a bounded part of memory.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Cursor, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder,
    metadata::Orientation,
};
use tokio::sync::{mpsc, oneshot};
use voxhall_protocol::control::PictureSize;

use super::{blobs::Making, strip::strip};

/// Pictures that may wait; who comes later waits to be let in.
const QUEUE: usize = 16;
/// A bomb of a few kilobytes may say that it is larger; nobody's camera does.
const MAX_PIXELS: u64 = 40_000_000;
const MAX_SIDE: u32 = 20_000;
/// What decoding may take: 40 million pixels of 4 bytes, and some more.
const MAX_DECODE_BYTES: u64 = 200 << 20;
/// Longest side of a small picture.
const THUMBNAIL_SIDE: u32 = 400;
/// Side of a profile's picture or a guild's icon.
const SQUARE_SIDE: u32 = 512;
const JPEG_QUALITY: u8 = 82;

pub struct Pictures {
    queue: mpsc::Sender<Job>,
}

/// What becomes of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Its pixels stay as they are.
    Whole,
    /// Its middle, of the size that pictures of profiles and guilds have.
    Square,
}

/// A picture that was read, and made into files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// As it is shown.
    pub size: PictureSize,
    pub media_type: &'static str,
}

struct Job {
    path: PathBuf,
    format: ImageFormat,
    shape: Shape,
    making: Making,
    answer: oneshot::Sender<io::Result<Option<Seen>>>,
}

impl Pictures {
    pub fn start() -> io::Result<Self> {
        let (queue, mut jobs) = mpsc::channel::<Job>(QUEUE);
        std::thread::Builder::new()
            .name("pictures".into())
            .spawn(move || {
                while let Some(job) = jobs.blocking_recv() {
                    let Job {
                        path,
                        format,
                        shape,
                        making,
                        answer,
                    } = job;
                    let seen =
                        catch_unwind(AssertUnwindSafe(|| look(&path, format, shape, &making)));
                    let seen = seen.unwrap_or_else(|_| {
                        // A picture that a decoder can't take is a file like any.
                        tracing::warn!(?format, "a picture made its decoder fail");
                        Ok(None)
                    });
                    // Who asked may be gone.
                    drop(answer.send(seen));
                }
            })?;
        Ok(Self { queue })
    }

    /// Reads a picture, and makes what is kept of it. None: it can't be read, or is too large to be.
    pub async fn look(
        &self,
        path: &Path,
        format: ImageFormat,
        shape: Shape,
        making: Making,
    ) -> io::Result<Option<Seen>> {
        let (answer, answered) = oneshot::channel();
        let job = Job {
            path: path.to_owned(),
            format,
            shape,
            making,
            answer,
        };
        let gone = || io::Error::other("the thread for pictures has ended");
        self.queue.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

fn look(
    path: &Path,
    format: ImageFormat,
    shape: Shape,
    making: &Making,
) -> io::Result<Option<Seen>> {
    let bytes = fs::read(path)?;
    let Some((picture, orientation)) = read(&bytes, format) else {
        return Ok(None);
    };
    // What is small is turned, not the picture: that would take as much memory again.
    let upright = |mut small: DynamicImage| {
        small.apply_orientation(orientation);
        small
    };
    match shape {
        Shape::Square => {
            let small = upright(square(&picture));
            let (bytes, media_type) = encode(&small);
            write(&making.whole, &bytes)?;
            let size = PictureSize {
                width: small.width(),
                height: small.height(),
                thumbnail: false,
            };
            Ok(Some(Seen { size, media_type }))
        }
        Shape::Whole => {
            write(&making.thumbnail, &encode(&upright(thumbnail(&picture))).0)?;
            let (mut width, mut height) = (picture.width(), picture.height());
            if lies_on_its_side(orientation) {
                (width, height) = (height, width);
            }
            let (whole, media_type) = match strip(&bytes, format, orientation) {
                Some(stripped) => (stripped, format.to_mime_type()),
                // Readable, but built in a way of its own: nothing is left of that but the pixels.
                None => encode(&upright(picture)),
            };
            write(&making.whole, &whole)?;
            let size = PictureSize {
                width,
                height,
                thumbnail: true,
            };
            Ok(Some(Seen { size, media_type }))
        }
    }
}

fn lies_on_its_side(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// The first picture of an animation, and how it is to be turned.
fn read(bytes: &[u8], format: ImageFormat) -> Option<(DynamicImage, Orientation)> {
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODE_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let read = || -> image::ImageResult<Option<(DynamicImage, Orientation)>> {
        let mut decoder = reader.into_decoder()?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MAX_PIXELS
            || decoder.total_bytes() > MAX_DECODE_BYTES
        {
            return Ok(None);
        }
        let orientation = decoder.orientation()?;
        Ok(Some((DynamicImage::from_decoder(decoder)?, orientation)))
    };
    read().unwrap_or_else(|error| {
        tracing::debug!(%error, ?format, "a picture can't be read");
        None
    })
}

fn thumbnail(picture: &DynamicImage) -> DynamicImage {
    if picture.width().max(picture.height()) <= THUMBNAIL_SIDE {
        return picture.clone();
    }
    picture.thumbnail(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
}

/// Made small before it is cut, for the same reason.
fn square(picture: &DynamicImage) -> DynamicImage {
    let short = picture.width().min(picture.height());
    let shrunk = |side: u32| {
        let side = u64::from(side) * u64::from(SQUARE_SIDE) / u64::from(short);
        u32::try_from(side).unwrap_or(u32::MAX)
    };
    let small = if short <= SQUARE_SIDE {
        None
    } else {
        Some(picture.thumbnail_exact(shrunk(picture.width()), shrunk(picture.height())))
    };
    let small = small.as_ref().unwrap_or(picture);
    let side = small.width().min(small.height());
    small.crop_imm(
        (small.width() - side) / 2,
        (small.height() - side) / 2,
        side,
        side,
    )
}

/// Pixels and nothing else: JPEG, or PNG where something shines through.
fn encode(picture: &DynamicImage) -> (Vec<u8>, &'static str) {
    let mut bytes = Cursor::new(Vec::new());
    let shines_through = picture.color().has_alpha()
        && picture
            .to_rgba8()
            .pixels()
            .any(|pixel| pixel.0[3] < u8::MAX);
    let (written, format) = if shines_through {
        let pixels = DynamicImage::from(picture.to_rgba8());
        (
            pixels.write_to(&mut bytes, ImageFormat::Png),
            ImageFormat::Png,
        )
    } else {
        let pixels = DynamicImage::from(picture.to_rgb8());
        (
            pixels.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)),
            ImageFormat::Jpeg,
        )
    };
    written.expect("memory takes what is written, and no picture is too large for its encoder");
    (bytes.into_inner(), format.to_mime_type())
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn making(folder: &Path) -> Making {
        Making {
            whole: folder.join("whole"),
            thumbnail: folder.join("thumbnail"),
        }
    }

    async fn seen(
        bytes: &[u8],
        format: ImageFormat,
        shape: Shape,
    ) -> (Option<Seen>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("given");
        fs::write(&path, bytes).unwrap();
        let pictures = Pictures::start().unwrap();
        let seen = pictures
            .look(&path, format, shape, making(folder.path()))
            .await
            .unwrap();
        (seen, folder)
    }

    fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[tokio::test]
    async fn a_small_picture_is_made_of_a_large_one() {
        let bytes = encoded(image::RgbImage::new(1_200, 600), ImageFormat::Png);
        let (seen, folder) = seen(&bytes, ImageFormat::Png, Shape::Whole).await;
        let size = PictureSize {
            width: 1_200,
            height: 600,
            thumbnail: true,
        };
        assert_eq!(
            seen,
            Some(Seen {
                size,
                media_type: "image/png"
            })
        );
        let made = making(folder.path());
        assert_eq!(fs::read(made.whole).unwrap(), bytes);
        let small = image::load_from_memory(&fs::read(made.thumbnail).unwrap()).unwrap();
        assert_eq!((small.width(), small.height()), (400, 200));
    }

    #[tokio::test]
    async fn a_square_is_cut_out_of_the_middle_and_keeps_what_shines_through() {
        let clear = image::RgbaImage::from_fn(900, 700, |x, _| {
            image::Rgba([9, 9, 9, if x < 400 { 0 } else { 255 }])
        });
        let (seen, folder) = seen(
            &encoded(clear, ImageFormat::Png),
            ImageFormat::Png,
            Shape::Square,
        )
        .await;
        let size = PictureSize {
            width: 512,
            height: 512,
            thumbnail: false,
        };
        assert_eq!(
            seen,
            Some(Seen {
                size,
                media_type: "image/png"
            })
        );
        let made = image::load_from_memory(&fs::read(making(folder.path()).whole).unwrap())
            .unwrap()
            .to_rgba8();
        assert_eq!(
            (
                made.width(),
                made.height(),
                made.get_pixel(0, 0).0[3],
                made.get_pixel(511, 0).0[3]
            ),
            (512, 512, 0, 255)
        );
    }

    /// A PNG of that size with next to nothing in it.
    fn bomb(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = encoded(image::RgbImage::new(1, 1), ImageFormat::Png);
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let crc = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                if crc & 1 == 1 {
                    crc >> 1 ^ 0xedb8_8320
                } else {
                    crc >> 1
                }
            })
        })
    }

    #[tokio::test]
    async fn bombs_and_damage_are_no_pictures() {
        for (width, height) in [
            (60_000, 60_000),
            (7_000, 7_000),
            (20_001, 1),
            (u32::MAX >> 1, 1),
        ] {
            let (seen, folder) = seen(&bomb(width, height), ImageFormat::Png, Shape::Whole).await;
            assert_eq!(seen, None, "{width} x {height}");
            assert!(!making(folder.path()).whole.exists());
        }
        let good = encoded(image::RgbImage::new(50, 50), ImageFormat::Jpeg);
        for (bytes, format) in [
            (&b"GIF89a/*\0\0*/=1;alert(1)"[..], ImageFormat::Gif),
            (&good[..20], ImageFormat::Jpeg),
            (b"", ImageFormat::WebP),
            (b"\x89PNG\r\n\x1a\n<html>", ImageFormat::Png),
        ] {
            assert_eq!(
                seen(bytes, format, Shape::Whole).await.0,
                None,
                "{format:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_picture_that_is_turned_is_shown_upright_and_its_small_one_is() {
        let plain = encoded(image::RgbImage::new(800, 400), ImageFormat::Jpeg);
        let turned = strip(&plain, ImageFormat::Jpeg, Orientation::Rotate90).unwrap();
        let (seen, folder) = seen(&turned, ImageFormat::Jpeg, Shape::Whole).await;
        assert_eq!(
            seen.map(|seen| (seen.size.width, seen.size.height)),
            Some((400, 800))
        );
        let made = making(folder.path());
        let small = image::load_from_memory(&fs::read(made.thumbnail).unwrap()).unwrap();
        assert_eq!((small.width(), small.height()), (200, 400));
        assert_eq!(
            fs::read(made.whole).unwrap(),
            turned,
            "the original keeps how it is turned"
        );
    }
}
