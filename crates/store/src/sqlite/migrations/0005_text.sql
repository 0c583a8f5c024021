-- Messages get what people do with them. They have no foreign key to their channel: one with a million messages is deleted at once, and
-- its messages after it, a few at a time.
CREATE TABLE messages_now (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    channel_id   INTEGER NOT NULL,
    author_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    text         TEXT NOT NULL,
    nonce        TEXT NOT NULL,
    sent_at_ms   INTEGER NOT NULL,
    edited_at_ms INTEGER,
    -- May be gone.
    reply_to     INTEGER,
    pinned_at_ms INTEGER,
    UNIQUE (author_id, nonce)
) STRICT;
INSERT INTO messages_now (id, channel_id, author_id, text, nonce, sent_at_ms)
    SELECT id, channel_id, author_id, text, nonce, sent_at_ms FROM messages;
DROP TABLE messages;
ALTER TABLE messages_now RENAME TO messages;
-- All that counting unread messages looks at.
CREATE INDEX messages_by_channel ON messages (channel_id, id, author_id, sent_at_ms);
-- A day's beginning, slow mode, and what has been kept for long enough.
CREATE INDEX messages_by_time ON messages (channel_id, sent_at_ms, author_id);
CREATE INDEX messages_pinned ON messages (channel_id, pinned_at_ms) WHERE pinned_at_ms IS NOT NULL;

CREATE VIRTUAL TABLE messages_fts USING fts5 (
    text, content = 'messages', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '2'
);
INSERT INTO messages_fts (messages_fts) VALUES ('rebuild');
CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN
    INSERT INTO messages_fts (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER messages_edited AFTER UPDATE OF text ON messages BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO messages_fts (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER messages_removed AFTER DELETE ON messages BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, text) VALUES ('delete', old.id, old.text);
END;

-- Whom messages mention: kind 0 is everyone (with target 0), 1 a role, 2 a user.
CREATE TABLE mentions (
    message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    kind       INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 2),
    target_id  INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    PRIMARY KEY (message_id, kind, target_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX mentions_by_target ON mentions (channel_id, kind, target_id, message_id);

CREATE TABLE reactions (
    message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    emoji      TEXT NOT NULL,
    user_id    INTEGER NOT NULL,
    at_ms      INTEGER NOT NULL,
    PRIMARY KEY (message_id, emoji, user_id)
) STRICT, WITHOUT ROWID;

-- How far someone has read.
CREATE TABLE read_marks (
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    channel_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    PRIMARY KEY (user_id, channel_id)
) STRICT, WITHOUT ROWID;

-- Of messages that somebody deleted, for a day: so that a late retry stores nothing, and slow mode isn't cheated.
CREATE TABLE deleted_messages (
    author_id     INTEGER NOT NULL,
    nonce         TEXT NOT NULL,
    channel_id    INTEGER NOT NULL,
    sent_at_ms    INTEGER NOT NULL,
    deleted_at_ms INTEGER NOT NULL,
    PRIMARY KEY (author_id, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX deleted_messages_by_time ON deleted_messages (deleted_at_ms);

CREATE TABLE files (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    uploader_id     INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Where it is to be sent; none: a picture of a profile or a guild.
    channel_id      INTEGER,
    message_id      INTEGER REFERENCES messages (id) ON DELETE CASCADE,
    position        INTEGER NOT NULL DEFAULT 0,
    name            TEXT NOT NULL,
    announced       INTEGER NOT NULL CHECK (announced >= 0),
    -- As announced, and as stored once it is complete.
    bytes           INTEGER NOT NULL CHECK (bytes >= 0),
    begun_at_ms     INTEGER NOT NULL,
    -- None: not complete.
    completed_at_ms INTEGER,
    media_type      TEXT,
    -- Of a picture that could be read.
    width           INTEGER,
    height          INTEGER,
    thumbnail       INTEGER NOT NULL DEFAULT 0,
    CHECK ((completed_at_ms IS NULL) = (media_type IS NULL)),
    CHECK (message_id IS NULL OR (completed_at_ms IS NOT NULL AND channel_id IS NOT NULL)),
    CHECK ((width IS NULL) = (height IS NULL))
) STRICT;
CREATE INDEX files_by_message ON files (message_id, position) WHERE message_id IS NOT NULL;
CREATE INDEX files_by_uploader ON files (uploader_id, begun_at_ms, bytes);
CREATE INDEX files_unfinished ON files (uploader_id) WHERE completed_at_ms IS NULL;
CREATE INDEX files_unsent ON files (begun_at_ms) WHERE message_id IS NULL;
-- Which pictures are icons; those of users have an index already.
CREATE INDEX guilds_by_icon ON guilds (icon) WHERE icon IS NOT NULL;

-- Their bytes are still to be removed.
CREATE TABLE dead_files (
    id INTEGER PRIMARY KEY
) STRICT;
CREATE TRIGGER files_removed AFTER DELETE ON files BEGIN
    INSERT OR IGNORE INTO dead_files (id) VALUES (old.id);
END;

-- Bytes of all files of a user; user 0: of everyone. Kept so that a new file needs no look at all others.
CREATE TABLE files_taken (
    user_id INTEGER PRIMARY KEY,
    bytes   INTEGER NOT NULL
) STRICT;
CREATE TRIGGER files_take AFTER INSERT ON files BEGIN
    INSERT INTO files_taken (user_id, bytes) VALUES (0, new.bytes), (new.uploader_id, new.bytes)
        ON CONFLICT (user_id) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER files_resize AFTER UPDATE OF bytes ON files BEGIN
    UPDATE files_taken SET bytes = bytes + new.bytes - old.bytes WHERE user_id IN (0, new.uploader_id);
END;
CREATE TRIGGER files_give_back AFTER DELETE ON files BEGIN
    UPDATE files_taken SET bytes = bytes - old.bytes WHERE user_id IN (0, old.uploader_id);
END;
