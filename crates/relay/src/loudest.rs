//! Whose frames of a channel are forwarded when many talk at once: the loudest, by the levels that speakers state (RFC 6464).

use std::time::{Duration, Instant};

use voxhall_protocol::voice::AudioLevel;

use crate::slab::Slot;

/// Whoever would take another's place has to be so much louder, dB...
const LOUDER_BY_DB: f32 = 6.0;
/// ...and the other has had it for so long, so that no two take turns at every word.
const KEPT_FOR: Duration = Duration::from_millis(500);
/// Frames are withheld for so long at least. Listeners take shorter gaps for loss, and longer ones not.
const WITHHELD_FOR: Duration = Duration::from_millis(200);
/// Who sends nothing for so long gives its place away.
const GONE_AFTER: Duration = Duration::from_millis(300);
/// How quickly the loudness of a speaker falls while it says nothing, so that a pause between words costs it little.
const FALLS_DB_PER_S: f32 = 20.0;
const SILENCE_DBOV: f32 = -127.0;

/// Those of a channel who are heard.
#[derive(Debug)]
pub(crate) struct Loudest {
    most: usize,
    heard: Vec<Heard>,
}

#[derive(Debug)]
struct Heard {
    slot: Slot,
    since: Instant,
    last_frame: Instant,
    loudness: Loudness,
}

/// What is kept of each speaker, heard or not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Voice {
    loudness: Option<Loudness>,
    withheld_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Loudness {
    dbov: f32,
    at: Instant,
}

impl Loudest {
    /// For so many at once.
    pub fn of(most: usize) -> Self {
        Self {
            most,
            heard: Vec::with_capacity(most),
        }
    }

    /// Whether a frame that came now is forwarded. A sender that states no level counts as silent.
    pub fn admits(
        &mut self,
        now: Instant,
        slot: Slot,
        level: Option<AudioLevel>,
        voice: &mut Voice,
    ) -> bool {
        let dbov = level.map_or(SILENCE_DBOV, |level| -f32::from(level.minus_dbov));
        let faded = voice
            .loudness
            .map_or(SILENCE_DBOV, |loudness| loudness.now(now));
        let dbov = dbov.max(faded);
        let loudness = Loudness { dbov, at: now };
        voice.loudness = Some(loudness);
        if let Some(heard) = self.heard.iter_mut().find(|heard| heard.slot == slot) {
            heard.last_frame = now;
            heard.loudness = loudness;
            return true;
        }
        let withheld = voice.withheld_since;
        let may_come = withheld.is_none_or(|since| now.duration_since(since) >= WITHHELD_FOR);
        if !(may_come && self.make_room(now, dbov)) {
            voice.withheld_since = Some(withheld.unwrap_or(now));
            return false;
        }
        voice.withheld_since = None;
        self.heard.push(Heard {
            slot,
            since: now,
            last_frame: now,
            loudness,
        });
        true
    }

    /// Its slot becomes another's.
    pub fn forget(&mut self, slot: Slot) {
        self.heard.retain(|heard| heard.slot != slot);
    }

    fn make_room(&mut self, now: Instant, dbov: f32) -> bool {
        if self.heard.len() < self.most {
            return true;
        }
        let gone = |heard: &Heard| now.duration_since(heard.last_frame) >= GONE_AFTER;
        let place = self.heard.iter().position(gone).or_else(|| {
            let kept = |heard: &Heard| now.duration_since(heard.since) >= KEPT_FOR;
            (self.heard.iter().enumerate())
                .filter(|(_, heard)| kept(heard))
                .map(|(place, heard)| (place, heard.loudness.now(now)))
                .min_by(|(_, left), (_, right)| left.total_cmp(right))
                .filter(|(_, quietest)| dbov >= quietest + LOUDER_BY_DB)
                .map(|(place, _)| place)
        });
        if let Some(place) = place {
            self.heard.swap_remove(place);
        }
        place.is_some()
    }
}

