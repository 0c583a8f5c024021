//! What moderators do to people in voice.

use voxhall_protocol::{
    ChannelId, GuildId, UserId,
    control::{
        AuditAction, AuditChange, DisconnectVoice, Done, Failure, FailureKind, Member,
        ModerateVoice, MoveVoice,
    },
    permissions::Permissions,
};
use voxhall_store::{Act, Audit, AuditRecord, Members};

use super::{Caller, Services};
use crate::{
    clock::unix_ms,
    live::{Place, not_in_voice},
    words,
};

impl Services {
    /// Mutes or deafens someone in all of a guild; live voice follows before this returns.
    pub async fn moderate_voice(
        &self,
        caller: &Caller,
        params: ModerateVoice,
    ) -> Result<Member, Failure> {
        let ModerateVoice {
            guild_id: guild,
            user_id: user,
            muted,
            deafened,
        } = params;
        let needs = [
            muted.map(|_| Permissions::MUTE_MEMBERS),
            deafened.map(|_| Permissions::DEAFEN_MEMBERS),
        ];
        let needs = (needs.into_iter().flatten()).fold(Permissions::NONE, Permissions::with);
        let at = self.in_guild(caller, guild, needs)?;
        self.outranks(caller, &at, guild, user)?;
        let act = Act::new(caller.user, unix_ms());
        let moderated = (self.store)
            .moderate_voice(guild, user, muted, deafened, act)
            .await;
        moderated.map_err(|error| words::guild::member(&error))?;
        self.member_view(guild, user)
    }

    /// Sends someone to another voice channel, into which they must be allowed themselves.
    pub async fn move_voice(&self, caller: &Caller, params: MoveVoice) -> Result<Done, Failure> {
        let (guild, user, to) = (params.guild_id, params.user_id, params.channel_id);
        let from = self.voice_to_moderate(caller, guild, user)?;
        self.in_channel(caller, to, Permissions::MOVE_MEMBERS)?;
        self.hub
            .act(|live, now, _| live.may_be_moved(guild, user, (from, to), now))?;
        let change = AuditChange {
            field: "channel".to_owned(),
            before: self.channel_words(from),
            after: self.channel_words(to),
        };
        let action = AuditAction::VoiceMoved;
        self.write_down(caller, guild, user, to, action, vec![change])
            .await?;
        self.hub
            .act(|live, now, out| live.move_voice(guild, user, (from, to), now, out))?;
        Ok(Done {})
    }

    pub async fn disconnect_voice(
        &self,
        caller: &Caller,
        params: DisconnectVoice,
    ) -> Result<Done, Failure> {
        let (guild, user) = (params.guild_id, params.user_id);
        let from = self.voice_to_moderate(caller, guild, user)?;
        let action = AuditAction::VoiceDisconnected;
        self.write_down(caller, guild, user, from, action, Vec::new())
            .await?;
        self.hub
            .act(|live, now, out| live.disconnect_voice(guild, user, from, now, out))?;
        Ok(Done {})
    }

    /// The voice channel that someone is in, out of which the caller may take them.
    fn voice_to_moderate(
        &self,
        caller: &Caller,
        guild: GuildId,
        user: UserId,
    ) -> Result<ChannelId, Failure> {
        let at = self.in_guild(caller, guild, Permissions::NONE)?;
        let from = self
            .hub
            .read(|live| live.voice_channel(guild, user))
            .ok_or_else(not_in_voice)?;
        let may = self.in_channel(caller, from, Permissions::MOVE_MEMBERS);
        // Where the caller doesn't see the channel, they don't learn that someone is there.
        may.map_err(|failure| match failure.kind() {
            FailureKind::NotFound => not_in_voice(),
            _ => failure,
        })?;
        self.outranks(caller, &at, guild, user)?;
        Ok(from)
    }

    /// Before it is done: nothing is done of which the log says nothing.
    async fn write_down(
        &self,
        caller: &Caller,
        guild: GuildId,
        user: UserId,
        channel: ChannelId,
        action: AuditAction,
        changes: Vec<AuditChange>,
    ) -> Result<(), Failure> {
        let name = (self.hub).read(|live| live.user(user).map(|user| user.name.clone()));
        let record = AuditRecord {
            user: Some(user),
            channel: Some(channel),
            changes,
            ..AuditRecord::new(action, name.unwrap_or_default())
        };
        let act = Act::new(caller.user, unix_ms());
        let written = self.store.record_audit(guild, record, act).await;
        written.map_err(|error| words::store(&error))
    }

    fn channel_words(&self, channel: ChannelId) -> Option<String> {
        self.hub.read(|live| match live.place(channel)? {
            Place::Guild(_, channel) => Some(format!("#{}", channel.name)),
            Place::Conversation(_) => None,
        })
    }
}
