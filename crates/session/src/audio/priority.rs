//! Real-time priority for threads that sound depends on, where the system grants it.

use thread_priority::ThreadPriority;

/// Low among real-time priorities: above everything that isn't sound, below the audio server's own threads.
#[cfg(unix)]
const PRIORITY: u8 = 10;

/// Asks the system to run this thread before ordinary ones. Where it may not (on Linux: no `rtprio` limit for the
/// user), everything works as before, with more delay while the machine is busy.
pub fn raise_current_thread() {
    #[cfg(unix)]
    if let Ok(priority) = ThreadPriority::try_from(PRIORITY) {
        let _ = thread_priority::set_thread_priority_and_policy(
            thread_priority::thread_native_id(),
            priority,
            thread_priority::ThreadSchedulePolicy::Realtime(
                thread_priority::RealtimeThreadSchedulePolicy::RoundRobin,
            ),
        );
    }
    #[cfg(not(unix))]
    let _ = thread_priority::set_current_thread_priority(ThreadPriority::Max);
}
