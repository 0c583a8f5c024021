//! A lively evening, made by hand: what the views are tried and pictured with.

#![allow(
    dead_code,
    reason = "each user of this module needs another part of it"
)]

pub mod calls;
pub mod dropped;
pub mod view;
pub mod village;

use std::collections::BTreeMap;

use std::sync::Arc;
use voxhall::{
    audio::{AudioStatus, DeviceInfo, Port},
    settings::{Logins, Settings},
    ui::{Memory, Scene, ServerId, ServerView},
};
use voxhall_protocol::{
    ChannelId, FileId, GuildId, MessageId, SenderIndex, Ssrc, UserId,
    control::{
        Attachment, Channel, ChannelKind, Found, Invite, Member, Mentions, Message, MessagePage,
        PictureSize, Presence, Reaction, ReadState, Replied, SearchMessages, User, UserKind,
        VoiceState,
    },
    voice::Carrier,
};

use voxhall_session::{
    Connection, Guild, History, InviteLink, Latency, PendingMessage, Search, SpeakerMeter,
    SpeakerStats, State, StoredLogin, VoiceMeters, VoicePath, audio::Redundancy,
};

pub const GENERAL: ChannelId = ChannelId(1);
pub const CLIPS: ChannelId = ChannelId(2);
pub const LOUNGE: ChannelId = ChannelId(10);
pub const RAID: ChannelId = ChannelId(11);
pub const EMPTY: ChannelId = ChannelId(12);
pub const ME: UserId = UserId(1);
pub const BEA: UserId = UserId(2);

/// 20:41 on an evening in UTC.
pub const NOW_MS: i64 = 1_795_207_260_000;

const PEOPLE: [(&str, bool); 9] = [
    ("Ann", true),
    ("Bea", true),
    ("Cid", true),
    ("Dan", true),
    ("Émile", true),
    ("Freya", true),
    ("Goran", true),
    ("Hana", false),
    ("Ivo", false),
];

pub fn user(id: u64) -> User {
    User::new(UserId(id), PEOPLE[id as usize - 1].0, UserKind::Account)
}

fn channel(id: ChannelId, name: &str, kind: ChannelKind, topic: &str) -> Channel {
    Channel {
        topic: topic.to_owned(),
        ..Channel::new(id, name, kind)
    }
}

fn voice(
    user: u64,
    channel_id: ChannelId,
    speaking: bool,
    muted: bool,
    deafened: bool,
) -> (UserId, VoiceState) {
    let state = VoiceState {
        channel_id,
        user_id: UserId(user),
        ssrc: Ssrc(user as u32),
        sender_index: SenderIndex(user as u16),
        muted,
        deafened,
        suppressed: false,
        server_deafened: false,
        speaking,
    };
    (UserId(user), state)
}

pub fn message(id: u64, author: u64, minutes_ago: i64, text: &str) -> Message {
    let sent_at_ms = NOW_MS - minutes_ago * 60_000;
    Message::new(
        MessageId(id),
        GENERAL,
        user(author),
        text,
        sent_at_ms,
        id.to_string(),
    )
}

