//! Notifications of the desktop, and what is pressed on them.

#[cfg(all(unix, not(target_os = "macos")))]
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Duration,
};

use notify_rust::{Notification, Timeout};
use voxhall_protocol::{CallId, ChannelId, MessageId};

use crate::ui::ServerId;

/// More at once are nobody's help.
const WAITING: usize = 4;
/// As long as a call rings.
const RINGS: Duration = Duration::from_secs(30);

/// Messages whose press is seen, at once, and as many calls: some desktops never tell that one was closed.
#[cfg(all(unix, not(target_os = "macos")))]
const MOST_WAITED_FOR: usize = 16;

/// What one is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    pub title: String,
    pub text: String,
    pub about: About,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Somebody calls in this conversation.
    Call(CallId, ChannelId),
    /// The newest message of a channel or conversation.
    Message(ChannelId, MessageId),
}

/// What somebody did with a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Pressed it itself.
    Open,
    Accept,
    Reject,
    MarkRead,
}

/// A notification that was answered: of which server it was, what it was about, and how it was answered.
pub type Answered = (ServerId, About, Answer);

#[cfg(all(unix, not(target_os = "macos")))]
impl About {
    /// Its buttons. Not every desktop shows them.
    fn answers(self) -> &'static [(Answer, &'static str)] {
        match self {
            Self::Call(..) => &[(Answer::Accept, "Accept"), (Answer::Reject, "Reject")],
            Self::Message(..) => &[(Answer::MarkRead, "Mark as read")],
        }
    }
}

/// Shows notifications on a thread of its own, as the desktop may take its time.
pub struct Notifier {
    news: SyncSender<(News, ServerId)>,
}

impl Notifier {
    /// `on_answer` must not block.
    ///
    /// # Errors
    /// The system refused a thread.
    pub fn start(
        on_answer: impl Fn(Answered) + Send + Sync + Clone + 'static,
    ) -> std::io::Result<Self> {
        let (sender, news) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("notify".to_owned())
            .spawn(move || show_each(&news, &on_answer))?;
        Ok(Self { news: sender })
    }

    /// Shows it, unless the desktop is behind.
    pub fn show(&self, news: News, of: ServerId) {
        if self.news.try_send((news, of)).is_err() {
            tracing::info!("a notification is left out");
        }
    }
}

#[cfg_attr(
    not(all(unix, not(target_os = "macos"))),
    expect(unused_variables, reason = "presses are not told of there")
)]
fn show_each(
    news: &Receiver<(News, ServerId)>,
    on_answer: &(impl Fn(Answered) + Send + Sync + Clone + 'static),
) {
    while let Ok((News { title, text, about }, of)) = news.recv() {
        let mut notification = Notification::new();
        notification
            .appname("Voxhall")
            .summary(&title)
            .body(&escaped(&text))
            .icon("voxhall")
            .timeout(match about {
                About::Call(..) => Timeout::from(RINGS),
                About::Message(..) => Timeout::Default,
            });
        // What nobody would hear of has no buttons.
        #[cfg(all(unix, not(target_os = "macos")))]
        let place = WaitingPlace::take(about);
        #[cfg(all(unix, not(target_os = "macos")))]
        if place.is_some() {
            notification
                .hint(notify_rust::Hint::DesktopEntry("voxhall".to_owned()))
                .action(OPEN, "Open");
            for (_, words) in about.answers() {
                notification.action(words, words);
            }
        }
        match notification.show() {
            #[cfg(not(all(unix, not(target_os = "macos"))))]
            Ok(_) => {}
            #[cfg(all(unix, not(target_os = "macos")))]
            Ok(handle) => {
                if let Some(place) = place {
                    let on_answer = on_answer.clone();
                    wait_for_answer(handle, place, about, move |answer| {
                        on_answer((of, about, answer));
                    });
                }
            }
            // A desktop without notifications is no trouble.
            Err(error) => tracing::info!("the desktop shows no notification: {error}"),
        }
    }
}

/// What desktops call a press on the notification itself.
#[cfg(all(unix, not(target_os = "macos")))]
const OPEN: &str = "default";

/// One of those whose answer is waited for.
#[cfg(all(unix, not(target_os = "macos")))]
struct WaitingPlace(&'static AtomicUsize);

#[cfg(all(unix, not(target_os = "macos")))]
impl WaitingPlace {
    fn take(about: About) -> Option<Self> {
        static MESSAGES: AtomicUsize = AtomicUsize::new(0);
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let taken = match about {
            About::Call(..) => &CALLS,
            About::Message(..) => &MESSAGES,
        };
        let place = Self(taken);
        (taken.fetch_add(1, Relaxed) < MOST_WAITED_FOR).then_some(place)
    }
}

#[cfg(all(unix, not(target_os = "macos")))]
impl Drop for WaitingPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// On X11 and Wayland desktops the answer comes over D-Bus, some time or never.
#[cfg(all(unix, not(target_os = "macos")))]
fn wait_for_answer(
    handle: notify_rust::NotificationHandle,
    place: WaitingPlace,
    about: About,
    on_answer: impl Fn(Answer) + Send + 'static,
) {
    let waiting = std::thread::Builder::new().name("notified".to_owned());
    let waiting = waiting.spawn(move || {
        let _place = place;
        handle.wait_for_action(|action| {
            let mut answers = about.answers().iter();
            let found = answers.find(|(_, words)| *words == action);
            match found {
                Some((answer, _)) => on_answer(*answer),
                None if action == OPEN => on_answer(Answer::Open),
                // It was closed.
                None => {}
            }
        });
    });
    if let Err(error) = waiting {
        tracing::warn!("nobody waits for the press: {error}");
    }
}

/// The body is markup on most desktops of Linux.
fn escaped(text: &str) -> String {
    if cfg!(all(unix, not(target_os = "macos"))) {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    } else {
        text.to_owned()
    }
}
