//! What moderators do to people in voice.

use voxhall_protocol::control::{DisconnectVoice, Done, Failure, Member, ModerateVoice, MoveVoice};

use super::{Caller, Services};

impl Services {
    pub async fn moderate_voice(
        &self,
        _caller: &Caller,
        _params: ModerateVoice,
    ) -> Result<Member, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn move_voice(&self, _caller: &Caller, _params: MoveVoice) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn disconnect_voice(
        &self,
        _caller: &Caller,
        _params: DisconnectVoice,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }
}
