//! What both ends enforce. A peer that goes past a limit gets a typed error or is cut off; nothing grows without bound.

/// Highest protocol version this build speaks.
pub const PROTOCOL_MAX: u32 = 1;
/// Lowest protocol version this build speaks.
pub const PROTOCOL_MIN: u32 = 1;
/// TCP and UDP port when a link names none.
pub const DEFAULT_PORT: u16 = 9000;

/// Largest control message a server reads, bytes.
pub const MAX_CONTROL_MESSAGE_BYTES: usize = 64 * 1024;
/// Largest control message a client reads, bytes: a full sync of a large guild is one message.
pub const MAX_SYNC_MESSAGE_BYTES: usize = 8 * 1024 * 1024;
/// Unsent control bytes after which a slow reader is cut off.
pub const MAX_BACKLOG_BYTES: usize = 1024 * 1024;

/// Account and guest names, characters.
pub const NAME_CHARS: std::ops::RangeInclusive<usize> = 1..=32;
/// Passwords, bytes: a floor against guessing, a ceiling against hashing work.
pub const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=256;
/// Text of one message, characters.
pub const MESSAGE_CHARS: std::ops::RangeInclusive<usize> = 1..=4000;
/// A client nonce, bytes.
pub const NONCE_BYTES: std::ops::RangeInclusive<usize> = 1..=64;
/// Messages in one page of history.
pub const HISTORY_PAGE: u32 = 50;
/// One page of history, bytes as JSON; a page has at least one message.
pub const HISTORY_PAGE_BYTES: usize = 256 * 1024;
/// Device label, characters; longer ones are cut.
pub const DEVICE_LABEL_CHARS: usize = 64;
/// Invite code, characters.
pub const INVITE_CODE_CHARS: std::ops::RangeInclusive<usize> = 4..=32;

/// Bitrate of a voice channel, bits per second.
pub const BITRATE_BPS: std::ops::RangeInclusive<u32> = 8_000..=510_000;
/// Members of one guild: all of them are in one message at the begin of a session.
pub const MAX_GUILD_MEMBERS: u32 = 5_000;
/// Participants of one voice channel.
pub const MAX_VOICE_PARTICIPANTS: usize = 1_000;

/// Checks a name as typed: trims it, and refuses control characters and wrong lengths.
///
/// # Errors
/// [`NameError`] says what to change.
pub fn clean_name(name: &str) -> Result<String, NameError> {
    let name = name.trim();
    if !NAME_CHARS.contains(&name.chars().count()) {
        return Err(NameError::Length);
    }
    if name.chars().any(is_unprintable) {
        return Err(NameError::Character);
    }
    Ok(name.to_owned())
}

/// Control characters, and the direction marks by which a name could reorder the text around it.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Why a name can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name has 1 to 32 characters")]
    Length,
    #[error("a name can't contain control or text-direction characters")]
    Character,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_checked() {
        assert_eq!(clean_name("  Änn 🦊 "), Ok("Änn 🦊".to_owned()));
        assert_eq!(clean_name("  "), Err(NameError::Length));
        assert_eq!(clean_name(&"x".repeat(33)), Err(NameError::Length));
        assert_eq!(clean_name("a\u{202e}b"), Err(NameError::Character));
        assert_eq!(clean_name("a\nb"), Err(NameError::Character));
    }
}
