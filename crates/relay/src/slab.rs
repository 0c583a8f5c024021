//! Values by slot and by key, that grow without a pause however many there are.

use std::hash::{BuildHasher, Hash};

use rustc_hash::{FxBuildHasher, FxHashMap};

/// Place of a value, kept as long as it lives.
pub(crate) type Slot = u32;

const CHUNK: usize = 1_024;
const SHARDS: usize = 1_024;

/// Values in chunks: growing moves none of them, where a plain vector (as in the crate `slab`) moves all at once.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<Option<T>>>,
    free: Vec<Slot>,
}

impl<T> Slab<T> {
    pub fn new() -> Self {
        Self {
            chunks: Vec::new(),
            free: Vec::new(),
        }
    }

    pub fn insert(&mut self, value: T) -> Slot {
        if let Some(slot) = self.free.pop() {
            self.chunks[slot as usize / CHUNK][slot as usize % CHUNK] = Some(value);
            return slot;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let last = self.chunks.last_mut().expect("was pushed where missing");
        last.push(Some(value));
        Slot::try_from(before + last.len() - 1).expect("2^32 sessions need terabytes")
    }

    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        let value = self
            .chunks
            .get_mut(slot as usize / CHUNK)?
            .get_mut(slot as usize % CHUNK)?
            .take()?;
        self.free.push(slot);
        Some(value)
    }

    pub fn get(&self, slot: Slot) -> Option<&T> {
        self.chunks
            .get(slot as usize / CHUNK)?
            .get(slot as usize % CHUNK)?
            .as_ref()
    }

    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.chunks
            .get_mut(slot as usize / CHUNK)?
            .get_mut(slot as usize % CHUNK)?
            .as_mut()
    }
}

/// A number for each slot, packed for looking through all of them.
#[derive(Debug)]
pub(crate) struct Row {
    chunks: Vec<Box<[u64; CHUNK]>>,
    missing: u64,
}

impl Row {
    /// `missing` is what slots have that were never set.
    pub fn new(missing: u64) -> Self {
        Self {
            chunks: Vec::new(),
            missing,
        }
    }

    /// How many slots have a place.
    pub fn len(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    pub fn get(&self, slot: Slot) -> u64 {
        let chunk = self.chunks.get(slot as usize / CHUNK);
        chunk.map_or(self.missing, |chunk| chunk[slot as usize % CHUNK])
    }

    pub fn set(&mut self, slot: Slot, value: u64) {
        while slot as usize >= self.len() {
            self.chunks.push(Box::new([self.missing; CHUNK]));
        }
        self.chunks[slot as usize / CHUNK][slot as usize % CHUNK] = value;
    }
}

/// From key to value, in many small maps: one that grows moves a thousandth of all. The keys are of the server's choice, so a
/// stranger can't make them collide.
#[derive(Debug)]
pub(crate) struct Index<K, V> {
    shards: Vec<FxHashMap<K, V>>,
}

impl<K: Copy + Eq + Hash, V: Copy> Index<K, V> {
    pub fn new() -> Self {
        Self {
            shards: vec![FxHashMap::default(); SHARDS],
        }
    }

    pub fn get(&self, key: K) -> Option<V> {
        self.shards[shard(key)].get(&key).copied()
    }

    pub fn insert(&mut self, key: K, value: V) {
        self.shards[shard(key)].insert(key, value);
    }

    pub fn remove(&mut self, key: K) -> Option<V> {
        self.shards[shard(key)].remove(&key)
    }
}

/// Mixed once more, so that the keys of one shard don't share the bits that its map looks at.
fn shard<K: Hash>(key: K) -> usize {
    let hash = FxBuildHasher.hash_one(key);
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again_and_values_stay_where_they_are() {
        let mut slab = Slab::new();
        let slots: Vec<_> = (0..3_000).map(|n| slab.insert(n)).collect();
        assert_eq!(slab.remove(slots[1_500]), Some(1_500));
        assert_eq!(slab.remove(slots[1_500]), None);
        assert_eq!(slab.insert(7), slots[1_500]);
        assert_eq!(slab.get(slots[1_500]), Some(&7));
        assert_eq!(slab.get_mut(slots[2_999]), Some(&mut 2_999));
        assert_eq!(slab.get(3_000), None);
    }

    #[test]
    fn a_row_grows_by_chunks_and_forgets_nothing() {
        let mut row = Row::new(9);
        assert_eq!(row.get(5_000), 9);
        row.set(5_000, 1);
        assert_eq!((row.get(5_000), row.get(4_999), row.get(60_000)), (1, 9, 9));
        assert_eq!(row.len(), 5 * CHUNK);
        row.set(0, 3);
        assert_eq!((row.get(0), row.get(5_000)), (3, 1));
    }

    #[test]
    fn keys_in_a_row_and_multiples_spread_over_the_shards() {
        for step in [1_u64, 16, 1_024, 1 << 22] {
            let mut index = Index::new();
            for n in 0..100_000 {
                index.insert(n * step, n);
            }
            let fullest = index.shards.iter().map(FxHashMap::len).max().unwrap();
            assert!(
                fullest < 1_000,
                "{fullest} of 100,000 in one of 1,024 shards, step {step}"
            );
            assert_eq!(index.get(99 * step), Some(99));
            assert_eq!(index.remove(99 * step), Some(99));
            assert_eq!(index.get(99 * step), None);
        }
    }
}
