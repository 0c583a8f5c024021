//! One's own account: what others see of it, and a guest's way to one.

use std::time::Instant;

use voxhall_protocol::{
    SecretText,
    control::{
        Failure, FailureKind, Profile, Registration, UpdateAccount, UpgradeAccount, User, UserKind,
    },
    limits::{ABOUT_CHARS, PASSWORD_BYTES, clean_name},
};
use voxhall_store::{Accounts, People, ProfileError, ProfileUpdate, UpgradeError};

use super::{
    Caller, Services,
    accounts::{check_password, registration_closed},
};
use crate::words;

impl Services {
    pub async fn upgrade_account(
        &self,
        caller: &Caller,
        params: UpgradeAccount,
    ) -> Result<User, Failure> {
        self.try_sign_in(caller.source)?;
        check_password(&params.password)?;
        let me = self.me(caller)?;
        let name = params.name.as_deref().unwrap_or(&me.name);
        let name = clean_name(name).map_err(|error| words::invalid(&error.to_string()))?;
        if me.kind == UserKind::Account {
            return self
                .upgraded_before(caller, me, &name, params.password)
                .await;
        }
        if self.registration == Registration::Closed {
            return Err(registration_closed());
        }
        let hash = self
            .passwords
            .hash(params.password)
            .await
            .map_err(words::hashing)?;
        match self.store.upgrade_guest(caller.user, name, hash).await {
            Ok(user) => Ok(user),
            Err(UpgradeError::NameTaken) => Err(words::name_taken()),
            Err(UpgradeError::NotAGuest) => Err(has_an_account()),
            Err(UpgradeError::Store(error)) => Err(words::store(&error)),
        }
    }

    /// Whose answer was lost gets it again.
    async fn upgraded_before(
        &self,
        caller: &Caller,
        me: User,
        name: &str,
        password: SecretText,
    ) -> Result<User, Failure> {
        let account = self.store.account(caller.user).await;
        let account = account.map_err(|error| words::store(&error))?;
        let Some(account) = account.filter(|account| account.user.name == name) else {
            return Err(has_an_account());
        };
        let fits = self.own_password_fits(caller, name, password, &account.password_hash);
        if fits.await? {
            Ok(me)
        } else {
            Err(has_an_account())
        }
    }

    pub async fn update_account(
        &self,
        caller: &Caller,
        params: UpdateAccount,
    ) -> Result<Profile, Failure> {
        let display_name = match params.display_name {
            Some(name) if !name.trim().is_empty() => {
                Some(clean_name(&name).map_err(|error| words::invalid(&error.to_string()))?)
            }
            Some(_) => Some(String::new()),
            None => None,
        };
        let about = params.about.map(|about| about.trim().to_owned());
        if about
            .as_ref()
            .is_some_and(|about| about.chars().count() > ABOUT_CHARS)
        {
            return Err(words::invalid(&format!(
                "This text has {ABOUT_CHARS} characters at most."
            )));
        }
        let update = ProfileUpdate {
            display_name,
            about,
            picture: params.picture,
        };
        match self.store.update_profile(caller.user, update).await {
            Ok(()) => {}
            Err(ProfileError::NoUser) => return Err(words::not_found("user")),
            Err(ProfileError::NoPicture) => return Err(words::not_found("picture")),
            Err(ProfileError::Store(error)) => return Err(words::store(&error)),
        }
        let profile = self.store.profile(caller.user, caller.user).await;
        let profile = profile.map_err(|error| words::store(&error))?;
        profile.ok_or_else(|| words::not_found("user"))
    }

    pub(super) fn me(&self, caller: &Caller) -> Result<User, Failure> {
        let me = self.hub.read(|live| live.user(caller.user).cloned());
        me.ok_or_else(|| words::not_found("user"))
    }

    /// Whether this is the password of who is signed in; wrong ones are counted as they are for signing in.
    pub(super) async fn own_password_fits(
        &self,
        caller: &Caller,
        name: &str,
        password: SecretText,
        hash: &str,
    ) -> Result<bool, Failure> {
        if password.expose().len() > *PASSWORD_BYTES.end() {
            return Ok(false);
        }
        let limits = &self.sign_in_limits;
        let guess = limits.password(name, caller.source, Instant::now());
        let guess = guess.map_err(words::rate_limited)?;
        let fits = self.passwords.verify(password, Some(hash.to_owned())).await;
        let fits = fits.map_err(words::hashing)?;
        if fits {
            limits.was_right(guess, caller.source);
        } else {
            limits.was_wrong(caller.source, Instant::now());
        }
        Ok(fits)
    }
}

fn has_an_account() -> Failure {
    Failure::new(FailureKind::Conflict, "This is an account already.")
}
