//! Whoever folds the changes of random histories has what is stored: nothing that changes a guild goes untold.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use proptest::prelude::*;
use voxhall_protocol::{
    ChannelId, GuildId, RoleId, UserId,
    control::{ChannelKind, ChannelPlace, Overwrite, OverwriteTarget},
    permissions::Permissions,
};
use voxhall_store::*;

type Told = BTreeMap<GuildId, GuildRecord>;

/// Something that is done, to things chosen by number among those there are, or beside them.
#[derive(Debug, Clone, Copy)]
struct Deed {
    what: u8,
    which: usize,
    other: usize,
    flag: bool,
}

const KINDS: u8 = 20;

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = (0..KINDS, 0..6_usize, 0..6_usize, any::<bool>());
    let deed = deed.prop_map(|(what, which, other, flag)| Deed {
        what,
        which,
        other,
        flag,
    });
    prop::collection::vec(deed, 1..60)
}

/// As the server's live state does.
fn fold(guilds: &mut Told, change: Change) {
    match change {
        Change::GuildCreated(record) => {
            guilds.insert(record.info.id, *record);
        }
        Change::GuildUpdated(info) => {
            let guild = guilds.get_mut(&info.id).unwrap();
            guild.info = info;
        }
        Change::GuildDeleted(guild) => {
            guilds.remove(&guild).unwrap();
        }
        Change::ChannelSaved { guild, channel } => {
            let channels = &mut guilds.get_mut(&guild).unwrap().channels;
            channels.retain(|old| old.id != channel.id);
            channels.push(channel);
        }
        Change::ChannelDeleted { guild, channel } => {
            let channels = &mut guilds.get_mut(&guild).unwrap().channels;
            channels.retain(|old| old.id != channel);
        }
        Change::RoleSaved { guild, role } => {
            let roles = &mut guilds.get_mut(&guild).unwrap().roles;
            roles.retain(|old| old.id != role.id);
            roles.push(role);
        }
        Change::RoleDeleted { guild, role } => {
            let guild = guilds.get_mut(&guild).unwrap();
            guild.roles.retain(|old| old.id != role);
            for member in &mut guild.members {
                member.roles.retain(|held| *held != role);
            }
            for channel in &mut guild.channels {
                let target = OverwriteTarget::Role(role);
                channel.overwrites.retain(|rule| rule.target != target);
            }
        }
        Change::MemberSaved { guild, member } => {
            let members = &mut guilds.get_mut(&guild).unwrap().members;
            members.retain(|old| old.user != member.user);
            members.push(member);
        }
        Change::MemberRemoved { guild, user, .. } => {
            let members = &mut guilds.get_mut(&guild).unwrap().members;
            members.retain(|old| old.user != user);
        }
        _ => {}
    }
}

/// In one order, whatever came first.
fn sorted(mut record: GuildRecord) -> GuildRecord {
    record.roles.sort_by_key(|role| role.id);
    record.channels.sort_by_key(|channel| channel.id);
    for channel in &mut record.channels {
        channel.overwrites.sort_by_key(|rule| rule.target);
    }
    record.members.sort_by_key(|member| member.user);
    record
}

struct World {
    store: SqliteStore,
    told: Arc<Mutex<Told>>,
    users: Vec<UserId>,
    now: i64,
}

impl World {
    async fn new() -> Self {
        let store = SqliteStore::in_memory().unwrap();
        let told = Arc::<Mutex<Told>>::default();
        let first = NewGuild {
            name: "first".into(),
            channels: Vec::new(),
            invite_code: "door".into(),
            owner_code: "throne".into(),
            now: 0,
        };
        store.default_guild(first).await.unwrap();
        let guilds = store.guilds().await.unwrap();
        told.lock()
            .unwrap()
            .extend(guilds.into_iter().map(|record| (record.info.id, record)));
        let folded = Arc::clone(&told);
        store.announce_to(move |changes| {
            let mut guilds = folded.lock().unwrap();
            changes
                .into_iter()
                .for_each(|change| fold(&mut guilds, change));
        });
        let mut users = Vec::new();
        for name in ["ann", "bob", "eve", "liz"] {
            let hash = "$hash".to_owned();
            let user = store.create_account(name.into(), hash, 0).await;
            users.push(user.unwrap().id);
        }
        Self {
            store,
            told,
            users,
            now: 1,
        }
    }