/// Online, in the lounge with three others, with something in the text channel.
pub fn evening() -> State {
    let members: BTreeMap<_, _> = (1..=PEOPLE.len() as u64)
        .map(|id| {
            let mut member = Member::new(user(id));
            if PEOPLE[id as usize - 1].1 {
                member.presence = Presence::online();
            }
            (UserId(id), member)
        })
        .collect();
    let guild = Guild {
        id: GuildId(1),
        name: "Friday Night".to_owned(),
        description: String::new(),
        icon: None,
        owner: Some(ME),
        roles: vec![],
        channels: vec![
            channel(
                GENERAL,
                "general",
                ChannelKind::Text,
                "What are we playing tonight?",
            ),
            channel(CLIPS, "clips", ChannelKind::Text, ""),
            channel(LOUNGE, "lounge", ChannelKind::Voice, "Come in, sit down"),
            channel(RAID, "raid", ChannelKind::Voice, ""),
            channel(EMPTY, "quiet corner", ChannelKind::Voice, ""),
        ],
        members: Arc::new(members),
        voice: BTreeMap::from([
            voice(1, LOUNGE, false, false, false),
            voice(2, LOUNGE, true, false, false),
            voice(3, LOUNGE, false, true, false),
            voice(4, LOUNGE, false, true, true),
            voice(5, RAID, true, false, false),
            voice(6, RAID, false, false, false),
        ]),
    };
    let second = Guild {
        id: GuildId(2),
        name: "Choir".to_owned(),
        description: String::new(),
        icon: None,
        owner: None,
        roles: vec![],
        channels: vec![],
        members: Arc::default(),
        voice: BTreeMap::new(),
    };
    let messages = vec![
        message(
            1,
            3,
            60 * 25,
            "Server moved to the new box, the link in the topic is good for everyone.",
        ),
        message(2, 1, 60 * 24, "Ping went from 60 to 14 ms here. Wonderful."),
        message(
            3,
            2,
            42,
            "Who is in tonight? I have the house to myself until ten.",
        ),
        message(4, 4, 40, "Me! Ten minutes, the dog wants out first 🐕"),
        message(5, 2, 39, "Good. Then we do the long map."),
        message(6, 2, 38, "And bring the new microphone, I want to hear it."),
        message(
            7,
            6,
            12,
            "The map is here: https://maps.example/the-long-one",
        ),
        message(
            8,
            1,
            4,
            "In the lounge already. Come over when you are ready.",
        ),
    ];
    let history = History {
        messages,
        more: false,
        ..History::default()
    };
    let mut state = State {
        connection: Connection::Online,
        server_name: Some("friday.example".to_owned()),
        me: Some(user(1)),
        guilds: vec![Arc::new(guild), Arc::new(second)],
        history: Arc::new(BTreeMap::from([(GENERAL, Arc::new(history))])),
        ..State::default()
    };
    state.voice.path = VoicePath::Open(LOUNGE);
    state.voice.gains.insert(BEA, 1.25);
    state
}

/// The messages of #general, to be changed.
pub fn history(state: &mut State) -> &mut History {
    let histories = Arc::make_mut(&mut state.history);
    Arc::make_mut(histories.entry(GENERAL).or_default())
}

/// A channel with all that a message can have.
pub fn talk() -> State {
    let mut state = evening();
    let mut rich = vec![
        message(
            20,
            6,
            36,
            "# Friday\nThe **long map**, _not_ the short one. ~~Dan brings cake~~\n\n1. dust off the `config.toml`\n2. start the server\n3. \
             no, really, start it\n\n> and last time?\nLast time it was ||Cid's cat|| on the keyboard.",
        ),
        message(
            21,
            6,
            35,
            "```\n[voice]\nbitrate_kbps = 64\nframe_ms = 10\n```",
        ),
        message(
            22,
            4,
            33,
            "<@1> could you look at the microphone page? https://maps.example/the-long-one (and tell <@2>).",
        ),
        message(23, 1, 30, "Looks good. Level is right now."),
        message(24, 3, 12, "This is what it looked like from the tower:"),
        message(25, 3, 11, ""),
        message(26, 5, 3, "Coming in ten."),
    ];
    rich[0].reactions = vec![
        Reaction {
            emoji: "👍".to_owned(),
            count: 3,
            me: true,
        },
        Reaction {
            emoji: "😂".to_owned(),
            count: 1,
            me: false,
        },
    ];
    rich[0].pinned = true;
    rich[2].mentions = Mentions {
        users: vec![ME, BEA],
        ..Mentions::default()
    };
    rich[3].reply_to = Some(Replied {
        id: MessageId(22),
        author: Some(user(4)),
        excerpt: "<@1> could you look at the microphone page?".to_owned(),
    });
    rich[3].edited_at_ms = Some(NOW_MS);
    rich[4].attachments = vec![Attachment {
        id: FileId(1),
        name: "tower.jpg".to_owned(),
        bytes: 2_350_000,
        media_type: "image/jpeg".to_owned(),
        picture: Some(PictureSize {
            width: 1600,
            height: 800,
            thumbnail: true,
        }),
    }];
    rich[5].attachments = vec![Attachment {
        id: FileId(2),
        name: "the-long-map-with-all-its-notes.zip".to_owned(),
        bytes: 64_200,
        media_type: "application/zip".to_owned(),
        picture: None,
    }];
    let history = history(&mut state);
    history.messages.truncate(2);
    history.messages.extend(rich);
    state
}

