//! What every backend must do, as tests, one file for each concern. A backend's own tests call [`run_all`] with a maker of empty stores.

mod accounts;
mod calls;
mod files;
mod guilds;
mod invites;
mod moderation;
mod people;
mod reading;
mod settings;
mod stages;
mod text;
mod totals;

use voxhall_protocol::{ChannelId, UserId, control::ChannelKind};

use crate::*;

/// Runs the whole suite, each test on a fresh store.
///
/// # Panics
/// When the backend fails a test.
pub async fn run_all<S: Store>(fresh: impl Fn() -> S) {
    settings::run_all(&fresh).await;
    guilds::run_all(&fresh).await;
    accounts::run_all(&fresh).await;
    people::run_all(&fresh).await;
    calls::run_all(&fresh).await;
    stages::run_all(&fresh).await;
    invites::run_all(&fresh).await;
    moderation::run_all(&fresh).await;
    text::run_all(&fresh).await;
    reading::run_all(&fresh).await;
    files::run_all(&fresh).await;
    totals::run_all(&fresh).await;
}

/// A member, a text channel and a voice channel.
pub(crate) async fn room<S: Store>(store: &S) -> (UserId, ChannelId, ChannelId) {
    store.default_guild(new_guild("g")).await.unwrap();
    let ann = store
        .sign_up(by_invite(account("ann", 1), "g-invite"))
        .await
        .unwrap();
    let channels = store.guilds().await.unwrap().remove(0).channels;
    (ann.user.id, channels[0].id, channels[1].id)
}

pub(crate) fn new_guild(name: &str) -> NewGuild {
    let channel = |name: &str, kind, bitrate_bps| NewChannel {
        name: name.into(),
        kind,
        bitrate_bps,
    };
    NewGuild {
        name: name.into(),
        channels: vec![
            channel("general", ChannelKind::Text, 0),
            channel("lounge", ChannelKind::Voice, 64_000),
        ],
        invite_code: format!("{name}-invite"),
        owner_code: format!("{name}-owner"),
        now: 1,
    }
}

pub(crate) fn device(token: u8) -> NewDevice {
    NewDevice {
        family: [token; 16],
        token_sha256: [token; 32],
        label: "laptop".into(),
        now: 1,
    }
}

pub(crate) fn guest(name: &str, token: u8) -> SignUp {
    SignUp {
        name: name.into(),
        kind: NewUserKind::Guest,
        device: device(token),
        joins: FirstGuild::None,
        from: None,
        now: 1,
    }
}

pub(crate) fn account(name: &str, token: u8) -> SignUp {
    SignUp {
        kind: NewUserKind::Account {
            password_hash: "$hash".into(),
        },
        ..guest(name, token)
    }
}

pub(crate) fn by_invite(sign_up: SignUp, code: &str) -> SignUp {
    SignUp {
        joins: FirstGuild::Invite(code.into()),
        ..sign_up
    }
}
