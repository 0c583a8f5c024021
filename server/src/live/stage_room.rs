//! A stage room as this machine knows it.

use std::{collections::BTreeMap, time::Instant};

use voxhall_protocol::{
    UserId,
    control::{StageAccess, StageRole},
};
use voxhall_store::StageRecord;

pub struct StageRoom {
    pub record: StageRecord,
    /// Co-hosts and speakers, also while they are away.
    pub roles: BTreeMap<UserId, StageRole>,
    pub people: BTreeMap<UserId, Guest>,
    /// Who wants to speak, the first first.
    pub hands: Vec<UserId>,
    /// As hosts were told last.
    pub hands_told: Vec<UserId>,
    /// As told last.
    pub listeners: u32,
    pub count_at: Option<Instant>,
    /// No host is there: the room ends then.
    pub hostless_until: Option<Instant>,
}

/// Someone in a room.
pub struct Guest {
    /// Their voice is not there, and waited for until then.
    pub wait_until: Option<Instant>,
    pub invited: bool,
}

impl StageRoom {
    pub fn new(record: StageRecord) -> Self {
        Self {
            record,
            roles: BTreeMap::new(),
            people: BTreeMap::new(),
            hands: Vec::new(),
            hands_told: Vec::new(),
            listeners: 0,
            count_at: None,
            hostless_until: None,
        }
    }

    pub fn role(&self, user: UserId) -> StageRole {
        if user == self.record.host {
            StageRole::Host
        } else {
            *self.roles.get(&user).unwrap_or(&StageRole::Listener)
        }
    }

    pub fn has_begun(&self) -> bool {
        self.record.started_at_ms.is_some()
    }

    /// Everyone above a listener who is there.
    pub fn speakers(&self) -> impl Iterator<Item = (UserId, StageRole)> {
        let others = self.roles.iter().map(|(user, role)| (*user, *role));
        std::iter::once((self.record.host, StageRole::Host))
            .chain(others.filter(|(user, _)| *user != self.record.host))
            .filter(|(user, _)| self.people.contains_key(user))
    }

    pub fn count(&self) -> u32 {
        let listeners = self.people.len() - self.speakers().count();
        u32::try_from(listeners).unwrap_or(u32::MAX)
    }

    pub fn moderators(&self) -> impl Iterator<Item = UserId> {
        let moderate = self.speakers().filter(|(_, role)| role.moderates());
        moderate.map(|(user, _)| user)
    }

    /// Whether nobody is told of this one's voice.
    pub fn is_audience(&self, user: UserId) -> bool {
        !self.role(user).speaks()
    }

    /// Whether someone knows of it without its code.
    pub fn is_known_to(&self, user: UserId) -> bool {
        self.record.access == StageAccess::Public
            || self.record.host == user
            || self.people.contains_key(&user)
            || self.roles.contains_key(&user)
    }
}