/// What people write who don't write Latin, and emoji of all kinds.
pub fn scripts() -> State {
    let mut state = evening();
    let said = [
        "Καλησπέρα! Доброго вечора! Բարի երեկո! საღამო მშვიდობისა!",
        "ערב טוב לכולם, נתראה בשמונה.\nمساء الخير جميعًا، نلتقي في الثامنة.",
        "नमस्ते · শুভ সন্ধ্যা · ਸਤ ਸ੍ਰੀ ਅਕਾਲ · શુભ સાંજ · வணக்கம் · నమస్కారం · ನಮಸ್ಕಾರ · നമസ്കാരം · ආයුබෝවන්",
        "สวัสดีตอนเย็น · ສະບາຍດີ · မင်္ဂလာပါ · ជំរាបសួរ · ሰላም · ⴰⵣⵓⵍ",
        "今晚好 · こんばんは · 안녕하세요",
        "😀 😂 ❤️ 👍🏽 🏳️‍🌈 🇫🇷 👩‍🚀 👨‍👩‍👧‍👦 🎉 ✓ → ∑ ★ 𝓕𝓪𝓷𝓬𝔂 **bold ☕ too** ||hidden 🐈 cat||",
    ];
    let history = history(&mut state);
    history.messages.truncate(1);
    for (i, text) in said.iter().enumerate() {
        let i = i as u64;
        history
            .messages
            .push(message(20 + i, i % 5 + 1, 30 - i as i64, text));
    }
    state
}

/// Two messages of the talk were not read yet.
pub fn unread(mut state: State) -> State {
    let reading = ReadState {
        channel_id: GENERAL,
        last_read: Some(MessageId(23)),
        last_message: Some(MessageId(26)),
        unread: 3,
        mentions: 0,
    };
    Arc::make_mut(&mut state.reading).insert(GENERAL, reading.into());
    state
}

/// As many messages as a busy channel has in a week.
pub fn busy(count: u64) -> State {
    let mut state = evening();
    let words = [
        "Good.",
        "The map is here: https://maps.example/x",
        "I have **two** of them, and _one_ more for `later`.",
        "Who is in tonight? I have the house to myself until ten, and then the neighbours want their sleep, which is only fair.",
        "- one\n- two\n- three",
    ];
    history(&mut state).messages = (0..count)
        .map(|i| {
            let text = words[(i % 5) as usize];
            message(100 + i, 2 + (i / 3) % 5, (count - i) as i64, text)
        })
        .collect();
    state
}

/// What is pinned in #general.
pub fn pins() -> MessagePage {
    MessagePage {
        messages: vec![
            message(
                3,
                2,
                60 * 30,
                "**House rules**\n- no shouting before ten\n- who breaks the map mends it",
            ),
            message(20, 6, 36, "The long map, _not_ the short one."),
        ],
        more: false,
        more_after: false,
    }
}

/// Somebody looked for the map.
pub fn searched() -> State {
    let mut state = talk();
    let found = |mut message: Message, highlights: Vec<(u32, u32)>| {
        message.channel_id = GENERAL;
        Found {
            message,
            highlights,
        }
    };
    state.search = Some(Arc::new(Search {
        request: SearchMessages {
            guild_id: Some(GuildId(1)),
            channel_id: None,
            query: "map".to_owned(),
            before: None,
        },
        found: vec![
            found(
                message(
                    24,
                    3,
                    12,
                    "The map is here: https://maps.example/the-long-one",
                ),
                vec![(4, 7)],
            ),
            found(
                message(1, 3, 60 * 25, "Good. Then we do the long map."),
                vec![(26, 29)],
            ),
        ],
        more: true,
        loading: false,
        failed: None,
    }));
    state
}

pub fn with_failed_message() -> State {
    let mut state = evening();
    let history = Arc::make_mut(&mut state.history)
        .get_mut(&GENERAL)
        .expect("the evening has messages");
    let history = Arc::make_mut(history);
    history.more = true;
    history.pending = vec![
        PendingMessage {
            nonce: "a".to_owned(),
            text: "still under way".to_owned(),
            ..PendingMessage::default()
        },
        PendingMessage {
            nonce: "b".to_owned(),
            text: "too many words".to_owned(),
            failed: Some("You are sending too fast; wait a moment.".to_owned()),
            ..PendingMessage::default()
        },
    ];
    state
}

pub fn invited(mut state: State) -> State {
    state.invite = InviteLink::Made(Invite {
        code: "SUNNY-OTTER-42".to_owned(),
        link: "voxhall://friday.example:9000/SUNNY-OTTER-42#k7Jm3v9XQ2m0cSb4T1rYw8ZpUe6LhNaGdVfKiOoRtEs".to_owned(),
        expires_at_ms: Some(NOW_MS + 7 * 24 * 3_600_000),
        max_uses: None,
        uses: 0,
        created_by: None,
        created_at_ms: NOW_MS,
        came: vec![],
    });
    state
}

