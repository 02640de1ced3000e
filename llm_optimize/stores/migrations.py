"""The schema of a SQLite store as a list of steps; a file carries in ``PRAGMA user_version`` how many it has taken.

To change the schema, append a function to :data:`MIGRATIONS`; those that stand are never edited, since files in the
field have run them. All missing steps run in one transaction: a file is at the old version or at the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_optimize.errors import StoreError, StoreTooNew
from llm_optimize.stores.decided import m004_by_hand
from llm_optimize.stores.long import m005_long

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["APPLICATION_ID", "MIGRATIONS", "m001_events", "m002_retold", "m003_chosen", "migrate"]

APPLICATION_ID = 0x6C6C6D6F
"""``PRAGMA application_id`` of our files ("llmo"), so that another program's database is never written to."""


def m001_events(connection: sqlite3.Connection) -> None:
    """Events, paid replies, owners, and views for people.

    ``score`` repeats the score of a told evaluation outside the body: the best of many is found without parsing
    any. Small columns stand before the body, so that such a search does not read the pages that long bodies fill.
    A body may hold NaN among its metrics, which SQLite does not take for JSON: the views show NULL for its fields.
    """
    for statement in _M001:
        connection.execute(statement)


_M001 = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    "CREATE TABLE studies (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """
    CREATE TABLE events (
        study INTEGER NOT NULL REFERENCES studies (id),
        seq INTEGER NOT NULL,
        kind TEXT NOT NULL,
        at REAL NOT NULL,
        score REAL,
        body TEXT NOT NULL,
        PRIMARY KEY (study, seq)
    )
    """,
    """
    CREATE TABLE replies (
        study INTEGER NOT NULL REFERENCES studies (id),
        key TEXT NOT NULL,
        body NOT NULL,
        PRIMARY KEY (study, key)
    )
    """,
    """
    CREATE TABLE owners (
        study TEXT PRIMARY KEY,
        token TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started TEXT NOT NULL,
        host TEXT NOT NULL,
        since REAL NOT NULL
    )
    """,
    """
    CREATE VIEW trials AS
    WITH
        valid AS MATERIALIZED (
            SELECT study, kind, at, score, iif(json_valid(body), body, '{}') AS body
            FROM events WHERE kind IN ('proposed', 'told')
        ),
        told AS MATERIALIZED (
            SELECT study, json_extract(body, '$.id') AS id, score, body, at FROM valid WHERE kind = 'told'
        ),
        candidates AS MATERIALIZED (
            SELECT valid.study, json_extract(item.value, '$.id') AS id, item.value AS body
            FROM valid, json_each(valid.body, '$.candidates') AS item WHERE kind = 'proposed'
        )
    SELECT
        studies.name AS study,
        told.id AS id,
        told.score AS score,
        json_extract(told.body, '$.failure') AS failure,
        json_extract(candidates.body, '$.text') AS text,
        json_extract(candidates.body, '$.idea') AS idea,
        json_extract(candidates.body, '$.origin') AS origin,
        json_extract(candidates.body, '$.parent') AS parent,
        coalesce(json_extract(told.body, '$.feedback'), json_extract(told.body, '$.message')) AS feedback,
        json_extract(told.body, '$.seconds') AS seconds,
        json_extract(told.body, '$.usage[0]') AS calls,
        json_extract(told.body, '$.usage[1]') + json_extract(told.body, '$.usage[3]') AS tokens,
        json_extract(told.body, '$.usage[4]') AS dollars,
        told.at AS at
    FROM told
    JOIN studies ON studies.id = told.study
    LEFT JOIN candidates ON candidates.study = told.study AND candidates.id = told.id
    """,
    """
    CREATE VIEW usage_by_study AS
    SELECT
        studies.name AS study,
        sum(json_extract(usage, '$[0]')) AS calls,
        sum(json_extract(usage, '$[1]')) AS tokens_in,
        sum(json_extract(usage, '$[2]')) AS tokens_cached,
        sum(json_extract(usage, '$[3]')) AS tokens_out,
        sum(json_extract(usage, '$[4]')) AS dollars,
        sum(json_extract(usage, '$[5]')) AS seconds
    FROM (
        SELECT study, json_extract(iif(json_valid(body), body, '{}'), '$.usage') AS usage
        FROM events WHERE kind IN ('proposed', 'told')
    )
    JOIN studies ON studies.id = study
    GROUP BY studies.id
    """,
    """
    CREATE VIEW studies_overview AS
    SELECT
        studies.name AS study,
        max(score) AS best_score,
        count(*) FILTER (WHERE kind = 'told') AS trials,
        coalesce(sum(
            json_array_length(iif(json_valid(body), body, '{}'), '$.candidates')
        ) FILTER (WHERE kind = 'proposed'), 0) - count(*) FILTER (WHERE kind = 'told') AS pending,
        (
            SELECT iif(last.kind = 'stopped', json_extract(last.body, '$.reason'), NULL)
            FROM events AS last
            WHERE last.study = studies.id AND last.kind IN ('opened', 'stopped')
            ORDER BY last.seq DESC LIMIT 1
        ) AS last_reason,
        min(at) AS opened_at,
        max(at) AS updated_at
    FROM events
    JOIN studies ON studies.id = events.study
    GROUP BY studies.id
    """,
)


def m002_retold(connection: sqlite3.Connection) -> None:
    """Candidates may be evaluated again: what that cost is in ``usage_by_study`` as well."""
    for statement in _M002:
        connection.execute(statement)


_M002 = (
    "DROP VIEW usage_by_study",
    """
    CREATE VIEW usage_by_study AS
    SELECT
        studies.name AS study,
        sum(json_extract(usage, '$[0]')) AS calls,
        sum(json_extract(usage, '$[1]')) AS tokens_in,
        sum(json_extract(usage, '$[2]')) AS tokens_cached,
        sum(json_extract(usage, '$[3]')) AS tokens_out,
        sum(json_extract(usage, '$[4]')) AS dollars,
        sum(json_extract(usage, '$[5]')) AS seconds
    FROM (
        SELECT study, json_extract(iif(json_valid(body), body, '{}'), '$.usage') AS usage
        FROM events WHERE kind IN ('proposed', 'told', 'retold')
    )
    JOIN studies ON studies.id = study
    GROUP BY studies.id
    """,
)


def m003_chosen(connection: sqlite3.Connection) -> None:
    """Views show of a candidate that was evaluated again what a History does: pooled scores, and the one chosen.

    ``chosen`` holds a row for each study with repeated evaluations. It ranks as ``core/leaders`` does, by the mean less
    the standard error, unless evaluations after the search have settled the choice; its score is what a result reports.
    """
    for statement in _M003:
        connection.execute(statement.replace("@scores", _SCORES))


_SCORES = """
    scores AS MATERIALIZED (
        SELECT
            study, seq, json_extract(body, '$.id') AS id,
            iif(kind = 'told', 'told', json_extract(body, '$.part')) AS part,
            iif(kind = 'told', score, CAST(json_extract(body, '$.score') AS REAL)) AS score
        FROM events
        WHERE kind IN ('told', 'retold') AND study IN (SELECT study FROM events WHERE kind = 'retold')
            AND json_valid(body)
    ),
    means AS MATERIALIZED (
        SELECT
            study, id, min(iif(part = 'told', seq, NULL)) AS place, max(part = 'told' AND score IS NOT NULL) AS scored,
            count(*) AS evaluations, count(score) AS n, iif(min(score) = max(score), min(score), avg(score)) AS mean
        FROM scores WHERE part IN ('told', 'again') GROUP BY study, id
    ),
    afresh AS MATERIALIZED (
        SELECT study, id, iif(min(score) = max(score), min(score), avg(score)) AS mean
        FROM scores WHERE part = 'fresh' AND score IS NOT NULL GROUP BY study, id
    )
