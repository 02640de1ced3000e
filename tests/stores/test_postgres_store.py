"""The PostgreSQL store against a real server, in one process."""

from __future__ import annotations

import pytest

from llm_optimize.stores import PostgresStore
from llm_optimize.testing.store_contract import StoreContract

pytestmark = pytest.mark.xdist_group("postgres")


class TestPostgresStore(StoreContract):
    """The contract of all stores."""

    @pytest.fixture
    def store(self, address):
        """Return an empty store."""
        with PostgresStore(address) as opened:
            yield opened
