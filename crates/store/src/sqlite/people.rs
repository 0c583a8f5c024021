use rusqlite::{Connection, OptionalExtension, Row};
use voxhall_protocol::{
    UserId,
    control::{OwnPresence, Profile, RelationKind, UnixMs, User, UserPage},
    limits::MAX_RELATIONS,
};

use super::{
    SqliteStore,
    accounts::name_key,
    users::{self, USER, choice_text, id, read_user, to_sql},
    writer::WriteTx,
};
use crate::{
    Change, MAX_FOLLOWING, MAX_INCOMING, People, PresenceChoice, RelateError, RelationRecord,
    StoreError,
};

impl People for SqliteStore {
    async fn profile(&self, reader: UserId, user: UserId) -> Result<Option<Profile>, StoreError> {
        self.read(move |c| Ok(profile(c, reader, user)?)).await
    }

    async fn find_users(&self, beginning: &str, limit: u32) -> Result<UserPage, StoreError> {
        let (from, to) = (name_key(beginning), behind(&name_key(beginning)));
        self.read(move |c| {
            // Two looks into two indexes; what both find is one.
            let find = format!(
                "SELECT {USER} FROM users u WHERE u.kind = 'account' AND u.suspended_at_ms IS NULL AND u.id IN (
                     SELECT id FROM (SELECT id FROM users WHERE kind = 'account' AND name_key >= ?1 AND name_key < ?2
                                     ORDER BY name_key LIMIT ?3)
                     UNION
                     SELECT id FROM (SELECT id FROM users WHERE kind = 'account' AND display_key IS NOT NULL
                                     AND display_key >= ?1 AND display_key < ?2 ORDER BY display_key LIMIT ?3))
                 ORDER BY u.name_key = ?1 DESC, u.name_key LIMIT ?3"
            );
            let mut find = c.prepare_cached(&find)?;
            page(find.query_map((&from, &to, i64::from(limit) + 1), read_user)?, limit)
        })
        .await
    }

    async fn follow(
        &self,
        follower: UserId,
        followed: UserId,
        now: UnixMs,
    ) -> Result<(), RelateError> {
        self.write(move |tx| {
            two_people(tx, follower, followed)?;
            let following: u32 = tx
                .prepare_cached("SELECT count(*) FROM follows WHERE follower_id = ?1 AND followed_id <> ?2")?
                .query_row((to_sql(follower.0), to_sql(followed.0)), |row| row.get(0))?;
            if following >= MAX_FOLLOWING {
                return Err(RelateError::TooMany);
            }
            tx.prepare_cached("INSERT INTO follows (follower_id, followed_id, since_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
                .execute((to_sql(follower.0), to_sql(followed.0), now))?;
            Ok(())
        })
        .await
    }

    async fn unfollow(&self, follower: UserId, followed: UserId) -> Result<(), StoreError> {
        self.write(move |tx| Ok(unfollow(tx, follower, followed)?))
            .await
    }

    async fn followers(
        &self,
        user: UserId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<UserPage, StoreError> {
        let join =
            "f.follower_id WHERE f.followed_id = ?1 AND f.follower_id > ?2 ORDER BY f.follower_id";
        self.follow_page(join, user, after, limit).await
    }

    async fn following(
        &self,
        user: UserId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<UserPage, StoreError> {
        let join =
            "f.followed_id WHERE f.follower_id = ?1 AND f.followed_id > ?2 ORDER BY f.followed_id";
        self.follow_page(join, user, after, limit).await
    }

    async fn request_friend(
        &self,
        user: UserId,
        other: UserId,
        now: UnixMs,
    ) -> Result<RelationKind, RelateError> {
        self.write(move |tx| {
            two_people(tx, user, other)?;
            let mine = relation(tx, user, other)?;
            let theirs = relation(tx, other, user)?;
            match (mine, theirs) {
                (Some(RelationKind::Blocked), _) => return Err(RelateError::Blocked),
                (Some(RelationKind::Friend), _) => return Ok(RelationKind::Friend),
                (_, Some(RelationKind::Outgoing)) => {
                    has_room(tx, user, other)?;
                    befriend(tx, user, other, now)?;
                    return Ok(RelationKind::Friend);
                }
                _ => {}
            }
            has_room(tx, user, other)?;
            set(tx, user, other, RelationKind::Outgoing, now)?;
            if theirs.is_none() && can_be_asked(tx, other)? {
                set(tx, other, user, RelationKind::Incoming, now)?;
            }
            Ok(RelationKind::Outgoing)
        })
        .await
    }

    async fn accept_friend(
        &self,
        user: UserId,
        other: UserId,
        now: UnixMs,
    ) -> Result<(), RelateError> {
        self.write(move |tx| match relation(tx, user, other)? {
            Some(RelationKind::Friend) => Ok(()),
            Some(RelationKind::Incoming) => Ok(befriend(tx, user, other, now)?),
            _ => Err(RelateError::NoUser),
        })
        .await
    }

    async fn remove_friend(&self, user: UserId, other: UserId) -> Result<(), StoreError> {
        self.write(move |tx| {
            part(tx, user, other)?;
            part(tx, other, user)?;
            Ok(())
        })
        .await
    }

    async fn block(&self, user: UserId, other: UserId, now: UnixMs) -> Result<(), RelateError> {
        self.write(move |tx| {
            two_people(tx, user, other)?;
            if relation(tx, user, other)? == Some(RelationKind::Blocked) {
                return Ok(());
            }
            // However many one has: nobody has to bear another for want of room.
            set(tx, user, other, RelationKind::Blocked, now)?;
            part(tx, other, user)?;
            unfollow(tx, user, other)?;
            Ok(())
        })
        .await
    }

    async fn unblock(&self, user: UserId, other: UserId) -> Result<(), StoreError> {
        self.write(move |tx| {
            if relation(tx, user, other)? == Some(RelationKind::Blocked) {
                remove(tx, user, other)?;
            }
            Ok(())
        })
        .await
    }

    async fn relations(&self) -> Result<Vec<RelationRecord>, StoreError> {
        self.load(|c| {
            let mut all = c.prepare(
                "SELECT user_id, other_id, kind FROM relations ORDER BY user_id, other_id",
            )?;
            let all = all.query_map([], |row| {
                Ok(RelationRecord {
                    user: UserId(id(row, 0)?),
                    other: UserId(id(row, 1)?),
                    kind: read_kind(row, 2)?,
                })
            })?;
            Ok(all.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn choose_presence(
        &self,
        user: UserId,
        choice: PresenceChoice,
    ) -> Result<OwnPresence, RelateError> {
        self.write(move |tx| {
            let before = users::record(tx, user)?.ok_or(RelateError::NoUser)?.presence;
            let mut presence = before.clone();
            if let Some(choice) = choice.choice {
                presence.choice = choice;
            }
            if let Some(text) = choice.custom_status {
                presence.custom_status = Some(text).filter(|text| !text.is_empty());
                presence.custom_until_ms = choice.custom_until_ms.filter(|_| presence.custom_status.is_some());
            }
            if presence == before {
                return Ok(presence);
            }
            tx.prepare_cached("UPDATE users SET status_choice = ?2, custom_status = ?3, custom_until_ms = ?4 WHERE id = ?1")?
                .execute((
                    to_sql(user.0),
                    choice_text(presence.choice),
                    &presence.custom_status,
                    presence.custom_until_ms,
                ))?;
            tx.changed(Change::PresenceChosen {
                user,
                presence: presence.clone(),
            });
            Ok(presence)
        })
        .await
    }

    async fn user_by_name(&self, name: &str) -> Result<Option<User>, StoreError> {
        let key = name_key(name);
        self.read(move |c| {
            let user =
                format!("SELECT {USER} FROM users u WHERE u.name_key = ?1 AND u.kind = 'account'");
            Ok(c.prepare_cached(&user)?
                .query_row([key], read_user)
                .optional()?)
        })
        .await
    }
}

impl SqliteStore {
    async fn follow_page(
        &self,
        join: &'static str,
        user: UserId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<UserPage, StoreError> {
        self.read(move |c| {
            let sql =
                format!("SELECT {USER} FROM follows f JOIN users u ON u.id = {join} LIMIT ?3");
            let mut statement = c.prepare_cached(&sql)?;
            let after = after.map_or(0, |after| to_sql(after.0));
            let users =
                statement.query_map((to_sql(user.0), after, i64::from(limit) + 1), read_user)?;
            page(users, limit)
        })
        .await
    }
}

/// Of one more than the limit, if there are others.
fn page(
    users: impl Iterator<Item = rusqlite::Result<User>>,
    limit: u32,
) -> Result<UserPage, StoreError> {
    let mut users = users.collect::<Result<Vec<_>, _>>()?;
    let more = users.len() > limit as usize;
    users.truncate(limit as usize);
    Ok(UserPage { users, more })
}

/// The first text behind all that begin so.
fn behind(beginning: &str) -> String {
    let mut end: Vec<char> = beginning.chars().collect();
    while let Some(last) = end.pop() {
        // The next character is never a surrogate: those are skipped.
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return end.into_iter().collect();
        }
    }
    char::MAX.to_string()
}

fn profile(c: &Connection, reader: UserId, user: UserId) -> rusqlite::Result<Option<Profile>> {
    let Some(record) = users::record(c, user)? else {
        return Ok(None);
    };
    let relation = relation(c, reader, user)?;
    c.prepare_cached(
        "SELECT about, created_at_ms, (SELECT count(*) FROM follows WHERE followed_id = ?1), (SELECT count(*) FROM follows WHERE follower_id = ?1),
             EXISTS (SELECT 1 FROM follows WHERE follower_id = ?2 AND followed_id = ?1),
             EXISTS (SELECT 1 FROM follows WHERE follower_id = ?1 AND followed_id = ?2)
         FROM users WHERE id = ?1",
    )?
    .query_row((to_sql(user.0), to_sql(reader.0)), |row| {
        Ok(Profile {
            user: record.user,
            about: row.get(0)?,
            created_at_ms: row.get(1)?,
            followers: row.get(2)?,
            following: row.get(3)?,
            followed: row.get(4)?,
            follows_you: row.get(5)?,
            relation,
        })
    })
    .optional()
}

fn two_people(c: &Connection, user: UserId, other: UserId) -> Result<(), RelateError> {
    if user == other {
        return Err(RelateError::Oneself);
    }
    for one in [user, other] {
        if !users::exists(c, one)? {
            return Err(RelateError::NoUser);
        }
    }
    Ok(())
}

/// Whether one more may stand in some way to `user`.
fn has_room(c: &Connection, user: UserId, other: UserId) -> Result<(), RelateError> {
    let count: u32 = c
        .prepare_cached("SELECT count(*) FROM relations WHERE user_id = ?1 AND other_id <> ?2")?
        .query_row((to_sql(user.0), to_sql(other.0)), |row| row.get(0))?;
    if count as usize >= MAX_RELATIONS {
        return Err(RelateError::TooMany);
    }
    Ok(())
}

/// Whether a request reaches `user`.
fn can_be_asked(c: &Connection, user: UserId) -> rusqlite::Result<bool> {
    c.prepare_cached("SELECT count(*) < ?2 AND count(*) FILTER (WHERE kind = 'incoming') < ?3 FROM relations WHERE user_id = ?1")?
        .query_row((to_sql(user.0), i64::try_from(MAX_RELATIONS).unwrap_or(i64::MAX), MAX_INCOMING), |row| row.get(0))
}

fn befriend(tx: &WriteTx<'_>, user: UserId, other: UserId, now: UnixMs) -> rusqlite::Result<()> {
    set(tx, user, other, RelationKind::Friend, now)?;
    set(tx, other, user, RelationKind::Friend, now)
}

/// How `user` stands to `other`.
pub(super) fn relation(
    c: &Connection,
    user: UserId,
    other: UserId,
) -> rusqlite::Result<Option<RelationKind>> {
    c.prepare_cached("SELECT kind FROM relations WHERE user_id = ?1 AND other_id = ?2")?
        .query_row((to_sql(user.0), to_sql(other.0)), |row| read_kind(row, 0))
        .optional()
}

fn set(
    tx: &WriteTx<'_>,
    user: UserId,
    other: UserId,
    kind: RelationKind,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let text = match kind {
        RelationKind::Friend => "friend",
        RelationKind::Incoming => "incoming",
        RelationKind::Outgoing => "outgoing",
        RelationKind::Blocked => "blocked",
    };
    tx.prepare_cached(
        "INSERT INTO relations (user_id, other_id, kind, since_ms) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET kind = excluded.kind, since_ms = excluded.since_ms",
    )?
    .execute((to_sql(user.0), to_sql(other.0), text, now))?;
    tx.changed(Change::Related {
        user,
        other,
        kind: Some(kind),
    });
    Ok(())
}

/// Ends what `user` has with `other`, but no block.
fn part(tx: &WriteTx<'_>, user: UserId, other: UserId) -> rusqlite::Result<()> {
    match relation(tx, user, other)? {
        None | Some(RelationKind::Blocked) => Ok(()),
        Some(_) => remove(tx, user, other),
    }
}

fn remove(tx: &WriteTx<'_>, user: UserId, other: UserId) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM relations WHERE user_id = ?1 AND other_id = ?2")?
        .execute((to_sql(user.0), to_sql(other.0)))?;
    tx.changed(Change::Related {
        user,
        other,
        kind: None,
    });
    Ok(())
}

fn unfollow(c: &Connection, follower: UserId, followed: UserId) -> rusqlite::Result<()> {
    c.prepare_cached("DELETE FROM follows WHERE follower_id = ?1 AND followed_id = ?2")?
        .execute((to_sql(follower.0), to_sql(followed.0)))?;
    Ok(())
}

fn read_kind(row: &Row<'_>, column: usize) -> rusqlite::Result<RelationKind> {
    Ok(match row.get_ref(column)?.as_str()? {
        "friend" => RelationKind::Friend,
        "incoming" => RelationKind::Incoming,
        "outgoing" => RelationKind::Outgoing,
        _ => RelationKind::Blocked,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use voxhall_protocol::DeviceId;

    use super::*;
    use crate::{Accounts, Conversations, Guilds, Removal, conformance};

    #[test]
    fn what_begins_so_stands_before_the_end() {
        assert_eq!(behind("an"), "ao");
        assert_eq!(behind("a\u{d7ff}"), "a\u{e000}");
        assert_eq!(behind("a\u{10ffff}"), "b");
        assert_eq!(behind("\u{10ffff}"), "\u{10ffff}");
    }

    /// A store, and what it told since it was last asked.
    fn told() -> (SqliteStore, impl Fn() -> Vec<Change>) {
        let store = SqliteStore::in_memory().unwrap();
        let heard = Arc::<Mutex<Vec<Change>>>::default();
        let on = Arc::clone(&heard);
        store.announce_to(move |changes| on.lock().unwrap().extend(changes));
        (store, move || std::mem::take(&mut *heard.lock().unwrap()))
    }

    /// Who stands how to whom now.
    fn related(changes: &[Change]) -> Vec<(u64, u64, Option<RelationKind>)> {
        let related = |change: &Change| match change {
            Change::Related { user, other, kind } => Some((user.0, other.0, *kind)),
            _ => None,
        };
        changes.iter().filter_map(related).collect()
    }

    #[tokio::test]
    async fn both_sides_are_told_what_changes_and_nothing_else() {
        use RelationKind::{Blocked, Friend, Incoming, Outgoing};
        let (store, heard) = told();
        for name in ["ann", "bob"] {
            store
                .create_account(name.into(), "$hash".into(), 1)
                .await
                .unwrap();
        }
        let (ann, bob) = (UserId(1), UserId(2));
        assert!(
            matches!(&heard()[..], [Change::UserSaved(one), Change::UserSaved(_)] if one.user.id == ann)
        );
        store.request_friend(ann, bob, 1).await.unwrap();
        assert_eq!(
            related(&heard()),
            [(1, 2, Some(Outgoing)), (2, 1, Some(Incoming))]
        );
        store.accept_friend(bob, ann, 1).await.unwrap();
        assert_eq!(
            related(&heard()),
            [(2, 1, Some(Friend)), (1, 2, Some(Friend))]
        );
        store.accept_friend(bob, ann, 1).await.unwrap();
        assert!(heard().is_empty());
        store.block(ann, bob, 1).await.unwrap();
        assert_eq!(related(&heard()), [(1, 2, Some(Blocked)), (2, 1, None)]);
        store.request_friend(bob, ann, 1).await.unwrap();
        assert_eq!(
            related(&heard()),
            [(2, 1, Some(Outgoing))],
            "who blocks hears nothing"
        );
        store.remove_friend(bob, ann).await.unwrap();
        assert_eq!(related(&heard()), [(2, 1, None)]);
        store.remove_friend(bob, ann).await.unwrap();
        store.unblock(bob, ann).await.unwrap();
        assert!(heard().is_empty());
        store.unblock(ann, bob).await.unwrap();
        assert_eq!(related(&heard()), [(1, 2, None)]);
    }

    #[tokio::test]
    async fn everyone_concerned_is_told_of_who_is_deleted() {
        let (store, heard) = told();
        store
            .default_guild(conformance::new_guild("g"))
            .await
            .unwrap();
        for (name, token) in [("ann", 1), ("bob", 2)] {
            let new = conformance::by_invite(conformance::guest(name, token), "g-invite");
            store.sign_up(new).await.unwrap();
        }
        let (ann, bob) = (UserId(1), UserId(2));
        store.request_friend(ann, bob, 1).await.unwrap();
        let direct = store.open_direct(ann, bob, 1).await.unwrap();
        heard();
        store.delete_user(ann, 9).await.unwrap();
        let changes = heard();
        assert!(changes.iter().any(
            |change| matches!(change, Change::DevicesEnded(ended) if *ended == [DeviceId(1)])
        ));
        assert!(changes.iter().any(|change| matches!(change, Change::ConversationSaved(left) if left.id == direct.id && left.members == [bob])));
        assert!(changes.iter().any(|change| matches!(change, Change::MemberRemoved { user, why: Removal::Deleted, .. } if *user == ann)));
        assert_eq!(related(&changes), [(2, 1, None)]);
        assert!(matches!(changes.last(), Some(Change::UserDeleted(user)) if *user == ann));
        store.delete_user(bob, 9).await.unwrap();
        assert!(heard().iter().any(
            |change| matches!(change, Change::ConversationDeleted(gone) if *gone == direct.id)
        ));
    }
}
