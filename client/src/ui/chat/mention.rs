//! Mentions and emoji as people write them, and as they are sent: `@Bea` is `<@2>`, `:dog:` is the dog.

use voxhall_protocol::{RoleId, UserId};

use super::{
    markdown::{self, Target},
    text::Names,
};

/// What is sent for what was written. Code stays as it is.
pub fn sent(written: &str, names: Names<'_>) -> String {
    let mut sent = String::with_capacity(written.len());
    let mut ticks = 0;
    let mut at = 0;
    while let Some(c) = written[at..].chars().next() {
        let rest = &written[at..];
        ticks += usize::from(c == '`');
        let in_code = ticks % 2 == 1;
        let inside_word = sent.chars().next_back().is_some_and(char::is_alphanumeric);
        let replaced = match c {
            '@' if !in_code && !inside_word => {
                mentioned(&rest[1..], names).map(|(name, to)| (1 + name, to))
            }
            ':' if !in_code && !inside_word => emoji(&rest[1..]),
            _ => None,
        };
        if let Some((length, replacement)) = replaced {
            sent.push_str(&replacement);
            at += length;
        } else {
            sent.push(c);
            at += c.len_utf8();
        }
    }
    sent
}

/// How people write what was sent.
pub fn shown(sent: &str, names: Names<'_>) -> String {
    let mut shown = sent.to_owned();
    let blocks = markdown::parse(sent);
    for span in blocks.iter().flat_map(|block| &block.spans) {
        let name = match &span.target {
            Some(Target::User(id)) => names.user(*id),
            Some(Target::Role(id)) => names.role(*id),
            _ => continue,
        };
        if names.is_the_only(&name[1..]) {
            shown = shown.replace(&span.text, &name);
        }
    }
    shown
}

/// The longest name that begins here, and what is sent for it.
fn mentioned(rest: &str, names: Names<'_>) -> Option<(usize, String)> {
    let begins = |name: &str| {
        let head = rest.get(..name.len())?;
        let ends = !rest[name.len()..]
            .chars()
            .next()
            .is_some_and(char::is_alphanumeric);
        (ends && head.to_lowercase() == name.to_lowercase()).then_some(name.len())
    };
    let people = names.guild.members.values();
    let people =
        people.filter_map(|member| Some((begins(&member.user.name)?, user(member.user.id))));
    let roles = names.guild.roles.iter().filter(|role| role.position > 0);
    let roles = roles.filter_map(|it| Some((begins(&it.name)?, role(it.id))));
    people.chain(roles).max_by_key(|(length, _)| *length)
}

pub fn user(id: UserId) -> String {
    format!("<@{id}>")
}

pub fn role(id: RoleId) -> String {
    format!("<@&{id}>")
}

/// `dog:` begins with one.
fn emoji(rest: &str) -> Option<(usize, String)> {
    let name = &rest[..rest.find(':')?];
    let emoji = emojis::get_by_shortcode(name)?;
    Some((name.len() + 2, emoji.as_str().to_owned()))
}
