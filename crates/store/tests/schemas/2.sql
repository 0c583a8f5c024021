PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO settings VALUES('default_guild.invite',X'646f6f72');
INSERT INTO settings VALUES('default_guild.owner_invite',X'6f776e6572');
INSERT INTO settings VALUES('signing_key',X'0027ff01');
CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL,
    -- The name in lower case as Unicode has it; SQLite's own NOCASE knows only ASCII.
    name_key      TEXT NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('guest', 'account')),
    password_hash TEXT,
    created_at_ms INTEGER NOT NULL,
    CHECK ((kind = 'account') = (password_hash IS NOT NULL))
) STRICT;
INSERT INTO users VALUES(1,'Änn','änn','account','$argon2id$of-Änn',2001);
INSERT INTO users VALUES(2,'Bob','bob','account','$argon2id$of-Bob',2002);
INSERT INTO users VALUES(3,'Gast','gast','guest',NULL,2003);
INSERT INTO users VALUES(4,'Bob','bob','guest',NULL,2004);
INSERT INTO users VALUES(5,'Zoë','zoë','account','$argon2id$of-Zoë',2007);
CREATE TABLE devices (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_sha256  BLOB NOT NULL UNIQUE CHECK (length(token_sha256) = 32),
    label         TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    last_seen_ms  INTEGER NOT NULL
) STRICT;
INSERT INTO devices VALUES(1,1,X'0101010101010101010101010101010101010101010101010101010101010101','laptop 1',1001,9000);
INSERT INTO devices VALUES(2,2,X'0202020202020202020202020202020202020202020202020202020202020202','laptop 2',1002,1002);
INSERT INTO devices VALUES(3,3,X'0303030303030303030303030303030303030303030303030303030303030303','laptop 3',1003,1003);
INSERT INTO devices VALUES(4,4,X'0404040404040404040404040404040404040404040404040404040404040404','laptop 4',1004,1004);
INSERT INTO devices VALUES(6,1,X'0606060606060606060606060606060606060606060606060606060606060606','laptop 6',1006,1006);
INSERT INTO devices VALUES(7,5,X'0707070707070707070707070707070707070707070707070707070707070707','laptop 7',1007,1007);
CREATE TABLE guilds (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL,
    owner_id      INTEGER REFERENCES users (id) ON DELETE SET NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO guilds VALUES(1,'Änns Haus ''n'' more',1,500);
CREATE TABLE channels (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    guild_id    INTEGER NOT NULL REFERENCES guilds (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('text', 'voice')),
    position    INTEGER NOT NULL,
    topic       TEXT NOT NULL DEFAULT '',
    bitrate_bps INTEGER NOT NULL
) STRICT;
INSERT INTO channels VALUES(1,1,'general','text',0,'',0);
INSERT INTO channels VALUES(2,1,'lounge','voice',1,'',64000);
CREATE TABLE invites (
    code          TEXT PRIMARY KEY,
    guild_id      INTEGER NOT NULL REFERENCES guilds (id) ON DELETE CASCADE,
    creator_id    INTEGER REFERENCES users (id) ON DELETE SET NULL,
    expires_at_ms INTEGER,
    max_uses      INTEGER CHECK (max_uses > 0),
    uses          INTEGER NOT NULL DEFAULT 0,
    makes_owner   INTEGER NOT NULL DEFAULT 0,
    created_at_ms INTEGER NOT NULL,
    CHECK (max_uses IS NULL OR uses <= max_uses)
) STRICT, WITHOUT ROWID;
INSERT INTO invites VALUES('door',1,NULL,NULL,NULL,2,0,500);
INSERT INTO invites VALUES('owner',1,NULL,NULL,1,1,1,500);
INSERT INTO invites VALUES('twice',1,2,90000,2,1,0,3000);
CREATE TABLE members (
    guild_id     INTEGER NOT NULL REFERENCES guilds (id) ON DELETE CASCADE,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    joined_at_ms INTEGER NOT NULL,
    -- By which invite this member came; the invite itself may be gone.
    invite_code  TEXT,
    PRIMARY KEY (guild_id, user_id)
) STRICT, WITHOUT ROWID;
INSERT INTO members VALUES(1,1,2001,'owner');
INSERT INTO members VALUES(1,2,2002,'door');
INSERT INTO members VALUES(1,3,2003,'door');
INSERT INTO members VALUES(1,5,2007,'twice');
CREATE TABLE messages (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    channel_id INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    author_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    text       TEXT NOT NULL,
    nonce      TEXT NOT NULL,
    sent_at_ms INTEGER NOT NULL,
    UNIQUE (author_id, nonce)
) STRICT;
INSERT INTO messages VALUES(1,1,1,'hello 👋','n0',10000);
INSERT INTO messages VALUES(2,1,2,replace('it''s a ''quoted'' line\nand another','\n',char(10)),'n1',10001);
INSERT INTO messages VALUES(3,1,3,'guests talk too','n2',10002);
INSERT INTO messages VALUES(4,1,5,'zoe here','n3',10003);
INSERT INTO messages VALUES(5,1,1,'bye','n4',10004);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('guilds',1);
INSERT INTO sqlite_sequence VALUES('channels',2);
INSERT INTO sqlite_sequence VALUES('users',5);
INSERT INTO sqlite_sequence VALUES('devices',7);
INSERT INTO sqlite_sequence VALUES('messages',5);
CREATE UNIQUE INDEX users_by_account_name ON users (name_key) WHERE kind = 'account';
CREATE INDEX devices_by_user ON devices (user_id);
CREATE INDEX channels_by_guild ON channels (guild_id, position);
CREATE INDEX invites_by_guild ON invites (guild_id);
CREATE INDEX members_by_user ON members (user_id);
CREATE INDEX messages_by_channel ON messages (channel_id, id);
CREATE INDEX invites_by_creator ON invites (creator_id);
COMMIT;
PRAGMA user_version = 2;
