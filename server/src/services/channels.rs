//! Channels and what they allow.

use voxhall_protocol::control::{
    Channel, CreateChannel, DeleteChannel, Done, Failure, ReorderChannels, SetOverwrite,
    UpdateChannel,
};

use super::{Caller, Services};

impl Services {
    pub async fn create_channel(
        &self,
        _caller: &Caller,
        _params: CreateChannel,
    ) -> Result<Channel, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn update_channel(
        &self,
        _caller: &Caller,
        _params: UpdateChannel,
    ) -> Result<Channel, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn delete_channel(
        &self,
        _caller: &Caller,
        _params: DeleteChannel,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn reorder_channels(
        &self,
        _caller: &Caller,
        _params: ReorderChannels,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn set_overwrite(
        &self,
        _caller: &Caller,
        _params: SetOverwrite,
    ) -> Result<Channel, Failure> {
        Err(super::not_there_yet())
    }
}
