"""Contract suites and scripted partners for people who write a model, proposer, scorer, store or sandbox of their own.

``server`` is a chat endpoint on the loopback interface whose answers a function decides; ``model_contract`` is what
every chat model must do. Import the module that is needed; nothing else of the package imports this folder.
"""

from __future__ import annotations

__all__: list[str] = []
