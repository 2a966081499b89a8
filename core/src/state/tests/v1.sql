-- A state file of schema version 1 with data, as it was written then. It must not change.
CREATE TABLE runs (
        run_id TEXT PRIMARY KEY,
        export TEXT NOT NULL,
        phase TEXT NOT NULL,
        status TEXT,
        source TEXT NOT NULL,
        destination TEXT NOT NULL,
        started_at_ms INTEGER NOT NULL,
        plan_json TEXT NOT NULL,
        verdict_json TEXT,
        summary_json TEXT
    ) STRICT;
CREATE INDEX runs_by_export ON runs (export, started_at_ms);
CREATE TABLE parts (
        run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
        split_id INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        part_index INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        name TEXT NOT NULL,
        token TEXT NOT NULL,
        rows INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        digest TEXT NOT NULL,
        facts_json TEXT NOT NULL,
        published INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (run_id, split_id, attempt, part_index)
    ) STRICT;
CREATE TABLE splits (
        run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
        split_id INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        PRIMARY KEY (run_id, split_id)
    ) STRICT;
CREATE TABLE schemas (
        export TEXT PRIMARY KEY,
        run_id TEXT NOT NULL,
        schema_json TEXT NOT NULL
    ) STRICT;
CREATE TABLE cursors (
        export TEXT PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        run_id TEXT NOT NULL,
        value_json TEXT NOT NULL
    ) STRICT;
INSERT INTO runs VALUES
    ('r1', 'orders', 'finished', 'success', 'src', 'dst', 1000, '{"splits":1}', '{"rows":2}', '{"rows":2}'),
    ('r2', 'orders', 'judged', NULL, 'src', 'dst', 2000, '{"splits":2}', '{"rows":5}', NULL);
INSERT INTO splits VALUES ('r1', 0, 0, 0), ('r2', 0, 1, 0);
INSERT INTO parts VALUES
    ('r1', 0, 0, 0, 0, 'r1-0.parquet', 'token-1', 2, 200, 'd1', '{}', 1),
    ('r2', 0, 1, 0, 0, 'r2-0.parquet', 'token-2', 3, 300, 'd2', '{}', 1),
    ('r2', 0, 1, 1, 0, 'r2-1.parquet', 'token-3', 2, 200, 'd3', '{}', 0);
INSERT INTO schemas VALUES ('orders', 'r1', '{"columns":[]}');
INSERT INTO cursors VALUES ('orders', 'fp', 'r1', '"2026-11-21"');
PRAGMA user_version = 1;
