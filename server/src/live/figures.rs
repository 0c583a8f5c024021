//! What administrators are told of who is there.

use std::collections::BTreeSet;

use voxhall_protocol::{DeviceId, UserId};

use super::Live;

impl Live {
    /// May do everything on this server.
    pub fn is_admin(&self, user: UserId) -> bool {
        (self.people.get(&user))
            .is_some_and(|person| person.record.is_admin && !person.record.suspended)
    }

    /// Has a connection, however they want to be seen.
    pub fn is_connected(&self, user: UserId) -> bool {
        let mut open = self
            .connections
            .values()
            .filter_map(|id| self.sessions.get(id));
        open.any(|session| session.user == user)
    }

    /// Those that have a connection.
    pub fn devices_online(&self) -> Vec<DeviceId> {
        let open = self
            .connections
            .values()
            .filter_map(|id| self.sessions.get(id));
        open.map(|session| session.device)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }
}
