//! Draws what a message says. What it means is read once, and laid out by egui as long as it stays the same.

use std::{
    borrow::Cow,
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Range,
    rc::Rc,
    sync::Arc,
};

use egui::{
    Color32, CornerRadius, CursorIcon, FontFamily, FontId, Frame, Galley, Id, Label, Margin,
    OpenUrl, Rect, Role, Sense, Stroke, Ui, WidgetInfo, pos2,
    text::{CharIndex, LayoutJob, TextFormat},
    vec2,
};
use voxhall_protocol::{RoleId, UserId};
use voxhall_session::{Guild, State};

use super::{
    super::{
        icons,
        theme::{self, BODY, Palette, RADIUS, palette},
        widgets::icon_button_sized,
    },
    markdown::{self, Block, BlockKind, Span, Target},
};

/// Texts that are kept at least, though they can't be seen.
const KEPT: usize = 256;
const QUOTE_INDENT: f32 = 14.0;
const LIST_INDENT: f32 = 20.0;
const CODE_SIZE: f32 = 13.0;

/// What was read and prepared of the texts that were on the screen lately.
#[derive(Default)]
pub struct Texts {
    known: HashMap<Id, Known>,
    pass: u64,
}

struct Known {
    text: String,
    blocks: Rc<Vec<Block>>,
    /// Spoilers that were clicked, as bits.
    revealed: u64,
    prepared: Option<(Look, Rc<Vec<Prepared>>)>,
    used: u64,
}

/// All that decides how a text looks, beside itself.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Look {
    dark: bool,
    ink: Color32,
    size: f32,
    revealed: u64,
    /// Of the names of those who are mentioned.
    names: u64,
}

/// A block, ready to be laid out.
struct Prepared {
    block: usize,
    job: LayoutJob,
    spots: Vec<Spot>,
}

/// Something to click in a text, by its characters.
struct Spot {
    characters: Range<usize>,
    what: SpotKind,
}

enum SpotKind {
    Link(Arc<str>),
    Spoiler(u8),
}

/// Who is meant by a mention.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    pub state: &'a State,
    pub guild: &'a Guild,
}

impl Names<'_> {
    pub fn user(&self, id: UserId) -> String {
        let member = self.guild.members.get(&id);
        let user = member
            .map(|member| &member.user)
            .or_else(|| self.state.user(id));
        user.map_or_else(|| "@somebody".to_owned(), |user| format!("@{}", user.name))
    }

    /// Nobody else, and no role, is called so here.
    pub fn is_the_only(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let people = self.guild.members.values().map(|member| &member.user.name);
        let roles = self.guild.roles.iter().map(|role| &role.name);
        people
            .chain(roles)
            .filter(|it| it.to_lowercase() == name)
            .count()
            == 1
    }

    pub fn role(&self, id: RoleId) -> String {
        let role = self.guild.role(id);
        role.map_or_else(|| "@some role".to_owned(), |role| format!("@{}", role.name))
    }

    /// What a piece of text says: whoever is mentioned by name.
    pub fn words<'a>(&self, span: &'a Span) -> Cow<'a, str> {
        match &span.target {
            Some(Target::User(id)) => self.user(*id).into(),
            Some(Target::Role(id)) => self.role(*id).into(),
            _ => span.text.as_str().into(),
        }
    }

    /// Changes when somebody mentioned is called otherwise.
    fn hash_of(&self, blocks: &[Block]) -> u64 {
        let mut hasher = DefaultHasher::new();
        for target in blocks
            .iter()
            .flat_map(|block| &block.spans)
            .filter_map(|span| span.target.as_ref())
        {
            match target {
                Target::User(id) => self.user(*id).hash(&mut hasher),
                Target::Role(id) => self.role(*id).hash(&mut hasher),
                Target::Everyone | Target::Link(_) => continue,
            }
            self.is_me(target).hash(&mut hasher);
        }
        hasher.finish()
    }

    fn is_me(&self, target: &Target) -> bool {
        let me = self.state.me.as_ref().map(|me| me.id);
        match target {
            Target::User(id) => Some(*id) == me,
            Target::Role(role) => me
                .and_then(|me| self.guild.members.get(&me))
                .is_some_and(|member| member.roles.contains(role)),
            Target::Everyone => true,
            Target::Link(_) => false,
        }
    }
}

