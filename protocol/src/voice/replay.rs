//! Sliding window over packet indexes (RFC 3711 section 3.3.2): each index passes once.

/// Remembers the newest index seen and which of the `64 * WORDS` up to it were seen.
///
/// [`check`](Self::check) before the tag is verified, [`commit`](Self::commit) after: a forged packet leaves no trace.
#[derive(Clone, Debug)]
pub struct ReplayWindow<const WORDS: usize> {
    newest: Option<u64>,
    /// Bit `index % SIZE` of the ring tells whether `index` was seen.
    seen: [u64; WORDS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    #[error("the packet was received before")]
    Replayed,
    #[error("the packet is older than the replay window")]
    TooOld,
}

impl<const WORDS: usize> ReplayWindow<WORDS> {
    /// Number of indexes the window covers.
    pub const SIZE: u64 = 64 * WORDS as u64;

    #[must_use]
    pub const fn new() -> Self {
        Self {
            newest: None,
            seen: [0; WORDS],
        }
    }

    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Whether `index` may still pass. Changes nothing.
    pub fn check(&self, index: u64) -> Result<(), ReplayError> {
        let Some(newest) = self.newest else {
            return Ok(());
        };
        if index > newest {
            Ok(())
        } else if newest - index >= Self::SIZE {
            Err(ReplayError::TooOld)
        } else if self.seen[Self::word(index)] & Self::bit(index) != 0 {
            Err(ReplayError::Replayed)
        } else {
            Ok(())
        }
    }

    /// Marks an `index` that passed [`check`](Self::check) and whose packet was proven genuine.
    pub fn commit(&mut self, index: u64) {
        match self.newest {
            Some(newest) if index <= newest => {
                if newest - index >= Self::SIZE {
                    return;
                }
            }
            Some(newest) if index - newest < Self::SIZE => {
                for skipped in newest + 1..index {
                    self.seen[Self::word(skipped)] &= !Self::bit(skipped);
                }
                self.newest = Some(index);
            }
            _ => {
                self.seen = [0; WORDS];
                self.newest = Some(index);
            }
        }
        self.seen[Self::word(index)] |= Self::bit(index);
    }

    fn word(index: u64) -> usize {
        ((index % Self::SIZE) / 64) as usize
    }

    fn bit(index: u64) -> u64 {
        1 << (index % 64)
    }
}

impl<const WORDS: usize> Default for ReplayWindow<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_index_passes_once_and_old_ones_never() {
        let mut window = ReplayWindow::<2>::new();
        for index in [5, 6, 8, 7] {
            assert_eq!(window.check(index), Ok(()));
            window.commit(index);
            assert_eq!(window.check(index), Err(ReplayError::Replayed));
        }
        window.commit(5 + 128);
        assert_eq!(window.check(5), Err(ReplayError::TooOld));
        assert_eq!(window.check(6), Err(ReplayError::Replayed));
        assert_eq!(window.check(9), Ok(()));
        window.commit(u64::MAX);
        assert_eq!(window.check(u64::MAX), Err(ReplayError::Replayed));
        assert_eq!(window.check(u64::MAX - 1), Ok(()));
    }

    proptest! {
        /// The window agrees with a set that remembers everything.
        #[test]
        fn agrees_with_a_set(steps in prop::collection::vec(-200i64..400, 1..400)) {
            let mut window = ReplayWindow::<2>::new();
            let mut seen = HashSet::new();
            let mut newest = None;
            let mut at = 10_000i64;
            for step in steps {
                at = (at + step).max(0);
                let index = at as u64;
                let expected = match newest {
                    Some(newest) if index + 128 <= newest => Err(ReplayError::TooOld),
                    _ if seen.contains(&index) => Err(ReplayError::Replayed),
                    _ => Ok(()),
                };
                prop_assert_eq!(window.check(index), expected);
                if expected.is_ok() {
                    window.commit(index);
                    seen.insert(index);
                    newest = newest.max(Some(index));
                }
            }
        }
    }
}
