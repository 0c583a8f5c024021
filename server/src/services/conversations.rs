//! Direct messages and groups.

use voxhall_protocol::control::{
    AddToConversation, Conversation, Done, Failure, OpenConversation, RemoveFromConversation,
    UpdateConversation,
};

use super::{Caller, Services};

impl Services {
    pub async fn open_conversation(
        &self,
        _caller: &Caller,
        _params: OpenConversation,
    ) -> Result<Conversation, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn update_conversation(
        &self,
        _caller: &Caller,
        _params: UpdateConversation,
    ) -> Result<Conversation, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn add_to_conversation(
        &self,
        _caller: &Caller,
        _params: AddToConversation,
    ) -> Result<Conversation, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn remove_from_conversation(
        &self,
        _caller: &Caller,
        _params: RemoveFromConversation,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }
}
