//! People: how they are seen, and how they stand to each other.

use std::collections::BTreeSet;

use voxhall_protocol::{
    ChannelId, UserId,
    control::{CallEnd, Event, OwnPresence, Presence, RelationKind, Status, StatusChoice},
};
use voxhall_store::{ConversationRecord, Removal, UserRecord};

use super::{HangUp, Live, Now, Output, SessionId, Timer, tell, world::Person};

impl Live {
    pub(super) fn save_user(&mut self, record: UserRecord, now: Now, out: &mut Vec<Output>) {
        let id = record.user.id;
        let person = self.people.entry(id).or_insert_with(|| {
            Person::new(UserRecord {
                presence: OwnPresence::default(),
                ..record.clone()
            })
        });
        let user_changed = person.record.user != record.user;
        let presence = record.presence.clone();
        let calls_from =
            (person.record.calls_from != record.calls_from).then_some(record.calls_from);
        person.record = UserRecord {
            presence: person.record.presence.clone(),
            ..record
        };
        if user_changed {
            let user = person.record.user.clone();
            tell(out, self.acquaintances(id), Event::UserUpdated { user });
        }
        if let Some(from) = calls_from {
            self.tell_user(id, Event::CallsFromSet { from }, out);
        }
        self.choose_presence(id, presence, now, out);
        if self
            .people
            .get(&id)
            .is_some_and(|person| person.record.suspended)
        {
            self.hang_up_where(id, HangUp::Suspended, |_| true, now, out);
        }
    }

    pub(super) fn delete_user(&mut self, id: UserId, now: Now, out: &mut Vec<Output>) {
        let Some(person) = self.people.get(&id) else {
            return;
        };
        let guilds: Vec<_> = person.guilds.iter().copied().collect();
        let conversations: Vec<_> = person.conversations.iter().copied().collect();
        let own: Vec<_> = person.relations.keys().copied().collect();
        let others: Vec<_> = own.iter().chain(&person.blocked_by).copied().collect();
        self.forget_stages_of(id, now, out);
        self.hang_up_where(id, HangUp::Deleted, |_| true, now, out);
        for guild in guilds {
            self.remove_member(guild, id, Removal::Deleted, now, out);
        }
        for conversation in conversations {
            if let Some(mut record) = self.conversations.get(&conversation).cloned() {
                record.members.retain(|member| *member != id);
                self.save_conversation(record, now, out);
            }
        }
        for other in others {
            self.relate(id, other, None, now, out);
            self.relate(other, id, None, now, out);
        }
        if let Some(person) = self.people.remove(&id)
            && let Some(at) = person.status_over
        {
            self.timers.remove(&(at, Timer::StatusOver(id)));
        }
    }

    pub(super) fn choose_presence(
        &mut self,
        user: UserId,
        presence: OwnPresence,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(person) = self.people.get_mut(&user) else {
            return;
        };
        let presence = current(presence, now);
        if person.record.presence == presence {
            return;
        }
        person.record.presence = presence.clone();
        self.time_status(user, now);
        self.tell_user(user, Event::PresenceChosen { presence }, out);
        self.show_presence(user, None, out);
    }

    pub(super) fn status_over(&mut self, user: UserId, now: Now, out: &mut Vec<Output>) {
        let Some(person) = self.people.get_mut(&user) else {
            return;
        };
        person.status_over = None;
        let presence = person.record.presence.clone();
        // Where the clock was set back meanwhile, it is not over yet.
        self.time_status(user, now);
        self.choose_presence(user, presence, now, out);
    }

    /// Foresees the end of a custom status.
    fn time_status(&mut self, user: UserId, now: Now) {
        let Some(person) = self.people.get_mut(&user) else {
            return;
        };
        if let Some(at) = person.status_over.take() {
            self.timers.remove(&(at, Timer::StatusOver(user)));
        }
        let presence = &person.record.presence;
        if let (Some(_), Some(until_ms)) = (&presence.custom_status, presence.custom_until_ms)
            && let Some(at) = now.instant_of(until_ms)
        {
            person.status_over = Some(at);
            self.timers.insert((at, Timer::StatusOver(user)));
        }
    }

