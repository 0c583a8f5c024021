//! Texts that people type, checked before they are stored.

use std::ops::RangeInclusive;

use voxhall_protocol::{
    control::Failure,
    limits::{REASON_CHARS, clean_name, is_unprintable},
};

use crate::words;

/// # Errors
/// Says what a name has to be.
pub(super) fn name(text: &str) -> Result<String, Failure> {
    clean_name(text).map_err(|error| words::invalid(&error.to_string()))
}

/// Text of several lines; may be empty. `what` is what it is, as in "A topic".
///
/// # Errors
/// Says how long it may be.
pub(super) fn text(text: &str, max_chars: usize, what: &str) -> Result<String, Failure> {
    let text = text.trim();
    if text.chars().count() > max_chars {
        return Err(words::invalid(&format!(
            "{what} has {max_chars} characters at most."
        )));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(words::invalid(&format!(
            "{what} can't contain control characters."
        )));
    }
    Ok(text.to_owned())
}

/// Text of one line. `what` is what it is, as in "A topic".
///
/// # Errors
/// Says how long it may be.
pub(super) fn line(
    text: &str,
    chars: RangeInclusive<usize>,
    what: &str,
) -> Result<String, Failure> {
    let text = text.trim();
    if !chars.contains(&text.chars().count())
        || text
            .chars()
            .any(|c| is_unprintable(c) && !shapes_letters(c))
    {
        let allowed = match chars.into_inner() {
            (0, most) => format!("{most} characters at most"),
            (least, most) => format!("{least} to {most} characters"),
        };
        return Err(words::invalid(&format!(
            "{what} is one line of {allowed}, all of which can be seen."
        )));
    }
    Ok(text.to_owned())
}

/// Persian, Mongolian and others are not written without these. A name must not differ from another by them alone; other words may.
fn shapes_letters(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0e}')
}

/// # Errors
/// Says how long it may be.
pub(super) fn reason(reason: &str) -> Result<String, Failure> {
    Ok(text(reason, REASON_CHARS, "A reason")?.replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_seen_and_may_be_persian() {
        let line = |text| line(text, 1..=20, "A topic");
        assert_eq!(line(" rust and sound ").unwrap(), "rust and sound");
        // "I want", which is not written without the non-joiner.
        let persian = "می\u{200c}خواهم";
        assert_eq!(line(persian).unwrap(), persian);
        for refused in ["", " ", "a\nb", "a\u{202e}b", "\u{200b}", &"a".repeat(21)] {
            let failure = line(refused).unwrap_err();
            assert!(
                failure.message.contains("1 to 20 characters"),
                "{refused:?}"
            );
        }
    }
}
