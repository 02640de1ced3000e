"""What a PostgreSQL store asks its server; the schema is in :mod:`llm_optimize.stores.postgres_schema`."""

from __future__ import annotations

__all__ = [
    "ANNOUNCE",
    "APPEND",
    "FETCH",
    "KEEP_FOLD",
    "KEPT_FOLD",
    "KEYS",
    "LAST",
    "LASTS",
    "OF_KINDS",
    "OVERVIEW",
    "READ",
    "RECALL",
    "REMEMBER",
    "STUDIES",
]

APPEND = "SELECT llm_optimize.append(%s, %s, %s, %s, %s, %s, %s, %s, %s)"

ANNOUNCE = "SELECT llm_optimize.announce(%s)"

LAST = "SELECT id, last, token FROM llm_optimize.studies WHERE name = %s"

LASTS = "SELECT name, last FROM llm_optimize.studies WHERE name = ANY(%s::text[])"

READ = """
SELECT seq, kind, body FROM llm_optimize.events WHERE study = %s AND seq > %s AND seq <= %s ORDER BY seq LIMIT %s
"""

OF_KINDS = """
SELECT seq, kind, body FROM llm_optimize.events
WHERE study = (SELECT id FROM llm_optimize.studies WHERE name = %s) AND kind = ANY(%s::text[]) ORDER BY seq
"""

STUDIES = "SELECT name FROM llm_optimize.studies WHERE last > 0 ORDER BY id"

REMEMBER = "SELECT llm_optimize.remember(%s, %s, %s::text[], %s::bytea[])"

RECALL = """
SELECT body FROM llm_optimize.replies
WHERE study = (SELECT id FROM llm_optimize.studies WHERE name = %s) AND key = %s
"""

KEYS = """
SELECT key FROM llm_optimize.replies
WHERE study = (SELECT id FROM llm_optimize.studies WHERE name = %s) AND key ~>=~ %s AND key ~<~ %s
ORDER BY place
"""

OVERVIEW = """
SELECT
    name, trials, best, decided, session.kind, session.body, opened_at, updated_at,
    CASE WHEN lease_until > clock_timestamp() THEN pid END
FROM llm_optimize.studies
LEFT JOIN llm_optimize.events AS session ON session.study = studies.id AND session.seq = studies.session
WHERE last > 0
ORDER BY studies.id
"""

FETCH = """
SELECT seq, kind, body FROM llm_optimize.events
WHERE study = (SELECT id FROM llm_optimize.studies WHERE name = %s) AND seq = ANY(%s::bigint[])
"""

KEEP_FOLD = "SELECT llm_optimize.keep_fold(%s, %s, %s, %s, %s)"

KEPT_FOLD = """
SELECT body FROM llm_optimize.folds
WHERE study = (SELECT id FROM llm_optimize.studies WHERE name = %s) ORDER BY number
"""
