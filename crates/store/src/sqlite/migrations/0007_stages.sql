-- Stage rooms that people open, and that are over when they are ended. Ids are those of channels that never come back.
CREATE TABLE stages (
    id              INTEGER PRIMARY KEY,
    host_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    topic           TEXT NOT NULL,
    access          TEXT NOT NULL CHECK (access IN ('public', 'closed')),
    code            TEXT NOT NULL UNIQUE,
    scheduled_at_ms INTEGER,
    -- None: it has not begun.
    started_at_ms   INTEGER
) STRICT;
CREATE INDEX stages_by_host ON stages (host_id);

CREATE TABLE stage_bans (
    stage_id INTEGER NOT NULL REFERENCES stages (id) ON DELETE CASCADE,
    user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (stage_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX stage_bans_by_user ON stage_bans (user_id);
