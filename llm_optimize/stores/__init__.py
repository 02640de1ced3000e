"""Where the logs of studies live: in memory, in one SQLite file, or in a PostgreSQL database.

All kinds of store implement :class:`~llm_optimize.core.protocols.Store`,
:class:`~llm_optimize.core.protocols.ReplyLog` and :class:`~llm_optimize.core.protocols.Ownable`;
``llm_optimize.testing.store_contract`` holds the tests that any other one must pass.
"""

from __future__ import annotations

from llm_optimize.stores.listing import StudyInfo
from llm_optimize.stores.memory import MemoryStore
from llm_optimize.stores.opening import default_path, open_store
from llm_optimize.stores.postgres import PostgresStore
from llm_optimize.stores.postgres_address import Timing
from llm_optimize.stores.sqlite import SQLiteStore

__all__ = ["MemoryStore", "PostgresStore", "SQLiteStore", "StudyInfo", "Timing", "default_path", "open_store"]
