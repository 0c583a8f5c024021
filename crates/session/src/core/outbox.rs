//! What the person wrote: sent in order and once, and kept until the server has confirmed it, however often the connection breaks.

use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use voxhall_protocol::{
    ChannelId, FileId, MessageId,
    control::{EditMessage, Failure, FailureKind, MarkRead, Message, ReadState, SendMessage},
    limits::MESSAGE_CHARS,
};

use super::{Core, Output, Pending, replies::read};
use crate::{NoticeLevel, PendingEdit, PendingMessage, TransferId, TransferProgress};

/// Things that may wait; a program that writes faster than the server takes is told.
const MOST_QUEUED: usize = 1_000;

/// Oldest first. For each channel one thing at a time is on its way, so that nothing overtakes.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Vec<Queued>,
    next_number: u64,
}

#[derive(Debug)]
struct Queued {
    number: u64,
    channel: ChannelId,
    what: What,
    condition: Condition,
}

#[derive(Debug, Clone)]
enum What {
    /// The message is in the history's `pending`.
    Send {
        nonce: String,
    },
    Edit {
        message: MessageId,
        text: String,
    },
    Read {
        message: MessageId,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Waiting,
    /// The server wants us to wait until then.
    Later(Instant),
    OnItsWay,
    /// Refused: waits for the person, and nobody waits for it.
    Refused,
}

impl Outbox {
    pub fn next_timeout(&self) -> Option<Instant> {
        let later = |queued: &Queued| match queued.condition {
            Condition::Later(at) => Some(at),
            _ => None,
        };
        self.queue.iter().filter_map(later).min()
    }

    /// Nothing is on its way any more.
    pub fn connection_lost(&mut self) {
        for queued in &mut self.queue {
            if queued.condition == Condition::OnItsWay {
                queued.condition = Condition::Waiting;
            }
        }
    }

    /// A message of ours was seen among everyone's.
    pub fn confirmed(&mut self, nonce: &str) {
        self.queue.retain(|queued| !queued.what.is_send(nonce));
    }

    fn push(&mut self, channel: ChannelId, what: What) {
        self.next_number += 1;
        self.queue.push(Queued {
            number: self.next_number,
            channel,
            what,
            condition: Condition::Waiting,
        });
    }

    fn numbered(&mut self, number: u64) -> Option<&mut Queued> {
        self.queue.iter_mut().find(|queued| queued.number == number)
    }

    fn take(&mut self, number: u64) -> Option<Queued> {
        let at = self
            .queue
            .iter()
            .position(|queued| queued.number == number)?;
        Some(self.queue.remove(at))
    }

    /// The first of each channel that may go now.
    fn ready(&self, now: Instant) -> Vec<(u64, ChannelId, What)> {
        let mut seen = Vec::new();
        let mut ready = Vec::new();
        for queued in &self.queue {
            if queued.condition == Condition::Refused || seen.contains(&queued.channel) {
                continue;
            }
            seen.push(queued.channel);
            let may_go = match queued.condition {
                Condition::Waiting => true,
                Condition::Later(at) => at <= now,
                Condition::OnItsWay | Condition::Refused => false,
            };
            if may_go {
                ready.push((queued.number, queued.channel, queued.what.clone()));
            }
        }
        ready
    }
}

impl What {
    fn is_send(&self, of: &str) -> bool {
        matches!(self, Self::Send { nonce } if nonce == of)
    }
}

/// Whether a message can go.
enum Attachments {
    Complete(Vec<FileId>),
    Waiting,
    Failed(String),
}

impl Core {
    pub(super) fn send_message(
        &mut self,
        now: Instant,
        channel: ChannelId,
        text: &str,
        reply_to: Option<MessageId>,
        uploads: Vec<TransferId>,
        out: &mut Vec<Output>,
    ) {
        let text = text.trim();
        if text.is_empty() && uploads.is_empty() || !self.may_write(text) {
            return;
        }
        self.next_nonce += 1;
        let nonce = format!("{:x}-{}", self.nonces, self.next_nonce);
        self.history(channel).pending.push(PendingMessage {
            nonce: nonce.clone(),
            text: text.to_owned(),
            reply_to,
            uploads,
            failed: None,
        });
        self.outbox.push(channel, What::Send { nonce });
        self.pump(now, out);
    }

