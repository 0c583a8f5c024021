//! Full-text search.

use voxhall_protocol::{
    ChannelId, UserId,
    control::{Failure, SearchMessages, SearchPage},
    limits::{HISTORY_PAGE_BYTES, PAGE, QUERY_CHARS},
    permissions::Permissions,
};
use voxhall_store::{Messages, Search};

use super::{Budget, Caller, Services, messages::json_bytes, query};
use crate::words;

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
        let (channels, from) = self.hub.read(|live| {
            let named = |name: &String| match name
                .strip_prefix("<@")
                .and_then(|id| id.strip_suffix('>')?.parse().ok())
            {
                Some(id) => vec![UserId(id)],
                None => live.called(caller.user, guild, name),
            };
            let from =
                (!query.from.is_empty()).then(|| query.from.iter().flat_map(named).collect());
            (
                within(
                    live.readable(caller.user, guild),
                    params.channel_id,
                    &query.places,
                ),
                from,
            )
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
        let (mut found, mut more) = self
            .store
            .search_messages(search)
            .await
            .map_err(|error| words::store(&error))?;
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

fn within(
    readable: Vec<(ChannelId, String)>,
    only: Option<ChannelId>,
    places: &[String],
) -> Vec<ChannelId> {
    let is = |place: &String, id: ChannelId, name: &str| {
        place.to_lowercase() == name.to_lowercase() || *place == format!("<#{id}>")
    };
    readable
        .into_iter()
        .filter(|(id, name)| places.is_empty() || places.iter().any(|place| is(place, *id, name)))
        .map(|(id, _)| id)
        .filter(|id| only.is_none_or(|only| only == *id))
        .collect()
}
