//! The list of messages, of which only those are drawn that can be seen.
//!
//! Heights are guessed until a message was drawn once. So that nothing moves under the reader's eyes when a guess was wrong or older
//! messages come in, the list is held at the message that is uppermost, or at the end.

use std::sync::Arc;

use egui::{Id, Margin, Rect, ScrollArea, Ui, UiBuilder, pos2, vec2};
use voxhall_protocol::{
    MessageId,
    control::{Message, UnixMs},
};
use voxhall_session::History;

/// Drawn beyond both edges, so that what scrolls in has its height already.
const BEYOND: f32 = 120.0;
/// Below the last message.
const FOOT: f32 = 10.0;
/// So near an end, the next page is loaded.
const NEAR: f32 = 600.0;
/// A page that didn't come is asked for again after this.
const ASK_AGAIN_S: f64 = 4.0;
/// How long a message that was jumped to is lit up.
const LIT_S: f64 = 2.0;

/// Where one is in a channel.
#[derive(Default)]
pub struct View {
    heights: Heights,
    hold: Hold,
    offset: f32,
    /// The largest offset that the area knows.
    reach: f32,
    /// The height of what can be seen.
    seen: f32,
    /// To be shown as soon as it is loaded.
    pub target: Option<Target>,
    lit: Option<(MessageId, f64)>,
    asked: [Option<(MessageId, f64)>; 2],
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    Message(MessageId),
    Time(UnixMs),
    Newest,
}

/// What stays where it is when heights change.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Hold {
    #[default]
    End,
    /// A message, and how far its top is below the upper edge.
    Message(MessageId, f32),
}

/// What a list shows, in order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Item {
    /// Above all messages: where the channel begins, or that there is more.
    Top,
    /// By its place in the history.
    Message(usize),
    /// Written here and not yet on the server, by its place.
    Pending(usize),
}

/// What the list wants.
#[derive(Debug, Default, PartialEq)]
pub struct Wish {
    pub older: bool,
    pub newer: bool,
}

#[derive(Default)]
struct Heights {
    history: Option<Arc<History>>,
    width: f32,
    top: f32,
    messages: Vec<f32>,
    pending: Vec<f32>,
}

impl View {
    /// Whether the newest message there is can be seen.
    pub fn at_end(&self, history: &History) -> bool {
        self.hold == Hold::End && !history.more_after
    }

    /// Whether a message is above what can be seen.
    pub fn is_above(&self, history: &History, id: MessageId) -> bool {
        let first = history.messages.first().map(|message| message.id);
        match self.hold {
            Hold::Message(held, _) => id < held,
            Hold::End => {
                let at = history.messages.partition_point(|message| message.id <= id);
                let below: f32 = self.heights.messages.iter().skip(at).sum();
                Some(id) < first || below > self.seen
            }
        }
    }

    /// How strongly a message is lit up, 0 to 1.
    pub fn light(&self, id: MessageId, now_s: f64) -> f32 {
        let Some((lit, since)) = self.lit.filter(|(lit, _)| *lit == id) else {
            return 0.0;
        };
        debug_assert_eq!(lit, id);
        (1.0 - (now_s - since) / LIT_S).clamp(0.0, 1.0) as f32
    }

