//! What moderators did, as far as whoever asks may know of it.

use voxhall_protocol::{
    GuildId, UserId,
    control::{AuditAction, AuditEntry, AuditPage, Failure, ListAudit, UnixMs},
    limits::PAGE,
    permissions::Permissions,
};
use voxhall_store::{Audit, AuditFilter};

use super::{Caller, Services};
use crate::{clock::unix_ms, live::Live, words};

/// Pages of the store that are read for one answer: the entries of hidden channels fill none.
const MAX_READS: usize = 40;

impl Services {
    /// Without what happened in channels that the caller doesn't see.
    pub async fn list_audit(
        &self,
        caller: &Caller,
        params: ListAudit,
    ) -> Result<AuditPage, Failure> {
        let guild = params.guild_id;
        let mut before = params.before;
        let mut entries = Vec::new();
        for _ in 0..MAX_READS {
            self.in_guild(caller, guild, Permissions::VIEW_AUDIT_LOG)?;
            let filter = AuditFilter {
                before,
                action: params.action,
                by: params.by,
            };
            let page = self.store.audit_page(guild, filter, PAGE).await;
            let page = page.map_err(|error| words::store(&error))?;
            before = page.entries.last().map(|entry| entry.id).or(before);
            let told = page.entries.into_iter();
            self.hub.read(|live| {
                entries.extend(
                    told.filter_map(|entry| told_to(live, guild, caller.user, unix_ms(), entry)),
                );
            });
            if entries.len() >= PAGE as usize || !page.more {
                let more = page.more || entries.len() > PAGE as usize;
                entries.truncate(PAGE as usize);
                return Ok(AuditPage { entries, more });
            }
        }
        // An empty page would name no entry to go on from.
        let more = !entries.is_empty();
        Ok(AuditPage { entries, more })
    }
}

/// An entry without what this member may not know. None: all of it is hidden from them.
fn told_to(
    live: &Live,
    guild: GuildId,
    user: UserId,
    now_ms: UnixMs,
    mut entry: AuditEntry,
) -> Option<AuditEntry> {
    let rights = live.rights_in_guild(guild, user, now_ms)?;
    // Of a channel that is gone nobody can tell any more who saw it.
    let of_gone = rights.contains(Permissions::MANAGE_CHANNELS);
    if let Some(channel) = entry.channel_id {
        let sees = match live.place(channel) {
            Some(_) => live.rights_in_channel(channel, user, now_ms).is_some(),
            None => of_gone,
        };
        if !sees {
            return None;
        }
    }
    // From where someone was moved, and of which category a channel is or was.
    for change in &mut entry.changes {
        if matches!(change.field.as_str(), "channel" | "category") {
            for words in [&mut change.before, &mut change.after] {
                words.take_if(|words| {
                    let name = words.strip_prefix('#').unwrap_or(words);
                    !live.sees_one_called(guild, user, name).unwrap_or(of_gone)
                });
            }
        }
    }
    let is_invite = matches!(
        entry.action,
        AuditAction::InviteCreated | AuditAction::InviteRevoked
    );
    if is_invite && !rights.contains(Permissions::MANAGE_GUILD) {
        entry.target.clear();
    }
    Some(entry)
}