    /// With the same nonce: should the server have stored it after all, it is not stored again.
    pub(super) fn retry_message(
        &mut self,
        now: Instant,
        channel: ChannelId,
        nonce: &str,
        out: &mut Vec<Output>,
    ) {
        if let Some(message) = self.pending_message(channel, nonce) {
            message.failed = None;
        }
        let again = self
            .outbox
            .queue
            .iter_mut()
            .find(|queued| queued.what.is_send(nonce));
        if let Some(queued) = again.filter(|queued| queued.condition == Condition::Refused) {
            queued.condition = Condition::Waiting;
        }
        self.pump(now, out);
    }

    /// Not if it may be on its way: then it may be stored already.
    pub(super) fn discard_message(&mut self, channel: ChannelId, nonce: &str) {
        let there = self
            .outbox
            .queue
            .iter()
            .find(|queued| queued.what.is_send(nonce));
        if there.is_some_and(|queued| queued.condition != Condition::OnItsWay) {
            self.outbox.confirmed(nonce);
            self.history(channel)
                .pending
                .retain(|message| message.nonce != nonce);
        }
    }

    pub(super) fn edit_message(
        &mut self,
        now: Instant,
        channel: ChannelId,
        message: MessageId,
        text: &str,
        out: &mut Vec<Output>,
    ) {
        if !self.may_write(text) {
            return;
        }
        let text = text.trim().to_owned();
        let edit = PendingEdit {
            text: text.clone(),
            failed: None,
        };
        self.history(channel).edits.insert(message, edit);
        self.outbox
            .queue
            .retain(|queued| !queued.replaced_by_edit(message));
        self.outbox.push(channel, What::Edit { message, text });
        self.pump(now, out);
    }

    pub(super) fn discard_edit(&mut self, channel: ChannelId, message: MessageId) {
        self.outbox
            .queue
            .retain(|queued| !queued.replaced_by_edit(message));
        self.history(channel).edits.remove(&message);
    }

    pub(super) fn mark_read(
        &mut self,
        now: Instant,
        channel: ChannelId,
        message: MessageId,
        out: &mut Vec<Output>,
    ) {
        let reading = self.state.reading_mut(channel);
        if Some(message) <= reading.last_read {
            return;
        }
        reading.read_to(message);
        self.changed = true;
        self.outbox.queue.retain(|queued| {
            let older = matches!(queued.what, What::Read { .. }) && queued.channel == channel;
            !older || queued.condition == Condition::OnItsWay
        });
        self.outbox.push(channel, What::Read { message });
        self.pump(now, out);
    }

    /// Sends what may go.
    pub(super) fn pump(&mut self, now: Instant, out: &mut Vec<Output>) {
        // What was sent before the connection broke may be among the events still to come.
        if !self.is_online() || self.catching_up > 0 {
            return;
        }
        for (number, channel, what) in self.outbox.ready(now) {
            let pending = Pending::Queued(number);
            match what {
                What::Send { nonce } => {
                    let Some(message) = self.pending_message(channel, &nonce).cloned() else {
                        self.outbox.confirmed(&nonce);
                        continue;
                    };
                    let attachments = match self.attachments(&message.uploads) {
                        Attachments::Complete(files) => files,
                        Attachments::Waiting => continue,
                        Attachments::Failed(why) => {
                            self.refused(number, &why);
                            continue;
                        }
                    };
                    let mut send = SendMessage::new(channel, message.text, nonce);
                    send.reply_to = message.reply_to;
                    send.attachments = attachments;
                    self.call(now, &send, pending, out);
                }
                What::Edit { message, text } => {
                    let edit = EditMessage {
                        channel_id: channel,
                        message_id: message,
                        text,
                    };
                    self.call(now, &edit, pending, out);
                }
                What::Read { message } => {
                    let read = MarkRead {
                        channel_id: channel,
                        message_id: message,
                    };
                    self.call(now, &read, pending, out);
                }
            }
            if let Some(queued) = self.outbox.numbered(number) {
                queued.condition = Condition::OnItsWay;
            }
        }
    }

