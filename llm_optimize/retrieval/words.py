"""The words of a text in any script, as ranking by words and the lexical embedding count them."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["words"]

# Scripts that put no spaces between words: Thai to Khmer, kana, CJK. A run of them is cut into overlapping pairs.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_PIECE = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+")
_RUN = re.compile(rf"[{_UNSPACED}]")


def words(text: str) -> list[str]:
    """Return the words of ``text`` in order, case folded and in Unicode's compatibility form.

    Letters and digits make a word; marks above letters stay. Of scripts without spaces (Chinese, Japanese, Thai, ...)
    each run is cut into overlapping pairs of characters, the field's usual stand-in for word segmentation.

    Example:
        >>> words("The N-th Stra\u00dfe, 3.5 km")
        ['the', 'n', 'th', 'strasse', '3', '5', 'km']
        >>> words("\u6771\u4eac\u90fd")
        ['\u6771\u4eac', '\u4eac\u90fd']
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return [word for piece in _PIECE.findall(plain) for word in _cut(piece)]


def _cut(piece: str) -> list[str]:
    if len(piece) < 2 or not _RUN.match(piece):  # noqa: PLR2004 - one character is no pair
        return [piece]
    return [piece[start : start + 2] for start in range(len(piece) - 1)]
