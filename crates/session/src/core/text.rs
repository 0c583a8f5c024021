//! Messages: written once, sent until confirmed, loaded page by page.

use std::{sync::Arc, time::Instant};

use voxhall_protocol::{
    ChannelId,
    control::{ListMessages, SendMessage},
    limits::MESSAGE_CHARS,
};

use super::{Core, Output, Pending};
use crate::{NoticeLevel, PendingMessage};

impl Core {
    pub(super) fn send_message(
        &mut self,
        now: Instant,
        channel: ChannelId,
        text: &str,
        out: &mut Vec<Output>,
    ) {
        let text = text.trim();
        if !MESSAGE_CHARS.contains(&text.chars().count()) {
            if !text.is_empty() {
                let most = MESSAGE_CHARS.end();
                self.notice(
                    NoticeLevel::Warning,
                    format!("A message has at most {most} characters; split it in two."),
                );
            }
            return;
        }
        self.next_nonce += 1;
        let nonce = format!("{:x}-{}", self.seed, self.next_nonce);
        let pending = PendingMessage {
            nonce: nonce.clone(),
            text: text.to_owned(),
            failed: None,
        };
        Arc::make_mut(&mut self.state.history)
            .entry(channel)
            .or_default()
            .pending
            .push(pending);
        self.changed = true;
        if self.is_online() {
            self.call_send(now, channel, nonce, text.to_owned(), out);
        }
    }

    /// With the same nonce: should the server have stored it after all, it is not stored again.
    pub(super) fn retry_message(
        &mut self,
        now: Instant,
        channel: ChannelId,
        nonce: String,
        out: &mut Vec<Output>,
    ) {
        let history = Arc::make_mut(&mut self.state.history)
            .entry(channel)
            .or_default();
        let refused = history
            .pending
            .iter_mut()
            .find(|message| message.nonce == nonce && message.failed.is_some());
        let Some(message) = refused else { return };
        message.failed = None;
        let text = message.text.clone();
        self.changed = true;
        if self.is_online() {
            self.call_send(now, channel, nonce, text, out);
        }
    }

    pub(super) fn discard_message(&mut self, channel: ChannelId, nonce: &str) {
        let history = Arc::make_mut(&mut self.state.history)
            .entry(channel)
            .or_default();
        history
            .pending
            .retain(|message| message.nonce != nonce || message.failed.is_none());
        self.changed = true;
    }

    pub(super) fn resend_pending(&mut self, now: Instant, out: &mut Vec<Output>) {
        let mut again = Vec::new();
        for (channel, history) in self.state.history.iter() {
            for message in history
                .pending
                .iter()
                .filter(|message| message.failed.is_none())
            {
                again.push((*channel, message.nonce.clone(), message.text.clone()));
            }
        }
        for (channel, nonce, text) in again {
            self.call_send(now, channel, nonce, text, out);
        }
    }

    fn call_send(
        &mut self,
        now: Instant,
        channel: ChannelId,
        nonce: String,
        text: String,
        out: &mut Vec<Output>,
    ) {
        let send = SendMessage::new(channel, text, nonce.clone());
        self.call(now, &send, Pending::Send { channel, nonce }, out);
    }

    pub(super) fn load_messages(
        &mut self,
        now: Instant,
        channel: ChannelId,
        out: &mut Vec<Output>,
    ) {
        if !self.is_online() {
            return;
        }
        let history = Arc::make_mut(&mut self.state.history)
            .entry(channel)
            .or_default();
        let before = history.messages.first().map(|message| message.id);
        if history.loading || (before.is_some() && !history.more) {
            return;
        }
        history.loading = true;
        self.changed = true;
        self.call(
            now,
            &ListMessages {
                before,
                ..ListMessages::newest(channel)
            },
            Pending::List(channel),
            out,
        );
    }

    /// What was said while away is missing: histories on screen start again from the newest page.
    pub(super) fn reload_histories(&mut self, now: Instant, out: &mut Vec<Output>) {
        let channels: Vec<_> = self.state.history.keys().copied().collect();
        for channel in channels {
            self.load_messages(now, channel, out);
        }
    }
}
