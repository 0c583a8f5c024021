//! Texts that people type, checked before they are stored.

use voxhall_protocol::{
    control::Failure,
    limits::{REASON_CHARS, clean_name},
};

use crate::words;

/// # Errors
/// Says what a name has to be.
pub(super) fn name(text: &str) -> Result<String, Failure> {
    clean_name(text).map_err(|error| words::invalid(&error.to_string()))
}

/// Text of several lines; may be empty. `what` is what it is, as in "a topic".
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

/// # Errors
/// Says how long it may be.
pub(super) fn reason(reason: &str) -> Result<String, Failure> {
    Ok(text(reason, REASON_CHARS, "A reason")?.replace('\n', " "))
}
