//! Of what type a file is, as its own bytes say.

use image::ImageFormat;

const TEXT: &str = "text/plain";
const BYTES: &str = "application/octet-stream";

/// From the file's beginning.
pub fn media_type(head: &[u8]) -> &'static str {
    match infer::get(head) {
        Some(found) => found.mime_type(),
        None if is_text(head) => TEXT,
        None => BYTES,
    }
}

/// Of the pictures that are read here. All others are files like any.
pub fn picture_format(media_type: &str) -> Option<ImageFormat> {
    match media_type {
        "image/png" => Some(ImageFormat::Png),
        "image/jpeg" => Some(ImageFormat::Jpeg),
        "image/gif" => Some(ImageFormat::Gif),
        "image/webp" => Some(ImageFormat::WebP),
        _ => None,
    }
}

/// What a browser is told: the type of what can do nothing but be shown or played, and of all else that it is bytes.
pub fn served_as(media_type: &str, is_picture: bool) -> &str {
    match media_type {
        _ if is_picture => media_type,
        TEXT => "text/plain; charset=utf-8",
        "application/pdf" => media_type,
        _ if media_type.starts_with("audio/") || media_type.starts_with("video/") => media_type,
        _ => BYTES,
    }
}

/// UTF-8, but for a character that the cut went through.
fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty()
        && !valid
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_come_from_bytes_and_only_harmless_ones_are_said() {
        for (head, found, served) in [
            (&b"hello\n"[..], TEXT, "text/plain; charset=utf-8"),
            ("Gr\u{fc}\u{df}e".as_bytes(), TEXT, "text/plain; charset=utf-8"),
            (&"\u{fc}".as_bytes()[..1], BYTES, BYTES),
            (b"\x00\x01", BYTES, BYTES),
            (b"", BYTES, BYTES),
            (b"<!DOCTYPE html><script>", "text/html", BYTES),
            (b"%PDF-1.7", "application/pdf", "application/pdf"),
            (b"PK\x03\x04....", "application/zip", BYTES),
            (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "application/x-executable", BYTES),
            (b"OggS....", "audio/ogg", "audio/ogg"),
        ] {
            assert_eq!(media_type(head), found, "{head:?}");
            assert_eq!(served_as(found, false), served);
        }
        let svg = br#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
        let xml = [br#"<?xml version="1.0"?>"#.as_slice(), svg].concat();
        for picture in [svg.as_slice(), &xml] {
            let found = media_type(picture);
            assert_eq!(picture_format(found), None, "{found}");
            assert!(
                !served_as(found, false).contains("svg")
                    && !served_as(found, false).contains("xml"),
                "{found}"
            );
        }
        assert_eq!(
            picture_format(media_type(b"GIF89a......")),
            Some(ImageFormat::Gif)
        );
        assert_eq!(
            served_as("image/gif", false),
            BYTES,
            "what can't be read is not shown"
        );
        assert_eq!(served_as("image/gif", true), "image/gif");
    }
}
