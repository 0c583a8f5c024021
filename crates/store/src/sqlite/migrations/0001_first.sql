CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

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
-- Two guests may share a name, two accounts may not.
CREATE UNIQUE INDEX users_by_account_name ON users (name_key) WHERE kind = 'account';

CREATE TABLE devices (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_sha256  BLOB NOT NULL UNIQUE CHECK (length(token_sha256) = 32),
    label         TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    last_seen_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_by_user ON devices (user_id);

CREATE TABLE guilds (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL,
    owner_id      INTEGER REFERENCES users (id) ON DELETE SET NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE channels (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    guild_id    INTEGER NOT NULL REFERENCES guilds (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('text', 'voice')),
    position    INTEGER NOT NULL,
    topic       TEXT NOT NULL DEFAULT '',
    bitrate_bps INTEGER NOT NULL
) STRICT;
CREATE INDEX channels_by_guild ON channels (guild_id, position);

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
CREATE INDEX invites_by_guild ON invites (guild_id);

CREATE TABLE members (
    guild_id     INTEGER NOT NULL REFERENCES guilds (id) ON DELETE CASCADE,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    joined_at_ms INTEGER NOT NULL,
    -- By which invite this member came; the invite itself may be gone.
    invite_code  TEXT,
    PRIMARY KEY (guild_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user_id);

CREATE TABLE messages (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    channel_id INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    author_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    text       TEXT NOT NULL,
    nonce      TEXT NOT NULL,
    sent_at_ms INTEGER NOT NULL,
    UNIQUE (author_id, nonce)
) STRICT;
CREATE INDEX messages_by_channel ON messages (channel_id, id);
