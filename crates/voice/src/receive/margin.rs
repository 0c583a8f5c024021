//! How much too early or too late sound is played, seen from where packets are needed.
//!
//! Sound is pulled in runs of samples, and a packet must be there at the pull that contains its first sample: up to a
//! pull earlier than that sample is heard. Packets come in a pattern too, since a speaker's device hands over whole
//! periods. Where both patterns are known, the delay need not cover the worst of one on top of the worst of the
//! other, but the worst that they make together; and a cut of the right length brings them into step.

/// Pulls of which the earliest counts.
const PULLS: usize = 32;
/// Fewer say too little.
const ENOUGH_PULLS: usize = 3;
/// Packets that are remembered.
const PACKETS: usize = 512;
/// Longest pattern that is looked for, packets.
const CLASSES: usize = 64;
/// So many packets in the same place of the pattern say something about the next one there.
const ENOUGH_PACKETS: i64 = 4;
/// Lengths of pulls that are remembered: if they differ, the longest counts and there is no pattern.
const LENGTHS: usize = 8;
/// Time without packets after which the clocks may have drifted apart unseen, samples.
const LONG_SILENCE: i64 = 4 * 48_000;
/// Cuts are looked for in steps of this many samples.
const STEP: usize = 4;

#[derive(Debug, Clone, Copy, Default)]
struct Packet {
    timestamp: i64,
    transit: i64,
}

/// Packets that begin at the same place of a pull.
#[derive(Debug, Clone, Copy)]
struct Class {
    count: i64,
    least: i64,
    most: i64,
    /// Transit by which the next one will have come.
    due: i64,
}

const NO_CLASS: Class = Class {
    count: 0,
    least: i64::MAX,
    most: i64::MIN,
    due: i64::MIN,
};

pub(crate) struct Margins {
    /// Our time minus media time at the start of each pull of late.
    transits: [i64; PULLS],
    transits_len: usize,
    transits_next: usize,
    /// Lengths of the pulls before this one.
    lengths: [usize; LENGTHS],
    lengths_next: usize,
    /// When this pull began, and how much of it is done: what is pulled at one and the same time is one pull.
    pull_at: i64,
    pulled: usize,
    packets: Box<[Packet; PACKETS]>,
    packets_len: usize,
    packets_next: usize,
    frame: i64,
    newest_at: i64,
    classes: [Class; CLASSES],
    /// What `classes` was made for; nothing when packets have come since.
    made_for: Option<Pattern>,
}

/// Pulls of `pull` samples and packets of `frame`, packets being waited for until `target`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pattern {
    pull: i64,
    target: i64,
    /// Grain of the pattern: packets begin so many samples apart, seen within a pull.
    grain: i64,
    /// A timestamp at which the first class begins.
    base: i64,
    /// There are classes; otherwise only the worst is known.
    known: bool,
}

impl Margins {
    pub(crate) fn new() -> Self {
        Self {
            transits: [0; PULLS],
            transits_len: 0,
            transits_next: 0,
            lengths: [0; LENGTHS],
            lengths_next: 0,
            pull_at: i64::MIN,
            pulled: 0,
            packets: Box::new([Packet::default(); PACKETS]),
            packets_len: 0,
            packets_next: 0,
            frame: 480,
            newest_at: i64::MIN,
            classes: [NO_CLASS; CLASSES],
            made_for: None,
        }
    }

    /// Another speaker.
    pub(crate) fn reset(&mut self) {
        self.clear();
        self.packets_len = 0;
        self.packets_next = 0;
        self.newest_at = i64::MIN;
        self.made_for = None;
    }

    /// The delay is another one. What is known of packets and of the lengths of pulls stays.
    pub(crate) fn clear(&mut self) {
        self.transits_len = 0;
        self.transits_next = 0;
    }

    /// A packet of `samples` came at `now`.
    pub(crate) fn packet(&mut self, now: i64, timestamp: i64, samples: i64) {
        let silent = self.newest_at != i64::MIN && now - self.newest_at >= LONG_SILENCE;
        if silent || samples != self.frame {
            self.packets_len = 0;
            self.packets_next = 0;
        }
        self.frame = samples;
        self.newest_at = now;
        self.packets[self.packets_next] = Packet {
            timestamp,
            transit: now - timestamp,
        };
        self.packets_next = (self.packets_next + 1) % PACKETS;
        self.packets_len = (self.packets_len + 1).min(PACKETS);
        self.made_for = None;
    }

    /// `samples` are pulled at `now`. Returns how many were already pulled at that time.
    pub(crate) fn pull(&mut self, now: i64, samples: usize) -> usize {
        if now != self.pull_at {
            if self.pulled > 0 {
                self.lengths[self.lengths_next] = self.pulled;
                self.lengths_next = (self.lengths_next + 1) % LENGTHS;
            }
            self.pull_at = now;
            self.pulled = 0;
        }
        let before = self.pulled;
        self.pulled += samples;
        before
    }

