//! What a frame of the app costs: a channel of many messages, at rest and scrolled, beside a window with nothing in it.
//!
//! Views, layout and triangles, as on every computer; what the graphics driver does with the triangles is not measured.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use egui::{
    Context, Event, Modifiers, MouseWheelSource, MouseWheelUnit, Pos2, RawInput, Rect, TouchPhase,
    Ui, pos2, vec2,
};
use serde::Serialize;
use voxhall::{
    audio::AudioStatus,
    settings::{Logins, Settings},
    ui::{Intents, Memory, Scene, ServerId, ServerView, root_ui, theme},
};
use voxhall_protocol::{
    ChannelId, GuildId, MessageId, UserId,
    control::{Channel, ChannelKind, Guild, Member, Message, User, UserKind},
};
use voxhall_session::{Connection, History, State, VoiceMeters};

use crate::{
    app_window,
    proc_fs::cpu_time,
    table::{heading, row},
};

const CHANNEL: ChannelId = ChannelId(1);
const PEOPLE: u64 = 40;
const WINDOW: Rect = Rect {
    min: Pos2::ZERO,
    max: pos2(1280.0, 800.0),
};
/// Until fonts, layouts and heights are known.
const WARM_UP: u32 = 60;
/// One turn of a mouse wheel, points.
const WHEEL: f32 = 120.0;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, default_value_t = 10_000)]
    messages: u64,
    #[arg(long, default_value_t = 600)]
    frames: u32,
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Figures {
    messages: u64,
    frames: u32,
    /// Nothing in the window.
    blank_frame_us: f64,
    resting_frame_us: f64,
    /// The wheel turns in every frame.
    scrolling_frame_us: f64,
    scrolling_slowest_us: f64,
    /// From the channel's messages being there to their first frame.
    channel_first_frame_us: f64,
    /// Nothing where there is no Xvfb.
    #[serde(flatten)]
    window: Option<app_window::Figures>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut blank = Window::new();
    let blank_us = blank.mean_us(args.frames, |_| {}, |_| None);
    let mut app = App::new(args.messages);
    let mut window = Window::new();
    let first = window.frame(&mut |ui| app.draw(ui), None);
    let resting_us = window.mean_us(args.frames, |ui| app.draw(ui), |_| None);
    // Up, and at half of it down again.
    let wheel = |frame: u32| {
        Some(if frame < args.frames / 2 {
            WHEEL
        } else {
            -WHEEL
        })
    };
    let scrolled = window.frames(args.frames, |ui| app.draw(ui), wheel);
    let mut figures = Figures {
        messages: args.messages,
        frames: args.frames,
        blank_frame_us: blank_us,
        resting_frame_us: resting_us,
        scrolling_frame_us: mean_us(&scrolled),
        scrolling_slowest_us: scrolled.iter().max().map_or(0.0, us),
        channel_first_frame_us: us(&first),
        window: None,
    };
    heading(format!(
        "CPU time of a frame, a channel of {} messages, 1280 x 800",
        figures.messages
    ));
    row(
        "a blank window",
        format!("{:.0} us", figures.blank_frame_us),
        "",
    );
    row(
        "first frame of the channel",
        format!("{:.0} us", figures.channel_first_frame_us),
        "fonts and layout made",
    );
    row("at rest", format!("{:.0} us", figures.resting_frame_us), "");
    row(
        "scrolling",
        format!("{:.0} us", figures.scrolling_frame_us),
        "the wheel turns in every frame",
    );
    row(
        "slowest of those",
        format!("{:.0} us", figures.scrolling_slowest_us),
        "16,667 us are one at 60 Hz",
    );
    figures.window = app_window::measure()?;
    if args.json {
        println!("{}", serde_json::to_string(&figures)?);
    }
    Ok(())
}

/// A window that nobody sees.
struct Window {
    ctx: Context,
    time_s: f64,
}

impl Window {
    fn new() -> Self {
        let ctx = Context::default();
        theme::install(&ctx);
        Self { ctx, time_s: 0.0 }
    }

    fn mean_us(
        &mut self,
        frames: u32,
        mut draw: impl FnMut(&mut Ui),
        wheel: impl Fn(u32) -> Option<f32>,
    ) -> f64 {
        for _ in 0..WARM_UP {
            self.frame(&mut draw, None);
        }
        mean_us(&self.frames(frames, draw, wheel))
    }

