//! How often a password may be tried: for one name, from one address, and on the whole server.

use std::{
    collections::HashSet,
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::rates::{RateLimit, Source, SourceLimit};

/// Wrong passwords for one name: so many at once, and one in this time for long.
const FOR_ONE_NAME: (Duration, u32) = (Duration::from_secs(6), 20);
/// Wrong passwords from one address, for whatever names: a hall full of people mistypes, who tries a list does so all day.
const FROM_ONE_ADDRESS: (Duration, u32) = (Duration::from_secs(10), 40);
/// Wrong passwords on the whole server, before it takes care.
const ON_THE_SERVER: (Duration, u32) = (Duration::from_millis(500), 300);
/// What one address may try in a minute while the server takes care.
const CAREFUL_PER_MINUTE: u32 = 2;
/// Names with the addresses from which they signed in; all are forgotten when there are more.
const MAX_FAMILIAR: usize = 16_384;

/// Who tries names and passwords is slowed down by each of these; who knows theirs is kept out by none for long.
pub struct SignInLimits {
    sources: SourceLimit,
    names: RateLimit<Guess>,
    wrong_from: SourceLimit,
    wrong: RateLimit<()>,
    careful: SourceLimit,
    familiar: Mutex<HashSet<(String, Source)>>,
}

/// Whose password is tried. From where someone has signed in they have tries of their own, which strangers can't use up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Guess {
    Stranger { name: String },
    Familiar { name: String, source: Source },
}

impl SignInLimits {
    /// Tries of any kind that one address has in a minute.
    pub fn new(per_minute: u32, now: Instant) -> Self {
        Self {
            sources: SourceLimit::new(per_minute, now),
            names: RateLimit::new(FOR_ONE_NAME.0, FOR_ONE_NAME.1, now),
            wrong_from: SourceLimit::with(FROM_ONE_ADDRESS.0, FROM_ONE_ADDRESS.1, now),
            wrong: RateLimit::new(ON_THE_SERVER.0, ON_THE_SERVER.1, now),
            careful: SourceLimit::new(CAREFUL_PER_MINUTE, now),
            familiar: Mutex::default(),
        }
    }

    /// Signing up or in, by whatever means.
    ///
    /// # Errors
    /// How long to wait.
    pub fn any(&self, source: Source, now: Instant) -> Result<(), Duration> {
        self.sources.take(source, now)
    }

    /// Takes a try for a password: before the work, so that who tries many at once gets no more.
    ///
    /// # Errors
    /// How long to wait.
    pub fn password(&self, name: &str, source: Source, now: Instant) -> Result<Guess, Duration> {
        let name = name.to_lowercase();
        let familiar = self.familiar.lock().expect("nothing panics with this lock");
        let guess = if familiar.contains(&(name.clone(), source)) {
            Guess::Familiar { name, source }
        } else {
            Guess::Stranger { name }
        };
        drop(familiar);
        if matches!(guess, Guess::Stranger { .. }) {
            self.wrong_from.check(source, now)?;
            if self.wrong.check(&(), now).is_err() {
                self.careful.take(source, now)?;
            }
        }
        self.names.take(guess.clone(), now)?;
        Ok(guess)
    }

    pub fn was_wrong(&self, source: Source, now: Instant) {
        // Who is at the limit stays there.
        let _ = self.wrong_from.take(source, now);
        let _ = self.wrong.take((), now);
    }

    pub fn was_right(&self, guess: Guess, source: Source) {
        self.names.forget(&guess);
        let (Guess::Stranger { name } | Guess::Familiar { name, .. }) = guess;
        let mut familiar = self.familiar.lock().expect("nothing panics with this lock");
        if familiar.len() >= MAX_FAMILIAR {
            familiar.clear();
        }
        familiar.insert((name, source));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: u32) -> Source {
        Source::of(std::net::IpAddr::V4(n.into()))
    }

    struct Tried {
        limits: SignInLimits,
        now: Instant,
    }

    impl Tried {
        fn new() -> Self {
            let now = Instant::now();
            Self {
                limits: SignInLimits::new(1_000, now),
                now,
            }
        }

        fn wrong(&self, name: &str, from: u32) -> bool {
            let tried = self.limits.password(name, source(from), self.now).is_ok();
            if tried {
                self.limits.was_wrong(source(from), self.now);
            }
            tried
        }

        fn right(&self, name: &str, from: u32) -> bool {
            let tried = self.limits.password(name, source(from), self.now);
            tried
                .map(|guess| self.limits.was_right(guess, source(from)))
                .is_ok()
        }
    }

    #[test]
    fn one_name_is_tried_a_few_times_from_wherever() {
        let tried = Tried::new();
        let passed = (0..1_000).filter(|n| tried.wrong("Ann", *n)).count();
        assert_eq!(passed, 20);
        assert!(!tried.wrong("aNN", 2_000), "whatever its case");
        assert!(tried.wrong("bob", 2_000));
    }

    #[test]
    fn one_address_tries_a_few_names() {
        let tried = Tried::new();
        let passed = (0..1_000)
            .filter(|n| tried.wrong(&format!("user {n}"), 1))
            .count();
        assert_eq!(passed, 40);
        assert!(tried.wrong("another", 2));
        // An account of one's own brings no new tries.
        assert!(!tried.right("own", 1));
    }

    #[test]
    fn many_addresses_with_many_names_get_a_trickle_and_nobody_is_locked_out() {
        let tried = Tried::new();
        assert!(tried.right("ann", 9_999));
        let passed = (0..1_000)
            .filter(|n| tried.wrong(&format!("user {n}"), *n))
            .count();
        assert_eq!(passed, 1_000, "each of them may try");
        let again = (0..3_000)
            .filter(|n| tried.wrong(&format!("other {n}"), n % 1_000))
            .count();
        assert!(again <= 2 * 1_000, "{again}");
        // Who has signed in from there before, and who comes from a new place.
        assert!(tried.right("ann", 9_999) && tried.right("bob", 8_888));
    }

    #[test]
    fn strangers_dont_lock_someone_out_of_where_they_are_at_home() {
        let tried = Tried::new();
        assert!(tried.right("Ann", 1));
        for n in 0..100 {
            tried.wrong("ann", 100 + n);
        }
        assert!(!tried.wrong("ann", 2));
        assert!(tried.right("ann", 1));
        let at_home = (0..100).filter(|_| tried.wrong("ann", 1)).count();
        assert_eq!(at_home, 20);
    }

    #[test]
    fn the_networks_of_one_site_are_a_few_addresses() {
        let tried = Tried::new();
        let network = |n: u32| Source::of(format!("2001:db8:7:{n:x}::1").parse().unwrap());
        let passed = (0..1_000).filter(|n| {
            let tried_now = tried
                .limits
                .password(&format!("user {n}"), network(*n), tried.now)
                .is_ok();
            tried.limits.was_wrong(network(*n), tried.now);
            tried_now
        });
        assert_eq!(passed.count(), 4 * 40);
    }

    #[test]
    fn tries_come_back() {
        let mut tried = Tried::new();
        while tried.wrong("ann", 1) {}
        tried.now += FOR_ONE_NAME.0;
        assert!(tried.wrong("ann", 1) && !tried.wrong("ann", 1));
    }
}
