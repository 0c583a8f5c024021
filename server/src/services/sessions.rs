//! What a session begins with.

use voxhall_protocol::{
    UserId,
    control::{Failure, ReadState},
};
use voxhall_store::{Messages, Reader};

use super::Services;
use crate::words;

impl Services {
    /// How far someone has read everything that they may read.
    pub async fn read_states(&self, user: UserId) -> Result<Vec<ReadState>, Failure> {
        let (roles, channels) =
            (self.hub).read(|live| (live.roles_of(user), live.all_readable(user)));
        let reader = Reader { user, roles };
        (self.store.read_states(reader, channels).await).map_err(|error| words::store(&error))
    }
}
