"""The fifth step of the schema: for studies that have become long.

A step is never changed after the fact, so its statements stand here whole, whatever earlier ones share with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

__all__ = ["m005_long"]


def m005_long(connection: sqlite3.Connection) -> None:
    """Keep long texts of candidates once, and make room for what a log was folded to.

    ``folds`` has a head (number 0) and parts for each study, which may be deleted at any time: then the log is read
    again. ``texts`` has a row a text; ``events.texts`` names those of a proposal's candidates, as JSON. The view shows
    the beginning of those that are compressed.
    """
    for statement in _STATEMENTS:
        connection.execute(statement.replace("@scores", _SCORES))


_SCORES = """
    scores AS MATERIALIZED (
        SELECT
            study, seq, json_extract(body, '$.id') AS id,
            iif(kind = 'told', 'told', json_extract(body, '$.part')) AS part,
            iif(kind = 'told', score, CAST(json_extract(body, '$.score') AS REAL)) AS score
        FROM events
        WHERE kind IN ('told', 'retold') AND json_valid(body)
            AND study IN (SELECT study FROM events WHERE kind = 'retold' UNION SELECT study FROM by_hand)
    ),
    means AS MATERIALIZED (
        SELECT
            study, id, min(iif(part = 'told', seq, NULL)) AS place,
            max(part = 'told' AND score IS NOT NULL)
                AND (study, id) NOT IN (SELECT study, id FROM by_hand WHERE act = 'reject') AS scored,
            count(*) AS evaluations, count(score) AS n, iif(min(score) = max(score), min(score), avg(score)) AS mean
        FROM scores WHERE part IN ('told', 'again') GROUP BY study, id
    ),
    afresh AS MATERIALIZED (
        SELECT study, id, iif(min(score) = max(score), min(score), avg(score)) AS mean
        FROM scores WHERE part = 'fresh' AND score IS NOT NULL GROUP BY study, id
    )
"""

_STATEMENTS = (
    """
    CREATE TABLE folds (
        study INTEGER NOT NULL REFERENCES studies (id),
        number INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (study, number)
    )
    """,
    """
    CREATE TABLE texts (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        characters INTEGER NOT NULL,
        head TEXT NOT NULL,
        body BLOB NOT NULL
    )
    """,
    "ALTER TABLE events ADD COLUMN texts TEXT",
    "DROP VIEW trials",
    """
    CREATE VIEW trials AS
    WITH
        @scores,
        rejected AS MATERIALIZED (SELECT study, id, why, min(seq) FROM by_hand WHERE act = 'reject' GROUP BY study, id),
        valid AS MATERIALIZED (
            SELECT study, kind, at, score, iif(json_valid(body), body, '{}') AS body, texts
            FROM events WHERE kind IN ('proposed', 'told')
        ),
        told AS MATERIALIZED (
            SELECT study, json_extract(body, '$.id') AS id, score, body, at FROM valid WHERE kind = 'told'
        ),
        candidates AS MATERIALIZED (
            SELECT valid.study, json_extract(item.value, '$.id') AS id, item.value AS body,
                json_extract(valid.texts, '$[' || item.key || ']') AS long
            FROM valid, json_each(valid.body, '$.candidates') AS item WHERE kind = 'proposed'
        )
    SELECT
        studies.name AS study,
        told.id AS id,
        iif(rejected.id IS NOT NULL, NULL, iif(means.scored, means.mean, told.score)) AS score,
        iif(rejected.id IS NOT NULL, 'rejected', json_extract(told.body, '$.failure')) AS failure,
        CASE
            WHEN texts.id IS NULL THEN json_extract(candidates.body, '$.text')
            WHEN texts.size = length(texts.body) THEN CAST(texts.body AS TEXT)
            ELSE texts.head || '... (' || texts.characters || ' characters, compressed: text ' || texts.id || ')'
        END AS text,
        json_extract(candidates.body, '$.idea') AS idea,
        json_extract(candidates.body, '$.origin') AS origin,
        json_extract(candidates.body, '$.parent') AS parent,
        coalesce(
            rejected.why, json_extract(told.body, '$.feedback'), json_extract(told.body, '$.message')
        ) AS feedback,
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
    LEFT JOIN texts ON texts.id = candidates.long
    LEFT JOIN rejected ON rejected.study = told.study AND rejected.id = told.id
    LEFT JOIN means ON means.study = told.study AND means.id = told.id
    LEFT JOIN afresh ON afresh.study = told.study AND afresh.id = told.id
    """,
)
