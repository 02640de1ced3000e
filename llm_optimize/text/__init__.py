"""Text in, text out: candidates found in replies, numbers found in candidates."""

from __future__ import annotations

__all__: list[str] = []
