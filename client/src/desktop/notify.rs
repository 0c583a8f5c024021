//! Notifications of the desktop.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use notify_rust::{Notification, Timeout};

use crate::ui::ServerId;

/// More at once are nobody's help.
const WAITING: usize = 4;

/// Notifications whose press is seen, at once.
#[cfg(all(unix, not(target_os = "macos")))]
const MOST_WAITED_FOR: usize = 16;

/// What one is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    pub title: String,
    pub text: String,
}

/// Shows notifications on a thread of its own, as the desktop may take its time.
pub struct Notifier {
    news: SyncSender<(News, ServerId)>,
}

impl Notifier {
    /// `on_open` is called when somebody presses one, with the server that it is of; it must not block.
    ///
    /// # Errors
    /// The system refused a thread.
    pub fn start(
        on_open: impl Fn(ServerId) + Send + Sync + Clone + 'static,
    ) -> std::io::Result<Self> {
        let (sender, news) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("notify".to_owned())
            .spawn(move || show_each(&news, &on_open))?;
        Ok(Self { news: sender })
    }

    /// Shows it, unless the desktop is behind.
    pub fn show(&self, news: News, of: ServerId) {
        if self.news.try_send((news, of)).is_err() {
            tracing::info!("a notification is left out");
        }
    }
}

fn show_each(
    news: &Receiver<(News, ServerId)>,
    on_open: &(impl Fn(ServerId) + Send + Sync + Clone + 'static),
) {
    while let Ok((News { title, text }, of)) = news.recv() {
        let mut notification = Notification::new();
        notification
            .appname("Voxhall")
            .summary(&title)
            .body(&escaped(&text))
            .icon("voxhall")
            .timeout(Timeout::Default);
        #[cfg(all(unix, not(target_os = "macos")))]
        notification
            .hint(notify_rust::Hint::DesktopEntry("voxhall".to_owned()))
            .action("default", "Open");
        match notification.show() {
            Ok(handle) => {
                let on_open = on_open.clone();
                wait_for_press(handle, move || on_open(of));
            }
            // A desktop without notifications is no trouble.
            Err(error) => tracing::info!("the desktop shows no notification: {error}"),
        }
    }
}

/// On X11 and Wayland desktops the answer comes over D-Bus, some time or never, so not too many are waited for.
#[cfg(all(unix, not(target_os = "macos")))]
fn wait_for_press(handle: notify_rust::NotificationHandle, on_open: impl Fn() + Send + 'static) {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static WAITED_FOR: AtomicUsize = AtomicUsize::new(0);

    if WAITED_FOR.load(Relaxed) >= MOST_WAITED_FOR {
        return;
    }
    WAITED_FOR.fetch_add(1, Relaxed);
    let waiting = std::thread::Builder::new().name("notified".to_owned());
    let waiting = waiting.spawn(move || {
        handle.wait_for_action(|action| {
            if action == "default" {
                on_open();
            }
        });
        WAITED_FOR.fetch_sub(1, Relaxed);
    });
    if let Err(error) = waiting {
        WAITED_FOR.fetch_sub(1, Relaxed);
        tracing::warn!("nobody waits for the press: {error}");
    }
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn wait_for_press<T>(_: T, _: impl Fn()) {}

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
