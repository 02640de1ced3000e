"""The PostgreSQL server that the tests of its store share."""

from __future__ import annotations

import pytest
from helpers.postgres_server import PostgresServer, programs


@pytest.fixture(scope="session")
def postgres():
    """Start a real server; skipped where Debian's package ``postgresql`` is not installed."""
    if programs() is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def address(postgres):
    """Return the address of an empty database."""
    return postgres.database()