impl Texts {
    /// Once before the texts of a frame.
    pub fn begin(&mut self) {
        let seen = self.pass;
        if self.known.len() > KEPT {
            self.known.retain(|_, known| known.used == seen);
        }
        self.pass += 1;
    }

    /// Draws a text over the available width. `id` is the message's, wherever it stands.
    pub fn text_ui(&mut self, ui: &mut Ui, id: Id, text: &str, ink: Color32, names: Names<'_>) {
        let pass = self.pass;
        let known = self.known.entry(id).or_insert_with(|| Known {
            text: String::new(),
            blocks: Rc::default(),
            revealed: 0,
            prepared: None,
            used: pass,
        });
        known.used = pass;
        if known.text != text {
            text.clone_into(&mut known.text);
            known.blocks = Rc::new(markdown::parse(text));
            known.prepared = None;
        }
        let look = Look {
            dark: ui.visuals().dark_mode,
            ink,
            size: BODY,
            revealed: known.revealed,
            names: names.hash_of(&known.blocks),
        };
        let blocks = Rc::clone(&known.blocks);
        let prepared = match &known.prepared {
            Some((of, prepared)) if *of == look => Rc::clone(prepared),
            _ => {
                let p = palette(ui);
                let all = blocks.iter().enumerate();
                let prepared = Rc::new(
                    all.map(|(i, block)| prepare(i, block, look, names, p))
                        .collect(),
                );
                known.prepared = Some((look, Rc::clone(&prepared)));
                prepared
            }
        };
        ui.spacing_mut().item_spacing.y = 4.0;
        ui.spacing_mut().interact_size.y = 0.0;
        for prepared in &*prepared {
            if let Some(spoiler) = block_ui(ui, id, &blocks[prepared.block], prepared) {
                known.revealed |= spoiler_bit(spoiler);
                ui.ctx().request_repaint();
            }
        }
    }
}

/// As many characters, but none that brings a colour of its own, which no ink hides.
fn without_pictures(text: &str) -> String {
    // Some letters are pictures, too: 🅰, ℹ.
    let is_emoji = |c: char| emojis::get(c.encode_utf8(&mut [0; 4])).is_some();
    let picture = |c: char| c > '\u{2000}' && (!c.is_alphanumeric() || is_emoji(c));
    text.chars()
        .map(|c| if picture(c) { '\u{2003}' } else { c })
        .collect()
}

fn spoiler_bit(spoiler: u8) -> u64 {
    1 << spoiler.min(63)
}

fn prepare(index: usize, block: &Block, look: Look, names: Names<'_>, p: &Palette) -> Prepared {
    let mut job = LayoutJob::default();
    let mut spots = Vec::new();
    let mut characters = 0;
    for span in &block.spans {
        let mut text = names.words(span);
        let hidden = span
            .spoiler
            .filter(|it| look.revealed & spoiler_bit(*it) == 0);
        if hidden.is_some() {
            text = without_pictures(&text).into();
        }
        let from = characters;
        characters += text.chars().count();
        let what = match (hidden, &span.target) {
            (Some(spoiler), _) => Some(SpotKind::Spoiler(spoiler)),
            (None, Some(Target::Link(address))) => Some(SpotKind::Link(Arc::clone(address))),
            (None, _) => None,
        };
        if let Some(what) = what {
            spots.push(Spot {
                characters: from..characters,
                what,
            });
        }
        job.append(
            &text,
            0.0,
            format_of(block, span, hidden.is_some(), look, names, p),
        );
    }
    Prepared {
        block: index,
        job,
        spots,
    }
}

