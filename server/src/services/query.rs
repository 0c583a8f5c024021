//! What people type to search: words, "words that stand together", and filters. Whatever is typed means something.

use voxhall_protocol::control::UnixMs;
use voxhall_store::{Has, Term};

/// Of `from:`, and of `in:`: each name is compared to everyone's, or to every channel's.
const MAX_NAMES: usize = 5;
const DAY_MS: UnixMs = 24 * 3_600_000;

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    pub terms: Vec<Term>,
    /// Names, or mentions such as `<@12>`. In small letters, each once.
    pub from: Vec<String>,
    /// Names of channels, or `<#12>`. In small letters, each once.
    pub places: Vec<String>,
    pub sent_before: Option<UnixMs>,
    pub sent_since: Option<UnixMs>,
    pub has: Vec<Has>,
}

/// A filter that says nothing. For people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("Write a day as in before:2026-11-20.")]
    NoDay,
    #[error("has: takes file, picture or link.")]
    NoThing,
    #[error("A search takes up to 5 different from: and up to 5 different in:. Leave some out.")]
    TooMany,
    #[error("Search for a word, or for something such as has:link or from:ann.")]
    Empty,
}

/// `before:` and `after:` take days of UTC, the day itself being after and not before.
///
/// # Errors
/// See [`QueryError`].
pub fn parse(text: &str) -> Result<Query, QueryError> {
    let mut query = Query::default();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, behind) = filter(rest);
        let (value, is_quoted, behind) = value(behind);
        let is_last = behind.is_empty();
        rest = behind.trim_start();
        match key {
            _ if value.is_empty() => {}
            None => query.terms.push(Term {
                text: value.to_owned(),
                // It may not be typed to its end. One letter begins too many words to look them all up.
                prefix: is_last && !is_quoted && letters(value) > 1,
            }),
            Some(Key::From) => add_name(&mut query.from, value.trim_start_matches('@'))?,
            Some(Key::In) => add_name(&mut query.places, value.trim_start_matches('#'))?,
            Some(Key::Before) => {
                let day = day(value).ok_or(QueryError::NoDay)?;
                query.sent_before = Some(query.sent_before.map_or(day, |before| before.min(day)));
            }
            Some(Key::After) => {
                let day = day(value).ok_or(QueryError::NoDay)?;
                query.sent_since = Some(query.sent_since.map_or(day, |since| since.max(day)));
            }
            Some(Key::Has) => query.has.push(match value.to_lowercase().as_str() {
                "file" => Has::File,
                "picture" | "image" => Has::Picture,
                "link" => Has::Link,
                _ => return Err(QueryError::NoThing),
            }),
        }
    }
    query
        .terms
        .retain(|term| term.text.chars().any(char::is_alphanumeric));
    if query == Query::default() {
        return Err(QueryError::Empty);
    }
    Ok(query)
}

fn add_name(names: &mut Vec<String>, name: &str) -> Result<(), QueryError> {
    let name = name.to_lowercase();
    if names.contains(&name) {
        return Ok(());
    }
    if names.len() == MAX_NAMES {
        return Err(QueryError::TooMany);
    }
    names.push(name);
    Ok(())
}

fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).count()
}

#[derive(Debug, Clone, Copy)]
enum Key {
    From,
    In,
    Before,
    After,
    Has,
}

/// The filter that begins here, and what is behind its colon.
fn filter(text: &str) -> (Option<Key>, &str) {
    let key = text.split_once(':').and_then(|(key, behind)| {
        let key = match key.to_lowercase().as_str() {
            "from" => Key::From,
            "in" => Key::In,
            "before" => Key::Before,
            "after" => Key::After,
            "has" => Key::Has,
            _ => return None,
        };
        // Nothing behind it yet: a word like any.
        (!behind.is_empty() && !behind.starts_with(char::is_whitespace)).then_some((key, behind))
    });
    key.map_or((None, text), |(key, behind)| (Some(key), behind))
}

