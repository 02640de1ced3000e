"""One tiny base and one tuned model for all tests of this folder; without the extra they are skipped, and say so."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest
import tuning_data

from llm_optimize import finetune

if TYPE_CHECKING:
    from pathlib import Path

LIBRARIES = ("torch", "transformers", "datasets", "peft", "trl")
MISSING = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
TRAINS = {"test_finetune_training.py", "test_finetune_stages.py", "test_finetune_serving.py", "test_cli_finetune.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the libraries warn about each other, and skip what trains where one is missing.

    The group in the files keeps what trains in one process: torch takes seconds to load, and once is enough.
    """
    for item in items:
        if item.path.parent.name != "finetune" or item.path.name not in TRAINS:
            continue
        item.add_marker(pytest.mark.filterwarnings("default"))
        if MISSING and "needs_libraries" in item.fixturenames:
            why = f"{', '.join(MISSING)} not installed: pip install 'llm-optimize[finetune]'"
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def needs_libraries() -> None:
    """Mark a test as one that trains."""


@pytest.fixture(scope="session")
def base(needs_libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny Llama of random weights."""
    import tiny_base  # noqa: PLC0415 - needs torch
    import torch  # noqa: PLC0415 - as above

    torch.set_num_threads(1)  # so that sums are the same in every process of these tests
    folder = tmp_path_factory.mktemp("base") / "tiny"
    tiny_base.make(folder)
    return folder


@pytest.fixture(scope="session")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 conversations."""
    return tuning_data.chats(tmp_path_factory.mktemp("chats") / "chats.jsonl")


@pytest.fixture(scope="session")
def tuned(base: Path, chats: Path, tmp_path_factory: pytest.TempPathFactory) -> finetune.Tuned:
    """The base trained on the conversations."""
    return finetune.train(
        chats, base, tmp_path_factory.mktemp("tuned") / "out", tuning_data.SETTINGS, scorer=tuning_data.is_learnt
    )
