//! A state that folds what a server does at random has to look like one that begins anew.

mod model;

use std::{collections::BTreeMap, time::Instant};

use proptest::prelude::*;
use voxhall_protocol::{
    ChannelId, GuildId, MessageId, RoleId, UserId, control::*, permissions::Permissions,
};

use super::*;
use model::{Model, Step};

const ME: UserId = UserId(1);
const GUILD: GuildId = GuildId(1);
const OTHER_GUILD: GuildId = GuildId(2);
const DIRECT: ChannelId = ChannelId(90);

/// A state that begins now, with every history loaded.
fn begun(model: &Model) -> State {
    let mut state = State::default();
    state.begin(model.ready());
    load(&mut state, model);
    state
}

fn load(state: &mut State, model: &Model) {
    for channel in model
        .messages
        .keys()
        .filter(|channel| model.sees(**channel))
    {
        let mut history = History::default();
        history.merge(model.page(*channel), Merge::Whole(None));
        Arc::make_mut(&mut state.history).insert(*channel, Arc::new(history));
    }
}

/// Everything that has to be the same, whatever way it came about.
fn picture(state: &State) -> impl std::fmt::Debug + use<> {
    // The newest message that was ever heard of may be gone.
    let readings = state
        .reading
        .iter()
        .filter(|(_, reading)| reading.last_read.is_some() || reading.unread > 0);
    let readings: Vec<_> = readings
        .map(|(channel, it)| {
            (
                *channel,
                it.last_read,
                (!it.uncertain).then_some((it.unread, it.mentions)),
            )
        })
        .collect();
    let message = |message: &Message| {
        let mut message = message.clone();
        message.reactions.sort_by(|a, b| a.emoji.cmp(&b.emoji));
        message
    };
    let histories: BTreeMap<_, Vec<_>> = state
        .history
        .iter()
        .filter(|(_, history)| !history.messages.is_empty())
        .map(|(channel, history)| (*channel, history.messages.iter().map(message).collect()))
        .collect();
    (
        (
            state.me.clone(),
            state.presence.clone(),
            state.guilds.clone(),
        ),
        (state.conversations.clone(), state.relations.clone()),
        (readings, histories),
    )
}

/// The first lines that differ, and what stands before them.
fn difference(folded: &impl std::fmt::Debug, begun: &impl std::fmt::Debug) -> Option<String> {
    let (folded, begun) = (format!("{folded:#?}"), format!("{begun:#?}"));
    let (folded, begun): (Vec<_>, Vec<_>) = (folded.lines().collect(), begun.lines().collect());
    let same = folded
        .iter()
        .zip(&begun)
        .take_while(|(a, b)| a == b)
        .count();
    let around =
        |lines: &[&str]| lines[same.saturating_sub(12)..(same + 4).min(lines.len())].join("\n");
    (folded != begun).then(|| format!("folded:\n{}\nbegun:\n{}", around(&folded), around(&begun)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever happens, the state that folded it looks like one that begins now; told twice, it is the same. A failure prints its steps.
    #[test]
    fn folding_what_happens_equals_beginning_anew(
        before in prop::collection::vec(any::<Step>(), 0..30),
        after in prop::collection::vec(any::<Step>(), 1..60),
        twice in any::<bool>(),
    ) {
        let now = Instant::now();
        let mut model = Model::new();
        for step in before {
            model.step(step);
        }
        let mut state = begun(&model);
        for step in after {
            let events = model.step(step);
            for event in &events {
                state.fold(event, now);
            }
            if twice {
                for event in &events {
                    state.fold(event, now);
                }
            }
            // Where a channel comes into view, its history is loaded when somebody looks: now.
            let seen: Vec<_> = model.messages.keys().copied().filter(|it| model.sees(*it)).collect();
            if events.iter().any(|event| matches!(event, Event::GuildJoined { .. } | Event::ChannelCreated { .. } | Event::ConversationUpdated { .. }))
                || seen.iter().any(|channel| !state.history.contains_key(channel)) {
                load(&mut state, &model);
            }
            // What only the server can count it is asked for, as the core does.
            for channel in seen {
                if state.reading_mut(channel).uncertain {
                    let told = model.read_state(channel).unwrap();
                    state.reading_mut(channel).set(told);
                }
            }
            prop_assert_eq!(difference(&picture(&state), &picture(&begun(&model))), None);
        }
    }
}

#[test]
fn who_is_typing_is_forgotten_in_time() {
    let model = Model::new();
    let mut state = begun(&model);
    let now = Instant::now();
    let typing = |user| Event::TypingStarted {
        channel_id: DIRECT,
        user_id: user,
    };
    state.fold(&typing(UserId(2)), now);
    state.fold(&typing(ME), now);
    assert_eq!(state.typing_in(DIRECT, now), [UserId(2)].into());
    assert!(!state.expire_typing(now + std::time::Duration::from_secs(7)));
    assert!(state.expire_typing(now + std::time::Duration::from_secs(8)));
    assert!(state.typing.is_empty());
}

#[test]
fn rights_are_those_of_roles_channels_and_timeouts() {
    let mut model = Model::new();
    let channel = ChannelId(10);
    let deny = Overwrite {
        target: OverwriteTarget::Role(RoleId(1)),
        allow: Permissions::NONE,
        deny: Permissions::SEND_MESSAGES,
    };
    model.guilds.get_mut(&GUILD).unwrap().channels[0]
        .overwrites
        .push(deny);
    let state = begun(&model);
    let may = |state: &State, channel, now_ms| {
        state
            .permissions(GUILD, channel, now_ms)
            .contains(Permissions::SEND_MESSAGES)
    };
    assert!(may(&state, None, 0));
    assert!(!may(&state, Some(channel), 0));
    assert_eq!(state.permissions(GuildId(9), None, 0), Permissions::NONE);
    model.guilds.get_mut(&GUILD).unwrap().members[0].timeout_until_ms = Some(100);
    let state = begun(&model);
    assert!(!may(&state, None, 99) && may(&state, None, 100));
}

#[test]
fn who_comes_back_has_the_name_of_now_on_what_was_written_before() {
    let model = Model::new();
    let (author, channel) = (UserId(3), ChannelId(GUILD.0 * 10));
    let by = model.users[&author].clone();
    let message = Message::new(MessageId(1), channel, by, "hello", 0, "1");
    let mut state = begun(&model);
    let mut history = History::default();
    let page = MessagePage {
        messages: vec![message],
        more: false,
        more_after: false,
    };
    history.merge(page, Merge::Whole(None));
    Arc::make_mut(&mut state.history).insert(channel, Arc::new(history));

    let left = Event::MemberLeft {
        guild_id: GUILD,
        user_id: author,
        why: GoneReason::Left,
    };
    let mut renamed = model.users[&author].clone();
    renamed.display_name = Some("Cleo".into());
    let joined = Event::MemberJoined {
        guild_id: GUILD,
        member: Member::new(renamed.clone()),
    };
    for event in [left, joined] {
        state.fold(&event, Instant::now());
    }
    assert_eq!(state.history[&channel].messages[0].author, renamed);
}
