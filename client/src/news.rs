//! Of what new a person is told.

use voxhall_protocol::{ChannelId, MessageId, control::StatusChoice};
use voxhall_session::State;

use crate::{
    desktop::{About, News},
    settings::Notify,
    ui::{
        chat::{self, Names},
        people,
    },
};

/// Of a message, in characters.
const EXCERPT: usize = 160;

/// What came between these two states that the person wants to be told of: a call before a message.
pub fn of(before: &State, after: &State, notify: Notify) -> Option<News> {
    // After a new beginning everything unread would look new.
    let same = before.me.is_some() && before.connection == after.connection;
    if after.presence.choice == StatusChoice::DoNotDisturb || !same {
        return None;
    }
    if let Some(call) = after.incoming_call()
        && before.incoming_call().is_none_or(|it| it.id != call.id)
    {
        let conversation = after.conversations.get(&call.channel_id);
        return Some(News {
            title: conversation.map_or_else(String::new, |it| people::conversation_name(after, it)),
            text: "Calls you".to_owned(),
            about: About::Call(call.id, call.channel_id),
        });
    }
    message_in(before, after, notify).map(|(channel, message)| News {
        title: place(after, channel),
        text: excerpt(after, channel).unwrap_or_else(|| "New message".to_owned()),
        about: About::Message(channel, message),
    })
}

/// The same, said of one server among several.
pub fn said_of(server: &str, news: News) -> News {
    News {
        title: format!("{} on {server}", news.title),
        ..news
    }
}

/// A message that the person wants to be told of.
fn message_in(before: &State, after: &State, notify: Notify) -> Option<(ChannelId, MessageId)> {
    if notify == Notify::Nothing {
        return None;
    }
    let came = |(channel, now): (&ChannelId, &voxhall_session::Reading)| {
        let then = before.reading.get(channel);
        let unread = then.map_or(0, |then| then.unread);
        let mentions = then.map_or(0, |then| then.mentions);
        let direct = after.conversations.contains_key(channel);
        let wanted = match notify {
            Notify::All => now.unread > unread,
            _ => now.mentions > mentions || direct && now.unread > unread,
        };
        now.last_message
            .filter(|_| wanted)
            .map(|message| (*channel, message))
    };
    after.reading.iter().find_map(came)
}

fn place(state: &State, channel: ChannelId) -> String {
    if let Some(conversation) = state.conversations.get(&channel) {
        return people::conversation_name(state, conversation);
    }
    let mut guilds = state.guilds.iter();
    let place = guilds.find_map(|guild| {
        let channel = guild.channel(channel)?;
        Some(format!("#{} in {}", channel.name, guild.name))
    });
    place.unwrap_or_else(|| "Voxhall".to_owned())
}

/// The newest message, where the channel was looked at before.
fn excerpt(state: &State, channel: ChannelId) -> Option<String> {
    let history = state.history.get(&channel)?;
    let message = history.messages.last().filter(|_| !history.more_after)?;
    let conversation = state.conversations.get(&channel);
    let conversation = conversation.map(|it| people::as_guild(state, it));
    let guild = conversation.as_ref().or_else(|| state.guild_of(channel))?;
    let text = chat::plain(&message.text, Names { state, guild });
    let text: String = text.chars().take(EXCERPT).collect();
    Some(format!("{}: {text}", message.author.name))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use voxhall_protocol::{
        ChannelId, MessageId, UserId,
        control::{
            ChannelKind, Conversation, ConversationMember, Message, Presence, ReadState, User,
            UserKind,
        },
    };
    use voxhall_session::{Connection, History, Reading};

    use super::*;

    fn state(unread: &[(u64, u32, u32)]) -> State {
        let mut state = State {
            connection: Connection::Online,
            me: Some(User::new(UserId(1), "ann", UserKind::Account)),
            ..State::default()
        };
        for &(id, unread, mentions) in unread {
            let read = ReadState {
                channel_id: ChannelId(id),
                last_read: None,
                last_message: Some(MessageId(7)),
                unread,
                mentions,
            };
            Arc::make_mut(&mut state.reading).insert(ChannelId(id), Reading::from(read));
        }
        let direct = Conversation {
            id: ChannelId(9),
            kind: ChannelKind::Direct,
            name: None,
            owner_id: None,
            members: vec![],
        };
        Arc::make_mut(&mut state.conversations).insert(ChannelId(9), direct);
        state
    }

    #[test]
    fn one_is_told_of_what_one_chose() {
        let before = state(&[(1, 4, 0)]);
        let written = state(&[(1, 5, 0)]);
        let mentioned = state(&[(1, 5, 1)]);
        let direct = state(&[(1, 4, 0), (9, 1, 0)]);
        let read = state(&[(1, 0, 0)]);
        let came = |before: &State, after: &State, notify| of(before, after, notify).is_some();
        assert!(came(&before, &written, Notify::All));
        assert!(!came(&before, &written, Notify::Mentions));
        for after in [&mentioned, &direct] {
            assert!(came(&before, after, Notify::Mentions));
            assert!(!came(&before, after, Notify::Nothing));
        }
        assert!(!came(&before, &read, Notify::All));
    }

    #[test]
    fn what_is_told_has_names_and_no_secrets() {
        let before = state(&[]);
        let mut after = state(&[(9, 1, 1)]);
        let bea = User::new(UserId(2), "bea", UserKind::Account);
        let member = ConversationMember {
            user: bea.clone(),
            presence: Presence::default(),
        };
        let conversations = Arc::make_mut(&mut after.conversations);
        let direct = conversations.get_mut(&ChannelId(9)).unwrap();
        direct.members.push(member);
        let text = "<@2> says it was ||the cat||";
        let message = Message::new(MessageId(5), ChannelId(9), bea, text, 0, "n");
        let history = History {
            messages: vec![message],
            ..History::default()
        };
        Arc::make_mut(&mut after.history).insert(ChannelId(9), Arc::new(history));
        let news = of(&before, &after, Notify::All).expect("news");
        assert_eq!(news.text, "bea: @bea says it was [spoiler]");
    }

    #[test]
    fn nobody_is_disturbed_who_said_so_nor_told_of_all_on_arrival() {
        let before = state(&[]);
        let mut after = state(&[(9, 1, 1)]);
        let came = |before: &State, after: &State, notify| of(before, after, notify).is_some();
        assert!(came(&before, &after, Notify::All));
        assert!(!came(&State::default(), &after, Notify::All));
        after.presence.choice = StatusChoice::DoNotDisturb;
        assert!(!came(&before, &after, Notify::All));
    }
}
