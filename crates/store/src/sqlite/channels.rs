//! Channels of guilds, and what they allow.

use std::collections::BTreeMap;

use voxhall_protocol::{
    ChannelId, GuildId,
    control::{AuditAction, Channel, ChannelKind, ChannelPlace, Overwrite, OverwriteTarget, Role},
    limits::{MAX_CHANNELS, MAX_OVERWRITES},
    permissions::Permissions,
};

use super::{
    SqliteStore, audit, guilds, members,
    users::{id, to_sql, user_by_id},
    writer::WriteTx,
};
use crate::{
    Act, AuditRecord, Change, ChannelError, ChannelUpdate, Channels, NewChannel, StoreError,
};

impl Channels for SqliteStore {
    async fn create_channel(
        &self,
        guild: GuildId,
        new: NewChannel,
        category: Option<ChannelId>,
        act: Act,
    ) -> Result<Channel, ChannelError> {
        self.write(move |tx| create(tx, guild, new, category, &act))
            .await
    }

    async fn update_channel(
        &self,
        guild: GuildId,
        channel: ChannelId,
        update: ChannelUpdate,
        act: Act,
    ) -> Result<Channel, ChannelError> {
        self.write(move |tx| self::update(tx, guild, channel, update, &act))
            .await
    }

    async fn delete_channel(
        &self,
        guild: GuildId,
        channel: ChannelId,
        act: Act,
    ) -> Result<(), ChannelError> {
        self.write(move |tx| delete(tx, guild, channel, &act)).await
    }

    async fn reorder_channels(
        &self,
        guild: GuildId,
        places: Vec<ChannelPlace>,
        act: Act,
    ) -> Result<(), ChannelError> {
        self.write(move |tx| reorder(tx, guild, &places, &act))
            .await
    }

    async fn set_overwrite(
        &self,
        guild: GuildId,
        channel: ChannelId,
        overwrite: Overwrite,
        act: Act,
    ) -> Result<Channel, ChannelError> {
        self.write(move |tx| overwrite_one(tx, guild, channel, overwrite, &act))
            .await
    }
}

fn create(
    tx: &WriteTx<'_>,
    guild: GuildId,
    new: NewChannel,
    category: Option<ChannelId>,
    act: &Act,
) -> Result<Channel, ChannelError> {
    guild_is_there(tx, guild)?;
    let channels = guilds::read_channels(tx, guild)?;
    if channels.len() >= MAX_CHANNELS {
        return Err(ChannelError::TooMany);
    }
    check_category(&channels, new.kind, category)?;
    let mut channel = Channel::new(ChannelId(0), new.name, new.kind);
    channel.bitrate_bps = new.bitrate_bps;
    channel.category_id = category;
    channel.position = behind(&channels, category);
    let number = tx
        .prepare_cached(
            "INSERT INTO channels (guild_id, name, kind, position, category_id, bitrate_bps) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
        )?
        .query_row(
            (
                to_sql(guild.0),
                &channel.name,
                guilds::kind_text(channel.kind),
                channel.position,
                category.map(|category| to_sql(category.0)),
                channel.bitrate_bps,
            ),
            |row| id(row, 0),
        )?;
    channel.id = ChannelId(number);
    let record = AuditRecord::new(AuditAction::ChannelCreated, words(&channel))
        .channel(channel.id)
        .change(
            "kind",
            None,
            Some(guilds::kind_text(channel.kind).to_owned()),
        )
        .change("category", None, name_of(&channels, category));
    audit::record(tx, guild, act, &record)?;
    saved(tx, guild, &channel);
    Ok(channel)
}

