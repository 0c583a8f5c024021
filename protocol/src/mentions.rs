//! Whom a text mentions: `<@12>` a user, `<@&5>` a role, and `@everyone`. What stands in code or behind a backslash mentions nobody.

use crate::{RoleId, UserId, control::Mentions};

/// Users and roles beyond this many of each are not mentioned.
pub const MAX_MENTIONS: usize = 50;

/// Reads Markdown as CommonMark does, as far as it matters here: fenced code, code spans and escapes.
#[must_use]
pub fn read(text: &str) -> Mentions {
    let mut found = Mentions::default();
    let mut fence: Option<Fence<'_>> = None;
    let mut paragraph = 0..0;
    for line in text.split_inclusive('\n') {
        let start = paragraph.end;
        let end = start + line.len();
        paragraph.end = end;
        let here = Fence::of(line);
        match (&fence, here) {
            (Some(open), Some(here)) if here.closes(open) => fence = None,
            (Some(_), _) => {}
            (None, Some(here)) if here.opens() => {
                read_paragraph(&text[paragraph.start..start], &mut found);
                fence = Some(here);
            }
            (None, _) if line.trim().is_empty() => {
                read_paragraph(&text[paragraph.start..start], &mut found);
            }
            // It goes on.
            (None, _) => continue,
        }
        paragraph.start = end;
    }
    read_paragraph(&text[paragraph], &mut found);
    found
}

/// A line of at least three backticks or tildes, and what is behind them.
struct Fence<'a> {
    mark: char,
    length: usize,
    rest: &'a str,
}

impl<'a> Fence<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let line = line.trim_end();
        let unindented = line.trim_start_matches(' ');
        let mark = unindented
            .chars()
            .next()
            .filter(|c| matches!(c, '`' | '~'))?;
        let rest = unindented.trim_start_matches(mark);
        let length = unindented.len() - rest.len();
        (length >= 3 && line.len() - unindented.len() <= 3).then_some(Self { mark, length, rest })
    }

    fn opens(&self) -> bool {
        self.mark == '~' || !self.rest.contains('`')
    }

    fn closes(&self, open: &Self) -> bool {
        self.mark == open.mark && self.length >= open.length && self.rest.is_empty()
    }
}

fn read_paragraph(text: &str, found: &mut Mentions) {
    let mut rest = text;
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        let token = match c {
            '\\' => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            '`' => code_span(rest),
            '<' => mention(rest, found).unwrap_or(1),
            '@' => everyone(rest, before, found).unwrap_or(1),
            c => c.len_utf8(),
        };
        before = rest[..token].chars().next_back();
        rest = &rest[token..];
    }
}

/// How long the code is that begins here, or the backticks where nothing closes them.
fn code_span(text: &str) -> usize {
    let run = |text: &str| text.len() - text.trim_start_matches('`').len();
    let opening = run(text);
    let mut at = opening;
    while let Some(next) = text[at..].find('`') {
        let length = run(&text[at + next..]);
        at += next + length;
        if length == opening {
            return at;
        }
    }
    opening
}

/// The length of a mention that stands at the beginning.
fn mention(text: &str, found: &mut Mentions) -> Option<usize> {
    let inner = text.strip_prefix("<@")?;
    let (inner, is_role) = inner
        .strip_prefix('&')
        .map_or((inner, false), |inner| (inner, true));
    let digits = &inner[..inner.find('>')?];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let id = digits.parse().ok()?;
    if is_role {
        add(&mut found.roles, RoleId(id));
    } else {
        add(&mut found.users, UserId(id));
    }
    Some(text.len() - inner.len() + digits.len() + 1)
}

fn add<T: PartialEq>(ids: &mut Vec<T>, id: T) {
    if ids.len() < MAX_MENTIONS && !ids.contains(&id) {
        ids.push(id);
    }
}

/// As a word of its own: not in an address.
fn everyone(text: &str, before: Option<char>, found: &mut Mentions) -> Option<usize> {
    let rest = text.strip_prefix("@everyone")?;
    let in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '@');
    if before.is_some_and(in_word) || rest.chars().next().is_some_and(in_word) {
        return None;
    }
    found.everyone = true;
    Some(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> (Vec<u64>, Vec<u64>, bool) {
        let found = read(text);
        let users = found.users.iter().map(|user| user.0).collect();
        (
            users,
            found.roles.iter().map(|role| role.0).collect(),
            found.everyone,
        )
    }

    #[test]
    fn users_roles_and_everyone_are_found_once() {
        assert_eq!(
            of("<@12> and <@&5>, <@12>: @everyone!"),
            (vec![12], vec![5], true)
        );
        assert_eq!(of("(@everyone)\n**<@1>**<@2>"), (vec![1, 2], vec![], true));
        assert_eq!(of(""), (vec![], vec![], false));
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for text in [
            "<@>",
            "<@&>",
            "<@1",
            "<@-1>",
            "<@+1>",
            "<@1 >",
            "<@99999999999999999999>",
            "<1>",
            "@here",
            "ann@everyone.org",
            "@everyones",
            "@@everyone",
            "\\@everyone",
            "\\<@1>",
            "@everyone_else",
            "ä@everyone",
        ] {
            assert_eq!(of(text), (vec![], vec![], false), "{text}");
        }
    }

    #[test]
    fn code_mentions_nobody() {
        for text in [
            "`<@1>`",
            "``a ` <@1>``",
            "`a\n@everyone`",
            "```\n<@1>\n```",
            "~~~rust\n<@1>\n```\n@everyone\n~~~",
            "   ````\n```\n<@1>",
            "```<@1>```",
        ] {
            assert_eq!(of(text), (vec![], vec![], false), "{text}");
        }
        // What nothing closes is no code, and a code span ends with its paragraph.
        assert_eq!(of("`<@1>").0, [1]);
        assert_eq!(of("``<@1>`").0, [1]);
        assert_eq!(of("` a\n\n<@1> `").0, [1]);
        assert_eq!(of("`a` <@1> `b`").0, [1]);
        assert_eq!(of("```\ncode\n```\n<@1>").0, [1]);
        assert_eq!(of("<@1>\n```\n<@2>\n```\n<@3>").0, [1, 3]);
        assert_eq!(of("\\`<@1>`").0, [1]);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let many: String = (0..500).map(|n| format!("<@{n}><@&{n}>")).collect();
        let found = read(&many);
        assert_eq!(
            (found.users.len(), found.roles.len()),
            (MAX_MENTIONS, MAX_MENTIONS)
        );
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "[`~<@&>0-9a\\\\\n é]{0,200}") {
            let _ = read(&text);
        }

        #[test]
        fn plain_words_around_change_nothing(before in "[a-zé ]{0,20}", after in "[a-zé ]{0,20}", id in 0_u64..1 << 53) {
            let text = format!("{before}<@{id}>{after}");
            prop_assert_eq!(read(&text).users, vec![UserId(id)]);
        }
    }
}
