//! Who stands above whom, and who would shut themselves out. The rules of [ADR 0013](../../../docs/adr/0013-permissions.md):
//! nobody acts on someone of equal or higher rank, on a role that isn't below their own highest, or with a right that they don't have.

use voxhall_protocol::{
    ChannelId, GuildId, RoleId, UserId,
    control::{Failure, Overwrite, Role},
    permissions::{Layer, Permissions, Subject, decide},
};

use super::{Caller, InGuild, Services};
use crate::{
    clock::unix_ms,
    live::Place,
    words::{self, guild::forbidden},
};

/// What is to become of the caller's roles.
pub(super) enum Plan<'a> {
    /// This one as it would be.
    Changed(&'a Role),
    Gone(RoleId),
    /// All that they would have, but for @everyone.
    Held(&'a [RoleId]),
}

impl Services {
    /// # Errors
    /// `not_found` unless the target is a member, `forbidden` unless the caller stands above them.
    pub(super) fn outranks(
        &self,
        caller: &Caller,
        at: &InGuild,
        guild: GuildId,
        target: UserId,
    ) -> Result<(), Failure> {
        let rank = self
            .rank_of(guild, target)
            .ok_or_else(|| words::not_found("member"))?;
        if target == caller.user {
            return Err(forbidden("You can't do this to yourself."));
        }
        if rank >= at.rank {
            return Err(forbidden(
                "You can't do this to someone whose highest role stands as high as yours or higher.",
            ));
        }
        Ok(())
    }

    /// # Errors
    /// `not_found` for a role that this guild doesn't have, `forbidden` for one that isn't below the caller's highest.
    pub(super) fn role_below(
        &self,
        at: &InGuild,
        guild: GuildId,
        role: RoleId,
    ) -> Result<Role, Failure> {
        let role = self
            .hub
            .read(|live| live.role(guild, role).cloned())
            .ok_or_else(|| words::not_found("role"))?;
        if role.position >= at.rank {
            return Err(forbidden(
                "This role isn't below your own highest role, so it isn't yours to change or give.",
            ));
        }
        Ok(role)
    }

    /// # Errors
    /// `forbidden` if the caller would no longer manage roles.
    pub(super) fn keeps_roles(
        &self,
        caller: &Caller,
        guild: GuildId,
        plan: &Plan<'_>,
    ) -> Result<(), Failure> {
        let keeps = self.hub.read(|live| {
            live.judge(guild, caller.user, None, unix_ms(), |subject, _| {
                let all = live.roles(guild);
                let roles: Vec<&Role> = match plan {
                    Plan::Changed(new) => {
                        let held = subject.roles.iter();
                        held.map(|role| if role.id == new.id { *new } else { *role })
                            .collect()
                    }
                    Plan::Gone(gone) => {
                        let held = subject.roles.iter().copied();
                        held.filter(|role| role.id != *gone).collect()
                    }
                    Plan::Held(new) => {
                        let held = |role: &&Role| role.position == 0 || new.contains(&role.id);
                        all.iter().filter(held).collect()
                    }
                };
                let then = Subject {
                    roles: &roles,
                    ..*subject
                };
                decide(&then, &[]).contains(Permissions::MANAGE_ROLES)
            })
        });
        if keeps == Some(true) {
            return Ok(());
        }
        Err(locks_out())
    }

    /// # Errors
    /// `forbidden` if the caller would no longer see the channel or change its rules.
    pub(super) fn keeps_channel(
        &self,
        caller: &Caller,
        guild: GuildId,
        channel: ChannelId,
        plan: &Overwrite,
    ) -> Result<(), Failure> {
        let keeps = self.hub.read(|live| {
            live.judge(
                guild,
                caller.user,
                Some(channel),
                unix_ms(),
                |subject, layers| {
                    let Some((own, category)) = layers.split_last() else {
                        return false;
                    };
                    let mut overwrites = own.overwrites.to_vec();
                    overwrites.retain(|rule| rule.target != plan.target);
                    overwrites.push(*plan);
                    let own = Layer {
                        overwrites: &overwrites,
                        ..*own
                    };
                    let layers: Vec<_> = category.iter().copied().chain([own]).collect();
                    let needed = Permissions::VIEW_CHANNEL.with(Permissions::MANAGE_ROLES);
                    decide(subject, &layers).contains(needed)
                },
            )
        });
        if keeps == Some(true) {
            return Ok(());
        }
        Err(locks_out())
    }

    /// A channel of this guild that the caller sees, with a right there.
    ///
    /// # Errors
    /// `not_found` for a channel that isn't there, isn't seen, or is of another guild or of none.
    pub(super) fn in_channel_of(
        &self,
        caller: &Caller,
        guild: GuildId,
        channel: ChannelId,
        needs: Permissions,
    ) -> Result<super::InChannel, Failure> {
        let is_there = self
            .hub
            .read(|live| matches!(live.place(channel), Some(Place::Guild(of, _)) if of == guild));
        if !is_there {
            return Err(words::not_found("channel"));
        }
        self.in_channel(caller, channel, needs)
    }

    /// # Errors
    /// `forbidden` if a right is given or taken that the caller doesn't have.
    pub(super) fn has_what_they_give(has: Permissions, given: Permissions) -> Result<(), Failure> {
        let lacking = given.and(Permissions::ALL).without(has);
        if lacking == Permissions::NONE {
            return Ok(());
        }
        Err(forbidden(&format!(
            "Nobody can give or take a right that they don't have themselves. You don't have: {}.",
            lacking.words()
        )))
    }
}

fn locks_out() -> Failure {
    forbidden(
        "With this you would shut yourself out: you could no longer see this or take it back. Ask the owner, or someone above you.",
    )
}
