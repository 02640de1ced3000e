"""The fourth step of the schema: views heed what a person decided about candidates.

A step is never changed after the fact, so its statements stand here whole, whatever earlier ones share with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

__all__ = ["m004_by_hand"]


def m004_by_hand(connection: sqlite3.Connection) -> None:
    """Show a rejected candidate as a failure and never as the best, and an accepted one as the best.

    ``by_hand`` holds a row for each decision that counts: an acceptance does until the study is opened again.
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
    CREATE VIEW by_hand AS
    SELECT study, seq, json_extract(body, '$.act') AS act, json_extract(body, '$.id') AS id,
        json_extract(body, '$.text') AS why
    FROM events AS decided
    WHERE kind = 'guided' AND json_valid(body) AND (
        json_extract(body, '$.act') = 'reject' OR json_extract(body, '$.act') = 'accept' AND seq > (
            SELECT max(seq) FROM events AS opened WHERE opened.study = decided.study AND opened.kind = 'opened'
        )
    )
    """,
    "DROP VIEW chosen",
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
            WHERE part = 'fresh' AND (study, id) NOT IN (SELECT study, id FROM by_hand WHERE act = 'reject') AND seq > (
                SELECT max(seq) FROM scores AS search
                WHERE search.study = scores.study AND search.part IN ('told', 'again')
            ) AND seq > coalesce((
                SELECT max(seq) FROM by_hand WHERE by_hand.study = scores.study AND act = 'reject'
            ), 0)
            GROUP BY study
        ),
        accepted AS MATERIALIZED (
            SELECT by_hand.study AS study, by_hand.id AS id, max(seq)
            FROM by_hand JOIN means ON means.study = by_hand.study AND means.id = by_hand.id AND means.scored
            WHERE act = 'accept' GROUP BY by_hand.study
        ),
        best AS (
            SELECT study, id FROM accepted
            UNION ALL
            SELECT study, id FROM settled WHERE study NOT IN (SELECT study FROM accepted)
            UNION ALL
            SELECT study, id FROM ranked
            WHERE place = 1 AND study NOT IN (SELECT study FROM settled UNION SELECT study FROM accepted)
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
        rejected AS MATERIALIZED (SELECT study, id, why, min(seq) FROM by_hand WHERE act = 'reject' GROUP BY study, id),
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
        iif(rejected.id IS NOT NULL, NULL, iif(means.scored, means.mean, told.score)) AS score,
        iif(rejected.id IS NOT NULL, 'rejected', json_extract(told.body, '$.failure')) AS failure,
        json_extract(candidates.body, '$.text') AS text,
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
    LEFT JOIN rejected ON rejected.study = told.study AND rejected.id = told.id
    LEFT JOIN means ON means.study = told.study AND means.id = told.id
    LEFT JOIN afresh ON afresh.study = told.study AND afresh.id = told.id
    """,
    "DROP VIEW studies_overview",
    """
    CREATE VIEW studies_overview AS
    SELECT
        studies.name AS study,
        coalesce(
            (SELECT score FROM chosen WHERE chosen.study = studies.name),
            iif(studies.id IN (SELECT study FROM by_hand), NULL, max(score))
        ) AS best_score,
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