fn format_of(
    block: &Block,
    span: &Span,
    hidden: bool,
    look: Look,
    names: Names<'_>,
    p: &Palette,
) -> TextFormat {
    let (size, heading) = match block.kind {
        BlockKind::Heading(level) => (look.size + 7.0 - 2.0 * f32::from(level), true),
        BlockKind::Code => (CODE_SIZE, false),
        BlockKind::Text | BlockKind::Rule => (look.size, false),
    };
    let code = span.style.code || block.kind == BlockKind::Code;
    let font_id = if code {
        FontId::new(size.min(CODE_SIZE), FontFamily::Monospace)
    } else if span.style.strong || heading {
        theme::strong(size)
    } else {
        theme::regular(size)
    };
    let mut format = TextFormat {
        font_id,
        color: look.ink,
        italics: span.style.emphasis,
        expand_bg: 1.5,
        valign: egui::Align::BOTTOM,
        ..TextFormat::default()
    };
    if span.style.strike {
        format.strikethrough = Stroke::new(1.0, look.ink);
    }
    if span.style.code {
        format.background = p.hover;
    }
    match &span.target {
        Some(Target::Link(_)) => {
            format.color = p.accent;
            format.underline = Stroke::new(1.0, p.accent.gamma_multiply(0.6));
        }
        Some(mention) => {
            format.color = p.accent;
            format.background = if names.is_me(mention) {
                p.warning_soft
            } else {
                p.accent_soft
            };
            if names.is_me(mention) {
                format.color = p.warning;
            }
        }
        None => {}
    }
    if span.spoiler.is_some() {
        format.background = p.pressed;
    }
    if hidden {
        format.color = p.pressed;
        format.underline = Stroke::NONE;
        format.strikethrough = Stroke::NONE;
    }
    format
}

/// The spoiler that was clicked.
fn block_ui(ui: &mut Ui, id: Id, block: &Block, prepared: &Prepared) -> Option<u8> {
    let p = palette(ui);
    let quotes = f32::from(block.quote) * QUOTE_INDENT;
    let left = quotes + f32::from(block.indent) * LIST_INDENT;
    let start = ui.cursor().min;
    let width = (ui.available_width() - left).max(40.0);
    let id = id.with(prepared.block);
    let mut clicked = None;
    let inner = Rect::from_min_size(start + vec2(left, 0.0), vec2(width, f32::INFINITY));
    let drawn = ui.scope_builder(egui::UiBuilder::new().max_rect(inner), |ui| {
        match block.kind {
            BlockKind::Rule => {
                let (rect, _) = ui.allocate_exact_size(vec2(width, 9.0), Sense::hover());
                ui.painter()
                    .hline(rect.x_range(), rect.center().y, Stroke::new(1.0, p.border));
            }
            BlockKind::Code => code_ui(ui, id, &prepared.job, width),
            BlockKind::Text | BlockKind::Heading(_) => clicked = words_ui(ui, id, prepared, width),
        }
    });
    let rect = drawn.response.rect;
    for quote in 0..block.quote {
        let x = start.x + f32::from(quote) * QUOTE_INDENT;
        let bar = Rect::from_min_max(
            pos2(x, rect.top() - 2.0),
            pos2(x + 3.0, rect.bottom() + 2.0),
        );
        ui.painter().rect_filled(bar, 2, p.pressed);
    }
    if let Some(marker) = &block.marker {
        let at = pos2(inner.left() - 7.0, start.y);
        ui.painter().text(
            at,
            egui::Align2::RIGHT_TOP,
            marker,
            theme::regular(BODY),
            p.muted,
        );
    }
    clicked
}

