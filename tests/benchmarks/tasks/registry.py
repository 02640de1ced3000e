"""The six tasks on which ways of searching are compared; each module says how it is scored and what the seed changes.

Import it with ``tests/benchmarks`` on the path, as scripts and tests there have it:
``from tasks.registry import TASKS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks import automl, circle_packing, code_golf, sorting_network, symbolic_regression, text_instruction

if TYPE_CHECKING:
    from tasks.task import Make

__all__ = ["TASKS"]

TASKS: dict[str, Make] = {
    "circle packing": circle_packing.make,
    "sorting network": sorting_network.make,
    "symbolic regression": symbolic_regression.make,
    "automl": automl.make,
    "code golf": code_golf.make,
    "text instruction": text_instruction.make,
}
"""Name to function of a seed; see :class:`tasks.task.Task`."""
