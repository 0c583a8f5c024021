//! Signing up, in and out.

use std::time::Instant;

use voxhall_protocol::{
    DeviceId, SecretText, UserId,
    control::{
        ChannelKind, Credentials, Failure, FailureKind, Guest, Login, Refresh, Register,
        Registration, User,
    },
    limits::{DEVICE_LABEL_CHARS, PASSWORD_BYTES, clean_name},
};
use voxhall_store::{
    Accounts, Devices, FirstGuild, Invites, NewChannel, NewDevice, NewGuild, NewUserKind, Rotated,
    Rotation, SignUp,
};

use super::{Services, refresh::sha256, tokens::ACCESS_TOKEN_LIFE};
use crate::{clock::unix_ms, random, rates::Source, words};

/// Of a voice channel for which nobody said another.
pub(super) const VOICE_BITRATE_BPS: u32 = 64_000;

impl Services {
    pub async fn register(
        &self,
        source: Source,
        register: Register,
    ) -> Result<Credentials, Failure> {
        self.try_sign_in(source)?;
        let name =
            clean_name(&register.name).map_err(|error| words::invalid(&error.to_string()))?;
        check_password(&register.password)?;
        let joins = self
            .first_guild_of_account(register.invite.as_deref())
            .await?;
        self.try_sign_up()?;
        let password_hash = self
            .passwords
            .hash(register.password)
            .await
            .map_err(words::hashing)?;
        let kind = NewUserKind::Account { password_hash };
        self.sign_up(source, name, kind, joins, &register.device)
            .await
    }

    pub async fn guest(&self, source: Source, guest: Guest) -> Result<Credentials, Failure> {
        if !self.guests {
            return Err(Failure::new(
                FailureKind::RegistrationClosed,
                "This server lets nobody in with a name only. Make an account with your invite.",
            ));
        }
        self.try_sign_in(source)?;
        let name = clean_name(&guest.name).map_err(|error| words::invalid(&error.to_string()))?;
        // Who only guesses codes uses up nothing of what all share.
        self.store
            .inspect_invite(&guest.invite, unix_ms())
            .await
            .map_err(|error| words::invite(&error))?;
        self.try_sign_up()?;
        let joins = FirstGuild::Invite(guest.invite);
        self.sign_up(source, name, NewUserKind::Guest, joins, &guest.device)
            .await
    }

    pub async fn login(&self, source: Source, login: Login) -> Result<Credentials, Failure> {
        self.try_sign_in(source)?;
        if login.password.expose().len() > *PASSWORD_BYTES.end() {
            return Err(words::wrong_password());
        }
        // A name that can't be one is nobody's, after the same time.
        let name = clean_name(&login.name).unwrap_or_default();
        let guess = self
            .sign_in_limits
            .password(&name, source, Instant::now())
            .map_err(words::rate_limited)?;
        let account = self
            .store
            .account_by_name(&name)
            .await
            .map_err(|error| words::store(&error))?;
        let hash = account
            .as_ref()
            .map(|account| account.password_hash.clone());
        let fits = self
            .passwords
            .verify(login.password, hash)
            .await
            .map_err(words::hashing)?;
        let Some(account) = account.filter(|_| fits) else {
            self.sign_in_limits.was_wrong(source, Instant::now());
            return Err(words::wrong_password());
        };
        self.sign_in_limits.was_right(guess, source);
        // Only who knows the password learns of it.
        if account.suspended {
            return Err(suspended());
        }
        let (token, device) = self.new_device(&login.device);
        let device = self
            .store
            .add_device(account.user.id, device)
            .await
            .map_err(|error| words::store(&error))?;
        self.saw_address(account.user.id, source).await;
        Ok(self.credentials(account.user, device, token))
    }

    /// A new access token, and a new refresh token in the place of the one that is shown.
    pub async fn refresh(&self, source: Source, refresh: Refresh) -> Result<Credentials, Failure> {
        let Some(shown) = self.refresh_tokens.read(&refresh.refresh_token) else {
            self.try_sign_in(source)?;
            return Err(signed_out());
        };
        let next = self.refresh_tokens.next(&shown);
        let token = self.refresh_tokens.write(&next);
        let rotation = Rotation {
            family: shown.family,
            generation: shown.generation,
            shown_sha256: sha256(&refresh.refresh_token),
            next_sha256: sha256(&token),
            now: unix_ms(),
        };
        let rotated = self.store.rotate_token(rotation).await;
        match rotated.map_err(|error| words::store(&error))? {
            Rotated::Good { user, device } => {
                self.saw_address(user.id, source).await;
                Ok(self.credentials(user, device, token))
            }
            Rotated::Suspended => Err(suspended()),
            Rotated::Reused { user, device } => {
                tracing::warn!(%user, %device, "a spent refresh token was shown; the device is signed out, as someone has a copy");
                Err(signed_out())
            }
            Rotated::Unknown => {
                // Only who guesses is slowed down.
                self.try_sign_in(source)?;
                Err(signed_out())
            }
        }
    }

