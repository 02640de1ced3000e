"""The schema ``llm_optimize`` of a PostgreSQL database as a list of steps, and the functions that write to it.

To change the schema, append a step to :data:`STEPS`; those that stand are never edited, since databases in the field
have run them. All missing steps run in one transaction, one process at a time.

Every write goes through a function on the server: one round trip, one transaction. Each begins by locking the study's
row, so that events are numbered without a gap, become visible in that order, and cannot be written by an owner whose
place has been taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_optimize.errors import StoreError, StoreTooNew

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

__all__ = ["CHANNEL", "STEPS", "TAKEN_OVER", "migrate"]

CHANNEL = "llm_optimize"
"""Of LISTEN and NOTIFY; the payload is the study's number in the database."""

TAKEN_OVER = "LO001"
"""SQLSTATE of a write that was refused because the study has another owner now."""

_LOCK = 0x6C6C6D6F  # of the advisory locks: "llmo"

_TABLES = """
CREATE SCHEMA IF NOT EXISTS llm_optimize;

CREATE TABLE llm_optimize.schema_version (version integer NOT NULL);
INSERT INTO llm_optimize.schema_version VALUES (0);

-- The columns up to updated_at sum up the events, so that a listing reads none; those behind are the owner's.
-- Half of each page stays free: a row that changes with every event is then rewritten without touching an index.
CREATE TABLE llm_optimize.studies (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    last bigint NOT NULL DEFAULT 0,
    trials bigint NOT NULL DEFAULT 0,
    best double precision,
    decided boolean NOT NULL DEFAULT false,
    session bigint,
    opened_at double precision,
    updated_at double precision,
    token uuid,
    pid integer,
    host text,
    since timestamptz,
    lease_until timestamptz
) WITH (fillfactor = 50);

-- A key is unique to an append: repeated because its answer was lost, it is recognised.
CREATE TABLE llm_optimize.events (
    study bigint NOT NULL REFERENCES llm_optimize.studies (id),
    seq bigint NOT NULL,
    key uuid NOT NULL UNIQUE,
    kind text NOT NULL,
    at double precision NOT NULL,
    score double precision,
    body text NOT NULL,
    PRIMARY KEY (study, seq)
);

CREATE TABLE llm_optimize.replies (
    study bigint NOT NULL REFERENCES llm_optimize.studies (id),
    key text NOT NULL,
    place bigint GENERATED ALWAYS AS IDENTITY,
    body bytea NOT NULL,
    PRIMARY KEY (study, key)
);
"""

