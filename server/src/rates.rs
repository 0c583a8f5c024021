//! How often someone may do something: a token bucket for each address, user or name, in a table of bounded size.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
    time::{Duration, Instant},
};

/// Keys remembered. Beyond that, new ones share one bucket: an attack with many addresses slows newcomers, not the server.
const MAX_KEYS: usize = 16_384;

/// What a whole site may do, in households.
pub const SITE_FACTOR: u32 = 4;

/// One household or hall: an IPv4 address, or the /64 that an IPv6 address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source {
    network: IpAddr,
    prefix_len: u8,
}

impl Source {
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self::v6(v6, 64),
            v4 => Self {
                network: v4,
                prefix_len: 32,
            },
        }
    }

    /// The /48 around it, which one customer of a provider may have whole. IPv4 addresses have nobody around them.
    pub fn site(self) -> Option<Self> {
        match self.network {
            IpAddr::V6(v6) => Some(Self::v6(v6, 48)),
            IpAddr::V4(_) => None,
        }
    }

    fn v6(address: Ipv6Addr, prefix_len: u8) -> Self {
        let mask = u128::MAX << (128 - u32::from(prefix_len));
        Self {
            network: IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask)),
            prefix_len,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix_len)
    }
}

/// The same limit for each address, and a wider one for its site.
pub struct SourceLimit {
    sources: RateLimit<Source>,
    sites: RateLimit<Source>,
}

impl SourceLimit {
    pub fn new(per_minute: u32, now: Instant) -> Self {
        let sites = per_minute.saturating_mul(SITE_FACTOR);
        Self {
            sources: RateLimit::per_minute(per_minute, now),
            sites: RateLimit::per_minute(sites, now),
        }
    }

    /// One in this time for long, and so many at once.
    pub fn with(each: Duration, burst: u32, now: Instant) -> Self {
        Self {
            sources: RateLimit::new(each, burst, now),
            sites: RateLimit::new(each / SITE_FACTOR, burst.saturating_mul(SITE_FACTOR), now),
        }
    }

    /// Whether one could be taken now; takes none.
    ///
    /// # Errors
    /// How long to wait for the next one.
    pub fn check(&self, source: Source, now: Instant) -> Result<(), Duration> {
        self.sources.check(&source, now)?;
        source
            .site()
            .map_or(Ok(()), |site| self.sites.check(&site, now))
    }

    /// Takes one try.
    ///
    /// # Errors
    /// How long to wait for the next one.
    pub fn take(&self, source: Source, now: Instant) -> Result<(), Duration> {
        self.sources.take(source, now)?;
        match source.site() {
            Some(site) => self.sites.take(site, now),
            None => Ok(()),
        }
    }
}

pub struct RateLimit<K> {
    /// One try comes back in this time.
    each: Duration,
    /// How many may come at once.
    burst: u32,
    buckets: Mutex<Buckets<K>>,
}

struct Buckets<K> {
    by_key: HashMap<K, Bucket>,
    overflow: Bucket,
}

/// When the bucket will be full again; that is all there is to know of it.
#[derive(Clone, Copy)]
struct Bucket {
    full_at: Instant,
}

impl<K: Hash + Eq> RateLimit<K> {
    /// As many in a minute, all of them at once if need be.
    pub fn per_minute(count: u32, now: Instant) -> Self {
        Self::new(Duration::from_secs(60) / count, count, now)
    }

    pub fn new(each: Duration, burst: u32, now: Instant) -> Self {
        Self {
            each,
            burst,
            buckets: Mutex::new(Buckets {
                by_key: HashMap::new(),
                overflow: Bucket { full_at: now },
            }),
        }
    }

    /// Takes one try.
    ///
    /// # Errors
    /// How long to wait for the next one.
    pub fn take(&self, key: K, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().expect("nothing panics with this lock");
        let Buckets { by_key, overflow } = &mut *buckets;
        if by_key.len() >= MAX_KEYS && !by_key.contains_key(&key) {
            by_key.retain(|_, bucket| bucket.full_at > now);
        }
        let bucket = if by_key.len() >= MAX_KEYS && !by_key.contains_key(&key) {
            overflow
        } else {
            by_key.entry(key).or_insert(Bucket { full_at: now })
        };
        let full_at = bucket.full_at.max(now) + self.each;
        // Rounding must not cost the last try of a full bucket.
        let limit = now + self.each * self.burst + self.each / 2;
        if full_at > limit {
            return Err(full_at - limit);
        }
        bucket.full_at = full_at;
        Ok(())
    }

    /// Whether one could be taken now; takes none.
    ///
    /// # Errors
    /// How long to wait for the next one.
    pub fn check(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let buckets = self.buckets.lock().expect("nothing panics with this lock");
        let bucket = buckets.by_key.get(key);
        let full_at = bucket.map_or(now, |bucket| bucket.full_at.max(now)) + self.each;
        let limit = now + self.each * self.burst + self.each / 2;
        if full_at > limit {
            return Err(full_at - limit);
        }
        Ok(())
    }

    /// As if nothing had been taken.
    pub fn forget(&self, key: &K) {
        let mut buckets = self.buckets.lock().expect("nothing panics with this lock");
        buckets.by_key.remove(key);
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
        let limit = RateLimit::per_minute(7, start);
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
        let limit = RateLimit::per_minute(2, start);
        let tries = u32::try_from(MAX_KEYS).unwrap() + 100;
        let passed = (0..tries)
            .filter(|n| limit.take(source(*n), start).is_ok())
            .count();
        assert_eq!(passed, MAX_KEYS + 2, "the rest shares one bucket");
        assert_eq!(
            limit.take(source(tries), start + Duration::from_secs(61)),
            Ok(())
        );
        assert_eq!(limit.buckets.lock().unwrap().by_key.len(), 1);
    }

    #[test]
    fn a_whole_ipv6_network_is_one_source_and_mapped_ipv4_is_ipv4() {
        let of = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }

    #[test]
    fn many_networks_of_one_site_share_a_wider_limit() {
        let start = Instant::now();
        let limit = SourceLimit::new(2, start);
        let network = |n: u32| Source::of(format!("2001:db8:7:{n:x}::1").parse().unwrap());
        let passed = (0..1_000)
            .filter(|n| limit.take(network(*n), start).is_ok())
            .count();
        assert_eq!(passed, (2 * SITE_FACTOR) as usize);
        let other = Source::of("2001:db8:8::1".parse().unwrap());
        assert_eq!(limit.take(other, start), Ok(()));
        assert_ne!(network(0), network(0).site().unwrap());
    }

    #[test]
    fn what_is_forgotten_is_full_again() {
        let start = Instant::now();
        let limit = RateLimit::new(Duration::from_secs(1), 1, start);
        assert_eq!(limit.take("ann", start), Ok(()));
        assert!(limit.take("ann", start).is_err());
        limit.forget(&"ann");
        assert_eq!(limit.take("ann", start), Ok(()));
    }
}
