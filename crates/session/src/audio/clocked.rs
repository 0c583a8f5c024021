//! A device without a sound card: callbacks at the pace of the system clock, as the bot and the benches need them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use voxhall_voice::Stereo;

use super::{DeviceEnds, SAMPLE_RATE};

/// Calls back every period until dropped.
///
/// As with a real device, what is captured in one call was said during the period before it, and what is played in that
/// call is heard during the period after it: one period of delay is the device's own.
pub struct ClockedDevice {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ClockedDevice {
    /// The first call is at `first`, each later one a period after the last. `io` fills its first slice with what the
    /// microphone hears and is given in the second what the speaker plays, both one period long.
    ///
    /// # Errors
    /// The system refused a thread.
    pub fn start(
        ends: DeviceEnds,
        first: Instant,
        period_samples: usize,
        io: impl FnMut(&mut [Stereo], &[Stereo]) + Send + 'static,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = Builder::new()
            .name("clocked-device".to_owned())
            .spawn(move || run(ends, first, period_samples.max(1), io, &stopped))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for ClockedDevice {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    mut ends: DeviceEnds,
    first: Instant,
    period: usize,
    mut io: impl FnMut(&mut [Stereo], &[Stereo]),
    stop: &AtomicBool,
) {
    // As a sound card's callbacks are.
    super::raise_current_thread();
    let mut captured = vec![[0.0; 2]; period];
    let mut played = vec![[0.0; 2]; period];
    let mut done: u64 = 0;
    while !stop.load(Relaxed) {
        // From the start, not from the last call: lateness doesn't add up.
        let due = first
            + Duration::from_nanos(done * period as u64 * 1_000_000_000 / u64::from(SAMPLE_RATE));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        ends.output.read(&mut played);
        io(&mut captured, &played);
        ends.input.write(&captured);
        done += 1;
    }
}
