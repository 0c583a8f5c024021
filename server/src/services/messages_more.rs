//! More.

use voxhall_protocol::control::{Done, Failure, StartTyping};

use super::{Caller, Services};

impl Services {
    pub async fn start_typing(
        &self,
        _caller: &Caller,
        _params: StartTyping,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }
}
