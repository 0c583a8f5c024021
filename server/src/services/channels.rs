//! Channels and what they allow.

use voxhall_protocol::{
    ChannelId, GuildId,
    control::{
        Channel, ChannelKind, CreateChannel, DeleteChannel, Done, Failure, Overwrite,
        OverwriteTarget, ReorderChannels, SetOverwrite, UpdateChannel,
    },
    limits::{BITRATE_BPS, MAX_CHANNELS, MAX_SLOW_MODE_S, MAX_VOICE_PARTICIPANTS, TOPIC_CHARS},
    permissions::Permissions,
};
use voxhall_store::{Act, ChannelUpdate, Channels, NewChannel};

use super::{Caller, InChannel, Services, accounts::VOICE_BITRATE_BPS, texts};
use crate::{
    clock::unix_ms,
    live::Place,
    words::{
        self,
        guild::{self as refuse, forbidden},
    },
};

/// Ten years: who wants longer wants never.
const MAX_RETENTION_DAYS: u32 = 3_660;

impl Services {
    pub async fn create_channel(
        &self,
        caller: &Caller,
        params: CreateChannel,
    ) -> Result<Channel, Failure> {
        let guild = params.guild_id;
        match params.category_id {
            None => {
                self.in_guild(caller, guild, Permissions::MANAGE_CHANNELS)?;
            }
            Some(category) => {
                self.in_guild(caller, guild, Permissions::NONE)?;
                self.in_channel_of(caller, guild, category, Permissions::MANAGE_CHANNELS)?;
            }
        }
        let is_voice = params.kind.is_voice();
        if matches!(params.kind, ChannelKind::Direct | ChannelKind::Group) {
            return Err(words::invalid(
                "A guild has text, voice and stage channels, and categories.",
            ));
        }
        let new = NewChannel {
            name: texts::name(&params.name)?,
            kind: params.kind,
            bitrate_bps: if is_voice { VOICE_BITRATE_BPS } else { 0 },
        };
        let act = Act::new(caller.user, unix_ms());
        let created = self
            .store
            .create_channel(guild, new, params.category_id, act)
            .await;
        created.map_err(|error| refuse::channel(&error))
    }

    pub async fn update_channel(
        &self,
        caller: &Caller,
        params: UpdateChannel,
    ) -> Result<Channel, Failure> {
        let channel = params.channel_id;
        let (guild, at) = self.guild_channel(caller, channel, Permissions::MANAGE_CHANNELS)?;
        let update = checked(at.kind, params)?;
        let act = Act::new(caller.user, unix_ms());
        let updated = self.store.update_channel(guild, channel, update, act).await;
        updated.map_err(|error| refuse::channel(&error))
    }

    pub async fn delete_channel(
        &self,
        caller: &Caller,
        params: DeleteChannel,
    ) -> Result<Done, Failure> {
        let channel = params.channel_id;
        let (guild, _) = self.guild_channel(caller, channel, Permissions::MANAGE_CHANNELS)?;
        let act = Act::new(caller.user, unix_ms());
        let deleted = self.store.delete_channel(guild, channel, act).await;
        deleted.map_err(|error| refuse::channel(&error))?;
        Ok(Done {})
    }

    pub async fn reorder_channels(
        &self,
        caller: &Caller,
        params: ReorderChannels,
    ) -> Result<Done, Failure> {
        let guild = params.guild_id;
        self.in_guild(caller, guild, Permissions::MANAGE_CHANNELS)?;
        if params.channels.len() > MAX_CHANNELS {
            return Err(words::invalid("An order names each channel once."));
        }
        for place in &params.channels {
            let channel = place.channel_id;
            self.in_channel_of(caller, guild, channel, Permissions::NONE)?;
            let old = self.hub.read(|live| match live.place(channel) {
                Some(Place::Guild(_, channel)) => channel.category_id,
                _ => None,
            });
            if old != place.category_id {
                self.may_move(caller, guild, channel, [old, place.category_id])?;
            }
        }
        let act = Act::new(caller.user, unix_ms());
        let reordered = self
            .store
            .reorder_channels(guild, params.channels, act)
            .await;
        reordered.map_err(|error| refuse::channel(&error))?;
        Ok(Done {})
    }

    pub async fn set_overwrite(
        &self,
        caller: &Caller,
        params: SetOverwrite,
    ) -> Result<Channel, Failure> {
        let channel = params.channel_id;
        let (guild, at) = self.guild_channel(caller, channel, Permissions::MANAGE_ROLES)?;
        let rule = Overwrite {
            target: params.target,
            allow: params.allow,
            deny: params.deny,
        };
        let fitting = Permissions::of_kind(at.kind);
        let all = rule.allow.with(rule.deny);
        if rule.allow.intersects(rule.deny) || !fitting.contains(all) {
            return Err(words::invalid(&format!(
                "A rule allows or denies, and not both, what makes sense here: {}.",
                fitting.words()
            )));
        }
        let old = self.hub.read(|live| match live.place(channel) {
            Some(Place::Guild(_, channel)) => {
                let mut rules = channel.overwrites.iter();
                rules.find(|old| old.target == rule.target).copied()
            }
            _ => None,
        });
        self.may_rule(caller, guild, &at, &rule, old.as_ref())?;
        self.keeps_channel(caller, guild, channel, &rule)?;
        let act = Act::new(caller.user, unix_ms());
        let set = self.store.set_overwrite(guild, channel, rule, act).await;
        set.map_err(|error| refuse::channel(&error))
    }

