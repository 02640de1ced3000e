"""Where evaluations run: threads, processes that are replaced when they die, Dask, Ray, or any standard executor.

The engine schedules, moves data, scales and retries. What is added here is what a study needs of it: scorers that
travel, sandboxes that stay warm on each worker, costs and paid replies that come back, caps that hold over there,
and one answer per evaluation however often the engine makes the call.
"""

from __future__ import annotations

from llm_optimize.parallel.evaluators import RemoteEvaluators
from llm_optimize.parallel.opening import SPECS, as_executor, check_spec, executing, open_executor
from llm_optimize.parallel.processes import ProcessWorkers
from llm_optimize.parallel.ray import RayEngine
from llm_optimize.parallel.worker import evaluation_key

__all__ = [
    "SPECS",
    "ProcessWorkers",
    "RayEngine",
    "RemoteEvaluators",
    "as_executor",
    "check_spec",
    "evaluation_key",
    "executing",
    "open_executor",
]
