-- Channels: those of guilds in categories, and conversations between people, which have no guild.
CREATE TABLE new_channels (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    guild_id       INTEGER REFERENCES guilds (id) ON DELETE CASCADE,
    kind           TEXT NOT NULL CHECK (kind IN ('text', 'voice', 'stage', 'category', 'direct', 'group')),
    -- Of conversations only a group may have one.
    name           TEXT,
    category_id    INTEGER REFERENCES channels (id) ON DELETE SET NULL,
    -- Order within the category, or among what has none.
    position       INTEGER NOT NULL DEFAULT 0,
    topic          TEXT NOT NULL DEFAULT '',
    slow_mode_s    INTEGER NOT NULL DEFAULT 0,
    retention_days INTEGER NOT NULL DEFAULT 0,
    user_limit     INTEGER NOT NULL DEFAULT 0,
    bitrate_bps    INTEGER NOT NULL DEFAULT 0,
    -- Of a group.
    owner_id       INTEGER REFERENCES users (id) ON DELETE SET NULL,
    CHECK ((guild_id IS NULL) = (kind IN ('direct', 'group'))),
    CHECK (guild_id IS NULL OR name IS NOT NULL),
    CHECK (category_id IS NULL OR (guild_id IS NOT NULL AND kind <> 'category'))
) STRICT;
INSERT INTO new_channels (id, guild_id, kind, name, position, topic, bitrate_bps)
    SELECT id, guild_id, kind, name, position, topic, bitrate_bps FROM channels;
DROP TABLE channels;
ALTER TABLE new_channels RENAME TO channels;
CREATE INDEX channels_by_guild ON channels (guild_id, position);
CREATE INDEX channels_by_category ON channels (category_id) WHERE category_id IS NOT NULL;
CREATE INDEX channels_by_owner ON channels (owner_id) WHERE owner_id IS NOT NULL;

ALTER TABLE guilds ADD COLUMN description TEXT NOT NULL DEFAULT '';
-- A file that was uploaded.
ALTER TABLE guilds ADD COLUMN icon INTEGER;
CREATE INDEX guilds_by_owner ON guilds (owner_id) WHERE owner_id IS NOT NULL;
-- The one that the server began with: it can't be deleted, and newcomers come into it.
ALTER TABLE guilds ADD COLUMN is_default INTEGER NOT NULL DEFAULT 0;
UPDATE guilds SET is_default = 1 WHERE id = (
    SELECT i.guild_id FROM invites i JOIN settings s ON s.key = 'default_guild.invite' AND i.code = CAST(s.value AS TEXT));
CREATE UNIQUE INDEX guilds_default ON guilds (is_default) WHERE is_default;

