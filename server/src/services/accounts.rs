//! Signing up, in and out.

use std::time::Instant;

use voxhall_protocol::{
    DeviceId, SecretText,
    control::{
        ChannelKind, Credentials, Failure, FailureKind, Guest, Login, Refresh, Register,
        Registration, User,
    },
    limits::{DEVICE_LABEL_CHARS, PASSWORD_BYTES, clean_name},
};
use voxhall_store::{
    Accounts, FirstGuild, Invites, NewChannel, NewDevice, NewGuild, NewUserKind, SignUp,
};

use super::{
    Services,
    tokens::{ACCESS_TOKEN_LIFE, hash_refresh_token, new_refresh_token},
};
use crate::{clock::unix_ms, random, rates::Source, words};

const VOICE_BITRATE_BPS: u32 = 64_000;

impl Services {
    pub async fn register(
        &self,
        source: Source,
        register: Register,
    ) -> Result<Credentials, Failure> {
        self.try_sign_in(source)?;
        let name =
            clean_name(&register.name).map_err(|error| words::invalid(&error.to_string()))?;
        if !PASSWORD_BYTES.contains(&register.password.expose().len()) {
            return Err(words::invalid(&format!(
                "A password has {} to {} bytes.",
                PASSWORD_BYTES.start(),
                PASSWORD_BYTES.end()
            )));
        }
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
        self.sign_up(name, kind, joins, &register.device).await
    }

    pub async fn guest(&self, source: Source, guest: Guest) -> Result<Credentials, Failure> {
        self.try_sign_in(source)?;
        let name = clean_name(&guest.name).map_err(|error| words::invalid(&error.to_string()))?;
        // Who only guesses codes uses up nothing of what all share.
        self.store
            .inspect_invite(&guest.invite, unix_ms())
            .await
            .map_err(|error| words::invite(&error))?;
        self.try_sign_up()?;
        let joins = FirstGuild::Invite(guest.invite);
        self.sign_up(name, NewUserKind::Guest, joins, &guest.device)
            .await
    }

    pub async fn login(&self, source: Source, login: Login) -> Result<Credentials, Failure> {
        self.try_sign_in(source)?;
        if login.password.expose().len() > *PASSWORD_BYTES.end() {
            return Err(words::wrong_password());
        }
        // A name that can't be one is nobody's, after the same time.
        let name = clean_name(&login.name).unwrap_or_default();
        // Taken before the work, and given back for the right password: who tries many at once gets no more tries.
        let guessed = name.to_lowercase();
        self.failed_logins
            .take(guessed.clone(), Instant::now())
            .map_err(words::rate_limited)?;
        let account = self
            .store
            .account_by_name(&name)
            .await
            .map_err(|error| words::store(&error))?;
        let (user, hash) = match account {
            Some(account) => (Some(account.user), Some(account.password_hash)),
            None => (None, None),
        };
        let fits = self
            .passwords
            .verify(login.password, hash)
            .await
            .map_err(words::hashing)?;
        let user = user.filter(|_| fits).ok_or_else(words::wrong_password)?;
        self.failed_logins.forget(&guessed);
        let (token, device) = new_device(&login.device);
        let device = self
            .store
            .add_device(user.id, device)
            .await
            .map_err(|error| words::store(&error))?;
        Ok(self.credentials(user, device, token))
    }

    pub async fn refresh(&self, source: Source, refresh: Refresh) -> Result<Credentials, Failure> {
        let hash = hash_refresh_token(refresh.refresh_token.expose());
        let found = self
            .store
            .device_by_token(hash, unix_ms())
            .await
            .map_err(|error| words::store(&error))?;
        let Some((user, device)) = found else {
            // Only who guesses is slowed down.
            self.try_sign_in(source)?;
            return Err(signed_out());
        };
        Ok(self.credentials(user, device, refresh.refresh_token))
    }

    pub async fn logout(&self, device: DeviceId) -> Result<(), Failure> {
        self.store
            .remove_device(device)
            .await
            .map_err(|error| words::store(&error))
    }

    /// Who shows this access token, on which device.
    pub async fn authenticate(&self, token: &SecretText) -> Result<(User, DeviceId), Failure> {
        let (user_id, device) = self.access_tokens.check(token).ok_or_else(|| {
            Failure::new(
                FailureKind::Unauthorized,
                "The access token is not valid, or no longer. Get a new one with account.refresh.",
            )
        })?;
        let user = self
            .store
            .device_user(device)
            .await
            .map_err(|error| words::store(&error))?;
        let user = user
            .filter(|user| user.id == user_id)
            .ok_or_else(signed_out)?;
        Ok((user, device))
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
        name: String,
        kind: NewUserKind,
        joins: FirstGuild,
        device_label: &str,
    ) -> Result<Credentials, Failure> {
        let (token, device) = new_device(device_label);
        let new = SignUp {
            name,
            kind,
            device,
            joins,
            now: unix_ms(),
        };
        let signed_up = self
            .store
            .sign_up(new)
            .await
            .map_err(|error| words::sign_up(&error))?;
        if let Some(joined) = &signed_up.joined {
            self.announce_join(joined, &signed_up.user);
        }
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
}

fn new_device(label: &str) -> (SecretText, NewDevice) {
    let (token, token_sha256) = new_refresh_token();
    let device = NewDevice {
        token_sha256,
        label: label.chars().take(DEVICE_LABEL_CHARS).collect(),
        now: unix_ms(),
    };
    (token, device)
}

fn signed_out() -> Failure {
    Failure::new(
        FailureKind::SignedOut,
        "This device is not signed in any more. Sign in again.",
    )
}

fn registration_closed() -> Failure {
    Failure::new(
        FailureKind::RegistrationClosed,
        "This server makes no new accounts. Join as a guest by an invite, or ask the server's owner.",
    )
}

/// What a fresh server has.
pub(super) fn first_guild(name: &str) -> NewGuild {
    let channel = |name: &str, kind, bitrate_bps| NewChannel {
        name: name.to_owned(),
        kind,
        bitrate_bps,
    };
    NewGuild {
        name: name.to_owned(),
        channels: vec![
            channel("general", ChannelKind::Text, 0),
            channel("lounge", ChannelKind::Voice, VOICE_BITRATE_BPS),
            channel("hangout", ChannelKind::Voice, VOICE_BITRATE_BPS),
        ],
        invite_code: random::invite_code(),
        owner_code: random::owner_code(),
        now: unix_ms(),
    }
}