fn update(
    tx: &WriteTx<'_>,
    guild: GuildId,
    channel: ChannelId,
    update: ChannelUpdate,
    act: &Act,
) -> Result<Channel, ChannelError> {
    let before = find(&guilds::read_channels(tx, guild)?, channel)?.clone();
    let mut after = before.clone();
    after.name = update.name.unwrap_or(after.name);
    after.topic = update.topic.unwrap_or(after.topic);
    after.slow_mode_s = update.slow_mode_s.unwrap_or(after.slow_mode_s);
    after.retention_days = update.retention_days.unwrap_or(after.retention_days);
    after.user_limit = update.user_limit.unwrap_or(after.user_limit);
    after.bitrate_bps = update.bitrate_bps.unwrap_or(after.bitrate_bps);
    if before == after {
        return Ok(after);
    }
    tx.prepare_cached(
        "UPDATE channels SET name = ?2, topic = ?3, slow_mode_s = ?4, retention_days = ?5, user_limit = ?6, bitrate_bps = ?7 WHERE id = ?1",
    )?
    .execute((
        to_sql(channel.0),
        &after.name,
        &after.topic,
        after.slow_mode_s,
        after.retention_days,
        after.user_limit,
        after.bitrate_bps,
    ))?;
    let number = |number: u32| Some(number.to_string());
    let record = AuditRecord::new(AuditAction::ChannelUpdated, words(&before))
        .channel(channel)
        .change("name", Some(before.name), Some(after.name.clone()))
        .change("topic", Some(before.topic), Some(after.topic.clone()))
        .change(
            "slow mode, seconds",
            number(before.slow_mode_s),
            number(after.slow_mode_s),
        )
        .change(
            "messages kept, days",
            number(before.retention_days),
            number(after.retention_days),
        )
        .change(
            "user limit",
            number(before.user_limit),
            number(after.user_limit),
        )
        .change(
            "bitrate, bit/s",
            number(before.bitrate_bps),
            number(after.bitrate_bps),
        );
    audit::record(tx, guild, act, &record)?;
    saved(tx, guild, &after);
    Ok(after)
}

fn delete(
    tx: &WriteTx<'_>,
    guild: GuildId,
    channel: ChannelId,
    act: &Act,
) -> Result<(), ChannelError> {
    let mut channels = guilds::read_channels(tx, guild)?;
    let gone = find(&channels, channel)?.clone();
    let first = behind(&channels, None);
    let inside = channels
        .iter_mut()
        .filter(|inside| inside.category_id == Some(channel));
    for (position, inside) in (first..).zip(inside) {
        inside.category_id = None;
        inside.position = position;
        let overwrites = without_category(&inside.overwrites, &gone.overwrites);
        write_overwrites(tx, inside.id, &inside.overwrites, &overwrites)?;
        inside.overwrites = overwrites;
        write_place(tx, inside)?;
        saved(tx, guild, inside);
    }
    tx.prepare_cached("DELETE FROM channels WHERE id = ?1")?
        .execute([to_sql(channel.0)])?;
    let record = AuditRecord::new(AuditAction::ChannelDeleted, words(&gone)).channel(channel);
    audit::record(tx, guild, act, &record)?;
    tx.changed(Change::ChannelDeleted { guild, channel });
    Ok(())
}

/// The rules of a channel whose category goes. They deny at least what both together denied: a rule of the category stays unless the
/// channel's own rule for the same role or member says otherwise, but what it allowed is only kept where the channel denies that to nobody.
fn without_category(own: &[Overwrite], category: &[Overwrite]) -> Vec<Overwrite> {
    let denied = own
        .iter()
        .fold(Permissions::NONE, |all, rule| all.with(rule.deny));
    let mut merged: BTreeMap<OverwriteTarget, Overwrite> =
        own.iter().map(|rule| (rule.target, *rule)).collect();
    for rule in category {
        let nothing = Overwrite {
            target: rule.target,
            allow: Permissions::NONE,
            deny: Permissions::NONE,
        };
        let own = merged.entry(rule.target).or_insert(nothing);
        own.deny = own.deny.with(rule.deny.without(own.allow));
        own.allow = own.allow.with(rule.allow.without(denied).without(own.deny));
    }
    merged.retain(|_, rule| !is_nothing(rule));
    merged.into_values().collect()
}

fn reorder(
    tx: &WriteTx<'_>,
    guild: GuildId,
    places: &[ChannelPlace],
    act: &Act,
) -> Result<(), ChannelError> {
    let before = guilds::read_channels(tx, guild)?;
    let mut order = Vec::with_capacity(before.len());
    let mut left: BTreeMap<_, _> = before.iter().map(|channel| (channel.id, channel)).collect();
    for place in places {
        let channel = left
            .remove(&place.channel_id)
            .ok_or(ChannelError::NoChannel)?;
        check_category(&before, channel.kind, place.category_id)?;
        order.push((channel, place.category_id));
    }
    let rest = before
        .iter()
        .filter(|channel| left.contains_key(&channel.id));
    order.extend(rest.map(|channel| (channel, channel.category_id)));

    let mut next = BTreeMap::<Option<ChannelId>, u32>::new();
    for (old, category) in order {
        let position = next.entry(category).or_default();
        let mut channel = old.clone();
        channel.category_id = category;
        channel.position = *position;
        *position += 1;
        if channel == *old {
            continue;
        }
        write_place(tx, &channel)?;
        let number = |position: u32| Some((position + 1).to_string());
        let record = AuditRecord::new(AuditAction::ChannelUpdated, words(old))
            .channel(channel.id)
            .change(
                "category",
                name_of(&before, old.category_id),
                name_of(&before, category),
            )
            .change("position", number(old.position), number(channel.position));
        // That others made room is no news.
        if places.iter().any(|place| place.channel_id == channel.id) {
            audit::record(tx, guild, act, &record)?;
        }
        saved(tx, guild, &channel);
    }
    Ok(())
}