_FUNCTIONS = """
CREATE FUNCTION llm_optimize.locked(p_study text) RETURNS llm_optimize.studies LANGUAGE plpgsql AS $$
DECLARE
    found_row llm_optimize.studies;
BEGIN
    SELECT * INTO found_row FROM llm_optimize.studies WHERE name = p_study FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO llm_optimize.studies (name) VALUES (p_study) ON CONFLICT DO NOTHING;
        SELECT * INTO found_row FROM llm_optimize.studies WHERE name = p_study FOR UPDATE;
    END IF;
    RETURN found_row;
END $$;

-- p_token: of the claim under which is written; NULL for those who write without one, guides above all.
CREATE FUNCTION llm_optimize.refuse_former_owner(p_row llm_optimize.studies, p_token uuid)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_token IS NOT NULL AND p_row.token IS DISTINCT FROM p_token THEN
        RAISE EXCEPTION USING ERRCODE = '@taken_over', MESSAGE = format(
            'study "%s" is no longer run by this process, which did not renew its lease in time: %s; nothing was '
            'written, and what it still does is wasted: end it', p_row.name,
            CASE WHEN p_row.token IS NULL THEN 'its claim was removed'
            ELSE format('process %s on %s has taken it over', p_row.pid, p_row.host) END
        );
    END IF;
END $$;

CREATE FUNCTION llm_optimize.append(
    p_study text, p_token uuid, p_lease_s double precision, p_key uuid, p_kind text, p_at double precision,
    p_score double precision, p_decides boolean, p_body text
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    mine llm_optimize.studies := llm_optimize.locked(p_study);
    number bigint;
BEGIN
    SELECT seq INTO number FROM llm_optimize.events WHERE key = p_key;
    IF FOUND THEN
        RETURN number;
    END IF;
    PERFORM llm_optimize.refuse_former_owner(mine, p_token);
    number := mine.last + 1;
    INSERT INTO llm_optimize.events VALUES (mine.id, number, p_key, p_kind, p_at, p_score, p_body);
    UPDATE llm_optimize.studies SET
        last = number,
        trials = trials + (p_kind = 'told')::integer,
        best = CASE WHEN p_kind = 'told' THEN greatest(best, p_score) ELSE best END,
        decided = decided OR p_decides,
        session = CASE WHEN p_kind IN ('opened', 'stopped') THEN number ELSE session END,
        opened_at = least(opened_at, p_at),
        updated_at = greatest(updated_at, p_at),
        lease_until = CASE WHEN p_token IS NULL THEN lease_until
            ELSE clock_timestamp() + make_interval(secs => p_lease_s) END
    WHERE id = mine.id;
    RETURN number;
END $$;

-- A transaction of its own: one that announces holds a lock of the whole server from then until its commit is on the
-- disk, so that events of different studies would be flushed one after the other.
CREATE FUNCTION llm_optimize.announce(p_study text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify('@channel', id::text) FROM llm_optimize.studies WHERE name = p_study;
$$;

CREATE FUNCTION llm_optimize.remember(p_study text, p_token uuid, p_keys text[], p_bodies bytea[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    mine llm_optimize.studies := llm_optimize.locked(p_study);
BEGIN
    PERFORM llm_optimize.refuse_former_owner(mine, p_token);
    INSERT INTO llm_optimize.replies (study, key, body)
    SELECT mine.id, entry.key, entry.body FROM unnest(p_keys, p_bodies) WITH ORDINALITY AS entry (key, body, place)
    ORDER BY entry.place
    ON CONFLICT DO NOTHING;
END $$;

-- Returns the owner that stands in the way with the seconds left to it, and no row once the study is the caller's.
CREATE FUNCTION llm_optimize.claim(
    p_study text, p_token uuid, p_lease_s double precision, p_pid integer, p_host text
) RETURNS TABLE (pid integer, host text, since double precision, seconds double precision) LANGUAGE plpgsql AS $$
DECLARE
    mine llm_optimize.studies := llm_optimize.locked(p_study);
    present timestamptz := clock_timestamp();
BEGIN
    IF mine.token IS NOT NULL AND mine.token <> p_token AND mine.lease_until > present THEN
        RETURN QUERY SELECT mine.pid, mine.host, extract(epoch FROM mine.since)::double precision,
            extract(epoch FROM mine.lease_until - present)::double precision;
        RETURN;
    END IF;
    UPDATE llm_optimize.studies AS one SET
        token = p_token, pid = p_pid, host = p_host, since = present,
        lease_until = present + make_interval(secs => p_lease_s)
    WHERE one.id = mine.id;
END $$;

-- p_token: of the claim to give up; NULL removes whoever owns the study.
CREATE FUNCTION llm_optimize.release(p_study text, p_token uuid) RETURNS void LANGUAGE sql AS $$
    UPDATE llm_optimize.studies SET token = NULL, pid = NULL, host = NULL, since = NULL, lease_until = NULL
    WHERE name = p_study AND token = coalesce(p_token, token);
    SELECT llm_optimize.announce(p_study);
$$;
""".replace("@taken_over", TAKEN_OVER).replace("@channel", CHANNEL)

