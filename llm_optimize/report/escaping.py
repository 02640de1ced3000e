"""Data inside a page: JSON that no HTML parser can take for anything else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

__all__ = ["hash_of", "script_json"]

_DANGEROUS = re.compile("[<>&\u2028\u2029\ud800-\udfff\x7f-\x9f]")


def script_json(data: Any) -> str:  # noqa: ANN401 - any JSON value
    r"""Return JSON for a ``<script type="application/json">`` block.

    Characters that could end the block or open a comment, line separators of older JavaScript, and halves of surrogate
    pairs, which UTF-8 cannot say, are written as ``\uXXXX``: the value stays the same. Control characters are escaped
    by JSON itself.

    Raises:
        ValueError: a number is not finite.

    Example:
        >>> script_json("</script><!--")
        '"\\u003c/script\\u003e\\u003c!--"'
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str)
    return _DANGEROUS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def hash_of(content: str) -> str:
    """Return the source expression by which a Content-Security-Policy allows one inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
