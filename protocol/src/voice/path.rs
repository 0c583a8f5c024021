//! The client's side of a path: what to send when, and what the answers mean.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::VoiceSessionId;

use super::{
    Datagram, DatagramFull, StunError, StunKey, TransactionId,
    stun::{
        BINDING_ERROR, BINDING_INDICATION, BINDING_REQUEST, BINDING_SUCCESS, NONCE, PADDING,
        REQUEST_LEN, STALE_NONCE, StunMessage, StunWriter, TRAILER_LEN, USERNAME,
    },
};

/// How often an open path is proven again.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// How soon an unanswered request is repeated: once quickly, then calmly.
const RETRY: Duration = Duration::from_millis(250);
const RETRY_LATER: Duration = Duration::from_millis(500);
/// An open path without an answer for this long is lost. Packets still go out on it.
const LOST_AFTER: Duration = Duration::from_secs(6);
/// On a path that is only tried, so many requests follow each other quickly before it is tried calmly.
const QUICK_TRIES: u32 = 4;
/// Challenges answered at once before they are answered at the pace of retries.
const CHALLENGES_AT_ONCE: u32 = 4;
/// Requests whose late answer still counts.
const MAX_OUTSTANDING: usize = 8;
/// What a request can carry beside the fixed attributes.
const MAX_NONCE: usize = REQUEST_LEN - 20 - (4 + 16) - 4 - TRAILER_LEN;

