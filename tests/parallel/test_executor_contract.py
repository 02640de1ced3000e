"""The contract of executors, on threads, the standard pool, processes of ours, Dask, and Ray where it is installed."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from importlib.util import find_spec

import pytest

from llm_optimize.core.workers import DaemonThreads
from llm_optimize.parallel import as_executor, executing
from llm_optimize.testing.executor_contract import ExecutorContract

NAMED = ["processes?workers=2", "dask://local?workers=2"]
NAMED += ["ray://local?workers=2"] if find_spec("ray") else []  # 200 MB, so not among what the tests install


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(2) as pool:
        yield as_executor(pool)


@pytest.fixture(scope="module", params=NAMED)
def named(request):
    with executing(request.param) as executor:
        yield executor


class TestThreads(ExecutorContract):
    """Threads of this process."""

    @pytest.fixture(params=[DaemonThreads, ThreadPoolExecutor])
    def executor(self, request):
        return request.param()


class TestStandardPool(ExecutorContract):
    """The standard library's process pool."""

    @pytest.fixture
    def executor(self, pool):
        return pool


class TestByName(ExecutorContract):
    """Those that have a name."""

    @pytest.fixture
    def executor(self, named):
        return named
