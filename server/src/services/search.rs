//! Full-text search.

use voxhall_protocol::{
    ChannelId, UserId,
    control::{Failure, SearchMessages, SearchPage},
    limits::{HISTORY_PAGE_BYTES, PAGE, QUERY_CHARS},
    permissions::Permissions,
};
use voxhall_store::{Messages, Search, StoreError};

use super::{Budget, Caller, Services, messages::json_bytes, query};
use crate::{clock::unix_ms, words};

impl Services {
    /// Only in channels that the caller may read, whatever is asked for.
    pub async fn search_messages(
        &self,
        caller: &Caller,
        params: SearchMessages,
    ) -> Result<SearchPage, Failure> {
        self.budgets.take(Budget::Searches, caller.user)?;
        if !QUERY_CHARS.contains(&params.query.chars().count()) {
            return Err(words::invalid("A search has 1 to 256 characters."));
        }
        if let Some(guild) = params.guild_id {
            self.in_guild(caller, guild, Permissions::NONE)?;
        }
        let guild = match params.channel_id {
            Some(channel) => {
                self.in_channel(caller, channel, Permissions::VIEW_CHANNEL)?
                    .guild
            }
            None => params.guild_id,
        };
        let query =
            query::parse(&params.query).map_err(|error| words::invalid(&error.to_string()))?;
        let running = self.searches.begin(caller.user).await?;
        let (channels, from) = self.hub.read(|live| {
            let from = (!query.from.is_empty()).then(|| {
                let mut from = live.called(caller.user, guild, &query.from);
                from.extend(
                    query
                        .from
                        .iter()
                        .filter_map(|name| mentioned(name, "<@"))
                        .map(UserId),
                );
                from
            });
            let readable = live.readable(caller.user, guild);
            (within(readable, params.channel_id, &query.places), from)
        });
        let search = Search {
            reader: caller.user,
            channels,
            terms: query.terms,
            from,
            sent_before: query.sent_before,
            sent_since: query.sent_since,
            has: query.has,
            before: params.before,
            limit: PAGE,
        };
        // Goes on when the caller is gone: it keeps the thread busy until it ends.
        let store = self.store.clone();
        let searching = tokio::spawn(async move {
            let found = store.search_messages(search).await;
            drop(running);
            found
        });
        let found = searching.await.unwrap_or(Err(StoreError::Closed));
        let (mut found, mut more) = found.map_err(|error| words::store(&error))?;
        // It may have waited long for the thread: what the caller may read is what they may read now.
        self.hub.read(|live| {
            let now = unix_ms();
            found.retain(|found| {
                live.rights_in_channel(found.message.channel_id, caller.user, now)
                    .is_some()
            });
        });
        let mut bytes = 0;
        let fitting = found.iter().take_while(|found| {
            bytes += json_bytes(&found.message);
            bytes <= HISTORY_PAGE_BYTES
        });
        let fitting = fitting.count().max(1);
        more |= fitting < found.len();
        found.truncate(fitting);
        Ok(SearchPage { found, more })
    }
}

/// The id in `<@12>` or `<#12>`.
fn mentioned(text: &str, mark: &str) -> Option<u64> {
    text.strip_prefix(mark)?.strip_suffix('>')?.parse().ok()
}

/// `places` are in small letters.
fn within(
    readable: Vec<(ChannelId, String)>,
    only: Option<ChannelId>,
    places: &[String],
) -> Vec<ChannelId> {
    let ids: Vec<_> = places
        .iter()
        .filter_map(|place| mentioned(place, "<#"))
        .collect();
    let fits = |id: ChannelId, name: &str| {
        places.is_empty() || ids.contains(&id.0) || places.contains(&name.to_lowercase())
    };
    readable
        .into_iter()
        .filter(|(id, _)| only.is_none_or(|only| only == *id))
        .filter(|(id, name)| fits(*id, name))
        .map(|(id, _)| id)
        .collect()
}
