//! Places that strangers could take from everyone else: so many for each address, and so many in all.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex},
};

use crate::rates::{SITE_FACTOR, Source};

/// One of an address' places; given back when the last clone is dropped, or before.
#[derive(Clone, Debug)]
pub struct Place(Arc<Mutex<Option<Taken>>>);

impl Place {
    #[cfg(test)]
    pub fn of_nobody() -> Self {
        Self(Arc::default())
    }

    pub fn give_back(&self) {
        let place = (self.0.lock().expect("nothing panics with this lock")).take();
        drop(place);
    }
}

#[derive(Debug)]
struct Taken {
    source: Source,
    places: Arc<Places>,
}

/// Places of which each address, each site and everyone together have so many.
#[derive(Debug)]
pub struct Places {
    per_source: u32,
    total: usize,
    count: Mutex<Count>,
}

#[derive(Debug, Default)]
struct Count {
    by_source: HashMap<Source, u32>,
    total: usize,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// This address has as many as it may.
    Source,
    /// All are taken.
    All,
}

impl Places {
    pub fn new(per_source: u32, total: usize) -> Arc<Self> {
        Arc::new(Self {
            per_source,
            total,
            count: Mutex::default(),
        })
    }

    /// # Errors
    /// There are too many.
    pub fn take(self: &Arc<Self>, source: Source) -> Result<Place, Full> {
        let mut count = self.count.lock().expect("nothing panics with this lock");
        if count.total >= self.total {
            return Err(Full::All);
        }
        if counted(source, self.per_source)
            .any(|(source, limit)| count.by_source.get(&source).is_some_and(|n| *n >= limit))
        {
            return Err(Full::Source);
        }
        count.total += 1;
        for (source, _) in counted(source, self.per_source) {
            *count.by_source.entry(source).or_insert(0) += 1;
        }
        Ok(Place(Arc::new(Mutex::new(Some(Taken {
            source,
            places: Arc::clone(self),
        })))))
    }
}

/// Under what a place is counted, and how many each may have.
fn counted(source: Source, per_source: u32) -> impl Iterator<Item = (Source, u32)> {
    let site = (source.site()).map(|site| (site, per_source.saturating_mul(SITE_FACTOR)));
    std::iter::once((source, per_source)).chain(site)
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut count = (self.places.count.lock()).expect("nothing panics with this lock");
        count.total -= 1;
        for (source, _) in counted(self.source, 0) {
            if let Entry::Occupied(mut entry) = count.by_source.entry(source) {
                *entry.get_mut() -= 1;
                if *entry.get() == 0 {
                    entry.remove();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let places = Places::new(2, 100);
        let take = |text| places.take(source(text)).map(|_| ());
        let first = places.take(source("10.0.0.1")).unwrap();
        let second = places.take(source("10.0.0.1")).unwrap();
        assert_eq!(take("10.0.0.1"), Err(Full::Source));
        assert_eq!(take("10.0.0.2"), Ok(()));
        let clone = first.clone();
        drop(first);
        assert_eq!(take("10.0.0.1"), Err(Full::Source));
        drop(clone);
        let transfer = places.take(source("10.0.0.1")).unwrap();
        transfer.give_back();
        transfer.give_back();
        let another = places.take(source("10.0.0.1")).unwrap();
        drop((transfer, another));
        drop(second);
        let count = places.count.lock().unwrap();
        assert!(count.by_source.is_empty() && count.total == 0);
    }

    #[test]
    fn strangers_together_have_a_limit_and_so_has_an_ipv6_site() {
        let places = Places::new(1, 6);
        let mut held = Vec::new();
        for n in 0..SITE_FACTOR {
            held.push(places.take(source(&format!("2001:db8:1:{n}::1"))).unwrap());
        }
        let take = |text| places.take(source(text));
        assert_eq!(take("2001:db8:1:99::1").err(), Some(Full::Source));
        held.push(take("2001:db8:2::1").unwrap());
        held.push(take("10.0.0.1").unwrap());
        assert_eq!(take("10.0.0.2").err(), Some(Full::All));
        held.clear();
        assert!(places.count.lock().unwrap().by_source.is_empty());
    }
}