    /// The pull that is under way began with media time `position`.
    pub(crate) fn record(&mut self, position: i64) {
        self.transits[self.transits_next] = self.pull_at - position;
        self.transits_next = (self.transits_next + 1) % PULLS;
        self.transits_len = (self.transits_len + 1).min(PULLS);
    }

    /// Takes into account that `cut` samples were removed.
    pub(crate) fn shift(&mut self, cut: i64) {
        for transit in &mut self.transits[..self.transits_len] {
            *transit -= cut;
        }
    }

    /// Our time minus media time at the start of the earliest pull of late.
    pub(crate) fn least_transit(&self) -> Option<i64> {
        (self.transits_len >= ENOUGH_PULLS)
            .then(|| self.transits[..self.transits_len].iter().copied().min())
            .flatten()
    }

    /// What our time minus media time must be at the start of pulls that begin with media time `position`, and a whole
    /// number of pulls before and after it, for packets to be there that come within `target`.
    pub(crate) fn needed(&mut self, position: i64, target: i64) -> i64 {
        let pattern = self.pattern(target);
        self.needed_in(&pattern, position)
    }

    /// The longest cut, up to `longest`, after which pulls that begin with media time `position` at `transit` still find
    /// every packet in time.
    pub(crate) fn longest_cut(
        &mut self,
        transit: i64,
        position: i64,
        target: i64,
        longest: usize,
    ) -> usize {
        let pattern = self.pattern(target);
        // Nothing needs less than it takes when it begins with a pull.
        let least = if pattern.known {
            self.classes.iter().map(|class| class.due).max()
        } else {
            None
        };
        let room = transit - least.unwrap_or(target);
        let longest = usize::try_from(room).unwrap_or(0).min(longest);
        let fits = |cut: &usize| {
            let cut = *cut as i64;
            transit - cut >= self.needed_in(&pattern, position + cut)
        };
        (1..=longest).rev().step_by(STEP).find(fits).unwrap_or(0)
    }

    /// Whether pulls that begin with media time `position` at `transit` find every packet in time.
    pub(crate) fn fits(&mut self, transit: i64, position: i64, target: i64) -> bool {
        transit >= self.needed(position, target)
    }

    /// How far apart places are at which packets begin, seen within a pull.
    pub(crate) fn grain(&self, frame: i64) -> i64 {
        common_divisor(self.pull_length(), frame)
    }

    fn pull_length(&self) -> i64 {
        let longest = self.lengths.iter().copied().max().unwrap_or(0);
        if longest > 0 { longest } else { self.pulled }.max(1) as i64
    }

    fn needed_in(&self, pattern: &Pattern, position: i64) -> i64 {
        if !pattern.known {
            let beyond = (pattern.base - position).rem_euclid(pattern.grain);
            return pattern.target + pattern.pull - pattern.grain + beyond;
        }
        let classes = (pattern.pull / pattern.grain) as usize;
        let mut offset = (pattern.base - position).rem_euclid(pattern.pull);
        let mut needed = i64::MIN;
        for class in &self.classes[..classes] {
            needed = needed.max(class.due + offset);
            offset += pattern.grain;
            if offset >= pattern.pull {
                offset -= pattern.pull;
            }
        }
        needed
    }

    fn pattern(&mut self, target: i64) -> Pattern {
        let pull = self.pull_length();
        let steady = self.lengths.iter().all(|&length| length as i64 == pull);
        let newest = (self.packets_next + PACKETS - 1) % PACKETS;
        let made = self
            .made_for
            .filter(|made| made.pull == pull && made.target == target && (steady || !made.known));
        if let Some(made) = made {
            return made;
        }
        let grain = common_divisor(pull, self.frame);
        let pattern = Pattern {
            pull,
            target,
            grain,
            base: self.packets[newest].timestamp,
            // Where packets begin at one place of a pull only, there is nothing to tell apart.
            known: steady
                && self.packets_len > 0
                && pull > grain
                && (pull / grain) as usize <= CLASSES,
        };
        if pattern.known {
            self.classify(&pattern);
        }
        self.made_for = Some(pattern);
        pattern
    }

    fn classify(&mut self, pattern: &Pattern) {
        self.classes = [NO_CLASS; CLASSES];
        let count = (pattern.pull / pattern.grain) as usize;
        for packet in &self.packets[..self.packets_len] {
            let place = (packet.timestamp - pattern.base).rem_euclid(pattern.pull);
            // What comes later than the target isn't waited for.
            if place % pattern.grain != 0 || packet.transit > pattern.target {
                continue;
            }
            let class = &mut self.classes[(place / pattern.grain) as usize];
            class.count += 1;
            class.least = class.least.min(packet.transit);
            class.most = class.most.max(packet.transit);
        }
        let classes = &mut self.classes[..count];
        let slowest = classes.iter().map(|class| class.most).max().unwrap_or(0);
        for class in classes {
            class.due = pattern.target;
            if class.count >= ENOUGH_PACKETS {
                // The more of them there were, the less likely is one beyond the slowest.
                let beyond = (class.most - class.least) * ENOUGH_PACKETS / class.count;
                class.due -= (slowest - class.most - beyond).max(0);
            }
        }
    }
}