fn code_ui(ui: &mut Ui, id: Id, job: &LayoutJob, width: f32) {
    let p = palette(ui);
    let frame = Frame::new()
        .fill(p.raised)
        .stroke(Stroke::new(1.0, p.border))
        .corner_radius(CornerRadius::same(RADIUS))
        .inner_margin(Margin::symmetric(10, 8));
    let response = frame
        .show(ui, |ui| {
            ui.set_width(width - 22.0);
            let galley = lay_out(ui, job, width - 22.0);
            ui.add(Label::new(galley).selectable(true));
        })
        .response;
    if ui.rect_contains_pointer(response.rect) {
        let corner = Rect::from_min_size(
            response.rect.right_top() + vec2(-30.0, 3.0),
            vec2(26.0, 26.0),
        );
        let button = egui::UiBuilder::new()
            .max_rect(corner)
            .scope_id(id.with("copy"));
        let copy = icon_button_sized(
            &mut ui.new_child(button),
            icons::COPY,
            "Copy code",
            false,
            26.0,
        );
        if copy.clicked() {
            ui.ctx().copy_text(job.text.clone());
        }
    }
}

fn words_ui(ui: &mut Ui, id: Id, prepared: &Prepared, width: f32) -> Option<u8> {
    let galley = lay_out(ui, &prepared.job, width);
    let response = ui.add(Label::new(Arc::clone(&galley)).selectable(true));
    let corner = response.rect.min;
    let mut clicked = None;
    for (i, spot) in prepared.spots.iter().enumerate() {
        for (row, rect) in places(&galley, &spot.characters).into_iter().enumerate() {
            let rect = rect.translate(corner.to_vec2());
            let response = ui.interact(rect, id.with((i, row)), Sense::click());
            let response = response.on_hover_cursor(CursorIcon::PointingHand);
            match &spot.what {
                SpotKind::Link(address) => {
                    response.widget_info(|| {
                        WidgetInfo::labeled(Role::Link, true, format!("Link {address}"))
                    });
                    if response.has_focus() {
                        ui.painter().rect_stroke(
                            rect,
                            2,
                            Stroke::new(1.5, palette(ui).accent),
                            egui::StrokeKind::Outside,
                        );
                    }
                    if response.on_hover_text(&**address).clicked() {
                        ui.ctx().open_url(OpenUrl::new_tab(address));
                    }
                }
                SpotKind::Spoiler(spoiler) => {
                    response
                        .widget_info(|| WidgetInfo::labeled(Role::Button, true, "Show spoiler"));
                    if response.clicked() {
                        clicked = Some(*spoiler);
                    }
                }
            }
        }
    }
    clicked
}

fn lay_out(ui: &Ui, job: &LayoutJob, width: f32) -> Arc<Galley> {
    let mut job = job.clone();
    job.wrap.max_width = width;
    ui.painter().layout_job(job)
}

/// Where these characters stand in a galley: a rectangle for each row.
fn places(galley: &Galley, characters: &Range<usize>) -> Vec<Rect> {
    let mut begin = 0;
    let mut found = Vec::new();
    for row in &galley.rows {
        let count = row.char_count_excluding_newline().0;
        let (from, to) = (
            characters.start.clamp(begin, begin + count),
            characters.end.clamp(begin, begin + count),
        );
        if from < to {
            let x = |index: usize| row.pos.x + row.x_offset(CharIndex(index - begin));
            let rect = row.rect();
            found.push(Rect::from_min_max(
                pos2(x(from), rect.top()),
                pos2(x(to), rect.bottom()),
            ));
        }
        begin += row.char_count_including_newline().0;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spoiler_hides_has_no_colours_of_its_own() {
        for emoji in emojis::iter() {
            let hidden = without_pictures(emoji.as_str());
            assert_eq!(hidden.chars().count(), emoji.as_str().chars().count());
            // Key caps begin with a letter's glyph, © and ® are one.
            let left: String = hidden.chars().filter(|c| *c > '\u{2000}').collect();
            assert_eq!(left.trim(), "", "of {emoji}");
        }
        assert_eq!(
            without_pictures("the cat, 猫, did it"),
            "the cat, 猫, did it"
        );
    }
}
