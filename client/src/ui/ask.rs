//! Questions of the views to the server, and where their answers are.

use std::collections::BTreeMap;

use voxhall_protocol::control::{Reply, Request};
use voxhall_session::{Answer, AskError, Connection, Intent, State, Tag};

use super::Intents;
use crate::numbers::next_tag;

/// What a question is for. There is one at a time of each; a new one takes the place of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// A change made on the page that is open.
    Change,
    /// The list that the page shows.
    List,
    /// The next page of it.
    More,
    /// A conversation that is to be shown once it is there.
    Open,
    /// A friendship, on the page of friends.
    Friend,
    /// What is pinned in the channel that is open.
    Pins,
}

/// What was asked, until it is no longer looked at.
#[derive(Debug, Default)]
pub struct Asks {
    open: BTreeMap<Topic, (Tag, Request)>,
}

/// How a question stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Found<'a> {
    Nothing,
    Waiting,
    Done(&'a Reply),
    Failed(&'a AskError),
}

impl Asks {
    pub fn ask(&mut self, topic: Topic, request: impl Into<Request>, intents: &mut Intents) {
        self.forget(topic, intents);
        let (tag, request) = (next_tag(), request.into());
        intents.session(Intent::Ask {
            tag: Some(tag),
            request: request.clone(),
        });
        self.open.insert(topic, (tag, request));
    }

    pub fn look<'a>(&self, topic: Topic, state: &'a State) -> Found<'a> {
        let Some((tag, _)) = self.open.get(&topic) else {
            return Found::Nothing;
        };
        match state.answers.get(tag) {
            Some(Answer::Done(reply)) => Found::Done(reply),
            Some(Answer::Failed(error)) => Found::Failed(error),
            Some(Answer::Waiting) | None => Found::Waiting,
        }
    }

    /// The answer to this very question, which is asked now if it wasn't yet, or if there was no connection then and is one now.
    pub fn keep<'a>(
        &mut self,
        topic: Topic,
        request: impl Into<Request>,
        state: &'a State,
        intents: &mut Intents,
    ) -> Found<'a> {
        let request = request.into();
        let same = self.open.get(&topic).is_some_and(|(_, it)| *it == request);
        let found = if same {
            self.look(topic, state)
        } else {
            Found::Nothing
        };
        let unheard = matches!(found, Found::Failed(AskError::Offline | AskError::Lost));
        let online = state.connection == Connection::Online;
        if found == Found::Nothing || unheard && online {
            self.ask(topic, request, intents);
            return Found::Waiting;
        }
        found
    }

    /// What was asked and what was answered, once; it is forgotten with that.
    pub fn take_done(
        &mut self,
        topic: Topic,
        state: &State,
        intents: &mut Intents,
    ) -> Option<(Request, Reply)> {
        let Found::Done(reply) = self.look(topic, state) else {
            return None;
        };
        let request = self.open.get(&topic)?.1.clone();
        self.forget(topic, intents);
        Some((request, reply.clone()))
    }

    /// Once a change was made, the list that it was made in is asked for anew.
    pub fn renew_list(&mut self, state: &State, intents: &mut Intents) {
        if self.take_done(Topic::Change, state, intents).is_some() {
            self.forget(Topic::List, intents);
        }
    }

    pub fn forget(&mut self, topic: Topic, intents: &mut Intents) {
        if let Some((tag, _)) = self.open.remove(&topic) {
            intents.session(Intent::DropAnswer(tag));
        }
    }

    /// Another dialog or another page of it, with questions of its own.
    pub fn forget_page(&mut self, intents: &mut Intents) {
        for topic in [Topic::Change, Topic::List, Topic::More] {
            self.forget(topic, intents);
        }
    }
}

/// The pages behind the first of a list, with the question that they belong to.
#[derive(Debug)]
pub struct Behind<Q, T>(Option<(Q, Vec<T>, bool)>);