fn common_divisor(a: i64, b: i64) -> i64 {
    if b <= 0 {
        a.max(1)
    } else {
        common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i64 = 240;
    const PULL: usize = 128;

    /// 64 packets with the transit that `transit` gives for a timestamp, and pulls of `pieces` each.
    fn margins(pieces: &[usize], transit: impl Fn(i64) -> i64) -> Margins {
        let mut margins = Margins::new();
        for i in 0..64 {
            let timestamp = i * FRAME;
            margins.packet(timestamp + transit(timestamp), timestamp, FRAME);
        }
        for pull in 0..10 {
            for &piece in pieces {
                margins.pull(pull * 1_000, piece);
            }
        }
        margins
    }

    /// When a frame goes out whose speaker's device hands over whole periods.
    fn with_periods(timestamp: i64) -> i64 {
        (-(timestamp + FRAME)).rem_euclid(PULL as i64)
    }

    #[test]
    fn a_packet_is_needed_at_the_start_of_its_pull() {
        // All come after 0 samples, and some begin 112 samples into a pull.
        assert_eq!(margins(&[PULL], |_| 0).needed(0, 10), 122);
        // Pulls that are out of step by one sample.
        assert_eq!(margins(&[PULL], |_| 0).needed(-1, 10), 123);
        // Packets begin with a pull.
        assert_eq!(margins(&[120], |_| 0).needed(0, 10), 10);
        assert_eq!(margins(&[120], |_| 0).needed(-20, 10), 30);
        // Two in one pull: the second counts.
        assert_eq!(margins(&[480], |_| 0).needed(0, 10), 250);
    }

    #[test]
    fn patterns_in_step_are_paid_for_once() {
        let mut margins = margins(&[PULL], with_periods);
        // At the best place: a packet that is 112 late begins with its pull, one that isn't late 112 samples into it.
        assert_eq!(margins.needed(32, 122), 122);
        // At the worst, packets are late and in the midst of a pull.
        assert_eq!(margins.needed(33, 122), 122 + 127);
        // A cut leads from one to the other, if the delay permits it.
        assert_eq!(margins.longest_cut(122 + 127, 33, 122, 720), 127);
        assert!(margins.longest_cut(122 + 126, 33, 122, 720) < 16);
        assert!(margins.fits(122, 33 + 127, 122) && !margins.fits(121, 33 + 127, 122));
    }

    #[test]
    fn what_is_no_pattern_is_covered_whole() {
        // Late by chance: each kind of packet may come as late as any.
        let mut state = 1_u32;
        let jitter = std::cell::RefCell::new(move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            i64::from(state >> 16) % 113
        });
        let mut by_chance = margins(&[PULL], |_| (*jitter.borrow_mut())());
        assert!(by_chance.needed(0, 122) >= 122 + 96);
        // A few are not enough to tell.
        let mut few = Margins::new();
        for timestamp in (0..8).map(|i| i * FRAME) {
            few.packet(timestamp + with_periods(timestamp), timestamp, FRAME);
        }
        for pull in 0..10 {
            few.pull(pull * 1_000, PULL);
        }
        assert_eq!(few.needed(32, 122), 122 + 112);
        // Pulls of different lengths: the longest, at its worst.
        let mut uneven = margins(&[PULL], with_periods);
        uneven.pull(20_000, 64);
        uneven.pull(21_000, PULL);
        assert_eq!(uneven.needed(32, 122), 122 + 112);
    }

    #[test]
    fn what_is_pulled_at_one_time_is_one_pull() {
        let mut whole = margins(&[1_024], |_| 0);
        let mut pieces = margins(&[960, 64], |_| 0);
        assert_eq!(whole.needed(0, 10), pieces.needed(0, 10));
        assert_eq!(pieces.pull(50_000, 960), 0);
        assert_eq!(pieces.pull(50_000, 64), 960);
    }

    #[test]
    fn the_earliest_of_some_pulls_counts_and_moves_with_a_cut() {
        let mut margins = margins(&[PULL], |_| 0);
        for position in [0, 10, 5] {
            assert_eq!(margins.least_transit(), None);
            margins.pull(40_000 + position, PULL);
            margins.record(0);
        }
        assert_eq!(margins.least_transit(), Some(40_000));
        margins.shift(100);
        assert_eq!(margins.least_transit(), Some(39_900));
        margins.clear();
        assert_eq!(margins.least_transit(), None);
    }
}
