//! What the server does by itself now and then for accounts and rooms.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval};
use voxhall_protocol::control::UnixMs;
use voxhall_store::{Accounts, ForgetGuests, SigningKeys, Stages, StoreError};

use super::{
    Services,
    tokens::{self, fresh_key},
};
use crate::{clock::unix_ms, live::Live};

const EVERY: Duration = Duration::from_secs(60);
/// Guests that are forgotten in one go, so that others' writes don't wait.
const GUESTS_AT_ONCE: u32 = 50;
/// A guest who signed out everywhere can't come back, but may be asked about.
const SIGNED_OUT_FOR: Duration = Duration::from_secs(24 * 3_600);

impl Services {
    /// Never returns.
    pub async fn tend_accounts(self: Arc<Self>) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_clearing = Instant::now();
        loop {
            ticks.tick().await;
            if let Err(error) = self.note_who_is_there(unix_ms()).await {
                tracing::warn!(%error, "who is there was not noted");
            }
            if Instant::now() >= next_clearing {
                // Again at once, as long as there is more to do.
                if let Ok(false) = self.clear_up(unix_ms()).await {
                    next_clearing = Instant::now() + EVERY * 60;
                }
            }
        }
    }

    /// One write for all devices that are connected.
    async fn note_who_is_there(&self, now: UnixMs) -> Result<(), StoreError> {
        let devices = self.hub.read(Live::devices_online);
        if devices.is_empty() {
            return Ok(());
        }
        self.store.devices_seen(devices, now).await
    }

    /// True: there may be more to do.
    async fn clear_up(&self, now: UnixMs) -> Result<bool, StoreError> {
        self.forget_old_keys(now).await?;
        self.store.end_forgotten_stages(now).await?;
        if self.access_tokens.is_due(now) {
            self.rotate_keys(false).await?;
        }
        let Some(retention) = self.guest_retention else {
            return Ok(false);
        };
        let ago = |time: Duration| {
            now.saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
        };
        let forget = ForgetGuests {
            seen_before: ago(retention),
            signed_out_before: ago(SIGNED_OUT_FOR.min(retention)),
            limit: GUESTS_AT_ONCE,
            now,
        };
        let forgotten = self.store.forget_guests(forget).await?;
        if forgotten > 0 {
            tracing::info!(
                count = forgotten,
                "forgot guests who have not been here for long"
            );
        }
        Ok(forgotten == GUESTS_AT_ONCE)
    }

    async fn forget_old_keys(&self, now: UnixMs) -> Result<(), StoreError> {
        let _turn = self.changing_keys.lock().await;
        let keys = self
            .store
            .signing_keys(fresh_key(now), tokens::forget_keys_before(now))
            .await?;
        self.access_tokens.set_keys(&keys);
        Ok(())
    }

    /// New access tokens get a new key. The old one holds until its tokens have expired, or ends at once.
    ///
    /// # Errors
    /// The store failed; the old key stays in use.
    pub async fn rotate_keys(&self, at_once: bool) -> Result<(), StoreError> {
        let turn = self.changing_keys.lock().await;
        let keys = self
            .store
            .rotate_signing_keys(fresh_key(unix_ms()), at_once)
            .await?;
        self.access_tokens.set_keys(&keys);
        drop(turn);
        if at_once {
            // Whoever has a copy of the old key may have begun sessions with it.
            self.hub.end_all("the keys of access tokens were changed");
        }
        tracing::info!(at_once, "access tokens are signed with a new key");
        Ok(())
    }
}