-- Position 0 is @everyone.
CREATE TABLE roles (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    guild_id    INTEGER NOT NULL REFERENCES guilds (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    color       INTEGER CHECK (color BETWEEN 0 AND 0xffffff),
    position    INTEGER NOT NULL CHECK (position >= 0),
    permissions INTEGER NOT NULL,
    hoist       INTEGER NOT NULL DEFAULT 0,
    mentionable INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX roles_by_guild ON roles (guild_id, position);
CREATE UNIQUE INDEX roles_everyone ON roles (guild_id) WHERE position = 0;
INSERT INTO roles (guild_id, name, position, permissions) SELECT id, 'everyone', 0, 24975 FROM guilds;
INSERT INTO roles (guild_id, name, position, permissions, hoist) SELECT id, 'Moderator', 1, 4693616, 1 FROM guilds;

-- Who came by an invite, in the order in which they came.
CREATE INDEX members_by_invite ON members (invite_code, guild_id, joined_at_ms, user_id) WHERE invite_code IS NOT NULL;
ALTER TABLE members ADD COLUMN nick TEXT;
ALTER TABLE members ADD COLUMN timeout_until_ms INTEGER;
ALTER TABLE members ADD COLUMN server_muted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN server_deafened INTEGER NOT NULL DEFAULT 0;

-- Without @everyone, which all have.
CREATE TABLE member_roles (
    guild_id INTEGER NOT NULL,
    user_id  INTEGER NOT NULL,
    role_id  INTEGER NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (guild_id, user_id, role_id),
    FOREIGN KEY (guild_id, user_id) REFERENCES members (guild_id, user_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX member_roles_by_role ON member_roles (role_id);

-- What holds for who left, so that leaving and coming back is no way out of it.
CREATE TABLE sanctions (
    guild_id         INTEGER NOT NULL REFERENCES guilds (id) ON DELETE CASCADE,
    user_id          INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    timeout_until_ms INTEGER,
    server_muted     INTEGER NOT NULL,
    server_deafened  INTEGER NOT NULL,
    PRIMARY KEY (guild_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX sanctions_by_user ON sanctions (user_id);

CREATE TABLE overwrites (
    channel_id INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    role_id    INTEGER REFERENCES roles (id) ON DELETE CASCADE,
    user_id    INTEGER REFERENCES users (id) ON DELETE CASCADE,
    allow      INTEGER NOT NULL,
    deny       INTEGER NOT NULL,
    CHECK ((role_id IS NULL) <> (user_id IS NULL)),
    CHECK (allow & deny = 0)
) STRICT;
CREATE UNIQUE INDEX overwrites_of_roles ON overwrites (channel_id, role_id) WHERE role_id IS NOT NULL;
CREATE UNIQUE INDEX overwrites_of_users ON overwrites (channel_id, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX overwrites_by_channel ON overwrites (channel_id);
CREATE INDEX overwrites_by_role ON overwrites (role_id);
CREATE INDEX overwrites_by_user ON overwrites (user_id);

CREATE TABLE guild_bans (
    guild_id INTEGER NOT NULL REFERENCES guilds (id) ON DELETE CASCADE,
    user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    by_id    INTEGER REFERENCES users (id) ON DELETE SET NULL,
    reason   TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    address  INTEGER NOT NULL,
    PRIMARY KEY (guild_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX guild_bans_by_user ON guild_bans (user_id);
CREATE INDEX guild_bans_by_moderator ON guild_bans (by_id) WHERE by_id IS NOT NULL;

-- Where users came from lately, and where banned ones came from: never the address, but its keyed hash.
CREATE TABLE seen_addresses (
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address      BLOB NOT NULL CHECK (length(address) = 16),
    last_seen_ms INTEGER NOT NULL,
    PRIMARY KEY (user_id, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_addresses_by_time ON seen_addresses (last_seen_ms);
CREATE TABLE banned_addresses (
    guild_id INTEGER NOT NULL,
    address  BLOB NOT NULL CHECK (length(address) = 16),
    user_id  INTEGER NOT NULL,
    PRIMARY KEY (guild_id, address, user_id),
    FOREIGN KEY (guild_id, user_id) REFERENCES guild_bans (guild_id, user_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX banned_addresses_by_ban ON banned_addresses (guild_id, user_id);

CREATE TABLE audit (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    guild_id       INTEGER NOT NULL REFERENCES guilds (id) ON DELETE CASCADE,
    at_ms          INTEGER NOT NULL,
    -- None: the server's administrator, or someone who is gone.
    by_id          INTEGER REFERENCES users (id) ON DELETE SET NULL,
    action         TEXT NOT NULL,
    -- In words that last.
    target         TEXT NOT NULL,
    -- What these led to may be gone.
    target_user_id INTEGER,
    channel_id     INTEGER,
    message_id     INTEGER,
    reason         TEXT NOT NULL,
    -- A JSON array of field, before, after.
    changes        TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_guild ON audit (guild_id, id);
CREATE INDEX audit_by_action ON audit (guild_id, action, id);
CREATE INDEX audit_by_moderator ON audit (by_id, guild_id, id) WHERE by_id IS NOT NULL;

-- Networks that may not use the server at all.
CREATE TABLE bans (
    network  TEXT PRIMARY KEY,
    reason   TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    until_ms INTEGER
) STRICT, WITHOUT ROWID;
