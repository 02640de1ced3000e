"""Addresses of PostgreSQL stores: what they may say, and that a password in them is shown nowhere."""

from __future__ import annotations

import logging
import traceback

import psycopg
import pytest
from helpers.postgres_server import PASSWORD

from llm_optimize.core.events import Guided
from llm_optimize.errors import BadInput, LLMOptimizeError, StoreError
from llm_optimize.stores import PostgresStore, Timing, open_store
from llm_optimize.stores.postgres_address import Address, is_address

pytestmark = pytest.mark.xdist_group("postgres")


@pytest.mark.parametrize(
    ("text", "shown", "timing"),
    [
        ("postgresql://ann@db.example:5433/team", "postgresql://ann@db.example:5433/team", Timing()),
        ("postgres://ann:pw@db.example/team?lease_s=5", "postgresql://ann@db.example/team", Timing(lease_s=5)),
        ("postgresql:///team?password=pw&patience_s=inf", "postgresql:///team", Timing(patience_s=float("inf"))),
        (
            "postgresql://a:p%40w@h1:1,h2:2/t?outage_s=0&sslmode=prefer",
            "postgresql://a@h1:1,h2:2/t",
            Timing(outage_s=0),
        ),
    ],
)
def test_addresses_are_taken_apart(text, shown, timing):
    """Our options are taken out, libpq's stay, and what is shown holds neither options nor password."""
    parsed = Address.parse(text)
    assert is_address(text)
    assert (parsed.shown, parsed.timing) == (shown, timing)
    assert "_s=" not in parsed.conninfo
    assert psycopg.conninfo.conninfo_to_dict(parsed.conninfo)["dbname"] in {"team", "t"}
    assert "pw" not in repr(parsed)


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://ann:{PASSWORD}@x@db.example/team",
        f"postgresql://ann:{PASSWORD}/x@db.example/team",
        f"postgresql://ann:{PASSWORD}?x@db.example/team",
        f"postgresql://ann:{PASSWORD}#x@db.example/team",
        f"postgresql://ann:{PASSWORD}@db.example:port/team",
        f"postgresql://ann:{PASSWORD}@[db.example/team",
        f"postgresql://ann:{PASSWORD}@db.example/team?nonsense=1",
        f"postgresql://ann:{PASSWORD}@db.example/team?nonsense",
        f"postgresql://ann:{PASSWORD}@127.0.0.1:1/team?connect_timeout=soon",
        f"postgresql://ann:{PASSWORD}@db.example/team?lease_s=0",
        f"postgresql://ann:{PASSWORD}@db.example/team?lease_s=inf",
        f"postgresql://ann:{PASSWORD}@db.example/team?patience_s=-1",
        f"postgresql://ann:{PASSWORD}@db.example/team?outage_s=long",
    ],
)
def test_what_makes_no_sense_is_refused_without_the_password(text):
    """A malformed address is refused in one line, and not even the traceback repeats the password."""
    with pytest.raises((BadInput, StoreError)) as caught:
        open_store(text)
    assert "\n" not in str(caught.value)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (PASSWORD, f"{PASSWORD}x", "password authentication failed.*check the address"),
        ("tester", "nobody", "password authentication failed.*check the address"),
        ("/test_", "/missing_", "does not exist.*check the address"),
        ("127.0.0.1:", "127.0.0.1:1", "check the address"),
    ],
)
def test_refused_connection_is_reported_at_once(address, old, new, words):
    """A wrong password, user, database or port is one line with the address, without waiting and without password."""
    wrong = address.replace(old, new)
    with pytest.raises(LLMOptimizeError, match=f"^postgresql://.*{words}") as caught:
        PostgresStore(wrong)
    assert "\n" not in str(caught.value)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_password_is_in_no_log_and_no_text(address, postgres, caplog):
    """Neither the store's text, nor what is logged in an outage at the lowest level, nor an error holds it."""
    caplog.set_level(logging.DEBUG)
    with PostgresStore(address, Timing(outage_s=30, lease_s=0.1)) as store:
        store.claim("study")
        store.append("study", Guided("x"))
        postgres.kill()
        postgres.start()
        store.append("study", Guided("y"))
        shown = repr(store) + repr(store.address) + str(store.address)
    assert "connection lost" in caplog.text
    assert PASSWORD not in caplog.text + shown
    assert "postgresql://tester@127.0.0.1" in shown
