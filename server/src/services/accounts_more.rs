//! More.

use voxhall_protocol::control::{
    ChangePassword, DeviceList, Done, EndDevice, Failure, ListDevices, Profile, UpdateAccount,
    UpgradeAccount, User,
};

use super::{Caller, Services};

impl Services {
    pub async fn upgrade_account(
        &self,
        _caller: &Caller,
        _params: UpgradeAccount,
    ) -> Result<User, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn change_password(
        &self,
        _caller: &Caller,
        _params: ChangePassword,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn update_account(
        &self,
        _caller: &Caller,
        _params: UpdateAccount,
    ) -> Result<Profile, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn list_devices(
        &self,
        _caller: &Caller,
        _params: ListDevices,
    ) -> Result<DeviceList, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn end_device(&self, _caller: &Caller, _params: EndDevice) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }
}
