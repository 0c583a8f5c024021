//! How close to being late packets are, seen from where they are needed.
//!
//! Sound is pulled in chunks, and a packet must be there at the pull that contains its first sample. So what
//! counts is the time from a packet's timestamp to that pull, and it moves in steps of a chunk.

const ENTRIES: usize = 32;
/// Fewer say too little.
const ENOUGH: usize = 3;

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// Our time minus media time at the start of a pull.
    transit: i64,
    /// Where in the pull the last packet begins.
    offset: i64,
}

impl Entry {
    fn margin(self) -> i64 {
        self.transit - self.offset
    }

    /// The entry, had `cut` samples been removed before it.
    fn after(self, cut: i64, pull: i64, frame: i64) -> Self {
        let step = pull.min(frame).max(1);
        let first = (self.offset - cut).rem_euclid(step);
        let offset = first + (pull - 1 - first).max(0) / frame.max(1) * frame;
        Self {
            transit: self.transit - cut,
            offset,
        }
    }
}

pub(crate) struct Margins {
    entries: [Entry; ENTRIES],
    len: usize,
    next: usize,
}

impl Margins {
    pub(crate) fn new() -> Self {
        Self {
            entries: [Entry::default(); ENTRIES],
            len: 0,
            next: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.next = 0;
    }

    /// Notes a pull at `now` of `pull` samples from media time `position` on. Packets begin at `boundary` and
    /// every `frame` before and after it.
    pub(crate) fn record(
        &mut self,
        now: i64,
        position: i64,
        pull: usize,
        boundary: i64,
        frame: i64,
    ) {
        let end = position + pull as i64;
        let last = end - 1 - (end - 1 - boundary).rem_euclid(frame.max(1));
        if last < position {
            return;
        }
        self.entries[self.next] = Entry {
            transit: now - position,
            offset: last - position,
        };
        self.next = (self.next + 1) % ENTRIES;
        self.len = (self.len + 1).min(ENTRIES);
    }

    /// The smallest margin lately.
    pub(crate) fn least(&self) -> Option<i64> {
        if self.len < ENOUGH {
            return None;
        }
        self.entries[..self.len]
            .iter()
            .map(|entry| entry.margin())
            .min()
    }

    /// What [`least`](Self::least) would be if `cut` samples were removed.
    pub(crate) fn least_after(&self, cut: i64, pull: usize, frame: i64) -> i64 {
        self.entries[..self.len]
            .iter()
            .map(|entry| entry.after(cut, pull as i64, frame).margin())
            .min()
            .unwrap_or(i64::MIN)
    }

    /// Takes into account that `cut` samples were removed.
    pub(crate) fn shift(&mut self, cut: i64, pull: usize, frame: i64) {
        for entry in &mut self.entries[..self.len] {
            *entry = entry.after(cut, pull as i64, frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i64 = 480;

    /// Pulls of `pull` from media time `position` on, `delay` after the speaker's clock.
    fn margins(pull: usize, position: i64, delay: i64) -> Margins {
        let mut margins = Margins::new();
        for i in 0..64 {
            let at = position + i * pull as i64;
            margins.record(at + delay, at, pull, 0, FRAME);
        }
        margins
    }

    #[test]
    fn a_packet_is_needed_at_the_start_of_its_pull() {
        // Packets begin with a pull: all the delay is margin.
        assert_eq!(margins(120, 0, 300).least(), Some(300));
        // They begin 20 samples into a pull.
        assert_eq!(margins(120, -20, 300).least(), Some(280));
        // They begin anywhere, at worst 96 samples into a pull.
        assert_eq!(margins(128, 0, 300).least(), Some(204));
        // Two in one pull: the second counts.
        assert_eq!(margins(960, 0, 900).least(), Some(420));
    }

    #[test]
    fn a_cut_costs_whole_pulls_where_packets_and_pulls_align() {
        let margins = margins(120, 0, 300);
        assert_eq!(margins.least_after(1, 120, FRAME), 180);
        assert_eq!(margins.least_after(120, 120, FRAME), 180);
        assert_eq!(margins.least_after(121, 120, FRAME), 60);
    }

    #[test]
    fn what_is_foretold_comes_true() {
        for (pull, position, cut) in [(120, 0, 77), (240, -100, 130), (480, 0, 300), (960, 0, 50)] {
            let mut before = margins(pull, position, 2_000);
            let foretold = before.least_after(cut, pull, FRAME);
            before.shift(cut, pull, FRAME);
            assert_eq!(before.least(), Some(foretold));
            let after = margins(pull, position + cut, 2_000 - cut);
            assert_eq!(after.least(), Some(foretold), "pulls of {pull}, {cut} cut");
        }
    }
}
