//! What files are called: never a path, and nothing that could hide what it is.

use std::fmt::Write as _;

use voxhall_protocol::limits::FILE_NAME_CHARS;

/// Of a name that has nothing usable in it.
const NAMELESS: &str = "file";
/// An ending is kept where a name is cut, if it is no longer than this, in characters.
const ENDING_CHARS: usize = 16;

/// The last part of what may be a path, without what can't be seen or turns the text around, and not too long.
pub fn clean_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let seen: String = last.chars().filter(|c| !is_hidden(*c)).collect();
    let trimmed = seen
        .trim()
        .trim_start_matches('.')
        .trim_end_matches(['.', ' '])
        .trim_start();
    if trimmed.is_empty() {
        return NAMELESS.to_owned();
    }
    if trimmed.chars().count() <= FILE_NAME_CHARS {
        return trimmed.to_owned();
    }
    let ending = trimmed.rfind('.').map_or("", |dot| &trimmed[dot..]);
    let ending = if ending.chars().count() <= ENDING_CHARS {
        ending
    } else {
        ""
    };
    let stem = FILE_NAME_CHARS - ending.chars().count();
    trimmed.chars().take(stem).chain(ending.chars()).collect()
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// A `Content-Disposition` (RFC 6266).
pub fn disposition(inline: bool, name: &str) -> String {
    let how = if inline { "inline" } else { "attachment" };
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ') {
                c
            } else {
                '_'
            }
        })
        .collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string");
        }
    }
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_no_path_and_hides_nothing() {
        for (given, cleaned) in [
            ("holiday.jpg", "holiday.jpg"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\system.ini", "system.ini"),
            (".bashrc", "bashrc"),
            ("..", "file"),
            ("/", "file"),
            ("", "file"),
            ("a\0b\nc\r\n", "abc"),
            ("photo\u{202e}gpj.exe", "photogpj.exe"),
            ("  Ferien in Köln 🏖.png . ", "Ferien in Köln 🏖.png"),
        ] {
            assert_eq!(clean_name(given), cleaned, "{given:?}");
        }
        let long = format!("{}.tar.gz", "x".repeat(500));
        let cut = clean_name(&long);
        assert!(
            cut.ends_with("x.gz") && cut.chars().count() == FILE_NAME_CHARS,
            "{cut}"
        );
    }

    proptest! {
        #[test]
        fn no_name_breaks_out(name in any::<String>()) {
            let cleaned = clean_name(&name);
            prop_assert!(!cleaned.is_empty() && cleaned.chars().count() <= FILE_NAME_CHARS);
            prop_assert!(!cleaned.contains(['/', '\\', '\0', '\n', '\r']) && !cleaned.starts_with('.'));
            let header = disposition(true, &cleaned);
            prop_assert!(header.bytes().all(|b| (0x20..0x7f).contains(&b)), "{}", header);
            prop_assert_eq!(header.matches('"').count(), 2);
        }
    }
}