/// One word or what is in quotes, whether it was, and what is behind it. A quote that nothing closes goes to the end.
fn value(text: &str) -> (&str, bool, &str) {
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, behind) = quoted.split_once('"').unwrap_or((quoted, ""));
        return (value, true, behind);
    }
    let end = text
        .find(|c: char| c.is_whitespace() || c == '"')
        .unwrap_or(text.len());
    (&text[..end], false, &text[end..])
}

/// The first millisecond of a day such as 2026-11-20.
fn day(text: &str) -> Option<UnixMs> {
    let mut parts = text.split('-');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        (part.len() <= digits && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<i64>().ok())?
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let in_month = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if parts.next().is_some() || !(1970..).contains(&year) || !(1..=in_month).contains(&day) {
        return None;
    }
    // Days from 1970-01-01 in the Gregorian calendar, years beginning with March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(days * DAY_MS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn term(text: &str, prefix: bool) -> Term {
        Term {
            text: text.into(),
            prefix,
        }
    }

    #[test]
    fn words_phrases_and_filters() {
        let query = parse(r#"hello "good old" FROM:@Ann in:#general has:Link before:2026-11-20 after:2026-11-01 wor"#).unwrap();
        let expected = Query {
            terms: vec![
                term("hello", false),
                term("good old", false),
                term("wor", true),
            ],
            from: vec!["ann".into()],
            places: vec!["general".into()],
            sent_before: Some(1_795_132_800_000),
            sent_since: Some(1_793_491_200_000),
            has: vec![Has::Link],
        };
        assert_eq!(query, expected);
        assert_eq!(
            parse(r#"from:"Ann Lee" from:<@12>"#).unwrap().from,
            ["ann lee", "<@12>"]
        );
        assert_eq!(parse("word ").unwrap().terms, [term("word", false)]);
        assert_eq!(
            parse("https://a.b from: x").unwrap().terms,
            [
                term("https://a.b", false),
                term("from:", false),
                term("x", false)
            ]
        );
        assert_eq!(
            parse("\"not closed").unwrap().terms,
            [term("not closed", false)]
        );
        let days = parse("before:2026-11-20 before:2020-01-01 x").unwrap();
        assert_eq!(days.sent_before, Some(1_577_836_800_000));
    }

    #[test]
    fn names_count_once_and_are_few() {
        let names: String = (0..MAX_NAMES)
            .map(|n| format!("from:ann{n} in:a{n} "))
            .collect();
        let query = parse(&format!("{names} from:ANN0 in:#A4")).unwrap();
        assert_eq!(
            (query.from.len(), query.places.len()),
            (MAX_NAMES, MAX_NAMES)
        );
        for another in ["from:bob", "in:b"] {
            assert_eq!(
                parse(&format!("{names} {another}")),
                Err(QueryError::TooMany)
            );
        }
    }

    #[test]
    fn one_letter_is_no_beginning() {
        for (text, prefix) in [
            ("a", false),
            ("a!", false),
            ("é", false),
            ("ab", true),
            ("a-b", true),
        ] {
            assert_eq!(parse(text).unwrap().terms, [term(text, prefix)]);
        }
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for (text, why) in [
            ("", QueryError::Empty),
            (" \"\" !!! ", QueryError::Empty),
            ("before:tomorrow", QueryError::NoDay),
            ("after:2026-02-29", QueryError::NoDay),
            ("after:2026-13-01", QueryError::NoDay),
            ("after:99999-01-01", QueryError::NoDay),
            ("after:2026-11-20-1", QueryError::NoDay),
            ("after:2026-+1-01", QueryError::NoDay),
            ("has:everything", QueryError::NoThing),
        ] {
            assert_eq!(parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1970-03-01", 59),
            ("2000-02-29", 11_016),
            ("2000-03-01", 11_017),
            ("2026-11-20", 20_777),
        ] {
            assert_eq!(day(text), Some(days * DAY_MS), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_read(text in "[a-z\":<@#> \u{e9}-]{0,60}|\\PC{0,60}") {
            if let Ok(query) = parse(&text) {
                prop_assert!(query.terms.len() <= text.len());
            }
        }
    }
}