    /// Works out anew how someone is seen, and tells it if it changed; a session that is just beginning is shown it otherwise.
    pub(super) fn show_presence(
        &mut self,
        user_id: UserId,
        but: Option<SessionId>,
        out: &mut Vec<Output>,
    ) {
        let Some(person) = self.people.get(&user_id) else {
            return;
        };
        let presence = self.presence_now(person);
        if presence == person.shown {
            return;
        }
        let mut told = self.watchers(user_id);
        if let Some(but) = but {
            told.remove(&but);
        }
        let person = self.people.get_mut(&user_id).expect("looked up above");
        person.shown = presence.clone();
        tell(out, told, Event::PresenceChanged { user_id, presence });
    }

    /// Voice that goes on without a connection is someone being there.
    pub(super) fn presence_now(&self, person: &Person) -> Presence {
        let own = &person.record.presence;
        let open = || {
            person
                .sessions
                .iter()
                .filter_map(|id| self.sessions.get(id))
                .filter(|session| session.connection().is_some())
        };
        let is_there =
            open().next().is_some() || self.in_voice.contains_key(&person.record.user.id);
        let status = match own.choice {
            _ if !is_there => Status::Offline,
            StatusChoice::Invisible => Status::Offline,
            StatusChoice::DoNotDisturb => Status::DoNotDisturb,
            StatusChoice::Online
                if open().next().is_some() && open().all(|session| session.idle) =>
            {
                Status::Idle
            }
            StatusChoice::Online => Status::Online,
        };
        Presence {
            status,
            custom_status: own
                .custom_status
                .clone()
                .filter(|_| status != Status::Offline),
        }
    }

    /// Sessions of everyone who may know whether someone is there, the user's own among them.
    fn watchers(&self, user: UserId) -> BTreeSet<SessionId> {
        let Some(person) = self.people.get(&user) else {
            return BTreeSet::new();
        };
        let mut watchers = person.sessions.clone();
        for guild in person.guilds.iter().filter_map(|id| self.guilds.get(id)) {
            watchers.extend(guild.all_sessions());
        }
        for friend in person
            .relations
            .keys()
            .filter(|other| person.is_friend(**other))
        {
            watchers.extend(self.sessions_of(*friend));
        }
        for partner in self
            .partners(person)
            .filter(|other| !person.is_apart_from(*other))
        {
            watchers.extend(self.sessions_of(partner));
        }
        watchers
    }

    /// Sessions of everyone who sees this user anywhere.
    fn acquaintances(&self, user: UserId) -> BTreeSet<SessionId> {
        let Some(person) = self.people.get(&user) else {
            return BTreeSet::new();
        };
        let mut told = self.watchers(user);
        let stands_to = |other: &UserId| {
            self.people
                .get(other)
                .is_some_and(|other| other.relations.contains_key(&user))
        };
        let related = person
            .relations
            .keys()
            .chain(&person.blocked_by)
            .copied()
            .filter(stands_to);
        for other in related.chain(self.partners(person)) {
            told.extend(self.sessions_of(other));
        }
        told
    }

    /// Everyone in a conversation with someone.
    fn partners(&self, person: &Person) -> impl Iterator<Item = UserId> {
        (person.conversations.iter())
            .filter_map(|id| self.conversations.get(id))
            .flat_map(|conversation| conversation.members.iter().copied())
    }

    /// How `user` stands to `other` now.
    pub(super) fn relate(
        &mut self,
        user: UserId,
        other: UserId,
        kind: Option<RelationKind>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if !self.people.contains_key(&other) {
            return;
        }
        let Some(person) = self.people.get_mut(&user) else {
            return;
        };
        if person.relations.get(&other).copied() == kind {
            return;
        }
        let before = self.sight_of_each_other(user, other);
        let person = self.people.get_mut(&user).expect("looked up above");
        match kind {
            Some(kind) => person.relations.insert(other, kind),
            None => person.relations.remove(&other),
        };
        let own: Vec<_> = person.sessions.iter().copied().collect();
        let blocked_by = &mut self
            .people
            .get_mut(&other)
            .expect("looked up above")
            .blocked_by;
        if kind == Some(RelationKind::Blocked) {
            blocked_by.insert(user);
        } else {
            blocked_by.remove(&user);
        }
        match kind.and_then(|kind| self.relation(other, kind)) {
            Some(relation) => tell(out, own, Event::RelationUpdated { relation }),
            None => tell(out, own, Event::RelationRemoved { user_id: other }),
        }
        self.tell_apart(vec![before], out);
        if kind == Some(RelationKind::Blocked) {
            self.end_call_between(user, other, now, out);
            self.part_from_host(user, other, now, out);
        }
    }

