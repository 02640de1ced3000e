"""What a SQLite store asks its file; the schema is in :mod:`llm_optimize.stores.migrations`."""

from __future__ import annotations

__all__ = [
    "APPEND",
    "DROP_FOLDS",
    "EXTEND",
    "FETCH",
    "KEEP_FOLD",
    "KEPT_FOLD",
    "KEYS",
    "LAST",
    "OF_KINDS",
    "OVERVIEW",
    "READ",
    "RECALL",
    "REMEMBER",
    "STUDIES",
]

APPEND = """
INSERT INTO events (study, seq, kind, at, score, body, texts)
SELECT ?, coalesce(max(seq), 0) + 1, ?, ?, ?, ?, ? FROM events WHERE study = ?
RETURNING seq
"""

EXTEND = "INSERT INTO events (study, seq, kind, at, score, body, texts) VALUES (?, ?, ?, ?, ?, ?, ?)"

LAST = "SELECT max(seq) FROM events WHERE study = (SELECT id FROM studies WHERE name = ?)"

READ = """
SELECT seq, kind, body, texts FROM events
WHERE study = (SELECT id FROM studies WHERE name = ?) AND seq > ? AND seq <= ?
ORDER BY seq LIMIT ?
"""

FETCH = """
SELECT seq, kind, body, texts FROM events WHERE study = (SELECT id FROM studies WHERE name = ?) AND seq IN ({})
"""

OF_KINDS = """
SELECT seq, kind, body, texts FROM events WHERE study = (SELECT id FROM studies WHERE name = ?) AND kind IN ({})
ORDER BY seq
"""

DROP_FOLDS = "DELETE FROM folds WHERE study = ? AND (number >= ? OR number = 0)"

KEEP_FOLD = "INSERT INTO folds (study, number, body) VALUES (?, ?, ?)"

KEPT_FOLD = "SELECT body FROM folds WHERE study = (SELECT id FROM studies WHERE name = ?) ORDER BY number"

STUDIES = """
SELECT name FROM studies WHERE EXISTS (SELECT 1 FROM events WHERE events.study = studies.id) ORDER BY id
"""

REMEMBER = "INSERT INTO replies (study, key, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"

RECALL = "SELECT body FROM replies WHERE study = (SELECT id FROM studies WHERE name = ?) AND key = ?"

KEYS = """
SELECT key FROM replies
WHERE study = (SELECT id FROM studies WHERE name = ?) AND key >= ? AND key < ? ORDER BY rowid
"""

OVERVIEW = """
SELECT
    studies.name,
    count(*) FILTER (WHERE kind = 'told'),
    coalesce(chosen.score, iif(studies.id IN (SELECT study FROM by_hand), NULL, max(events.score))),
    (
        SELECT iif(last.kind = 'stopped', json_extract(last.body, '$.reason'), NULL) FROM events AS last
        WHERE last.study = studies.id AND last.kind IN ('opened', 'stopped') ORDER BY last.seq DESC LIMIT 1
    ),
    min(at),
    max(at),
    owners.pid, owners.started, owners.host, owners.since
FROM events
JOIN studies ON studies.id = events.study
LEFT JOIN owners ON owners.study = studies.name
LEFT JOIN chosen ON chosen.study = studies.name
GROUP BY studies.id
ORDER BY studies.id
"""