_FOLDS = """
-- What a log was folded to: number 0 is the head, the parts follow. It may be deleted at any time.
CREATE TABLE llm_optimize.folds (
    study bigint NOT NULL REFERENCES llm_optimize.studies (id),
    number bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (study, number)
);

-- Keys by what they begin with, whatever the database's collation is.
CREATE INDEX replies_by_beginning ON llm_optimize.replies (study, key text_pattern_ops);

CREATE FUNCTION llm_optimize.keep_fold(p_study text, p_token uuid, p_head bytea, p_part bytea, p_number bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    mine llm_optimize.studies := llm_optimize.locked(p_study);
BEGIN
    PERFORM llm_optimize.refuse_former_owner(mine, p_token);
    DELETE FROM llm_optimize.folds WHERE study = mine.id AND (number >= p_number OR number = 0);
    INSERT INTO llm_optimize.folds VALUES (mine.id, p_number, p_part), (mine.id, 0, p_head);
END $$;
"""

_CLOCK_SET_BACK = """
ALTER TABLE llm_optimize.studies ADD COLUMN lease_s double precision;

-- As before, but for the server's clock: set back, it would leave a lease that ends when the clock is where it was. No
-- lease ends later than its length from now: an owner that lives renews it by then, one that is dead is replaced.
CREATE OR REPLACE FUNCTION llm_optimize.claim(
    p_study text, p_token uuid, p_lease_s double precision, p_pid integer, p_host text
) RETURNS TABLE (pid integer, host text, since double precision, seconds double precision) LANGUAGE plpgsql AS $$
DECLARE
    mine llm_optimize.studies := llm_optimize.locked(p_study);
    present timestamptz := clock_timestamp();
    ends timestamptz := least(mine.lease_until, present + make_interval(secs => mine.lease_s));
BEGIN
    IF mine.token IS NOT NULL AND mine.token <> p_token AND ends > present THEN
        UPDATE llm_optimize.studies AS one SET lease_until = ends WHERE one.id = mine.id AND one.lease_until > ends;
        RETURN QUERY SELECT mine.pid, mine.host, extract(epoch FROM mine.since)::double precision,
            extract(epoch FROM ends - present)::double precision;
        RETURN;
    END IF;
    UPDATE llm_optimize.studies AS one SET
        token = p_token, pid = p_pid, host = p_host, since = present, lease_s = p_lease_s,
        lease_until = present + make_interval(secs => p_lease_s)
    WHERE one.id = mine.id;
END $$;
"""

STEPS: Sequence[str] = (_TABLES + _FUNCTIONS, _CLOCK_SET_BACK, _FOLDS)
"""Every step, oldest first; a database's version is the number of steps it has taken."""


def migrate(connection: psycopg.Connection, shown: str) -> None:
    """Bring the database to the latest version; costs two reads where it is there already.

    Args:
        connection: in autocommit mode; no transaction is open.
        shown: the database's address, for messages.

    Raises:
        StoreTooNew: the database has taken steps that this version does not know.
        StoreError: the schema ``llm_optimize`` is another program's.
        psycopg.Error: it could not be read or written; then it is as it was.
    """
    if _version(connection, shown) == len(STEPS):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        version = _version(connection, shown)  # again, alone: another process may have upgraded it just now
        for step in STEPS[version:]:
            connection.execute(step.encode())
        connection.execute("UPDATE llm_optimize.schema_version SET version = %s", (len(STEPS),))


def _version(connection: psycopg.Connection, shown: str) -> int:
    """Return how many steps the database has taken; 0 where it has no such schema.

    What is there is read from the catalog's rows: looking a table up by name may answer from a cache that does not
    know yet what another process has committed.
    """
    names = {name for (name,) in connection.execute(_TABLES_THERE).fetchall()}
    if names and "schema_version" not in names:
        msg = f"{shown}: the schema llm_optimize is another program's: choose another database"
        raise StoreError(msg)
    if not names:
        return 0
    [(version,)] = connection.execute("SELECT version FROM llm_optimize.schema_version").fetchall()
    if version > len(STEPS):
        msg = (
            f"{shown}: written by a newer llm_optimize (schema {version}, known here up to {len(STEPS)}): "
            "upgrade llm_optimize, or choose another database"
        )
        raise StoreTooNew(msg)
    return int(version)


_TABLES_THERE = """
SELECT relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS place ON place.oid = relnamespace
WHERE nspname = 'llm_optimize' AND relkind = 'r'
"""