    /// A channel of a guild: conversations are none.
    fn guild_channel(
        &self,
        caller: &Caller,
        channel: ChannelId,
        needs: Permissions,
    ) -> Result<(GuildId, InChannel), Failure> {
        let at = self.in_channel(caller, channel, Permissions::NONE)?;
        let guild = at.guild.ok_or_else(|| words::not_found("channel"))?;
        let at = self.in_channel(caller, channel, needs)?;
        Ok((guild, at))
    }

    /// Whoever moves a channel to another category changes what everyone may do in it, wherever these have rules.
    fn may_move(
        &self,
        caller: &Caller,
        guild: GuildId,
        channel: ChannelId,
        categories: [Option<ChannelId>; 2],
    ) -> Result<(), Failure> {
        let mut needs = Permissions::MANAGE_CHANNELS;
        for category in categories.into_iter().flatten() {
            let has_rules = self.hub.read(|live| {
                matches!(live.place(category), Some(Place::Guild(_, category)) if !category.overwrites.is_empty())
            });
            if has_rules {
                needs = needs.with(Permissions::MANAGE_ROLES);
            }
        }
        self.in_channel_of(caller, guild, channel, needs)?;
        if let [_, Some(new)] = categories {
            self.in_channel_of(caller, guild, new, Permissions::MANAGE_CHANNELS)?;
        }
        Ok(())
    }

    fn may_rule(
        &self,
        caller: &Caller,
        guild: GuildId,
        at: &InChannel,
        rule: &Overwrite,
        old: Option<&Overwrite>,
    ) -> Result<(), Failure> {
        let rank = match rule.target {
            OverwriteTarget::Role(role) => self.role_position(guild, role),
            OverwriteTarget::Member(user) if user == caller.user => None,
            OverwriteTarget::Member(user) => self.rank_of(guild, user),
        };
        if rank.is_some_and(|rank| rank >= at.rank) {
            return Err(forbidden(
                "You can make rules for roles below your own highest, and for members below you.",
            ));
        }
        let none = Permissions::NONE;
        let (allow, deny) = old.map_or((none, none), |old| (old.allow, old.deny));
        let changed = Permissions(allow.0 ^ rule.allow.0).with(Permissions(deny.0 ^ rule.deny.0));
        Self::has_what_they_give(at.permissions, changed)
    }
}

fn checked(kind: ChannelKind, params: UpdateChannel) -> Result<ChannelUpdate, Failure> {
    let fits = |fits: bool, what: &str| {
        if fits {
            Ok(())
        } else {
            Err(words::invalid(what))
        }
    };
    let of_text = params.slow_mode_s.is_some() || params.retention_days.is_some();
    fits(
        !of_text || kind.is_text(),
        "Only text channels have a slow mode and keep messages.",
    )?;
    let of_voice = params.user_limit.is_some() || params.bitrate_bps.is_some();
    fits(
        !of_voice || kind.is_voice(),
        "Only voice channels have a user limit and a bitrate.",
    )?;
    fits(
        params.slow_mode_s.is_none_or(|s| s <= MAX_SLOW_MODE_S),
        "Slow mode is 6 hours at most.",
    )?;
    fits(
        params
            .retention_days
            .is_none_or(|days| days <= MAX_RETENTION_DAYS),
        "Messages are kept for 10 years at most, or for good.",
    )?;
    let most = u32::try_from(MAX_VOICE_PARTICIPANTS).unwrap_or(u32::MAX);
    fits(
        params.user_limit.is_none_or(|limit| limit <= most),
        &format!("A voice channel takes {most} people at most."),
    )?;
    fits(
        params
            .bitrate_bps
            .is_none_or(|rate| BITRATE_BPS.contains(&rate)),
        "The bitrate is 8,000 to 510,000 bit/s.",
    )?;
    let topic = |topic: String| texts::text(&topic, TOPIC_CHARS, "A topic");
    Ok(ChannelUpdate {
        name: params.name.map(|name| texts::name(&name)).transpose()?,
        topic: params.topic.map(topic).transpose()?,
        slow_mode_s: params.slow_mode_s,
        retention_days: params.retention_days,
        user_limit: params.user_limit,
        bitrate_bps: params.bitrate_bps,
    })
}