pub fn meters() -> VoiceMeters {
    let statistics = SpeakerStats {
        packets: 4_000,
        lost: 12,
        total_samples: 1_900_000,
        concealed_samples: 3_800,
        target_delay_ms: 11.0,
        delay_ms: 12.4,
        jitter_ms: 2.3,
        ..SpeakerStats::default()
    };
    let mut meters = VoiceMeters {
        transmitting: false,
        rtt_ms: Some(18.4),
        loss: 0.003,
        reported_loss: 0.0,
        carrier: Some(Carrier::Udp),
        speakers: vec![SpeakerMeter {
            user: BEA,
            speaking: true,
            level_dbfs: -17.0,
            levelled_db: 3.2,
            latency: Latency {
                capture_ms: 10.0,
                network_ms: Some(9.2),
                jitter_ms: 12.4,
                playout_ms: 6.2,
                device_ms: 5.3,
            },
            statistics,
        }],
        ..VoiceMeters::default()
    };
    meters.statistics.encode_ms = 0.4;
    meters.statistics.bitrate_bps = 48_000;
    meters.statistics.frame_ms = 20.0;
    meters.statistics.redundancy = Redundancy::Fec;
    meters.statistics.playout_ms = 6.2;
    meters
}

pub fn devices() -> AudioStatus {
    let device = |id: &str, name: &str, default| DeviceInfo {
        id: format!("pulseaudio:{id}"),
        name: name.to_owned(),
        default,
    };
    AudioStatus {
        input: Port::Open {
            name: "Studio microphone".to_owned(),
            instead_of: None,
        },
        output: Port::Open {
            name: "Headphones".to_owned(),
            instead_of: None,
        },
        inputs: vec![
            device("usb_mic", "Studio microphone", true),
            device("laptop_mic", "Built-in microphone", false),
        ],
        outputs: vec![
            device("headphones", "Headphones", true),
            device("hdmi", "Screen", false),
        ],
        ..AudioStatus::default()
    }
}

pub fn login() -> StoredLogin {
    StoredLogin {
        link: "voxhall://friday.example:9000#k7Jm3v9XQ2m0cSb4T1rYw8ZpUe6LhNaGdVfKiOoRtEs"
            .parse()
            .expect("a link"),
        user: user(1),
        refresh_token: "not a real one".into(),
    }
}

/// Owns what a [`Scene`] borrows.
pub struct Stage {
    pub state: State,
    /// Other servers that one is on.
    pub elsewhere: Vec<(ServerId, String, State)>,
    pub meters: VoiceMeters,
    pub audio: AudioStatus,
    pub logins: Logins,
    pub settings: Settings,
    pub memory: Memory,
    pub levels: (f32, f32),
    pub time_zone: jiff::tz::TimeZone,
    pub clock: std::time::Instant,
}

impl Stage {
    pub fn new(state: State) -> Self {
        Self {
            state,
            elsewhere: Vec::new(),
            meters: meters(),
            audio: devices(),
            logins: Logins::default(),
            settings: Settings {
                name: "Ann".to_owned(),
                ..Settings::default()
            },
            memory: Memory::default(),
            levels: (-22.0, -16.0),
            time_zone: jiff::tz::TimeZone::UTC,
            clock: std::time::Instant::now(),
        }
    }

    pub fn draw(&mut self, ui: &mut egui::Ui, intents: &mut voxhall::ui::Intents) {
        let server = ServerId::default();
        let shown = ServerView {
            id: server,
            name: "friday.example".to_owned(),
            link: None,
            state: &self.state,
        };
        let elsewhere = self.elsewhere.iter().map(|(id, name, state)| ServerView {
            id: *id,
            name: name.clone(),
            link: None,
            state,
        });
        let servers: Vec<_> = std::iter::once(shown).chain(elsewhere).collect();
        let scene = Scene {
            servers: &servers,
            server,
            state: &self.state,
            meters: &self.meters,
            audio: &self.audio,
            levels: self.levels,
            logins: &self.logins,
            notices: &[],
            state_age_ms: 0,
            time_zone: &self.time_zone,
            now: jiff::Timestamp::from_millisecond(NOW_MS).expect("a time"),
            clock: self.clock,
        };
        voxhall::ui::root_ui(ui, &scene, &mut self.settings, &mut self.memory, intents);
    }
}