    pub(super) fn queued_done(
        &mut self,
        now: Instant,
        number: u64,
        result: &RawValue,
        out: &mut Vec<Output>,
    ) -> serde_json::Result<()> {
        // Gone: the event that says the same came first.
        let done = self.outbox.take(number);
        match done.as_ref().map(|queued| (queued.channel, &queued.what)) {
            Some((channel, What::Send { nonce })) => {
                read::<Message>(result)?;
                self.sent(channel, nonce, out);
            }
            Some((channel, What::Edit { message, .. })) => {
                read::<Message>(result)?;
                let newer = |queued: &Queued| queued.replaced_by_edit(*message);
                if !self.outbox.queue.iter().any(newer) {
                    self.history(channel).edits.remove(message);
                }
            }
            // The event that says the same came before, in its place among the others.
            Some((_, What::Read { .. })) => drop(read::<ReadState>(result)?),
            None => {}
        }
        self.pump(now, out);
        Ok(())
    }

    pub(super) fn queued_failed(
        &mut self,
        now: Instant,
        number: u64,
        failure: &Failure,
        out: &mut Vec<Output>,
    ) {
        if let FailureKind::RateLimited = failure.kind() {
            let wait = failure.data.retry_after_ms.unwrap_or(1_000).min(60_000);
            if let Some(queued) = self.outbox.numbered(number) {
                queued.condition = Condition::Later(now + Duration::from_millis(wait));
            }
        } else {
            self.refused(number, &failure.message);
            self.pump(now, out);
        }
    }

    /// A message of ours is stored.
    pub(super) fn sent(&mut self, channel: ChannelId, nonce: &str, out: &mut Vec<Output>) {
        self.outbox.confirmed(nonce);
        let Some(message) = self.pending_message(channel, nonce) else {
            return;
        };
        let uploads = std::mem::take(&mut message.uploads);
        self.history(channel)
            .pending
            .retain(|message| message.nonce != nonce);
        for upload in uploads {
            self.drop_transfer(upload, out);
        }
    }

    fn refused(&mut self, number: u64, why: &str) {
        let Some(queued) = self.outbox.numbered(number) else {
            return;
        };
        queued.condition = Condition::Refused;
        let (channel, what) = (queued.channel, queued.what.clone());
        match what {
            What::Send { nonce } => {
                if let Some(message) = self.pending_message(channel, &nonce) {
                    message.failed = Some(why.to_owned());
                }
            }
            What::Edit { message, .. } => {
                self.outbox.take(number);
                if let Some(edit) = self.history(channel).edits.get_mut(&message) {
                    edit.failed = Some(why.to_owned());
                }
            }
            // Only a mark: the server's own count comes at the next sync.
            What::Read { .. } => drop(self.outbox.take(number)),
        }
    }

    fn may_write(&mut self, text: &str) -> bool {
        let most = MESSAGE_CHARS.end();
        if text.trim().chars().count() > *most {
            let words = format!("A message has at most {most} characters; split it in two.");
            self.notice(NoticeLevel::Warning, words);
            return false;
        }
        if self.outbox.queue.len() >= MOST_QUEUED {
            let words = "Too much is waiting to be sent; this was not added.".to_owned();
            self.notice(NoticeLevel::Warning, words);
            return false;
        }
        true
    }

    fn pending_message(&mut self, channel: ChannelId, nonce: &str) -> Option<&mut PendingMessage> {
        let history = self.state.history.get(&channel)?;
        let at = history
            .pending
            .iter()
            .position(|message| message.nonce == nonce)?;
        self.history(channel).pending.get_mut(at)
    }

    fn attachments(&self, uploads: &[TransferId]) -> Attachments {
        let mut files = Vec::new();
        for upload in uploads {
            match self.state.transfers.get(upload) {
                None => {
                    return Attachments::Failed(
                        "A file was taken back before it was sent.".to_owned(),
                    );
                }
                Some(transfer) => match (&transfer.progress, transfer.file()) {
                    (TransferProgress::Failed(why), _) => return Attachments::Failed(why.clone()),
                    (_, Some(file)) => files.push(file),
                    (_, None) => return Attachments::Waiting,
                },
            }
        }
        Attachments::Complete(files)
    }
}

impl Queued {
    /// An edit of the same message that isn't on its way yet.
    fn replaced_by_edit(&self, of: MessageId) -> bool {
        self.condition != Condition::OnItsWay
            && matches!(self.what, What::Edit { message, .. } if message == of)
    }
}
