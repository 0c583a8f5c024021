//! What messages say where there is no room for their form: answers, notifications, what was found.

use std::ops::Range;

use voxhall_protocol::limits::EXCERPT_CHARS;

use super::{
    markdown::{self, Block, Target},
    text::Names,
};

/// In place of a spoiler.
const HIDDEN: &str = "[spoiler]";
/// The words alone, on one line: who is mentioned by name, and spoilers hidden.
pub fn plain(text: &str, names: Names<'_>) -> String {
    let blocks = markdown::parse(text);
    let lines = blocks.iter().map(|block| words(block, names));
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    lines.join(" ").replace('\n', " ")
}

fn words(block: &Block, names: Names<'_>) -> String {
    let mut words = String::new();
    let mut hidden = None;
    for span in &block.spans {
        match span.spoiler {
            None => words.push_str(&names.words(span)),
            // The rest of one that was begun.
            spoiler if spoiler == hidden => {}
            Some(_) => words.push_str(HIDDEN),
        }
        hidden = span.spoiler;
    }
    words
}

/// The same of an excerpt. Where it was cut, a spoiler may have lost its end, and is hidden all the same.
pub fn plain_excerpt(excerpt: &str, names: Names<'_>) -> String {
    if excerpt.chars().count() < EXCERPT_CHARS {
        return plain(excerpt, names);
    }
    let closed = plain(&format!("{excerpt}||"), names);
    closed.trim_end_matches('|').to_owned()
}

/// What is shown otherwise in a text that keeps its marks, by its characters: who is mentioned by name, and spoilers hidden.
pub fn replaced(text: &str, names: Names<'_>) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    let (mut at, mut characters) = (0, 0);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let hit = spoiler_at(rest).or_else(|| mention_at(rest, names));
        let length = hit.as_ref().map_or(c.len_utf8(), |(length, _)| *length);
        let end = characters + rest[..length].chars().count();
        found.extend(hit.map(|(_, words)| (characters..end, words)));
        (at, characters) = (at + length, end);
    }
    found
}

fn spoiler_at(text: &str) -> Option<(usize, String)> {
    let inside = text.strip_prefix("||")?;
    let length = inside.find("||")?;
    Some((length + 2 * "||".len(), HIDDEN.to_owned()))
}

fn mention_at(text: &str, names: Names<'_>) -> Option<(usize, String)> {
    let (length, target) = markdown::target_at(text)?;
    let words = match target {
        Target::User(id) => names.user(id),
        Target::Role(id) => names.role(id),
        Target::Everyone | Target::Link(_) => return None,
    };
    Some((length, words))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use voxhall_protocol::{
        GuildId, UserId,
        control::{Member, User, UserKind},
    };
    use voxhall_session::{Guild, State};

    use super::*;

    fn guild() -> Guild {
        let ann = Member::new(User::new(UserId(1), "Ann", UserKind::Account));
        Guild {
            id: GuildId(1),
            name: String::new(),
            description: String::new(),
            icon: None,
            owner: None,
            roles: vec![],
            channels: vec![],
            members: Arc::new(BTreeMap::from([(UserId(1), ann)])),
            voice: BTreeMap::new(),
        }
    }

    #[test]
    fn a_line_has_names_and_no_secrets() {
        let (state, guild) = (State::default(), guild());
        let names = Names {
            state: &state,
            guild: &guild,
        };
        for (text, line) in [
            ("**a** `b`\n> c\n\n- d", "a b c d"),
            ("hi <@1>, and <@7>", "hi @Ann, and @somebody"),
            ("it was ||the **old** cat|| here", "it was [spoiler] here"),
            ("||a|| ||b||", "[spoiler] [spoiler]"),
            ("a || b", "a || b"),
        ] {
            assert_eq!(plain(text, names), line, "{text}");
            assert_eq!(plain_excerpt(text, names), line, "{text}");
        }
    }

    #[test]
    fn a_spoiler_that_was_cut_off_stays_hidden() {
        let (state, guild) = (State::default(), guild());
        let names = Names {
            state: &state,
            guild: &guild,
        };
        for (whole, line) in [
            (
                "it was ||the cat".to_owned() + &" meow".repeat(30) + "||",
                "it was [spoiler]",
            ),
            ("nothing to hide. ".repeat(9), "nothing to hide."),
        ] {
            let cut: String = whole.chars().take(EXCERPT_CHARS).collect();
            let shown = plain_excerpt(&cut, names);
            assert!(shown.starts_with(line) && !shown.contains("cat"), "{shown}");
            assert!(!shown.contains('|'), "{shown}");
        }
    }

    #[test]
    fn what_is_replaced_is_known_by_its_characters() {
        let (state, guild) = (State::default(), guild());
        let names = Names {
            state: &state,
            guild: &guild,
        };
        assert_eq!(
            replaced("é <@1> ||x|| <@z> | ||", names),
            [(2..6, "@Ann".to_owned()), (7..12, HIDDEN.to_owned())]
        );
    }
}
