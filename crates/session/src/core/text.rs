//! Histories: windows on a channel's messages, loaded page by page.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use voxhall_protocol::{
    ChannelId,
    control::{Failure, FailureKind, ListMessages, MessagePage, SearchMessages, SearchPage},
};

use super::{Core, Output, Pending};
use crate::{
    History, NoticeLevel, Place, Search,
    state::{MAX_WINDOW, Merge},
};

/// Histories that are loaded again after a full sync; the others are when somebody looks.
const RELOADED: usize = 5;
/// What happens in a channel while a page of it is on its way; more than this, and the page is asked for again.
const MOST_MEANWHILE: usize = 1_000;

/// A page of history that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListJob {
    request: ListMessages,
    merge: Merge,
    /// The window it was asked for.
    window: u64,
}

impl Core {
    pub(super) fn load_messages(
        &mut self,
        now: Instant,
        channel: ChannelId,
        out: &mut Vec<Output>,
    ) {
        let (before, more) = match self.state.history.get(&channel) {
            Some(history) if history.loading => return,
            Some(history) => (history.messages.first().map(|it| it.id), history.more),
            None => (None, true),
        };
        let (request, merge) = match before {
            Some(_) if !more => return,
            Some(_) => {
                let newest = ListMessages::newest(channel);
                (ListMessages { before, ..newest }, Merge::Older)
            }
            None => (ListMessages::newest(channel), Merge::Whole(None)),
        };
        self.list(now, request, merge, out);
    }

    pub(super) fn load_newer(&mut self, now: Instant, channel: ChannelId, out: &mut Vec<Output>) {
        let history = self.state.history.get(&channel);
        let Some(history) = history.filter(|it| it.more_after && !it.loading) else {
            return;
        };
        let after = history.messages.last().map(|message| message.id);
        let newest = ListMessages::newest(channel);
        self.list(now, ListMessages { after, ..newest }, Merge::Newer, out);
    }

    pub(super) fn jump_to(
        &mut self,
        now: Instant,
        channel: ChannelId,
        place: Place,
        out: &mut Vec<Output>,
    ) {
        let newest = ListMessages::newest(channel);
        let (request, jumped_to) = match place {
            Place::Newest => (newest, None),
            Place::Message(id) => {
                let around = Some(id);
                (ListMessages { around, ..newest }, around)
            }
            Place::Time(at_ms) => {
                let at_ms = Some(at_ms);
                (ListMessages { at_ms, ..newest }, None)
            }
        };
        if let Place::Message(id) = place
            && let Some(history) = self.state.history.get(&channel)
            && history.message(id).is_some()
        {
            self.history(channel).jumped_to = Some(id);
            return;
        }
        self.list(now, request, Merge::Whole(jumped_to), out);
    }

    pub(super) fn add_page(
        &mut self,
        now: Instant,
        job: ListJob,
        page: MessagePage,
        out: &mut Vec<Output>,
    ) {
        let channel = job.request.channel_id;
        if job.window != self.windows_of(channel) {
            return;
        }
        let meanwhile = self.meanwhile.remove(&channel).unwrap_or_default();
        if meanwhile.len() >= MOST_MEANWHILE {
            return self.list(now, job.request, job.merge, out);
        }
        let me = self.state.my_id();
        let history = self.history(channel);
        history.loading = false;
        history.merge(page, job.merge);
        // The page may be from before these, or from after them: they say how things are now either way.
        for event in &meanwhile {
            history.fold(event, me);
        }
        debug_assert!(history.messages.len() <= MAX_WINDOW + meanwhile.len());
    }

    pub(super) fn list_failed(&mut self, now: Instant, job: ListJob, failure: &Failure) {
        let channel = job.request.channel_id;
        if job.window != self.windows_of(channel) {
            return;
        }
        self.meanwhile.remove(&channel);
        if failure.kind() == FailureKind::RateLimited {
            let wait =
                Duration::from_millis(failure.data.retry_after_ms.unwrap_or(1_000).min(60_000));
            self.lists_later.insert(channel, (now + wait, job));
            return;
        }
        // Not loading any more, so that it can be asked for again.
        self.history(channel).loading = false;
        self.notice(NoticeLevel::Warning, failure.message.clone());
    }

