//! How a speaker's delay follows its target: by time-scaling, and by leaving out what is too old.

use super::{MS, Speaker};
use crate::frame::SAMPLES_PER_MS;
use crate::receive::margin::Margins;
use crate::receive::stretch::{MAX_LAG, OVERLAP};

/// Delay beyond the target by which catching up turns from careful to brisk, and from brisk to whatever it takes.
const BRISK: i64 = 10 * MS;
const HASTY: i64 = 50 * MS;
/// Further behind than this, packets are thrown away until only [`SKIP_TO`] is left.
const SKIP_BEYOND: i64 = 500 * MS;
const SKIP_TO: i64 = 150 * MS;
/// Changes smaller than this aren't worth the splice.
const SLACK: i64 = MS / 2;
/// Sound below this mean square (-50 dBFS) is cut anywhere...
const QUIET: f32 = 1e-5;
/// ...and so is what is 30 dB weaker than the speech around it.
const QUIET_BESIDE_SPEECH: f32 = 1e-3;
/// A cut that differs by less than this from another is the same cut: half a millisecond.
const OTHER_LAG: usize = SAMPLES_PER_MS / 2;

impl Speaker {
    /// Brings the delay towards the target: plays a little faster when packets wait longer than they need to, a
    /// little slower when they come only just in time.
    pub(super) fn adapt(&mut self, now: i64, wanted: usize) {
        if self.cooldown > 0 {
            self.quiet_run = 0;
            return;
        }
        let position = self.position();
        let Some(transit) =
            (self.margins.least_transit()).or_else(|| self.catching_up.then_some(now - position))
        else {
            return;
        };
        let target = self.target();
        let needed = self.margins.needed(position, target);
        // For a stall that is expected the delay grows in pauses, and isn't cut.
        let foreseen = (self.delay.foreseen(now) - target).max(0);
        // A path that has just become slower must not find the buffer being emptied.
        let kept = transit - (self.delay.newest() - target).max(foreseen);
        let spare = kept - needed;
        if spare < 2 * MS {
            self.catching_up = false;
        }
        if spare >= BRISK || self.catching_up || now >= self.calm_until {
            self.shorten(wanted, spare, kept);
        }
        if transit < needed - SLACK / 4 {
            self.lengthen(transit);
        } else if transit < needed + foreseen {
            self.lengthen_pause(wanted);
        }
    }

    /// Cuts something out, if with less delay than `transit`, which is the delay less what is to be kept anyway,
    /// packets are still there when they are needed.
    fn shorten(&mut self, wanted: usize, spare: i64, transit: i64) {
        let (position, target) = (self.position(), self.target());
        let longest =
            |margins: &mut Margins, most| margins.longest_cut(transit, position, target, most);
        if longest(&mut self.margins, MAX_LAG) < 2 * SLACK as usize {
            return;
        }
        // What has arrived can be decoded ahead of its time; it costs nothing.
        while self.sound.len() < wanted + MAX_LAG + OVERLAP && self.sound.has_room() {
            let ready = self.packets.first().filter(|packet| {
                packet.sequence == self.packets.next()
                    && packet.timestamp == self.end
                    && self
                        .packets
                        .payload(packet)
                        .is_some_and(|payload| payload.len() > 2)
            });
            let Some(packet) = ready else { break };
            self.decode(&packet);
        }
        let most = MAX_LAG.min(self.sound.len().saturating_sub(OVERLAP));
        let mut longest = longest(&mut self.margins, most);
        // The longer no good place is found, the less good it has to be: hiss has none.
        let waited = self.since_cut as f32 / MS as f32;
        let (alike, pause) = match spare {
            HASTY.. => (0.3 - waited / 50.0, 15 * MS),
            _ if self.catching_up => (0.9 - waited / 100.0, 15 * MS),
            BRISK.. => (0.6 - waited / 200.0, 25 * MS),
            _ => (0.8 - waited / 1_000.0, 100 * MS),
        };
        self.cooldown = 5 * MS;
        // A hiss has no period to cut, but sounds the same wherever it is cut.
        let quiet = self.is_quiet(longest + OVERLAP)
            || (self.catching_up || spare >= BRISK) && self.sound.is_hiss(longest + OVERLAP);
        let mut lag = longest;
        let fits = |margins: &mut Margins, lag: usize| {
            let lag = lag as i64;
            margins.fits(transit - lag, position + lag, target)
        };
        if !quiet {
            // The best place may be one that doesn't agree with the pattern of pulls and packets.
            for _ in 0..3 {
                match self.sound.best_cut(longest) {
                    Some(best) if best.correlation >= alike => lag = best.lag,
                    _ => return,
                }
                if fits(&mut self.margins, lag) {
                    break;
                }
                longest = lag.saturating_sub(OTHER_LAG);
            }
        }
        if lag == 0 || !fits(&mut self.margins, lag) {
            return;
        }
        self.sound.cut(lag);
        self.margins.shift(lag as i64);
        self.stats.accelerated_samples += lag as u64;
        self.uncount_concealed(lag as u64);
        self.since_cut = 0;
        if !quiet {
            self.cooldown = pause;
        }
    }

    /// Nothing is heard when the next `samples` are cut or repeated anywhere.
    fn is_quiet(&self, samples: usize) -> bool {
        self.sound.energy(samples) < QUIET.max(self.loud * QUIET_BESIDE_SPEECH)
    }

    fn lengthen(&mut self, transit: i64) {
        self.cooldown = 5 * MS;
        let quiet = self.is_quiet(OVERLAP);
        let lag = if quiet {
            let (position, target) = (self.position(), self.target());
            let enough = |lag: &usize| {
                let lag = *lag as i64;
                self.margins.fits(transit + lag, position - lag, target)
            };
            (1..MAX_LAG).step_by(4).find(enough).unwrap_or(MAX_LAG)
        } else {
            match self.sound.best_repeat(MAX_LAG) {
                Some(best) if best.correlation >= 0.6 => best.lag,
                _ => return,
            }
        };
        let added = self.sound.repeat(lag);
        self.margins.clear();
        self.stats.expanded_samples += added as u64;
        self.cooldown = 50 * MS;
    }

    /// Repeats what is heard of a pause, if there is one.
    fn lengthen_pause(&mut self, wanted: usize) {
        if !self.is_quiet(wanted) {
            self.quiet_run = 0;
        } else if self.quiet_run < MAX_LAG {
            self.quiet_run += wanted;
        } else {
            let added = self.sound.repeat(MAX_LAG);
            self.margins.shift(-(added as i64));
            self.stats.expanded_samples += added as u64;
            self.quiet_run = 0;
        }
    }

    /// Throws away what is too old to be worth catching up with.
    pub(super) fn skip_backlog(&mut self, now: i64) {
        let due = now - self.target().max(self.delay.newest());
        let Some(oldest) = self.packets.first() else {
            return;
        };
        if due - oldest.timestamp <= SKIP_BEYOND {
            return;
        }
        while let Some(packet) = self.packets.first() {
            if due - packet.timestamp <= SKIP_TO {
                self.packets.pass(packet.sequence - 1);
                self.end = packet.timestamp;
                break;
            }
            self.packets.pass(packet.sequence);
            self.stats.skipped += 1;
        }
        let unplayed = self.sound.len();
        self.sound.rewind(unplayed);
        self.unresolved -= self.unresolved.min(unplayed as i64);
        self.uncount_concealed(unplayed as u64);
        self.owed = 0;
        self.margins.clear();
    }
}
