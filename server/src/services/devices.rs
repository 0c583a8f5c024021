//! The devices on which someone is signed in.

use voxhall_protocol::control::{
    ChangePassword, Device, DeviceList, Done, EndDevice, Failure, FailureKind, ListDevices,
};
use voxhall_store::{Accounts, Devices, PasswordChange, PasswordError};

use super::{Caller, Services, accounts::check_password};
use crate::words;

impl Services {
    pub async fn list_devices(
        &self,
        caller: &Caller,
        _: ListDevices,
    ) -> Result<DeviceList, Failure> {
        let devices = self.store.devices(caller.user).await;
        let devices = devices.map_err(|error| words::store(&error))?;
        Ok(self.hub.read(|live| DeviceList {
            devices: (devices.into_iter())
                .map(|device| Device {
                    online: live.is_device_online(caller.user, device.id),
                    this: device.id == caller.device,
                    id: device.id,
                    label: device.label,
                    created_at_ms: device.created_at_ms,
                    last_seen_ms: device.last_seen_ms,
                })
                .collect(),
        }))
    }

    pub async fn end_device(&self, caller: &Caller, params: EndDevice) -> Result<Done, Failure> {
        // One that is gone stays gone, and nobody learns of devices that aren't theirs.
        let ended = self
            .store
            .end_devices(caller.user, Devices::One(params.device_id));
        ended.await.map_err(|error| words::store(&error))?;
        Ok(Done {})
    }

    pub async fn change_password(
        &self,
        caller: &Caller,
        params: ChangePassword,
    ) -> Result<Done, Failure> {
        check_password(&params.new)?;
        let account = self.store.account(caller.user).await;
        let account = account
            .map_err(|error| words::store(&error))?
            .ok_or_else(|| {
                Failure::new(
                    FailureKind::Forbidden,
                    "A guest has no password. Make an account of this guest first.",
                )
            })?;
        let hash = account.password_hash;
        if !self
            .own_password_fits(caller, &account.user.name, params.old, &hash)
            .await?
        {
            // Asked again, because the answer was lost?
            let new = params.new;
            return match self
                .own_password_fits(caller, &account.user.name, new, &hash)
                .await?
            {
                true => Ok(Done {}),
                false => Err(words::wrong_password()),
            };
        }
        let new_hash = self
            .passwords
            .hash(params.new)
            .await
            .map_err(words::hashing)?;
        let change = PasswordChange {
            user: caller.user,
            old_hash: hash,
            new_hash,
            device: caller.device,
        };
        match self.store.change_password(change).await {
            Ok(()) => Ok(Done {}),
            Err(PasswordError::Changed) => Err(words::wrong_password()),
            Err(PasswordError::Store(error)) => Err(words::store(&error)),
        }
    }
}