fn overwrite_one(
    tx: &WriteTx<'_>,
    guild: GuildId,
    channel: ChannelId,
    rule: Overwrite,
    act: &Act,
) -> Result<Channel, ChannelError> {
    let mut channel = find(&guilds::read_channels(tx, guild)?, channel)?.clone();
    let roles = guilds::read_roles(tx, guild)?;
    let target = target_words(tx, guild, &roles, rule.target)?;
    let old = channel
        .overwrites
        .iter()
        .find(|old| old.target == rule.target)
        .copied();
    let Some(target) = target.or_else(|| old.map(|_| "someone who left".to_owned())) else {
        return Err(ChannelError::NoTarget);
    };
    let mut overwrites = channel.overwrites.clone();
    overwrites.retain(|old| old.target != rule.target);
    if !is_nothing(&rule) {
        if old.is_none() && overwrites.len() >= MAX_OVERWRITES {
            return Err(ChannelError::TooManyOverwrites);
        }
        overwrites.push(rule);
    }
    write_overwrites(tx, channel.id, &channel.overwrites, &overwrites)?;
    channel.overwrites = overwrites;
    let mut record = AuditRecord::new(
        AuditAction::OverwriteChanged,
        format!("{target} in {}", words(&channel)),
    )
    .channel(channel.id);
    if let OverwriteTarget::Member(user) = rule.target {
        record = record.user(user);
    }
    for (permission, _, name) in Permissions::EACH {
        let says = |rule: Option<&Overwrite>| {
            let rule = rule?;
            if rule.allow.contains(*permission) {
                Some("allowed".to_owned())
            } else {
                rule.deny.contains(*permission).then(|| "denied".to_owned())
            }
        };
        record = record.change(*name, says(old.as_ref()), says(Some(&rule)));
    }
    if !record.changes.is_empty() {
        audit::record(tx, guild, act, &record)?;
        saved(tx, guild, &channel);
    }
    Ok(channel)
}

/// None: not of this guild.
fn target_words(
    tx: &WriteTx<'_>,
    guild: GuildId,
    roles: &[Role],
    target: OverwriteTarget,
) -> Result<Option<String>, StoreError> {
    match target {
        OverwriteTarget::Role(id) => Ok(roles.iter().find(|role| role.id == id).map(role_words)),
        OverwriteTarget::Member(user) if members::is_member(tx, guild, user)? => {
            Ok(Some(user_by_id(tx, user)?.name))
        }
        OverwriteTarget::Member(_) => Ok(None),
    }
}

pub(super) fn role_words(role: &Role) -> String {
    if role.position == 0 {
        return "@everyone".to_owned();
    }
    role.name.clone()
}

fn write_overwrites(
    tx: &WriteTx<'_>,
    channel: ChannelId,
    before: &[Overwrite],
    after: &[Overwrite],
) -> Result<(), StoreError> {
    for old in before.iter().filter(|old| !after.contains(old)) {
        let (role, user) = columns(old.target);
        tx.prepare_cached(
            "DELETE FROM overwrites WHERE channel_id = ?1 AND role_id IS ?2 AND user_id IS ?3",
        )?
        .execute((to_sql(channel.0), role, user))?;
    }
    for new in after.iter().filter(|new| !before.contains(new)) {
        let (role, user) = columns(new.target);
        tx.prepare_cached(
            "INSERT INTO overwrites (channel_id, role_id, user_id, allow, deny) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            to_sql(channel.0),
            role,
            user,
            new.allow.0.cast_signed(),
            new.deny.0.cast_signed(),
        ))?;
    }
    Ok(())
}

/// Role and user.
fn columns(target: OverwriteTarget) -> (Option<i64>, Option<i64>) {
    match target {
        OverwriteTarget::Role(role) => (Some(to_sql(role.0)), None),
        OverwriteTarget::Member(user) => (None, Some(to_sql(user.0))),
    }
}

