//! What the relay counts. Written by the media thread, read by metrics at any time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counted {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name { $($(#[$item_doc])* $item,)* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$item,)*];

            /// Name for metrics and logs.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Self::$item => $label,)* }
            }
        }
    };
}

counted! {
    /// Why a datagram was dropped.
    DropReason {
        /// Not voice by its first byte (RFC 9443), or something only a server sends.
        Unclassified = "unclassified",
        /// Longer than any voice datagram.
        TooLong = "too_long",
        /// Not well-formed, before or after it was proven.
        Malformed = "malformed",
        /// No session has this SSRC or STUN user name.
        UnknownSession = "unknown_session",
        /// The hop, RTCP or STUN tag does not match.
        BadTag = "bad_tag",
        /// Seen before.
        Replayed = "replayed",
        /// Older than the replay window.
        TooOld = "too_old",
        /// More packets or bytes than a speaker may send.
        RateLimited = "rate_limited",
        /// Proven, but it names another member as its sender.
        ForgedSender = "forged_sender",
        /// Others in the channel are louder, and as many as are forwarded.
        NotLoudest = "not_loudest",
        /// The member may not speak here.
        NotAllowed = "not_allowed",
        /// The session timed out and is about to be removed.
        TimedOut = "timed_out",
        /// A path request too short to be answered without sending more than came in.
        NoAnswer = "no_answer",
        /// The batch's buffers are full.
        Overload = "overload",
    }
}

counted! {
    /// What else is counted.
    Total {
        DatagramsIn = "datagrams_in",
        BytesIn = "bytes_in",
        /// Voice frames that were proven and allowed.
        FramesIn = "frames_in",
        /// Voice frames times listeners.
        FramesOut = "frames_out",
        /// Datagrams handed to the caller for sending, answers and reports included.
        DatagramsOut = "datagrams_out",
        BytesOut = "bytes_out",
        /// Datagrams out that carry several frames.
        BundlesOut = "bundles_out",
        PathsOpened = "paths_opened",
        PathsMoved = "paths_moved",
        /// Paths that did not move to where a session proved to be: it answered at the old address as well.
        PathsKept = "paths_kept",
        /// Challenges sent because a session spoke from an unproven address, or to ask at an old one before its path moves.
        Challenges = "challenges",
    }
}

/// Counters since the start. Share it in an `Arc`.
#[derive(Debug, Default)]
pub struct Counters {
    drops: [AtomicU64; DropReason::ALL.len()],
    totals: [AtomicU64; Total::ALL.len()],
}

impl Counters {
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize].load(Relaxed)
    }

    /// All drops, whatever the reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.drops.iter().map(|count| count.load(Relaxed)).sum()
    }

    #[must_use]
    pub fn total(&self, total: Total) -> u64 {
        self.totals[total as usize].load(Relaxed)
    }

    pub(crate) fn count_drop(&self, reason: DropReason) {
        self.drops[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn add(&self, total: Total, amount: usize) {
        self.totals[total as usize].fetch_add(amount as u64, Relaxed);
    }
}