impl<Q, T> Default for Behind<Q, T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<Q: PartialEq, T> Behind<Q, T> {
    /// Those of another question are forgotten.
    pub fn keep(&mut self, question: &Q) {
        if self.0.as_ref().is_some_and(|(of, ..)| of != question) {
            self.0 = None;
        }
    }

    /// The next page; `more`: there are others behind it.
    pub fn add(&mut self, question: Q, page: Vec<T>, more: bool) {
        self.keep(&question);
        let (_, all, before) = self.0.get_or_insert((question, Vec::new(), false));
        all.extend(page);
        *before = more;
    }

    pub fn all(&self) -> &[T] {
        self.0.as_ref().map_or(&[], |(_, all, _)| all)
    }

    /// Whether there is more to ask for, where the first page said `first`.
    pub fn more(&self, first: bool) -> bool {
        self.0.as_ref().map_or(first, |(.., more)| *more)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use voxhall_protocol::{
        GuildId,
        control::{BanList, ListBans, ListInvites},
    };

    use super::*;
    use crate::ui::Want;

    fn asked(intents: &mut Intents) -> Vec<Tag> {
        let tags = std::mem::take(&mut intents.0).into_iter();
        tags.filter_map(|want| match want {
            Want::Session(Intent::Ask { tag, .. }) => tag,
            _ => None,
        })
        .collect()
    }

    fn online() -> State {
        State {
            connection: Connection::Online,
            ..State::default()
        }
    }

    fn answer(state: &mut State, tag: Tag, answer: Answer) {
        Arc::make_mut(&mut state.answers).insert(tag, answer);
    }

    #[test]
    fn a_list_is_asked_for_once_and_again_when_another_is_wanted_or_the_connection_is_back() {
        let (mut asks, mut intents, mut state) = (Asks::default(), Intents::default(), online());
        let bans = ListBans {
            guild_id: GuildId(1),
        };
        assert_eq!(
            asks.keep(Topic::List, bans, &state, &mut intents),
            Found::Waiting
        );
        let tags = asked(&mut intents);
        assert_eq!(tags.len(), 1);
        asks.keep(Topic::List, bans, &state, &mut intents);
        assert_eq!(asked(&mut intents), []);

        answer(&mut state, tags[0], Answer::Failed(AskError::Lost));
        state.connection = Connection::Idle;
        let found = asks.keep(Topic::List, bans, &state, &mut intents);
        assert_eq!(found, Found::Failed(&AskError::Lost));
        state.connection = Connection::Online;
        asks.keep(Topic::List, bans, &state, &mut intents);
        let tags = asked(&mut intents);
        assert_eq!(tags.len(), 1);

        let reply = Reply::ListBans(BanList { bans: vec![] });
        answer(&mut state, tags[0], Answer::Done(Box::new(reply.clone())));
        let found = asks.keep(Topic::List, bans, &state, &mut intents);
        assert_eq!(found, Found::Done(&reply));
        let other = ListInvites {
            guild_id: GuildId(1),
        };
        let found = asks.keep(Topic::List, other, &state, &mut intents);
        assert_eq!(found, Found::Waiting);
    }

    #[test]
    fn what_is_done_is_told_once() {
        let (mut asks, mut intents, mut state) = (Asks::default(), Intents::default(), online());
        let bans = ListBans {
            guild_id: GuildId(1),
        };
        asks.ask(Topic::Change, bans, &mut intents);
        let tag = asked(&mut intents)[0];
        assert_eq!(
            asks.take_done(Topic::Change, &state, &mut intents),
            None,
            "not yet"
        );
        let reply = Reply::ListBans(BanList { bans: vec![] });
        answer(&mut state, tag, Answer::Done(Box::new(reply.clone())));
        let done = asks.take_done(Topic::Change, &state, &mut intents);
        assert_eq!(done, Some((bans.into(), reply)));
        assert_eq!(
            intents.0,
            [Want::Session(Intent::DropAnswer(tag))],
            "the session keeps it no longer"
        );
        assert_eq!(asks.look(Topic::Change, &state), Found::Nothing);
    }
}
