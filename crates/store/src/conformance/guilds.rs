//! Guilds.

use voxhall_protocol::control::ChannelKind;

use super::*;

pub async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    the_default_guild_is_made_once(&fresh()).await;
}

async fn the_default_guild_is_made_once<S: Store>(store: &S) {
    let first = store.default_guild(new_guild("one")).await.unwrap();
    assert_eq!(first.invite_code, "one-invite");
    assert_eq!(first.owner_code.as_deref(), Some("one-owner"));
    assert_eq!(store.default_guild(new_guild("two")).await.unwrap(), first);
    let guilds = store.guilds().await.unwrap();
    assert_eq!(guilds.len(), 1);
    assert_eq!(guilds[0].info.name, "one");
    let channels: Vec<_> = guilds[0]
        .channels
        .iter()
        .map(|c| (c.name.as_str(), c.kind, c.bitrate_bps))
        .collect();
    assert_eq!(
        channels,
        [
            ("general", ChannelKind::Text, 0),
            ("lounge", ChannelKind::Voice, 64_000)
        ]
    );
}