    /// Draws what can be seen by `draw`.
    pub fn show(
        &mut self,
        ui: &mut Ui,
        id: Id,
        history: &Arc<History>,
        mut draw: impl FnMut(&mut Ui, Item, &Self),
    ) -> Wish {
        let now_s = ui.input(|input| input.time);
        let seen = ui.available_height();
        self.heights.sync(history, ui.available_width() - 24.0);
        self.seen = seen;
        let wanted = self.wanted_offset(history, seen, now_s);
        let mut area = ScrollArea::vertical()
            .id_salt(id)
            .auto_shrink(false)
            .content_margin(Margin {
                left: 8,
                right: 16,
                top: 0,
                bottom: 0,
            });
        // Beyond the end that it had in the last pass, the area would spring back, and swing.
        let reachable = wanted.min(self.reach);
        let beyond = wanted > reachable + 0.5;
        if (reachable - self.offset).abs() > 0.5 {
            area = area.vertical_scroll_offset(reachable);
        }
        let mut uppermost = None;
        let mut changed = false;
        let output = area.show_viewport(ui, |ui, viewport| {
            ui.set_width(ui.available_width());
            ui.set_height(self.heights.total());
            let origin = ui.max_rect().min;
            let width = ui.max_rect().width();
            let mut below = 0.0;
            for item in self.heights.items() {
                let known = self.heights.get(item);
                let y = below as f32;
                if y + known < viewport.top() - BEYOND {
                    below += f64::from(known);
                    continue;
                }
                if y > viewport.bottom() + BEYOND {
                    break;
                }
                if let Item::Message(i) = item
                    && uppermost.is_none()
                    // What stands above it will change with what comes before it.
                    && (i > 0 || !history.more)
                    && y + known > viewport.top()
                {
                    uppermost = Some((history.messages[i].id, y));
                }
                let place = Rect::from_min_size(pos2(origin.x, origin.y + y), vec2(width, known));
                let builder = UiBuilder::new()
                    .max_rect(place)
                    .scope_id(self.id_of(id, history, item));
                let mut child = ui.new_child(builder);
                child.spacing_mut().item_spacing.y = 2.0;
                draw(&mut child, item, self);
                let height = child.min_rect().height();
                changed |= self.heights.set(item, height);
                below += f64::from(height);
            }
            ui.set_min_height(self.heights.total());
            viewport.top()
        });
        let (before, after) = (output.inner, output.state.clamped_offset().y);
        self.offset = after;
        // None where all of it fits.
        self.reach = (output.content_size.y - output.inner_rect.height()).max(0.0);
        if beyond {
            ui.ctx().request_discard("the list has grown");
            ui.ctx().request_repaint();
            return Wish::default();
        }
        let end = self.heights.total() - seen;
        self.hold = match (changed, self.hold, uppermost) {
            // Heights were wrong: what was held before is still what counts, moved by what the person scrolled meanwhile.
            (true, Hold::End, _) if after >= before - 0.5 => Hold::End,
            (true, Hold::Message(held, below), _) => Hold::Message(held, below - (after - before)),
            _ if after >= end - 2.0 => Hold::End,
            (_, _, Some((message, y))) => Hold::Message(message, y - after),
            (_, hold, None) => hold,
        };
        if changed {
            ui.ctx()
                .request_discard("the height of a message was not known");
            ui.ctx().request_repaint();
        }
        if self.lit.is_some_and(|(_, since)| now_s - since < LIT_S) {
            ui.ctx().request_repaint();
        }
        self.wish(history, seen, now_s)
    }

    fn id_of(&self, id: Id, history: &History, item: Item) -> Id {
        match item {
            Item::Top => id.with("top"),
            Item::Message(i) => id.with(("message", history.messages[i].id)),
            Item::Pending(i) => id.with(("pending", &history.pending[i].nonce)),
        }
    }

    fn wanted_offset(&mut self, history: &History, seen: f32, now_s: f64) -> f32 {
        if let Some(at) = self.target.and_then(|target| place_of(history, target)) {
            if let (Some(Target::Message(_)), Some(message)) =
                (self.target, history.messages.get(at))
            {
                self.lit = Some((message.id, now_s));
            }
            self.hold = match history.messages.get(at) {
                Some(message) => Hold::Message(message.id, seen * 0.3),
                None => Hold::End,
            };
            self.target = None;
        }
        let wanted = match self.hold {
            Hold::End => self.heights.total() - seen,
            Hold::Message(held, below) => {
                let at = history
                    .messages
                    .partition_point(|message| message.id < held);
                self.heights.top_of(at) - below
            }
        };
        wanted.clamp(0.0, (self.heights.total() - seen).max(0.0))
    }

    fn wish(&mut self, history: &History, seen: f32, now_s: f64) -> Wish {
        let ends = [
            (history.more && self.offset < NEAR, history.messages.first()),
            (
                history.more_after && self.offset > self.heights.total() - seen - NEAR,
                history.messages.last(),
            ),
        ];
        let mut wishes = [false; 2];
        for (i, (near, end)) in ends.into_iter().enumerate() {
            let Some(end) = end.filter(|_| near && !history.loading && self.target.is_none())
            else {
                continue;
            };
            let asked =
                self.asked[i].is_some_and(|(of, at)| of == end.id && now_s - at < ASK_AGAIN_S);
            if !asked {
                self.asked[i] = Some((end.id, now_s));
                wishes[i] = true;
            }
        }
        Wish {
            older: wishes[0],
            newer: wishes[1],
        }
    }
}