    /// Does it or is refused: both are fine.
    async fn does(&mut self, deed: Deed) {
        self.now += 1;
        let Deed {
            which, other, flag, ..
        } = deed;
        let user = self.users[which % self.users.len()];
        let act = Act::new(user, self.now);
        let guilds: Vec<_> = self.told.lock().unwrap().values().cloned().collect();
        let record = &guilds[other % guilds.len()];
        let guild = record.info.id;
        let pick = |ids: Vec<u64>, n: usize| ids.get(n).copied().unwrap_or(999);
        let channel_at = |n| ChannelId(pick(record.channels.iter().map(|c| c.id.0).collect(), n));
        let role_at = |n| RoleId(pick(record.roles.iter().map(|r| r.id.0).collect(), n));
        let category = flag.then(|| channel_at(other));
        let store = &self.store;
        match deed.what {
            0 => {
                let new = FoundGuild {
                    name: "new".into(),
                    owner: user,
                    channels: Vec::new(),
                    now: self.now,
                };
                store.create_guild(new).await.ok();
            }
            1 => drop(store.delete_guild(guild).await),
            2 => {
                let update = GuildUpdate {
                    name: Some(format!("g{which}")),
                    ..GuildUpdate::default()
                };
                store.update_guild(guild, update, act).await.ok();
            }
            3 => drop(store.transfer_guild(guild, user, act).await),
            4 | 5 => {
                let kind =
                    [ChannelKind::Category, ChannelKind::Text, ChannelKind::Voice][which % 3];
                let new = NewChannel {
                    name: format!("c{which}"),
                    kind,
                    bitrate_bps: 0,
                };
                store.create_channel(guild, new, category, act).await.ok();
            }
            6 => drop(store.delete_channel(guild, channel_at(which), act).await),
            7 => {
                let update = ChannelUpdate {
                    topic: Some(format!("t{other}")),
                    ..ChannelUpdate::default()
                };
                store
                    .update_channel(guild, channel_at(which), update, act)
                    .await
                    .ok();
            }
            8 => {
                let place = |n, category_id| ChannelPlace {
                    channel_id: channel_at(n),
                    category_id,
                };
                let places = vec![place(which, category), place(which + 1, None)];
                store.reorder_channels(guild, places, act).await.ok();
            }
            9 | 10 => {
                let target = if flag {
                    OverwriteTarget::Role(role_at(which))
                } else {
                    OverwriteTarget::Member(user)
                };
                let rule = Overwrite {
                    target,
                    allow: Permissions(other as u64 & 1),
                    deny: Permissions(other as u64 & 2),
                };
                store
                    .set_overwrite(guild, channel_at(other), rule, act)
                    .await
                    .ok();
            }
            11 | 12 => {
                let new = NewRole {
                    name: format!("r{which}"),
                    permissions: Permissions(which as u64),
                    color: None,
                };
                store.create_role(guild, new, act).await.ok();
            }
            13 => drop(store.delete_role(guild, role_at(which), act).await),
            14 => {
                let mut roles: Vec<_> = record.roles.iter().skip(1).map(|role| role.id).collect();
                let turns = which % roles.len().max(1);
                roles.rotate_left(turns);
                store.reorder_roles(guild, roles, act).await.ok();
            }
            15 => drop(
                store
                    .give_role(guild, user, role_at(other), flag, act)
                    .await,
            ),
            16 => {
                // The door leads to the first guild only.
                store.redeem_invite("door", user, None, self.now).await.ok();
            }
            17 => drop(store.leave_guild(guild, user).await),
            18 => {
                let until = flag.then_some(self.now + 9);
                store.time_out_member(guild, user, until, act).await.ok();
            }
            _ => {
                if flag {
                    store.kick_member(guild, user, act).await.ok();
                } else {
                    let throne = store.redeem_invite("throne", user, None, self.now);
                    throne.await.ok();
                }
            }
        }
    }

    async fn agrees(&self) -> Result<(), TestCaseError> {
        let stored = self.store.guilds().await.unwrap();
        let stored: Vec<_> = stored.into_iter().map(sorted).collect();
        let told = self.told.lock().unwrap().clone();
        let told: Vec<_> = told.into_values().map(sorted).collect();
        prop_assert_eq!(told, stored);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_is_told_is_what_is_stored(deeds in deeds()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for deed in deeds {
                world.does(deed).await;
                world.agrees().await?;
            }
            world.store.close().await;
            Ok::<_, TestCaseError>(())
        })?;
    }
}