/// Opens one session's path, keeps it open and measures its round trip. Pure: the caller owns clock, socket and dice.
#[derive(Debug)]
pub struct PathClient {
    session: VoiceSessionId,
    key: StunKey,
    nonce: Option<([u8; MAX_NONCE], usize)>,
    outstanding: [Option<(TransactionId, Instant)>; MAX_OUTSTANDING],
    /// Requests since the last answer.
    unanswered: u32,
    /// When the first of them was sent.
    unanswered_since: Option<Instant>,
    role: PathRole,
    /// Challenges taken up since the last success: past a few, an address that changes all the time is let be.
    challenges: u32,
    due: Instant,
    state: PathState,
}

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathRole {
    /// To be heard on: the server is to send here.
    Used,
    /// To know whether it leads there and back. Requests ask for a nonce and leave it at that, and challenges are left
    /// unanswered, so nothing moves.
    Tried,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathState {
    /// Not answered yet, or only tried.
    Opening,
    Open {
        /// Of the last request that was answered.
        rtt: Duration,
        /// Our address as the server sees it.
        outside: SocketAddr,
        last_answer: Instant,
    },
    /// Was open, and has been silent for 6 s; still being tried.
    Lost,
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathEvent {
    /// The path opened, opened again after being lost, or has a new outside address.
    Opened { rtt: Duration, outside: SocketAddr },
    /// The path is still open.
    Alive { rtt: Duration },
    /// A path that is only tried leads there and back.
    Reachable { rtt: Duration },
    /// The server wants proof: [`PathClient::poll`] has a request to send at once, if the path is used.
    Challenged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error(transparent)]
    Stun(#[from] StunError),
    #[error("the STUN answer belongs to no recent request")]
    UnknownTransaction,
    #[error("the server refused the request with STUN error {0}")]
    Refused(u16),
}

impl PathClient {
    /// The first request is due at once.
    #[must_use]
    pub fn new(session: VoiceSessionId, key: StunKey, now: Instant) -> Self {
        Self {
            session,
            key,
            nonce: None,
            outstanding: [None; MAX_OUTSTANDING],
            unanswered: 0,
            unanswered_since: None,
            role: PathRole::Used,
            challenges: 0,
            due: now,
            state: PathState::Opening,
        }
    }

    /// Uses the path from now on, or goes over to trying it. A path that is used has to open first.
    pub fn set_role(&mut self, now: Instant, role: PathRole) {
        if self.role == role {
            return;
        }
        self.role = role;
        self.state = PathState::Opening;
        self.unanswered = 0;
        self.unanswered_since = None;
        self.challenges = 0;
        self.due = match role {
            PathRole::Used => now,
            PathRole::Tried => now + KEEPALIVE,
        };
    }

    /// Requests since the last answer.
    #[must_use]
    pub fn unanswered(&self) -> u32 {
        self.unanswered
    }

    /// When the first of them was sent.
    #[must_use]
    pub fn unanswered_since(&self) -> Option<Instant> {
        self.unanswered_since
    }

    #[must_use]
    pub fn state(&self) -> PathState {
        self.state
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, PathState::Open { .. })
    }

    /// When to call [`poll`](Self::poll) next.
    #[must_use]
    pub fn next_due(&self) -> Instant {
        match self.state {
            PathState::Open { last_answer, .. } => self.due.min(last_answer + LOST_AFTER),
            _ => self.due,
        }
    }

    /// Asks for a request at once, as after a change of network.
    pub fn probe(&mut self, now: Instant) {
        self.due = self.due.min(now);
    }

    /// Writes the request that is due, if one is, and says whether it did. `transaction` is random, fresh each call.
    pub fn poll(&mut self, now: Instant, transaction: TransactionId, out: &mut Datagram) -> bool {
        if let PathState::Open { last_answer, .. } = self.state
            && now.saturating_duration_since(last_answer) >= LOST_AFTER
        {
            self.state = PathState::Lost;
        }
        if now < self.due {
            return false;
        }
        self.write_request(transaction, out)
            .expect("a request of 128 bytes fits a datagram");
        self.outstanding.rotate_right(1);
        self.outstanding[0] = Some((transaction, now));
        self.unanswered = self.unanswered.saturating_add(1);
        self.unanswered_since.get_or_insert(now);
        self.due = now
            + match (self.role, self.unanswered) {
                (_, 1) => RETRY,
                (PathRole::Tried, QUICK_TRIES..) => KEEPALIVE,
                _ => RETRY_LATER,
            };
        true
    }

    /// Takes a STUN message from the server.
    pub fn handle(&mut self, now: Instant, bytes: &[u8]) -> Result<PathEvent, PathError> {
        let message = StunMessage::parse(bytes)?;
        message.verify(&self.key)?;
        match message.kind() {
            BINDING_SUCCESS => {
                let sent = self.take_outstanding(message.transaction())?;
                let outside = message.mapped_address().ok_or(StunError::Attribute)?;
                Ok(match self.role {
                    PathRole::Used => self.answered(now, sent, outside),
                    PathRole::Tried => self.reached(now, sent),
                })
            }
            BINDING_ERROR => {
                let sent = self.take_outstanding(message.transaction())?;
                match message.error_code() {
                    Some(STALE_NONCE) => match self.role {
                        PathRole::Used => self.challenged(now, &message),
                        PathRole::Tried => Ok(self.reached(now, sent)),
                    },
                    Some(code) => Err(PathError::Refused(code)),
                    None => Err(StunError::Attribute.into()),
                }
            }
            BINDING_INDICATION => match self.role {
                PathRole::Used => self.challenged(now, &message),
                PathRole::Tried => Ok(PathEvent::Challenged),
            },
            _ => Err(StunError::Unexpected.into()),
        }
    }

    fn answered(&mut self, now: Instant, sent: Instant, outside: SocketAddr) -> PathEvent {
        let rtt = now.saturating_duration_since(sent);
        let before = self.state;
        self.state = PathState::Open {
            rtt,
            outside,
            last_answer: now,
        };
        self.heard(now);
        self.challenges = 0;
        match before {
            PathState::Open { outside: old, .. } if old == outside => PathEvent::Alive { rtt },
            _ => PathEvent::Opened { rtt, outside },
        }
    }

    fn reached(&mut self, now: Instant, sent: Instant) -> PathEvent {
        self.heard(now);
        PathEvent::Reachable {
            rtt: now.saturating_duration_since(sent),
        }
    }

    fn heard(&mut self, now: Instant) {
        self.unanswered = 0;
        self.unanswered_since = None;
        self.due = now + KEEPALIVE;
    }

    fn challenged(
        &mut self,
        now: Instant,
        message: &StunMessage<'_>,
    ) -> Result<PathEvent, PathError> {
        let nonce = message.attribute(NONCE).ok_or(StunError::Attribute)?;
        let mut kept = [0; MAX_NONCE];
        kept.get_mut(..nonce.len())
            .ok_or(StunError::Attribute)?
            .copy_from_slice(nonce);
        // A replayed challenge brings nothing new, so it can't make us send.
        if self.nonce != Some((kept, nonce.len())) {
            self.nonce = Some((kept, nonce.len()));
            self.unanswered = 0;
            self.unanswered_since = None;
            self.due = if self.challenges < CHALLENGES_AT_ONCE {
                now
            } else {
                now + RETRY
            };
            self.challenges = self.challenges.saturating_add(1);
        }
        Ok(PathEvent::Challenged)
    }

    fn take_outstanding(&mut self, transaction: TransactionId) -> Result<Instant, PathError> {
        self.outstanding
            .iter_mut()
            .find(|entry| matches!(entry, Some((id, _)) if *id == transaction))
            .and_then(Option::take)
            .map(|(_, sent)| sent)
            .ok_or(PathError::UnknownTransaction)
    }

    fn write_request(
        &self,
        transaction: TransactionId,
        out: &mut Datagram,
    ) -> Result<(), DatagramFull> {
        let mut writer = StunWriter::new(BINDING_REQUEST, transaction, out);
        let mut name = [0; 16];
        write_username(self.session, &mut name);
        writer.attribute(USERNAME, &name)?;
        if let Some((nonce, len)) = &self.nonce
            && self.role == PathRole::Used
        {
            writer.attribute(NONCE, &nonce[..*len])?;
        }
        // As long as any answer, so that the server may answer (it never sends more than it got).
        let filler = [0; REQUEST_LEN];
        let missing = REQUEST_LEN.saturating_sub(writer.len() + TRAILER_LEN + 4);
        writer.attribute(PADDING, &filler[..missing])?;
        writer.finish(&self.key)
    }
}

/// The id as 16 lower-case hexadecimal digits, as `Display` writes it, without allocating.
fn write_username(session: VoiceSessionId, out: &mut [u8; 16]) {
    use std::io::Write;
    write!(&mut out[..], "{session}").expect("16 digits fit 16 bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        SessionSecret,
        voice::SessionKeys,
        voice::{BindingRequest, NonceSecret},
    };

    const SESSION: VoiceSessionId = VoiceSessionId(0x0123_4567_89ab_cdef);

    /// A client and what a server would answer it.
    struct Rig {
        now: Instant,
        client: PathClient,
        key: StunKey,
        nonces: NonceSecret,
        sent: u32,
    }

    impl Rig {
        fn new() -> Self {
            let key = SessionKeys::derive(&SessionSecret([1; 32])).stun;
            let now = Instant::now();
            Self {
                now,
                client: PathClient::new(SESSION, key.clone(), now),
                key,
                nonces: NonceSecret::new(&[2; 32]),
                sent: 0,
            }
        }

        fn request(&mut self) -> Option<Vec<u8>> {
            self.sent += 1;
            let mut id = [0; 12];
            id[..4].copy_from_slice(&self.sent.to_be_bytes());
            let mut out = Datagram::new();
            self.client
                .poll(self.now, TransactionId(id), &mut out)
                .then(|| out.as_slice().to_vec())
        }

        fn success(&self, request: &[u8], outside: &str) -> Vec<u8> {
            let request = BindingRequest::parse(request).unwrap();
            let mut out = Datagram::new();
            request
                .write_success(outside.parse().unwrap(), &self.key, &mut out)
                .unwrap();
            out.as_slice().to_vec()
        }

        fn stale(&self, request: &[u8], generation: u32) -> Vec<u8> {
            let request = BindingRequest::parse(request).unwrap();
            let from = "192.0.2.1:1".parse().unwrap();
            let nonce = self.nonces.issue(SESSION, from, generation, Duration::ZERO);
            let mut out = Datagram::new();
            request
                .write_stale_nonce(&nonce, &self.key, &mut out)
                .unwrap();
            out.as_slice().to_vec()
        }
    }

    #[test]
    fn unanswered_requests_are_repeated_at_a_bounded_pace() {
        let mut rig = Rig::new();
        let mut times_ms = Vec::new();
        for ms in 0..3_000 {
            if rig.request().is_some() {
                times_ms.push(ms);
            }
            rig.now += Duration::from_millis(1);
        }
        assert_eq!(times_ms, [0, 250, 750, 1_250, 1_750, 2_250, 2_750]);
        assert_eq!(rig.client.state(), PathState::Opening);
    }

    #[test]
    fn answers_count_once_and_only_if_genuine() {
        let mut rig = Rig::new();
        let request = rig.request().unwrap();
        let answer = rig.success(&request, "203.0.113.5:77");
        for at in 0..answer.len() {
            let mut bad = answer.clone();
            bad[at] ^= 2;
            assert!(rig.client.handle(rig.now, &bad).is_err(), "byte {at}");
        }
        let other = Rig {
            key: SessionKeys::derive(&SessionSecret([9; 32])).stun,
            ..Rig::new()
        };
        let forged = other.success(&request, "203.0.113.5:77");
        assert_eq!(
            rig.client.handle(rig.now, &forged),
            Err(PathError::Stun(StunError::Integrity))
        );
        assert!(!rig.client.is_open());

        rig.now += Duration::from_millis(40);
        let opened = PathEvent::Opened {
            rtt: Duration::from_millis(40),
            outside: "203.0.113.5:77".parse().unwrap(),
        };
        assert_eq!(rig.client.handle(rig.now, &answer), Ok(opened));
        assert_eq!(
            rig.client.handle(rig.now, &answer),
            Err(PathError::UnknownTransaction)
        );
        assert_eq!(rig.client.next_due(), rig.now + KEEPALIVE);
    }

    #[test]
    fn a_request_is_no_answer() {
        let mut rig = Rig::new();
        let request = rig.request().unwrap();
        assert_eq!(
            rig.client.handle(rig.now, &request),
            Err(PathError::Stun(StunError::Unexpected))
        );
    }

    #[test]
    fn a_nonce_is_sent_back_at_once_in_a_request_of_the_same_length() {
        let mut rig = Rig::new();
        let first = rig.request().unwrap();
        assert_eq!(rig.request(), None);
        let stale = rig.stale(&first, 0);
        assert!(stale.len() <= first.len());
        assert_eq!(
            rig.client.handle(rig.now, &stale),
            Ok(PathEvent::Challenged)
        );
        let second = rig.request().unwrap();
        assert_eq!(second.len(), REQUEST_LEN);
        assert_eq!(first.len(), REQUEST_LEN);
        let from = "192.0.2.1:1".parse().unwrap();
        let fresh = |bytes: &[u8], generation, uptime| {
            BindingRequest::parse(bytes).unwrap().has_fresh_nonce(
                &rig.nonces,
                from,
                generation,
                uptime,
            )
        };
        assert!(fresh(&second, 0, Duration::from_secs(60)));
        assert!(!fresh(&first, 0, Duration::ZERO), "has none");
        assert!(!fresh(&second, 1, Duration::ZERO), "the path moved since");
        assert!(!fresh(&second, 0, Duration::from_secs(61)), "too old");
        let request = BindingRequest::parse(&second).unwrap();
        for elsewhere in ["192.0.2.1:2", "192.0.2.2:1"] {
            let elsewhere = elsewhere.parse().unwrap();
            assert!(!request.has_fresh_nonce(&rig.nonces, elsewhere, 0, Duration::ZERO));
        }
        let other = NonceSecret::new(&[3; 32]);
        assert!(!request.has_fresh_nonce(&other, from, 0, Duration::ZERO));
    }

    #[test]
    fn endless_challenges_are_answered_calmly() {
        let mut rig = Rig::new();
        let mut requests = 0;
        for generation in 0..200 {
            while let Some(request) = rig.request() {
                requests += 1;
                let stale = rig.stale(&request, generation * 1_000 + requests);
                rig.client.handle(rig.now, &stale).unwrap();
            }
            rig.now += Duration::from_millis(5);
        }
        // A second: four at once, then one each 250 ms.
        assert!((7..=10).contains(&requests), "{requests}");
    }

    #[test]
    fn a_silent_path_is_lost_and_opens_again() {
        let mut rig = Rig::new();
        let request = rig.request().unwrap();
        let answer = rig.success(&request, "203.0.113.5:77");
        rig.client.handle(rig.now, &answer).unwrap();
        rig.now += LOST_AFTER - Duration::from_millis(1);
        rig.request();
        assert!(rig.client.is_open());
        rig.now += Duration::from_millis(1);
        assert!(rig.client.next_due() <= rig.now);
        rig.request();
        assert_eq!(rig.client.state(), PathState::Lost);
        rig.now += RETRY_LATER;
        let request = rig.request().unwrap();
        let answer = rig.success(&request, "203.0.113.5:77");
        let event = rig.client.handle(rig.now, &answer);
        assert!(matches!(event, Ok(PathEvent::Opened { .. })), "{event:?}");
    }

    #[test]
    fn a_path_that_is_tried_asks_for_a_nonce_and_never_gives_one_back() {
        let mut rig = Rig::new();
        rig.client.set_role(rig.now, PathRole::Tried);
        rig.client.probe(rig.now);
        for generation in 0..3 {
            let request = rig.request().unwrap();
            let from = "192.0.2.1:1".parse().unwrap();
            assert!(!BindingRequest::parse(&request).unwrap().has_fresh_nonce(
                &rig.nonces,
                from,
                generation,
                Duration::ZERO
            ));
            rig.now += Duration::from_millis(30);
            let stale = rig.stale(&request, generation);
            let rtt = Duration::from_millis(30);
            assert_eq!(
                rig.client.handle(rig.now, &stale),
                Ok(PathEvent::Reachable { rtt })
            );
            assert_eq!((rig.client.unanswered(), rig.request()), (0, None));
            // A challenge is left unanswered.
            let mut challenge = Datagram::new();
            let nonce = rig.nonces.issue(SESSION, from, generation, Duration::ZERO);
            nonce.write_challenge(&rig.key, &mut challenge);
            let event = rig.client.handle(rig.now, challenge.as_slice());
            assert_eq!((event, rig.request()), (Ok(PathEvent::Challenged), None));
            rig.now += KEEPALIVE;
        }
        assert!(!rig.client.is_open());
        rig.client.set_role(rig.now, PathRole::Used);
        let request = rig.request().unwrap();
        let answer = rig.success(&request, "203.0.113.5:77");
        let event = rig.client.handle(rig.now, &answer);
        assert!(matches!(event, Ok(PathEvent::Opened { .. })), "{event:?}");
    }

    #[test]
    fn a_path_that_is_tried_in_vain_is_tried_calmly() {
        let mut rig = Rig::new();
        rig.client.set_role(rig.now, PathRole::Tried);
        rig.client.probe(rig.now);
        let mut times_ms = Vec::new();
        for ms in 0..8_000 {
            if rig.request().is_some() {
                times_ms.push(ms);
            }
            rig.now += Duration::from_millis(1);
        }
        assert_eq!(times_ms, [0, 250, 750, 1_250, 3_250, 5_250, 7_250]);
        assert_eq!(rig.client.unanswered(), 7);
        let since = rig.client.unanswered_since().unwrap();
        assert_eq!(rig.now - since, Duration::from_secs(8));
    }
}