/// Where a target is, once what lies around it is loaded; behind all messages for the end.
fn place_of(history: &History, target: Target) -> Option<usize> {
    let messages = &history.messages;
    let (at, complete) = match target {
        Target::Newest => (messages.len(), !history.more_after && !history.loading),
        Target::Message(id) => {
            let at = messages.partition_point(|message| message.id < id);
            let before = !history.more || messages.first().is_some_and(|first| first.id <= id);
            let behind = !history.more_after || messages.last().is_some_and(|last| last.id >= id);
            (at.min(messages.len().saturating_sub(1)), before && behind)
        }
        Target::Time(time_ms) => {
            let at = messages.partition_point(|message| message.sent_at_ms < time_ms);
            let before =
                !history.more || messages.first().is_some_and(|it| it.sent_at_ms <= time_ms);
            let behind =
                !history.more_after || messages.last().is_some_and(|it| it.sent_at_ms >= time_ms);
            (at.min(messages.len().saturating_sub(1)), before && behind)
        }
    };
    complete.then_some(at)
}

impl Heights {
    /// Takes over what is known of the messages that are still there.
    fn sync(&mut self, history: &Arc<History>, width: f32) {
        self.top = self.top.max(1.0);
        let known = self.history.take();
        if known
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, history))
            && self.width == width
        {
            self.history = known;
            return;
        }
        let before = known.as_ref().map_or(&[][..], |known| &known.messages);
        let heights = std::mem::take(&mut self.messages);
        let mut old = before.iter().zip(heights).peekable();
        let guess = |message: &Message| guess(message, width.max(100.0));
        self.messages = history
            .messages
            .iter()
            .map(|message| {
                while old.next_if(|(it, _)| it.id < message.id).is_some() {}
                match old.next_if(|(it, _)| it.id == message.id) {
                    Some((_, height)) => height,
                    None => guess(message),
                }
            })
            .collect();
        self.pending.resize(history.pending.len(), 44.0);
        self.width = width;
        self.history = Some(Arc::clone(history));
    }

    fn items(&self) -> impl Iterator<Item = Item> + use<> {
        std::iter::once(Item::Top)
            .chain((0..self.messages.len()).map(Item::Message))
            .chain((0..self.pending.len()).map(Item::Pending))
    }

    fn get(&self, item: Item) -> f32 {
        match item {
            Item::Top => self.top,
            Item::Message(i) => self.messages[i],
            Item::Pending(i) => self.pending[i],
        }
    }

    /// True if it was another one.
    fn set(&mut self, item: Item, height: f32) -> bool {
        let known = match item {
            Item::Top => &mut self.top,
            Item::Message(i) => &mut self.messages[i],
            Item::Pending(i) => &mut self.pending[i],
        };
        let changed = (*known - height).abs() > 0.5;
        *known = height;
        changed
    }

    /// Above this message; with their number, above what is pending.
    fn top_of(&self, message: usize) -> f32 {
        (f64::from(self.top) + sum(&self.messages[..message.min(self.messages.len())])) as f32
    }

    fn total(&self) -> f32 {
        (f64::from(self.top) + sum(&self.messages) + sum(&self.pending)) as f32 + FOOT
    }
}

/// Thousands of heights, of which each would be rounded.
fn sum(heights: &[f32]) -> f64 {
    heights.iter().map(|height| f64::from(*height)).sum()
}

/// Before it was drawn.
fn guess(message: &Message, width: f32) -> f32 {
    let lines: f32 = message
        .text
        .lines()
        .map(|line| (line.len() as f32 * 7.0 / width).ceil().max(1.0))
        .sum();
    let attachments: f32 = message
        .attachments
        .iter()
        .map(|attachment| {
            if attachment.picture.is_some() {
                240.0
            } else {
                64.0
            }
        })
        .sum();
    let reactions = if message.reactions.is_empty() {
        0.0
    } else {
        32.0
    };
    lines * 19.0 + attachments + reactions + 14.0
}
