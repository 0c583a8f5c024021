//! More.

use voxhall_protocol::control::{
    DeleteMessage, Done, EditMessage, Failure, ListPins, MarkRead, Message, MessagePage,
    PinMessage, ReactToMessage, ReadState, StartTyping, UnpinMessage, UnreactToMessage,
};

use super::{Caller, Services};

impl Services {
    pub async fn edit_message(
        &self,
        _caller: &Caller,
        _params: EditMessage,
    ) -> Result<Message, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn delete_message(
        &self,
        _caller: &Caller,
        _params: DeleteMessage,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn react_to_message(
        &self,
        _caller: &Caller,
        _params: ReactToMessage,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn unreact_to_message(
        &self,
        _caller: &Caller,
        _params: UnreactToMessage,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn pin_message(
        &self,
        _caller: &Caller,
        _params: PinMessage,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn unpin_message(
        &self,
        _caller: &Caller,
        _params: UnpinMessage,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn list_pins(
        &self,
        _caller: &Caller,
        _params: ListPins,
    ) -> Result<MessagePage, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn mark_read(
        &self,
        _caller: &Caller,
        _params: MarkRead,
    ) -> Result<ReadState, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn start_typing(
        &self,
        _caller: &Caller,
        _params: StartTyping,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }
}