    pub async fn logout(&self, user: UserId, device: DeviceId) -> Result<(), Failure> {
        self.store
            .end_devices(user, Devices::One(device))
            .await
            .map_err(|error| words::store(&error))
    }

    /// Who shows this access token, on which device.
    pub async fn authenticate(&self, token: &SecretText) -> Result<(User, DeviceId), Failure> {
        let (user_id, device) = self.access_tokens.check(token, unix_ms()).ok_or_else(|| {
            Failure::new(
                FailureKind::Unauthorized,
                "The access token is not valid, or no longer. Get a new one with account.refresh.",
            )
        })?;
        let record = self
            .store
            .device_user(device)
            .await
            .map_err(|error| words::store(&error))?;
        let record = record
            .filter(|record| record.user.id == user_id)
            .ok_or_else(signed_out)?;
        if record.suspended {
            return Err(suspended());
        }
        Ok((record.user, device))
    }

    async fn first_guild_of_account(&self, invite: Option<&str>) -> Result<FirstGuild, Failure> {
        let Some(code) = invite else {
            return match self.registration {
                Registration::Open => Ok(FirstGuild::Open(self.default_guild)),
                Registration::Invite => Err(Failure::new(
                    FailureKind::RegistrationClosed,
                    "An account on this server needs an invite. Ask someone who is there for a link.",
                )),
                Registration::Closed => Err(registration_closed()),
            };
        };
        // Looked at before the password is hashed, which is work; it counts again when it is redeemed.
        let invite = self
            .store
            .inspect_invite(code, unix_ms())
            .await
            .map_err(|error| words::invite(&error))?;
        if self.registration == Registration::Closed && !invite.makes_owner {
            return Err(registration_closed());
        }
        Ok(FirstGuild::Invite(code.to_owned()))
    }

    async fn sign_up(
        &self,
        source: Source,
        name: String,
        kind: NewUserKind,
        joins: FirstGuild,
        device_label: &str,
    ) -> Result<Credentials, Failure> {
        let (token, device) = self.new_device(device_label);
        let new = SignUp {
            name,
            kind,
            device,
            joins,
            from: Some(self.address_hash(source)),
            now: unix_ms(),
        };
        let signed_up = self
            .store
            .sign_up(new)
            .await
            .map_err(|error| words::sign_up(&error))?;
        self.saw_address(signed_up.user.id, source).await;
        tracing::info!(user = %signed_up.user.id, kind = ?signed_up.user.kind, "signed up");
        Ok(self.credentials(signed_up.user, signed_up.device, token))
    }

    fn credentials(
        &self,
        user: User,
        device_id: DeviceId,
        refresh_token: SecretText,
    ) -> Credentials {
        Credentials {
            access_token: self.access_tokens.issue(user.id, device_id, unix_ms()),
            access_expires_in_s: ACCESS_TOKEN_LIFE.as_secs(),
            user,
            device_id,
            refresh_token,
        }
    }

    fn new_device(&self, label: &str) -> (SecretText, NewDevice) {
        let first = self.refresh_tokens.first();
        let token = self.refresh_tokens.write(&first);
        let device = NewDevice {
            family: first.family,
            token_sha256: sha256(&token),
            label: label
                .chars()
                .filter(|c| !c.is_control())
                .take(DEVICE_LABEL_CHARS)
                .collect(),
            now: unix_ms(),
        };
        (token, device)
    }
}

/// A password that someone chooses.
///
/// # Errors
/// Says what it has to be.
pub(super) fn check_password(password: &SecretText) -> Result<(), Failure> {
    if PASSWORD_BYTES.contains(&password.expose().len()) {
        return Ok(());
    }
    Err(words::invalid(&format!(
        "A password has {} to {} bytes.",
        PASSWORD_BYTES.start(),
        PASSWORD_BYTES.end()
    )))
}

fn signed_out() -> Failure {
    Failure::new(
        FailureKind::SignedOut,
        "This device is not signed in any more. Sign in again.",
    )
}

fn suspended() -> Failure {
    Failure::new(
        FailureKind::Suspended,
        "This account is suspended. Ask the server's owner.",
    )
}

pub(super) fn registration_closed() -> Failure {
    Failure::new(
        FailureKind::RegistrationClosed,
        "This server makes no new accounts. Join as a guest by an invite, or ask the server's owner.",
    )
}

/// What a fresh server has.
pub(super) fn first_guild(name: &str) -> NewGuild {
    NewGuild {
        name: name.to_owned(),
        channels: first_channels(),
        invite_code: random::invite_code(),
        owner_code: random::owner_code(),
        now: unix_ms(),
    }
}

/// What a new guild has.
pub(super) fn first_channels() -> Vec<NewChannel> {
    let channel = |name: &str, kind, bitrate_bps| NewChannel {
        name: name.to_owned(),
        kind,
        bitrate_bps,
    };
    vec![
        channel("general", ChannelKind::Text, 0),
        channel("lounge", ChannelKind::Voice, VOICE_BITRATE_BPS),
        channel("hangout", ChannelKind::Voice, VOICE_BITRATE_BPS),
    ]
}