    /// What this user and those apart from them know of each other. A guild in common lets them see each other in spite of a block.
    pub(super) fn apart(&self, user: UserId) -> Vec<Known> {
        let Some(person) = self.people.get(&user) else {
            return Vec::new();
        };
        let blocked = person
            .relations
            .iter()
            .filter(|(_, kind)| **kind == RelationKind::Blocked);
        blocked
            .map(|(other, _)| *other)
            .chain(person.blocked_by.iter().copied())
            .map(|other| self.sight_of_each_other(user, other))
            .collect()
    }

    /// Tells who sees another differently than before.
    pub(super) fn tell_apart(&self, before: Vec<Known>, out: &mut Vec<Output>) {
        for known in before {
            let now = self.sight_of_each_other(known.one, known.other);
            let mut told = |viewer: UserId, user_id: UserId, was: Presence, is: Presence| {
                if was != is {
                    tell(
                        out,
                        self.sessions_of(viewer),
                        Event::PresenceChanged {
                            user_id,
                            presence: is,
                        },
                    );
                }
            };
            told(known.one, known.other, known.other_to_one, now.other_to_one);
            told(known.other, known.one, known.one_to_other, now.one_to_other);
        }
    }

    fn sight_of_each_other(&self, one: UserId, other: UserId) -> Known {
        let shown = |viewer, subject| {
            (self.people.get(&subject))
                .map(|subject| self.presence_for(viewer, subject))
                .unwrap_or_default()
        };
        Known {
            one,
            other,
            other_to_one: shown(one, other),
            one_to_other: shown(other, one),
        }
    }

    pub(super) fn save_conversation(
        &mut self,
        mut record: ConversationRecord,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        record
            .members
            .retain(|member| self.people.contains_key(member));
        let id = record.id;
        if self.conversations.get(&id) == Some(&record) {
            return;
        }
        self.only_members_call(id, &record.members, now, out);
        let before = self.conversations.get(&id);
        let known = before
            .map(|before| before.members.clone())
            .unwrap_or_default();
        let gone: Vec<_> = known
            .into_iter()
            .filter(|member| !record.members.contains(member))
            .collect();
        for member in &record.members {
            if let Some(person) = self.people.get_mut(member) {
                person.conversations.insert(id);
            }
        }
        for member in &gone {
            if let Some(person) = self.people.get_mut(member) {
                person.conversations.remove(&id);
                tell(
                    out,
                    person.sessions.iter().copied(),
                    Event::ConversationLeft { channel_id: id },
                );
            }
        }
        for member in &record.members {
            let conversation = self.conversation_seen_by(*member, &record);
            tell(
                out,
                self.sessions_of(*member),
                Event::ConversationUpdated { conversation },
            );
        }
        self.conversations.insert(id, record);
        // Who came is told of the call that runs.
        self.tell_call(id, out);
    }

    pub(super) fn delete_conversation(&mut self, id: ChannelId, now: Now, out: &mut Vec<Output>) {
        self.end_call(id, CallEnd::NotAllowed, None, now, out);
        let Some(record) = self.conversations.remove(&id) else {
            return;
        };
        for member in record.members {
            if let Some(person) = self.people.get_mut(&member) {
                person.conversations.remove(&id);
                tell(
                    out,
                    person.sessions.iter().copied(),
                    Event::ConversationLeft { channel_id: id },
                );
            }
        }
    }

    pub(super) fn sessions_of(&self, user: UserId) -> impl Iterator<Item = SessionId> {
        self.people
            .get(&user)
            .into_iter()
            .flat_map(|person| person.sessions.iter().copied())
    }
}

/// Without a custom status whose time is over.
fn current(presence: OwnPresence, now: Now) -> OwnPresence {
    match presence.custom_until_ms {
        Some(until) if until <= now.unix_ms => OwnPresence {
            choice: presence.choice,
            custom_status: None,
            custom_until_ms: None,
        },
        _ => presence,
    }
}

/// What two people were shown of each other.
pub(super) struct Known {
    one: UserId,
    other: UserId,
    other_to_one: Presence,
    one_to_other: Presence,
}
