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
    due: Instant,
    state: PathState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathState {
    /// Not answered yet.
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
    /// The server wants proof: [`PathClient::poll`] has a request to send at once.
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
            due: now,
            state: PathState::Opening,
        }
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
        self.unanswered += 1;
        self.due = now
            + match self.unanswered {
                1 => RETRY,
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
                Ok(self.answered(now, sent, outside))
            }
            BINDING_ERROR => {
                self.take_outstanding(message.transaction())?;
                match message.error_code() {
                    Some(STALE_NONCE) => self.challenged(now, &message),
                    Some(code) => Err(PathError::Refused(code)),
                    None => Err(StunError::Attribute.into()),
                }
            }
            BINDING_INDICATION => self.challenged(now, &message),
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
        self.unanswered = 0;
        self.due = now + KEEPALIVE;
        match before {
            PathState::Open { outside: old, .. } if old == outside => PathEvent::Alive { rtt },
            _ => PathEvent::Opened { rtt, outside },
        }
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
            self.due = now;
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
        if let Some((nonce, len)) = &self.nonce {
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