impl Loudness {
    fn now(self, now: Instant) -> f32 {
        let s = now.saturating_duration_since(self.at).as_secs_f32();
        self.dbov - FALLS_DB_PER_S * s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 3;

    struct Room {
        start: Instant,
        loudest: Loudest,
        voices: Vec<Voice>,
    }

    impl Room {
        fn new(people: usize) -> Self {
            Self {
                start: Instant::now(),
                loudest: Loudest::of(MOST),
                voices: vec![Voice::default(); people],
            }
        }

        /// Frames of 20 ms from everyone who talks, at so many dB below full scale; says when each was let through.
        fn talk(
            &mut self,
            from_ms: u64,
            to_ms: u64,
            level: impl Fn(u64, usize) -> Option<u8>,
        ) -> Vec<Vec<u64>> {
            let mut through = vec![Vec::new(); self.voices.len()];
            for ms in (from_ms..to_ms).step_by(20) {
                let now = self.start + Duration::from_millis(ms);
                let mut of_this_time = 0;
                for (slot, voice) in self.voices.iter_mut().enumerate() {
                    let Some(minus_dbov) = level(ms, slot) else {
                        continue;
                    };
                    let level = AudioLevel {
                        voice: true,
                        minus_dbov,
                    };
                    if self.loudest.admits(now, slot as Slot, Some(level), voice) {
                        through[slot].push(ms);
                        of_this_time += 1;
                    }
                }
                // Each place changes hands once at most, after a frame of who had it.
                assert!(of_this_time <= 2 * MOST);
            }
            through
        }
    }

    #[test]
    fn few_are_all_heard_however_quiet() {
        let mut room = Room::new(MOST);
        let heard = room.talk(0, 2_000, |_, who| Some(if who == 0 { 20 } else { 90 }));
        assert!(heard.iter().all(|times| times.len() == 100));
    }

    #[test]
    fn the_loudest_are_heard_and_who_gets_louder_takes_a_place_soon() {
        let mut room = Room::new(6);
        let heard = room.talk(0, 2_000, |_, who| Some(40 - who as u8));
        // Nobody is louder by the margin than those who spoke first.
        assert!(heard[..3].iter().all(|times| times.len() == 100));
        let heard = room.talk(2_000, 4_000, |_, who| Some(if who == 5 { 10 } else { 40 }));
        assert_eq!(
            heard[5].first(),
            Some(&2_000),
            "it had been withheld for long"
        );
        assert_eq!(heard[5].len(), 100);
    }

    #[test]
    fn no_gap_is_so_short_that_it_looks_like_loss_and_nobody_is_let_in_for_a_word() {
        let mut room = Room::new(9);
        // Syllables at different times and strengths.
        let heard = room.talk(0, 60_000, |ms, who| {
            let phase = (ms / 20 + 7 * who as u64) % (11 + who as u64);
            Some(if phase < 6 { 15 + 3 * phase as u8 } else { 60 })
        });
        let mut changes = 0;
        for times in &heard {
            for pair in times.windows(2) {
                let gap = pair[1] - pair[0];
                assert!(gap == 20 || gap >= 200, "{gap} ms");
                changes += usize::from(gap > 20);
            }
        }
        assert!(changes < 9 * 60, "{changes} changes in a minute");
        assert!(heard.iter().map(Vec::len).sum::<usize>() > 3_000 * MOST * 9 / 10);
    }

    #[test]
    fn a_place_is_free_when_its_holder_pauses_or_leaves() {
        let mut room = Room::new(4);
        let heard = room.talk(0, 1_000, |_, _| Some(30));
        assert!(heard[3].is_empty());
        let heard = room.talk(1_000, 2_000, |_, who| (who != 1).then_some(30));
        assert_eq!(heard[3].first(), Some(&1_280));
        room.loudest.forget(0);
        let heard = room.talk(2_000, 2_200, |_, who| (who != 0).then_some(30));
        assert_eq!(heard[1].first(), Some(&2_000));
    }
}
