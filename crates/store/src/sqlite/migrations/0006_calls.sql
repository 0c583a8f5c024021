-- Who may call someone, among those who may write to them.
ALTER TABLE users ADD COLUMN calls_from_friends INTEGER NOT NULL DEFAULT 0 CHECK (calls_from_friends IN (0, 1));

-- Ids are the live state's. The channel may be gone.
CREATE TABLE calls (
    id            INTEGER PRIMARY KEY,
    channel_id    INTEGER NOT NULL,
    caller_id     INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    started_at_ms INTEGER NOT NULL,
    -- None: it runs.
    reason        TEXT
) STRICT;
CREATE INDEX calls_by_caller ON calls (caller_id);
CREATE INDEX calls_by_time ON calls (started_at_ms);
CREATE INDEX calls_running ON calls (id) WHERE reason IS NULL;

CREATE TABLE call_parties (
    user_id     INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    call_id     INTEGER NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    -- None: did not talk.
    duration_ms INTEGER,
    missed      INTEGER NOT NULL CHECK (missed IN (0, 1)),
    seen        INTEGER NOT NULL DEFAULT 0 CHECK (seen IN (0, 1)),
    PRIMARY KEY (user_id, call_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX call_parties_by_call ON call_parties (call_id);
CREATE INDEX call_parties_missed ON call_parties (user_id, call_id) WHERE missed = 1 AND seen = 0;
