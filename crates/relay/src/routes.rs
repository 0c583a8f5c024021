//! Who is in which channel and what they may do: written by the control plane, read by the media thread.

use std::{collections::HashMap, sync::Arc};

use voxhall_protocol::{ChannelId, SenderIndex, Ssrc, VoiceSessionId, voice::SessionKeys};

/// One voice session as the relay needs to know it.
#[derive(Clone, Debug)]
pub struct SessionRoute {
    pub id: VoiceSessionId,
    /// Unique on this server.
    pub ssrc: Ssrc,
    /// Unique in its channel while any key it was used with lives.
    pub sender: SenderIndex,
    pub keys: SessionKeys,
    pub channel: ChannelId,
    pub may_speak: bool,
    /// Nothing is sent to who is deafened.
    pub deafened: bool,
    /// The client reads bundles.
    pub takes_bundles: bool,
}

/// Place of a session in the tables, kept as long as the session lives.
pub(crate) type Slot = u32;

/// The control plane's copy: change it, then [`publish`](Self::publish).
#[derive(Debug, Default)]
pub struct Routes {
    slots: Vec<Option<Arc<SessionRoute>>>,
    free: Vec<Slot>,
    by_id: HashMap<VoiceSessionId, Slot>,
    by_ssrc: HashMap<Ssrc, Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error("voice session {0} is in the table already")]
    DuplicateSession(VoiceSessionId),
    #[error("SSRC {0} belongs to another voice session")]
    DuplicateSsrc(Ssrc),
}

impl Routes {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn insert(&mut self, route: SessionRoute) -> Result<(), RouteError> {
        if self.by_id.contains_key(&route.id) {
            return Err(RouteError::DuplicateSession(route.id));
        }
        if self.by_ssrc.contains_key(&route.ssrc) {
            return Err(RouteError::DuplicateSsrc(route.ssrc));
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as Slot
        });
        self.by_id.insert(route.id, slot);
        self.by_ssrc.insert(route.ssrc, slot);
        self.slots[slot as usize] = Some(Arc::new(route));
        Ok(())
    }

    /// Says whether the session was there.
    pub fn remove(&mut self, id: VoiceSessionId) -> bool {
        let Some(slot) = self.by_id.remove(&id) else {
            return false;
        };
        if let Some(route) = self.slots[slot as usize].take() {
            self.by_ssrc.remove(&route.ssrc);
        }
        self.free.push(slot);
        true
    }

    /// Says whether the session is there.
    pub fn set_rights(&mut self, id: VoiceSessionId, may_speak: bool, deafened: bool) -> bool {
        let Some(route) = self
            .by_id
            .get(&id)
            .and_then(|slot| self.slots[*slot as usize].as_mut())
        else {
            return false;
        };
        let route = Arc::make_mut(route);
        route.may_speak = may_speak;
        route.deafened = deafened;
        true
    }

    /// The table as it stands, for the media thread.
    #[must_use]
    pub fn publish(&self) -> Arc<RouteTable> {
        let mut members: HashMap<ChannelId, Vec<Slot>> = HashMap::new();
        for (slot, route) in self.slots.iter().enumerate() {
            if let Some(route) = route
                && !route.deafened
            {
                members.entry(route.channel).or_default().push(slot as Slot);
            }
        }
        Arc::new(RouteTable {
            slots: self.slots.clone(),
            by_id: self.by_id.clone(),
            by_ssrc: self.by_ssrc.clone(),
            listeners: members,
        })
    }
}

/// An immutable view of [`Routes`].
#[derive(Debug, Default)]
pub struct RouteTable {
    slots: Vec<Option<Arc<SessionRoute>>>,
    by_id: HashMap<VoiceSessionId, Slot>,
    by_ssrc: HashMap<Ssrc, Slot>,
    /// Who hears what is said in a channel.
    listeners: HashMap<ChannelId, Vec<Slot>>,
}

impl RouteTable {
    pub(crate) fn slots(&self) -> &[Option<Arc<SessionRoute>>] {
        &self.slots
    }

    pub(crate) fn route(&self, slot: Slot) -> Option<&SessionRoute> {
        self.slots.get(slot as usize)?.as_deref()
    }

    pub(crate) fn by_id(&self, id: VoiceSessionId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn by_ssrc(&self, ssrc: Ssrc) -> Option<Slot> {
        self.by_ssrc.get(&ssrc).copied()
    }

    pub(crate) fn listeners(&self, channel: ChannelId) -> &[Slot] {
        self.listeners.get(&channel).map_or(&[], Vec::as_slice)
    }
}
