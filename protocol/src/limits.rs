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
/// A profile's text, a guild's description, characters.
pub const ABOUT_CHARS: usize = 500;
/// A custom status, characters.
pub const CUSTOM_STATUS_CHARS: usize = 100;
/// A channel's topic, characters.
pub const TOPIC_CHARS: usize = 1_000;
/// A moderator's reason, characters.
pub const REASON_CHARS: usize = 300;
/// A search, characters.
pub const QUERY_CHARS: std::ops::RangeInclusive<usize> = 1..=256;
/// An emoji of a reaction, bytes.
pub const EMOJI_BYTES: usize = 64;
/// Different reactions on one message.
pub const MAX_REACTIONS: usize = 20;
/// Attachments of one message.
pub const MAX_ATTACHMENTS: usize = 10;
/// Pinned messages of one channel.
pub const MAX_PINS: usize = 50;
/// People in a group conversation.
pub const MAX_GROUP_MEMBERS: usize = 10;
/// Channels and categories of one guild.
pub const MAX_CHANNELS: usize = 500;
/// Roles of one guild, @everyone included.
pub const MAX_ROLES: usize = 100;
/// Rules of one channel for roles and members.
pub const MAX_OVERWRITES: usize = 100;
/// Guilds that one user may be in.
pub const MAX_GUILDS_OF_USER: usize = 100;
/// Friends, requests and blocked people of one user, together.
pub const MAX_RELATIONS: usize = 1_000;
/// Slow mode at most, seconds.
pub const MAX_SLOW_MODE_S: u32 = 6 * 3600;
/// A timeout at most, seconds.
pub const MAX_TIMEOUT_S: u32 = 28 * 24 * 3600;
/// A ban deletes what was written in this time at most, seconds.
pub const MAX_BAN_DELETES_S: u32 = 7 * 24 * 3600;
/// A file's name, characters.
pub const FILE_NAME_CHARS: usize = 120;
/// The beginning of a message that stands with its replies, characters.
pub const EXCERPT_CHARS: usize = 100;
/// Entries of one page of anything but history.
pub const PAGE: u32 = 50;
/// Events that a session keeps for a client that comes back: this many at most.
pub const RESUME_EVENTS: usize = 2_000;
/// A session whose connection was lost is kept for this long, milliseconds.
pub const RESUME_WITHIN_MS: u64 = 120_000;

/// Invite code, characters.
pub const INVITE_CODE_CHARS: std::ops::RangeInclusive<usize> = 4..=32;

/// Bitrate of a voice channel, bits per second.
pub const BITRATE_BPS: std::ops::RangeInclusive<u32> = 8_000..=510_000;
/// Members of one guild: all of them are in one message at the begin of a session.
pub const MAX_GUILD_MEMBERS: u32 = 5_000;
/// People in one stage room.
pub const MAX_STAGE_PEOPLE: usize = 10_000;
/// Of a stage room, at once: hosts are told of all of them.
pub const MAX_RAISED_HANDS: usize = 50;
/// A stage room's topic, characters.
pub const STAGE_TOPIC_CHARS: std::ops::RangeInclusive<usize> = 1..=120;
/// A stage room is scheduled for a time so far away at most, milliseconds.
pub const MAX_SCHEDULE_AHEAD_MS: i64 = 366 * 24 * 3_600_000;
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
    if name.chars().all(|c| c.is_whitespace() || joins(c)) {
        return Err(NameError::Invisible);
    }
    Ok(name.to_owned())
}

/// Control characters; direction marks, by which a name could reorder the text around it; and what leaves no trace, by which two
/// names could look the same (Unicode's Default_Ignorable_Code_Point and line separators, but for what [`joins`]).
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0e}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e001f}' | '\u{e0080}'..='\u{e0fff}')
}

/// Parts of emoji that can't be seen by themselves: the joiner, the emoji variant, and the letters of subdivision flags.
fn joins(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe0f}' | '\u{e0020}'..='\u{e007f}')
}

/// Why a name can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name has 1 to 32 characters")]
    Length,
    #[error("a name can't contain invisible, control or text-direction characters")]
    Character,
    #[error("a name needs a character that can be seen")]
    Invisible,
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
        for family in [
            "👩\u{200d}👧",
            "❤\u{fe0f}",
            "ann 🏴\u{e0067}\u{e0062}\u{e007f}",
        ] {
            assert_eq!(clean_name(family), Ok(family.to_owned()));
        }
        let hidden =
            "\u{200b}\u{200c}\u{2060}\u{3164}\u{ad}\u{61c}\u{2028}\u{2029}\u{ffa0}\u{115f}";
        for c in hidden.chars() {
            assert_eq!(
                clean_name(&format!("a{c}b")),
                Err(NameError::Character),
                "{c:?}"
            );
        }
        assert_eq!(clean_name("\u{200d} \u{fe0f}"), Err(NameError::Invisible));
    }
}