    pub(super) fn list_what_waited(&mut self, now: Instant, out: &mut Vec<Output>) {
        let due = |(_, (at, _)): &(&ChannelId, &(Instant, ListJob))| *at <= now;
        let due: Vec<_> = self
            .lists_later
            .iter()
            .filter(due)
            .map(|(channel, _)| *channel)
            .collect();
        for channel in due {
            if let Some((_, job)) = self.lists_later.remove(&channel) {
                self.list(now, job.request, job.merge, out);
            }
        }
    }

    /// After a full sync: what is loaded may have holes. The windows used last start again from the newest page; the others are forgotten
    /// and loaded when somebody looks.
    pub(super) fn reload_histories(&mut self, now: Instant, out: &mut Vec<Output>) {
        let mut loaded: Vec<_> = self
            .windows
            .iter()
            .map(|(channel, window)| (*window, *channel))
            .collect();
        loaded.sort_unstable_by_key(|(window, _)| std::cmp::Reverse(*window));
        self.meanwhile.clear();
        self.lists_later.clear();
        let keep: Vec<_> = loaded
            .iter()
            .take(RELOADED)
            .map(|(_, channel)| *channel)
            .collect();
        let histories = Arc::make_mut(&mut self.state.history);
        histories.retain(|channel, history| {
            keep.contains(channel) || !history.pending.is_empty() || !history.edits.is_empty()
        });
        for history in histories.values_mut() {
            let history = Arc::make_mut(history);
            *history = History {
                pending: std::mem::take(&mut history.pending),
                edits: std::mem::take(&mut history.edits),
                ..History::default()
            };
        }
        let there: Vec<_> = histories.keys().copied().collect();
        self.windows.retain(|channel, _| there.contains(channel));
        for channel in keep {
            if there.contains(&channel) {
                self.load_messages(now, channel, out);
            }
        }
        self.changed = true;
    }

    /// Pages that were on their way when the connection went will not come.
    pub(super) fn stop_loading(&mut self) {
        self.meanwhile.clear();
        self.lists_later.clear();
        self.recounts_later.clear();
        if self.state.history.values().any(|history| history.loading) {
            for history in Arc::make_mut(&mut self.state.history).values_mut() {
                if history.loading {
                    Arc::make_mut(history).loading = false;
                }
            }
        }
        if let Some(search) = &mut self.state.search {
            Arc::make_mut(search).loading = false;
        }
    }

    pub(super) fn search(&mut self, now: Instant, request: &SearchMessages, out: &mut Vec<Output>) {
        let found = match self.state.search.take() {
            Some(search) if request.before.is_some() => Arc::unwrap_or_clone(search).found,
            _ => Vec::new(),
        };
        let online = self.is_online();
        let offline = "There is no connection to the server right now.".to_owned();
        self.state.search = Some(Arc::new(Search {
            request: request.clone(),
            found,
            more: false,
            loading: online,
            failed: (!online).then_some(offline),
        }));
        self.changed = true;
        if online {
            // Only the answer to the newest search matters.
            self.pending
                .retain(|_, (pending, _)| !matches!(pending, Pending::Search));
            self.call(now, request, Pending::Search, out);
        }
    }

    pub(super) fn found(&mut self, page: SearchPage) {
        if let Some(search) = &mut self.state.search {
            let search = Arc::make_mut(search);
            search.found.extend(page.found);
            search.more = page.more;
            search.loading = false;
            self.changed = true;
        }
    }

    pub(super) fn search_failed(&mut self, message: String) {
        if let Some(search) = &mut self.state.search {
            let search = Arc::make_mut(search);
            search.loading = false;
            search.failed = Some(message);
            self.changed = true;
        }
    }

    /// The history of a channel, to be changed.
    pub(super) fn history(&mut self, channel: ChannelId) -> &mut History {
        self.changed = true;
        let histories = Arc::make_mut(&mut self.state.history);
        Arc::make_mut(histories.entry(channel).or_default())
    }

    fn list(&mut self, now: Instant, request: ListMessages, merge: Merge, out: &mut Vec<Output>) {
        if !self.is_online() {
            return;
        }
        let channel = request.channel_id;
        self.next_window += 1;
        let window = self.next_window;
        self.windows.insert(channel, window);
        self.history(channel).loading = true;
        self.meanwhile.insert(channel, Vec::new());
        let job = ListJob {
            request,
            merge,
            window,
        };
        self.call(now, &request, Pending::List(job), out);
    }

    fn windows_of(&self, channel: ChannelId) -> u64 {
        self.windows.get(&channel).copied().unwrap_or(0)
    }
}
