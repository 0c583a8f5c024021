//! How often one address may try: a token bucket for each, in a table of bounded size.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
    time::{Duration, Instant},
};

/// Addresses remembered. Beyond that, new ones share one bucket: an attack with many addresses slows newcomers, not the server.
const MAX_ADDRESSES: usize = 16_384;

/// One household or hall: an IPv4 address, or the /64 that an IPv6 address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl Source {
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
            v4 => v4,
        })
    }
}

pub struct RateLimit {
    /// Also how many may come at once.
    per_minute: u32,
    buckets: Mutex<Buckets>,
}

struct Buckets {
    by_source: HashMap<Source, Bucket>,
    overflow: Bucket,
}

/// When the bucket will be full again; that is all there is to know of it.
#[derive(Clone, Copy)]
struct Bucket {
    full_at: Instant,
}

impl RateLimit {
    pub fn new(per_minute: u32, now: Instant) -> Self {
        Self {
            per_minute,
            buckets: Mutex::new(Buckets {
                by_source: HashMap::new(),
                overflow: Bucket { full_at: now },
            }),
        }
    }

    /// Takes one try.
    ///
    /// # Errors
    /// How long to wait for the next one.
    pub fn take(&self, source: Source, now: Instant) -> Result<(), Duration> {
        let each = Duration::from_secs(60) / self.per_minute;
        let whole = Duration::from_secs(60);
        let mut buckets = self.buckets.lock().expect("nothing panics with this lock");
        let Buckets {
            by_source,
            overflow,
        } = &mut *buckets;
        if by_source.len() >= MAX_ADDRESSES && !by_source.contains_key(&source) {
            by_source.retain(|_, bucket| bucket.full_at > now);
        }
        let bucket = if by_source.len() >= MAX_ADDRESSES && !by_source.contains_key(&source) {
            overflow
        } else {
            by_source.entry(source).or_insert(Bucket { full_at: now })
        };
        let full_at = bucket.full_at.max(now) + each;
        // Rounding of `each` must not cost the last try of a full bucket.
        let limit = now + whole + each / 2;
        if full_at > limit {
            return Err(full_at - limit);
        }
        bucket.full_at = full_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: u32) -> Source {
        Source::of(IpAddr::V4(n.into()))
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let start = Instant::now();
        let limit = RateLimit::new(7, start);
        for n in 0..7 {
            assert_eq!(limit.take(source(1), start), Ok(()), "{n}");
        }
        let wait = limit.take(source(1), start).unwrap_err();
        assert!(wait <= Duration::from_secs(60) / 7, "{wait:?}");
        assert_eq!(
            limit.take(source(2), start),
            Ok(()),
            "another address is another matter"
        );
        assert_eq!(limit.take(source(1), start + wait), Ok(()));
        assert!(limit.take(source(1), start + wait).is_err());
    }

    #[test]
    fn the_table_does_not_grow_and_forgets_who_is_calm() {
        let start = Instant::now();
        let limit = RateLimit::new(2, start);
        let tries = u32::try_from(MAX_ADDRESSES).unwrap() + 100;
        let passed = (0..tries)
            .filter(|n| limit.take(source(*n), start).is_ok())
            .count();
        assert_eq!(passed, MAX_ADDRESSES + 2, "the rest shares one bucket");
        assert_eq!(
            limit.take(source(tries), start + Duration::from_secs(61)),
            Ok(())
        );
        assert_eq!(limit.buckets.lock().unwrap().by_source.len(), 1);
    }

    #[test]
    fn a_whole_ipv6_network_is_one_source_and_mapped_ipv4_is_ipv4() {
        let of = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
