//! A database of every schema that was ever in use comes to this build's schema with all that is in it. `schemas/N.sql` was dumped
//! from a database that the program of schema N made.

use std::{fs, path::Path};

use rusqlite::{Connection, types::Value};
use voxhall_protocol::permissions::Permissions;
use voxhall_store::{Guilds, NewGuild, OpenError, Settings, SqliteStore, maintenance};

const SCHEMAS: [(u32, &str); 2] = [
    (1, include_str!("schemas/1.sql")),
    (2, include_str!("schemas/2.sql")),
];

#[tokio::test]
async fn every_old_schema_is_brought_to_this_one_with_all_that_is_in_it() {
    for (version, dump) in SCHEMAS {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(maintenance::DATABASE);
        let old = Connection::open(&file).unwrap();
        old.execute_batch(dump).unwrap();
        let tables = contents(&old);
        assert!(tables.iter().map(|table| table.rows.len()).sum::<usize>() > 20);
        drop(old);

        let store = SqliteStore::open(&file).unwrap();
        let key = store.setting_or_insert("signing_key", vec![]).await;
        assert_eq!(key, Ok(vec![0, 39, 255, 1]), "{version}");
        store.close().await;

        let checked = maintenance::check(folder.path()).unwrap();
        assert_eq!(checked.problems, [""; 0], "{version}");
        assert!(checked.schema >= version);
        let new = Connection::open(&file).unwrap();
        for table in &tables {
            assert_eq!(
                table.read_again(&new),
                table.rows,
                "{version} {}",
                table.name
            );
        }

        let sql = "SELECT rowid FROM messages_fts WHERE text MATCH 'quoted'";
        let found: u32 = new.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(found, 2, "what was written before can be searched");

        let before = folder
            .path()
            .join(format!("voxhall.db.before-{}", checked.schema));
        assert_eq!(before.exists(), checked.schema > version);
        if before.exists() {
            assert_eq!(contents(&Connection::open(&before).unwrap()), tables);
            assert_private(&before);
        }
    }
}

#[tokio::test]
async fn an_old_guild_is_the_first_one_still_and_has_the_roles_of_a_new_one() {
    for (version, dump) in SCHEMAS {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(maintenance::DATABASE);
        Connection::open(&file)
            .unwrap()
            .execute_batch(dump)
            .unwrap();
        let store = SqliteStore::open(&file).unwrap();
        let before = store.guilds().await.unwrap();
        let new = || NewGuild {
            name: "new".into(),
            channels: Vec::new(),
            invite_code: "new-invite".into(),
            owner_code: "new-owner".into(),
            now: 1,
        };
        let first = store.default_guild(new()).await.unwrap();
        assert_ne!(first.invite_code, "new-invite", "{version}");
        let after = store.guilds().await.unwrap();
        assert_eq!(before, after, "{version}");
        assert!(before.iter().any(|guild| guild.info.id == first.id));
        for guild in before {
            let roles = guild
                .roles
                .iter()
                .map(|role| (role.position, role.permissions));
            assert_eq!(
                roles.collect::<Vec<_>>(),
                [
                    (0, Permissions::DEFAULT_EVERYONE),
                    (1, Permissions::DEFAULT_MODERATOR)
                ]
            );
            assert!(
                guild
                    .channels
                    .iter()
                    .all(|channel| channel.category_id.is_none())
            );
        }
        store.close().await;
    }
}

#[tokio::test]
async fn a_new_database_has_no_copy_from_before_and_can_be_searched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(maintenance::DATABASE);
    SqliteStore::open(&file).unwrap().close().await;
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch("CREATE VIRTUAL TABLE words USING fts5 (text)")
        .unwrap();
}

#[tokio::test]
async fn what_cant_be_migrated_is_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(maintenance::DATABASE);
    let old = Connection::open(&file).unwrap();
    old.execute_batch(SCHEMAS[0].1).unwrap();
    // A message of nobody, as only a fault or a stray hand could leave it.
    old.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM users WHERE id = 5")
        .unwrap();
    let tables = contents(&old);
    let refused = SqliteStore::open(&file).err().unwrap();
    assert!(matches!(&refused, OpenError::Dangling(_)), "{refused}");
    assert!(refused.to_string().contains("messages 4"), "{refused}");
    assert_eq!(contents(&old), tables);
}

#[derive(Debug, PartialEq)]
struct Table {
    name: String,
    columns: String,
    rows: Vec<Vec<Value>>,
}

impl Table {
    /// The same columns from another database.
    fn read_again(&self, from: &Connection) -> Vec<Vec<Value>> {
        rows(from, &self.name, &self.columns)
    }
}

fn contents(connection: &Connection) -> Vec<Table> {
    let sql = "SELECT t.name, group_concat(c.name, ', ') FROM sqlite_schema t, pragma_table_info(t.name) c
               WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' GROUP BY t.name";
    let mut tables = connection.prepare(sql).unwrap();
    let tables = tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let tables = tables.unwrap().map(|table| {
        let (name, columns): (String, String) = table.unwrap();
        let rows = rows(connection, &name, &columns);
        Table {
            name,
            columns,
            rows,
        }
    });
    tables.collect()
}

fn rows(connection: &Connection, table: &str, columns: &str) -> Vec<Vec<Value>> {
    let sql = format!("SELECT {columns} FROM {table} ORDER BY {columns}");
    let mut rows = connection.prepare(&sql).unwrap();
    let width = rows.column_count();
    let rows = rows.query_map([], |row| (0..width).map(|at| row.get(at)).collect());
    rows.unwrap().map(Result::unwrap).collect()
}

fn assert_private(file: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}