    fn frames(
        &mut self,
        frames: u32,
        mut draw: impl FnMut(&mut Ui),
        wheel: impl Fn(u32) -> Option<f32>,
    ) -> Vec<Duration> {
        (0..frames)
            .map(|i| self.frame(&mut draw, wheel(i)))
            .collect()
    }

    /// The CPU time of one frame.
    fn frame(&mut self, draw: &mut impl FnMut(&mut Ui), wheel: Option<f32>) -> Duration {
        self.time_s += 1.0 / 60.0;
        let turn = wheel.map(|delta| Event::MouseWheel {
            unit: MouseWheelUnit::Point,
            delta: vec2(0.0, delta),
            phase: TouchPhase::Move,
            source: MouseWheelSource::Wheel,
            modifiers: Modifiers::NONE,
        });
        let input = RawInput {
            screen_rect: Some(WINDOW),
            time: Some(self.time_s),
            events: [Event::PointerMoved(WINDOW.center())]
                .into_iter()
                .chain(turn)
                .collect(),
            ..RawInput::default()
        };
        let began = cpu_time();
        let mut output = self.ctx.run_ui(input, &mut *draw);
        let triangles = self.ctx.tessellate(output.shapes, output.pixels_per_point);
        let took = cpu_time() - began;
        drop(triangles);
        // Nobody draws here, so nobody wants the glyphs.
        output.textures_delta.clear();
        took
    }
}

struct App {
    state: State,
    settings: Settings,
    memory: Memory,
    logins: Logins,
    audio: AudioStatus,
    meters: VoiceMeters,
    clock: Instant,
}

impl App {
    fn new(messages: u64) -> Self {
        let user = |id: u64| User::new(UserId(id), format!("Person {id}"), UserKind::Account);
        let mut guild = voxhall_session::Guild::from(Guild {
            id: GuildId(1),
            name: "Bench".to_owned(),
            description: String::new(),
            icon: None,
            owner_id: Some(UserId(1)),
            roles: Vec::new(),
            channels: vec![Channel::new(CHANNEL, "general", ChannelKind::Text)],
            members: Vec::new(),
            voice: Vec::new(),
        });
        guild.members = Arc::new(
            (1..=PEOPLE)
                .map(|id| (UserId(id), Member::new(user(id))))
                .collect(),
        );
        let texts = [
            "Good.",
            "The map is here: https://maps.example/the-long-one",
            "I have **two** of them, and _one_ more for `later`.",
            "Who is in tonight? I have the house to myself until ten, and then the neighbours want their sleep.",
            "- one\n- two\n- three",
            "```\nframe_ms = 10\n```",
        ];
        let message = |i: u64| {
            let text = texts[(i % texts.len() as u64) as usize];
            let at_ms = 1_795_000_000_000 + i as i64 * 60_000;
            let author = user(1 + (i / 3) % PEOPLE);
            Message::new(
                MessageId(1 + i),
                CHANNEL,
                author,
                text,
                at_ms,
                i.to_string(),
            )
        };
        let history = History {
            messages: (0..messages).map(message).collect(),
            more: false,
            ..History::default()
        };
        Self {
            state: State {
                connection: Connection::Online,
                me: Some(user(1)),
                guilds: vec![Arc::new(guild)],
                history: Arc::new([(CHANNEL, Arc::new(history))].into()),
                ..State::default()
            },
            settings: Settings::default(),
            memory: Memory::default(),
            logins: Logins::default(),
            audio: AudioStatus::default(),
            meters: VoiceMeters::default(),
            clock: Instant::now(),
        }
    }

    fn draw(&mut self, ui: &mut Ui) {
        let server = ServerId::default();
        let shown = ServerView {
            id: server,
            name: "Bench".to_owned(),
            link: None,
            state: &self.state,
        };
        let scene = Scene {
            servers: &[shown],
            server,
            state: &self.state,
            meters: &self.meters,
            audio: &self.audio,
            levels: (-96.0, -96.0),
            logins: &self.logins,
            notices: &[],
            state_age_ms: 0,
            time_zone: &jiff::tz::TimeZone::UTC,
            now: jiff::Timestamp::UNIX_EPOCH,
            clock: self.clock,
        };
        let mut intents = Intents::default();
        root_ui(
            ui,
            &scene,
            &mut self.settings,
            &mut self.memory,
            &mut intents,
        );
    }
}

fn mean_us(frames: &[Duration]) -> f64 {
    us(&frames.iter().sum()) / frames.len().max(1) as f64
}

fn us(time: &Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
