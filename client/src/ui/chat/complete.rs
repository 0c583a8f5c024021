//! Completion in the field one writes in: people and roles after `@`, emoji after `:`.

use std::ops::Range;

use egui::{
    Align2, Area, Frame, Id, Key, Margin, Modifiers, Order, Pos2, Stroke, Ui, pos2,
    text::{CCursor, CCursorRange},
    text_edit::TextEditState,
};
use voxhall_protocol::{control::User, permissions::Permissions};

use super::{
    super::{
        icons,
        theme::{self, BODY, SMALL, palette},
        widgets::{avatar, line, row},
    },
    Cx, emoji, mention,
};

/// Offered at once.
const MOST: usize = 8;

/// What stands before the cursor and could be completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked<'a> {
    Mention(&'a str),
    Emoji(&'a str),
}

#[derive(Debug, Clone)]
struct Choice {
    label: String,
    about: String,
    insert: String,
    picture: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    Person(User),
    Icon(&'static str),
    Emoji,
}

/// What is offered now.
#[derive(Debug, Default)]
pub struct Completion {
    /// What it was offered for.
    word: String,
    choices: Vec<Choice>,
    selected: usize,
    /// Not wanted for this word.
    refused: Option<String>,
}

/// The word before the cursor, by its bytes.
fn asked(text: &str, cursor: usize) -> Option<(Range<usize>, Asked<'_>)> {
    let end = text
        .char_indices()
        .nth(cursor)
        .map_or(text.len(), |(at, _)| at);
    let before = &text[..end];
    let start = before.rfind(|c: char| c.is_whitespace()).map_or(0, |at| {
        at + before[at..].chars().next().map_or(1, char::len_utf8)
    });
    let word = &before[start..];
    let sign = word.rfind(['@', ':'])?;
    let inside_word = word[..sign]
        .chars()
        .next_back()
        .is_some_and(char::is_alphanumeric);
    let rest = &word[sign + 1..];
    let asked = if word[sign..].starts_with('@') {
        Asked::Mention(rest)
    } else {
        Asked::Emoji(rest)
    };
    let enough = match asked {
        Asked::Mention(_) => true,
        Asked::Emoji(name) => {
            name.len() >= 2
                && name
                    .chars()
                    .all(|c| c.is_alphanumeric() || "_+-".contains(c))
        }
    };
    (enough && !inside_word).then_some((start + sign..end, asked))
}

fn choices(cx: &Cx<'_>, asked: Asked<'_>) -> Vec<Choice> {
    match asked {
        Asked::Emoji(name) => emoji::found(name, MOST)
            .into_iter()
            .map(|found| Choice {
                label: format!(":{}:", found.shortcode().unwrap_or(found.name())),
                about: found.as_str().to_owned(),
                insert: found.as_str().to_owned(),
                picture: Shape::Emoji,
            })
            .collect(),
        Asked::Mention(name) => people(cx, name),
    }
}

fn people(cx: &Cx<'_>, name: &str) -> Vec<Choice> {
    let name = name.to_lowercase();
    // Whose name begins so comes before whose name only has it in it.
    let rank = |of: &str| {
        let of = of.to_lowercase();
        if of.starts_with(&name) {
            Some(0)
        } else {
            of.contains(&name).then_some(1)
        }
    };
    let names = cx.names();
    let mut found = Vec::new();
    for member in cx.guild.members.values() {
        let user = &member.user;
        let Some(rank) = rank(&user.name) else {
            continue;
        };
        let insert = if names.is_the_only(&user.name) {
            format!("@{}", user.name)
        } else {
            mention::user(user.id)
        };
        let choice = Choice {
            label: user.name.clone(),
            about: String::new(),
            insert,
            picture: Shape::Person(user.clone()),
        };
        found.push((rank, user.name.to_lowercase(), choice));
    }
    let icon = |label: &str, about: &str, insert: String| Choice {
        label: label.to_owned(),
        about: about.to_owned(),
        insert,
        picture: Shape::Icon(icons::USERS),
    };
    for role in cx.guild.roles.iter().filter(|role| role.position > 0) {
        let Some(rank) = rank(&role.name) else {
            continue;
        };
        let insert = if names.is_the_only(&role.name) {
            format!("@{}", role.name)
        } else {
            mention::role(role.id)
        };
        found.push((
            rank + 2,
            role.name.to_lowercase(),
            icon(&role.name, "role", insert),
        ));
    }
    if cx.may(Permissions::MENTION_EVERYONE)
        && let Some(rank) = rank("everyone")
    {
        let choice = icon("everyone", "all who can read this", "@everyone".to_owned());
        found.push((rank + 4, String::new(), choice));
    }
    found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    found
        .into_iter()
        .map(|(.., choice)| choice)
        .take(MOST)
        .collect()
}

impl Completion {
    pub fn is_open(&self) -> bool {
        !self.choices.is_empty()
    }

    /// Takes the keys that are for the list; to be called before the field gets them. True when one chose.
    pub fn keys(&mut self, ui: &Ui) -> bool {
        if !self.is_open() {
            return false;
        }
        let taken = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        let count = self.choices.len();
        if taken(Key::ArrowDown) {
            self.selected = (self.selected + 1) % count;
        }
        if taken(Key::ArrowUp) {
            self.selected = (self.selected + count - 1) % count;
        }
        if taken(Key::Escape) {
            self.refused = Some(std::mem::take(&mut self.word));
            self.choices.clear();
            return false;
        }
        // Not one after the other: both are to be taken from the field.
        taken(Key::Tab) | taken(Key::Enter)
    }

    /// Offers what fits the word before the cursor of the field.
    pub fn look(&mut self, ui: &Ui, cx: &Cx<'_>, field: Id, text: &str) {
        let cursor = TextEditState::load(ui.ctx(), field)
            .and_then(|state| state.cursor.char_range())
            .and_then(|range| range.single());
        let found = cursor.and_then(|cursor| asked(text, cursor.index.0));
        let Some((range, asked)) = found else {
            return *self = Self::default();
        };
        let word = &text[range];
        if self
            .refused
            .as_deref()
            .is_some_and(|refused| word.starts_with(refused))
        {
            return;
        }
        if self.word != word {
            let choices = choices(cx, asked);
            *self = Self {
                word: word.to_owned(),
                choices,
                ..Self::default()
            };
        }
    }

    /// Puts the selected one in place of the word before the cursor.
    pub fn choose(&mut self, ui: &Ui, field: Id, text: &mut String) {
        let state = TextEditState::load(ui.ctx(), field).unwrap_or_default();
        let cursor = state
            .cursor
            .char_range()
            .map_or(text.chars().count(), |range| range.primary.index.0);
        let (Some(choice), Some((range, _))) =
            (self.choices.get(self.selected), asked(text, cursor))
        else {
            return;
        };
        let insert = format!("{} ", choice.insert);
        let cursor = text[..range.start].chars().count() + insert.chars().count();
        text.replace_range(range, &insert);
        put_cursor(ui, field, cursor);
        *self = Self::default();
    }

    /// The list, with its lower edge at `at`. True when one was clicked.
    pub fn list_ui(&mut self, ui: &Ui, at: Pos2) -> bool {
        let p = palette(ui);
        let mut clicked = None;
        Area::new(Id::unique("completion"))
            .order(Order::Foreground)
            .pivot(Align2::LEFT_BOTTOM)
            .fixed_pos(at)
            .show(ui.ctx(), |ui| {
                Frame::new()
                    .fill(p.main)
                    .stroke(Stroke::new(1.0, p.border))
                    .corner_radius(10)
                    .inner_margin(Margin::same(6))
                    .shadow(ui.visuals().popup_shadow)
                    .show(ui, |ui| {
                        ui.set_width(300.0);
                        ui.spacing_mut().item_spacing.y = 1.0;
                        for (i, choice) in self.choices.iter().enumerate() {
                            if choice_ui(ui, choice, i == self.selected) {
                                clicked = Some(i);
                            }
                        }
                    });
            });
        if let Some(clicked) = clicked {
            self.selected = clicked;
        }
        clicked.is_some()
    }
}

fn choice_ui(ui: &mut Ui, choice: &Choice, selected: bool) -> bool {
    let p = palette(ui);
    let name = format!("Complete {}", choice.label);
    let (rect, response) = row(ui, 32.0, selected, &name);
    let center = pos2(rect.left() + 18.0, rect.center().y);
    let text = |glyph: &str, font| {
        let place = Align2::CENTER_CENTER;
        ui.painter().text(center, place, glyph, font, p.text);
    };
    let mut about = choice.about.as_str();
    match &choice.picture {
        Shape::Person(user) => avatar(ui.painter(), ui.ctx(), center, 11.0, user, false, false),
        Shape::Icon(icon) => text(icon, theme::icon(15.0)),
        Shape::Emoji => text(std::mem::take(&mut about), theme::regular(17.0)),
    }
    let left = pos2(rect.left() + 38.0, rect.center().y);
    let end = line(
        ui.painter(),
        left,
        &choice.label,
        theme::regular(BODY),
        p.text,
        200.0,
    );
    line(
        ui.painter(),
        pos2(end + 10.0, left.y),
        about,
        theme::regular(SMALL),
        p.muted,
        120.0,
    );
    response.clicked()
}

pub fn put_cursor(ui: &Ui, field: Id, characters: usize) {
    let mut state = TextEditState::load(ui.ctx(), field).unwrap_or_default();
    state
        .cursor
        .set_char_range(Some(CCursorRange::one(CCursor::new(characters))));
    state.store(ui.ctx(), field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_before_the_cursor_is_asked_for() {
        assert_eq!(asked("hi @Be", 6), Some((3..6, Asked::Mention("Be"))));
        assert_eq!(asked("hi @Be and", 6), Some((3..6, Asked::Mention("Be"))));
        assert_eq!(asked("@", 1), Some((0..1, Asked::Mention(""))));
        assert_eq!(asked("é (@Be", 6), Some((4..7, Asked::Mention("Be"))));
        assert_eq!(asked("so :do", 6), Some((3..6, Asked::Emoji("do"))));
        for (text, cursor) in [
            ("hi @Be ", 7),
            ("me@home", 7),
            ("at 10:30", 8),
            (": ", 2),
            (":d", 2),
            ("", 0),
            ("see :)x", 7),
        ] {
            assert_eq!(asked(text, cursor), None, "{text:?}");
        }
    }
}
