//! The logins that are kept. Several sessions keep theirs, each on its thread, so one place holds them all: whoever wrote the file by an
//! older picture would lose the token that another server gave out just now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use voxhall_protocol::link::Link;
use voxhall_session::StoredLogin;

use crate::settings::{Logins, Store};

#[derive(Clone)]
pub(super) struct Keeper(Arc<Mutex<Kept>>);

struct Kept {
    store: Store,
    logins: Arc<Logins>,
    /// Why they could not be saved, until that was told.
    trouble: Option<String>,
}

impl Keeper {
    pub fn new(store: Store, logins: Logins) -> Self {
        Self(Arc::new(Mutex::new(Kept {
            store,
            logins: Arc::new(logins),
            trouble: None,
        })))
    }

    /// As they are now.
    pub fn all(&self) -> Arc<Logins> {
        Arc::clone(&self.kept().logins)
    }

    pub fn of(&self, server: &Link) -> Option<StoredLogin> {
        self.kept().logins.of(server).cloned()
    }

    pub fn keep(&self, login: &StoredLogin) {
        self.change(|logins| logins.keep(login));
    }

    pub fn forget(&self, server: &Link) {
        self.change(|logins| logins.forget(server));
    }

    pub fn take_trouble(&self) -> Option<String> {
        self.kept().trouble.take()
    }

    /// Saved before anybody else changes them; `change` says whether there is something to save.
    fn change(&self, change: impl FnOnce(&mut Logins) -> bool) {
        let mut kept = self.kept();
        if change(Arc::make_mut(&mut kept.logins))
            && let Err(error) = kept.store.save_logins(&kept.logins)
        {
            tracing::warn!("can't save the login: {error}");
            kept.trouble = Some(format!("Can't save the login: {error}."));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use voxhall_protocol::{
        UserId,
        control::{User, UserKind},
    };

    use super::*;

    #[test]
    fn logins_that_servers_renew_at_once_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().to_owned())).unwrap();
        let keeper = Keeper::new(store.clone(), Logins::default());
        let login = |host: &str, token: u32| StoredLogin {
            link: format!("voxhall://{host}:9000").parse().unwrap(),
            user: User::new(UserId(7), "ann", UserKind::Guest),
            refresh_token: token.to_string().as_str().into(),
        };
        let hosts = ["one", "two", "three"];
        thread::scope(|scope| {
            for host in hosts {
                let (keeper, login) = (keeper.clone(), &login);
                let thread = thread::Builder::new().spawn_scoped(scope, move || {
                    (0..20).for_each(|token| keeper.keep(&login(host, token)));
                });
                thread.unwrap();
            }
        });
        let (saved, _) = store.logins();
        assert_eq!(saved, *keeper.all());
        for host in hosts {
            let kept = login(host, 19);
            assert_eq!(saved.of(&kept.link), Some(&kept));
        }
    }
}