"""

_M003 = (
    """
    CREATE VIEW chosen AS
    WITH
        @scores,
        squares AS (
            SELECT study, sum((score - mean) * (score - mean)) AS squares
            FROM scores JOIN means USING (study, id) WHERE part IN ('told', 'again') GROUP BY study
        ),
        degrees AS (SELECT study, sum(n - 1) AS degrees FROM means WHERE n > 1 GROUP BY study),
        ranked AS (
            SELECT study, id, row_number() OVER (
                PARTITION BY study
                ORDER BY mean - coalesce(sqrt(squares / degrees / max(n, 1)), 0) DESC, place
            ) AS place
            FROM means LEFT JOIN squares USING (study) LEFT JOIN degrees USING (study) WHERE scored
        ),
        settled AS MATERIALIZED (
            SELECT study, id, min(seq) FROM scores
            WHERE part = 'fresh' AND seq > (
                SELECT max(seq) FROM scores AS search
                WHERE search.study = scores.study AND search.part IN ('told', 'again')
            )
            GROUP BY study
        ),
        best AS (
            SELECT study, id FROM settled
            UNION ALL
            SELECT study, id FROM ranked WHERE place = 1 AND study NOT IN (SELECT study FROM settled)
        )
    SELECT studies.name AS study, best.id AS id, coalesce(afresh.mean, means.mean) AS score
    FROM best
    JOIN studies ON studies.id = best.study
    JOIN means ON means.study = best.study AND means.id = best.id
    LEFT JOIN afresh ON afresh.study = best.study AND afresh.id = best.id
    """,
    "DROP VIEW trials",
    """
    CREATE VIEW trials AS
    WITH
        @scores,
        valid AS MATERIALIZED (
            SELECT study, kind, at, score, iif(json_valid(body), body, '{}') AS body
            FROM events WHERE kind IN ('proposed', 'told')
        ),
        told AS MATERIALIZED (
            SELECT study, json_extract(body, '$.id') AS id, score, body, at FROM valid WHERE kind = 'told'
        ),
        candidates AS MATERIALIZED (
            SELECT valid.study, json_extract(item.value, '$.id') AS id, item.value AS body
            FROM valid, json_each(valid.body, '$.candidates') AS item WHERE kind = 'proposed'
        )
    SELECT
        studies.name AS study,
        told.id AS id,
        iif(means.scored, means.mean, told.score) AS score,
        json_extract(told.body, '$.failure') AS failure,
        json_extract(candidates.body, '$.text') AS text,
        json_extract(candidates.body, '$.idea') AS idea,
        json_extract(candidates.body, '$.origin') AS origin,
        json_extract(candidates.body, '$.parent') AS parent,
        coalesce(json_extract(told.body, '$.feedback'), json_extract(told.body, '$.message')) AS feedback,
        json_extract(told.body, '$.seconds') AS seconds,
        json_extract(told.body, '$.usage[0]') AS calls,
        json_extract(told.body, '$.usage[1]') + json_extract(told.body, '$.usage[3]') AS tokens,
        json_extract(told.body, '$.usage[4]') AS dollars,
        told.at AS at,
        coalesce(means.evaluations, 1) AS evaluations,
        afresh.mean AS afresh
    FROM told
    JOIN studies ON studies.id = told.study
    LEFT JOIN candidates ON candidates.study = told.study AND candidates.id = told.id
    LEFT JOIN means ON means.study = told.study AND means.id = told.id
    LEFT JOIN afresh ON afresh.study = told.study AND afresh.id = told.id
    """,
    "DROP VIEW studies_overview",
    """
    CREATE VIEW studies_overview AS
    SELECT
        studies.name AS study,
        coalesce((SELECT score FROM chosen WHERE chosen.study = studies.name), max(score)) AS best_score,
        count(*) FILTER (WHERE kind = 'told') AS trials,
        coalesce(sum(
            json_array_length(iif(json_valid(body), body, '{}'), '$.candidates')
        ) FILTER (WHERE kind = 'proposed'), 0) - count(*) FILTER (WHERE kind = 'told') AS pending,
        (
            SELECT iif(last.kind = 'stopped', json_extract(last.body, '$.reason'), NULL)
            FROM events AS last
            WHERE last.study = studies.id AND last.kind IN ('opened', 'stopped')
            ORDER BY last.seq DESC LIMIT 1
        ) AS last_reason,
        min(at) AS opened_at,
        max(at) AS updated_at
    FROM events
    JOIN studies ON studies.id = events.study
    GROUP BY studies.id
    """,
)

MIGRATIONS: Sequence[Callable[[sqlite3.Connection], None]] = (
    m001_events, m002_retold, m003_chosen, m004_by_hand, m005_long
)  # fmt: skip
"""Every step, oldest first; a file's version is the number of steps it has taken."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to the latest version; costs one read where it is there already.

    Args:
        connection: in autocommit mode; no transaction is open.
        path: for messages.

    Raises:
        StoreTooNew: the file has taken steps that this version does not know.
        StoreError: the file is another program's database.
        sqlite3.Error: it could not be read or written; then it is as it was.
    """
    if _version(connection) == len(MIGRATIONS):
        _refuse_foreign(connection, path)
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _upgrade(connection, path)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    _refuse_foreign(connection, path)
    version = _version(connection)  # again, under the write lock: another process may have upgraded the file just now
    if version > len(MIGRATIONS):
        msg = (
            f"{path}: written by a newer llm_optimize (schema {version}, known here up to {len(MIGRATIONS)}): "
            "upgrade llm_optimize, or choose another file"
        )
        raise StoreTooNew(msg)
    for step in MIGRATIONS[version:]:
        step(connection)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    [(tables,)] = connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    [(application,)] = connection.execute("PRAGMA application_id").fetchall()
    if tables and application != APPLICATION_ID:
        msg = f"{path}: a SQLite database of another program: choose another path"
        raise StoreError(msg)


def _version(connection: sqlite3.Connection) -> int:
    [(version,)] = connection.execute("PRAGMA user_version").fetchall()
    return int(version)
