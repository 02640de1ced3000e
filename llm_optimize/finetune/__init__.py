"""A small model trained on better prompts."""

from __future__ import annotations

__all__: list[str] = []
