-- What people say of themselves, and what the server knows of them.
ALTER TABLE users ADD COLUMN display_name TEXT;
-- In lower case as Unicode has it, as `name_key`.
ALTER TABLE users ADD COLUMN display_key TEXT;
ALTER TABLE users ADD COLUMN about TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN picture_id INTEGER;
ALTER TABLE users ADD COLUMN is_admin INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN suspended_at_ms INTEGER;
-- Nobody any more: only the author of what they wrote.
ALTER TABLE users ADD COLUMN deleted_at_ms INTEGER;
ALTER TABLE users ADD COLUMN last_seen_ms INTEGER;
ALTER TABLE users ADD COLUMN status_choice TEXT NOT NULL DEFAULT 'online' CHECK (status_choice IN ('online', 'do_not_disturb', 'invisible'));
ALTER TABLE users ADD COLUMN custom_status TEXT;
ALTER TABLE users ADD COLUMN custom_until_ms INTEGER;
CREATE INDEX users_by_display_name ON users (display_key) WHERE kind = 'account' AND display_key IS NOT NULL;
-- Whether an uploaded picture is in use.
CREATE INDEX users_by_picture ON users (picture_id) WHERE picture_id IS NOT NULL;
-- For forgetting guests who don't come back.
CREATE INDEX users_by_last_seen ON users (last_seen_ms) WHERE kind = 'guest' AND deleted_at_ms IS NULL;

UPDATE users SET last_seen_ms = (SELECT max(last_seen_ms) FROM devices WHERE user_id = users.id);
-- Until now the server's administrator was who owns the guild that it began with.
UPDATE users SET is_admin = 1 WHERE id = (
    SELECT g.owner_id FROM guilds g JOIN invites i ON i.guild_id = g.id
    JOIN settings s ON s.key = 'default_guild.invite' AND i.code = CAST(s.value AS TEXT));

-- All refresh tokens of one device are a family, which it names; none before the first rotation of a token that is older than families.
-- `token_sha256` is of the one that is good now; it was made at `rotated_at_ms` and is number `generation`.
ALTER TABLE devices ADD COLUMN family BLOB CHECK (length(family) = 16);
ALTER TABLE devices ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN rotated_at_ms INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX devices_by_family ON devices (family);

-- Keys of access tokens. One signs; those that are retired only verify.
CREATE TABLE signing_keys (
    kid           TEXT PRIMARY KEY,
    secret        BLOB NOT NULL CHECK (length(secret) = 32),
    created_at_ms INTEGER NOT NULL,
    retired_at_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX signing_keys_in_use ON signing_keys (retired_at_ms IS NULL) WHERE retired_at_ms IS NULL;
DELETE FROM settings WHERE key = 'access_token_key';

-- How `user_id` stands to `other_id`. Each has their own side: who is blocked isn't told, and may have an outgoing request.
CREATE TABLE relations (
    user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    other_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind     TEXT NOT NULL CHECK (kind IN ('friend', 'incoming', 'outgoing', 'blocked')),
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (user_id, other_id),
    CHECK (user_id <> other_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX relations_by_other ON relations (other_id);

CREATE TABLE follows (
    follower_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    followed_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    since_ms    INTEGER NOT NULL,
    PRIMARY KEY (follower_id, followed_id),
    CHECK (follower_id <> followed_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX follows_by_followed ON follows (followed_id, follower_id);

-- Conversations are channels without a guild. Between two people there is one: the lower id stands first.
CREATE TABLE direct_pairs (
    channel_id INTEGER PRIMARY KEY REFERENCES channels (id) ON DELETE CASCADE,
    low_id     INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    high_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Which of the two.
    opener_id  INTEGER NOT NULL,
    UNIQUE (low_id, high_id),
    CHECK (low_id < high_id),
    CHECK (opener_id IN (low_id, high_id))
) STRICT;
CREATE INDEX direct_pairs_by_high ON direct_pairs (high_id);

CREATE TABLE conversation_members (
    channel_id   INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    joined_at_ms INTEGER NOT NULL,
    PRIMARY KEY (channel_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversation_members_by_user ON conversation_members (user_id);
