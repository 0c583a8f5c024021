//! Questions of who reads and writes: what there is to read for someone, and whom they may mention.

use voxhall_protocol::{
    ChannelId, GuildId, RoleId, UserId,
    control::{Mentions, User},
    permissions::Permissions,
};

use super::{Live, rights::Place};

impl Live {
    /// Text channels of a guild, or all conversations, that someone may read, with their names.
    pub fn readable(&self, user: UserId, guild: Option<GuildId>) -> Vec<(ChannelId, String)> {
        let Some(guild) = guild else {
            let conversations = self
                .people
                .get(&user)
                .into_iter()
                .flat_map(|person| &person.conversations);
            return conversations
                .filter_map(|id| self.conversations.get(id))
                .map(|conversation| {
                    (
                        conversation.id,
                        conversation.name.clone().unwrap_or_default(),
                    )
                })
                .collect();
        };
        let Some(guild) = self
            .guilds
            .get(&guild)
            .filter(|guild| guild.members.contains_key(&user))
        else {
            return Vec::new();
        };
        guild
            .channels
            .values()
            .filter(|channel| channel.kind.is_text() && guild.sees(user, channel))
            .map(|channel| (channel.id, channel.name.clone()))
            .collect()
    }

    /// All that someone may read.
    pub fn all_readable(&self, user: UserId) -> Vec<ChannelId> {
        let guilds = self
            .people
            .get(&user)
            .into_iter()
            .flat_map(|person| &person.guilds);
        guilds
            .map(|guild| Some(*guild))
            .chain([None])
            .flat_map(|guild| self.readable(user, guild))
            .map(|(channel, _)| channel)
            .collect()
    }

    /// By which someone may be mentioned, in all their guilds.
    pub fn roles_of(&self, user: UserId) -> Vec<RoleId> {
        let guilds = self
            .people
            .get(&user)
            .into_iter()
            .flat_map(|person| &person.guilds);
        guilds
            .filter_map(|guild| self.guilds.get(guild)?.members.get(&user))
            .flat_map(|member| member.roles.iter().copied())
            .collect()
    }

    /// Whom a text there may mention: people who can read it, roles that anyone may mention or this author may, and everyone for
    /// who may.
    pub fn mentionable(
        &self,
        channel: ChannelId,
        author: Permissions,
        mut mentions: Mentions,
    ) -> Mentions {
        let any_role = author.contains(Permissions::MENTION_EVERYONE);
        mentions.everyone &= any_role;
        match self.place(channel) {
            Some(Place::Guild(guild, channel)) => {
                let guild = self.guilds.get(&guild);
                mentions
                    .users
                    .retain(|user| guild.is_some_and(|guild| guild.sees(*user, channel)));
                let may = |role: &RoleId| {
                    let role = guild.and_then(|guild| guild.role(*role));
                    role.is_some_and(|role| role.position > 0 && (role.mentionable || any_role))
                };
                mentions.roles.retain(may);
            }
            Some(Place::Conversation(conversation)) => {
                mentions
                    .users
                    .retain(|user| conversation.members.contains(user));
                mentions.roles.clear();
            }
            None => mentions = Mentions::default(),
        }
        mentions
    }

    /// Whether someone sees a channel or category of this name; None: there is none.
    pub fn sees_one_called(&self, guild: GuildId, user: UserId, name: &str) -> Option<bool> {
        let guild = self.guilds.get(&guild)?;
        let called = guild
            .channels
            .values()
            .filter(|channel| channel.name == name);
        called
            .map(|channel| guild.sees(user, channel))
            .reduce(|one, other| one || other)
    }

    /// Whoever is called by one of these names in a guild, or in one's conversations: by name, as shown, or by nickname. The names are in
    /// small letters; in which case people write theirs is no matter.
    pub fn called(&self, reader: UserId, guild: Option<GuildId>, names: &[String]) -> Vec<UserId> {
        let fits = |text: &str| names.contains(&text.to_lowercase());
        let is_called =
            |user: &User| fits(&user.name) || user.display_name.as_deref().is_some_and(fits);
        let person = |user: &UserId| {
            self.people
                .get(user)
                .is_some_and(|person| is_called(person.user()))
        };
        match guild {
            Some(guild) => {
                let members = self
                    .guilds
                    .get(&guild)
                    .into_iter()
                    .flat_map(|guild| guild.members.values());
                members
                    .filter(|member| {
                        member.nick.as_deref().is_some_and(fits) || person(&member.user)
                    })
                    .map(|member| member.user)
                    .collect()
            }
            None => {
                let mine = self
                    .people
                    .get(&reader)
                    .into_iter()
                    .flat_map(|person| &person.conversations);
                let mut people: Vec<_> = mine
                    .filter_map(|conversation| self.conversations.get(conversation))
                    .flat_map(|conversation| conversation.members.iter().copied())
                    .filter(person)
                    .collect();
                people.sort_unstable();
                people.dedup();
                people
            }
        }
    }
}