fn write_place(tx: &WriteTx<'_>, channel: &Channel) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE channels SET category_id = ?2, position = ?3 WHERE id = ?1")?
        .execute((
            to_sql(channel.id.0),
            channel.category_id.map(|category| to_sql(category.0)),
            channel.position,
        ))?;
    Ok(())
}

fn saved(tx: &WriteTx<'_>, guild: GuildId, channel: &Channel) {
    let channel = channel.clone();
    tx.changed(Change::ChannelSaved { guild, channel });
}

fn guild_is_there(tx: &WriteTx<'_>, guild: GuildId) -> Result<(), ChannelError> {
    let there = tx
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM guilds WHERE id = ?1)")?
        .query_row([to_sql(guild.0)], |row| row.get(0))?;
    if there {
        Ok(())
    } else {
        Err(ChannelError::NoGuild)
    }
}

fn find(channels: &[Channel], id: ChannelId) -> Result<&Channel, ChannelError> {
    let found = channels.iter().find(|channel| channel.id == id);
    found.ok_or(ChannelError::NoChannel)
}

fn check_category(
    channels: &[Channel],
    kind: ChannelKind,
    category: Option<ChannelId>,
) -> Result<(), ChannelError> {
    let Some(category) = category else {
        return Ok(());
    };
    let is_category = |channel: &Channel| channel.kind == ChannelKind::Category;
    if !find(channels, category).is_ok_and(is_category) {
        return Err(ChannelError::NoCategory);
    }
    if kind == ChannelKind::Category {
        return Err(ChannelError::Nested);
    }
    Ok(())
}

/// The first free place of a category.
fn behind(channels: &[Channel], category: Option<ChannelId>) -> u32 {
    let inside = channels
        .iter()
        .filter(|channel| channel.category_id == category);
    inside
        .map(|channel| channel.position + 1)
        .max()
        .unwrap_or(0)
}

fn name_of(channels: &[Channel], category: Option<ChannelId>) -> Option<String> {
    let category = category?;
    let found = channels.iter().find(|channel| channel.id == category);
    found.map(|category| category.name.clone())
}

fn words(channel: &Channel) -> String {
    match channel.kind {
        ChannelKind::Category => format!("category {}", channel.name),
        _ => format!("#{}", channel.name),
    }
}

fn is_nothing(rule: &Overwrite) -> bool {
    rule.allow == Permissions::NONE && rule.deny == Permissions::NONE
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use voxhall_protocol::{
        RoleId, UserId,
        permissions::{Layer, Subject, decide},
    };

    use super::*;

    fn rules() -> impl Strategy<Value = Vec<Overwrite>> {
        let targets = [
            OverwriteTarget::Role(RoleId(0)),
            OverwriteTarget::Role(RoleId(1)),
            OverwriteTarget::Role(RoleId(2)),
            OverwriteTarget::Member(UserId(7)),
        ];
        prop::array::uniform4((0..8_u64, 0..8_u64)).prop_map(move |bits| {
            let rule = |(target, (allow, deny)): (_, (u64, u64))| Overwrite {
                target,
                allow: Permissions(allow & !deny),
                deny: Permissions(deny),
            };
            let rules = targets.into_iter().zip(bits).map(rule);
            rules.filter(|rule| !is_nothing(rule)).collect()
        })
    }

    proptest! {
        #[test]
        fn nobody_sees_more_when_a_category_goes(
            own in rules(), category in rules(), given in 0..8_u64, has in prop::array::uniform2(any::<bool>()),
        ) {
            let role = |id: u64, permissions| Role {
                id: RoleId(id),
                name: String::new(),
                color: None,
                position: u32::try_from(id).unwrap(),
                permissions: Permissions(permissions),
                hoist: false,
                mentionable: false,
            };
            let all = [role(0, given), role(1, 0), role(2, 0)];
            let roles: Vec<_> = all.iter().filter(|r| r.position == 0 || has[r.position as usize - 1]).collect();
            let subject = Subject {
                user: Some(UserId(7)),
                is_owner: false,
                timed_out_until_ms: None,
                roles: &roles,
            };
            let merged = without_category(&own, &category);
            let layer = |overwrites| Layer { name: "", kind: ChannelKind::Text, overwrites };
            let before = decide(&subject, &[layer(category.as_slice()), layer(own.as_slice())]);
            let after = decide(&subject, &[layer(merged.as_slice())]);
            prop_assert!(before.contains(after), "{before:?} {after:?}");
        }
    }
}
