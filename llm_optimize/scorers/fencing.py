"""A text that is shown to a judge, fenced so that it cannot speak to the judge: data, whatever it says.

Three things hold it in, so that no single one has to be perfect:

- a code in both lines of the fence. It is a hash of the whole text and of what is asked about it, so a text that holds
  its own code cannot be written, while the same question about the same text is the same prompt: a resumed study and a
  cache find the reply. The judge's reply must carry the code as well, so a reply that the text pretends to be is not
  taken for one.
- every line of the text begins with ``| ``, so no line of it can be the end of the fence (data marking, after
  Hines et al. 2024, "Defending Against Indirect Prompt Injection Attacks With Spotlighting").
- what a reader could not see is written out (``[U+202E]``): control, direction and other invisible characters; what
  looks like the fence; and the tokens by which chat templates end a turn.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata

__all__ = ["CLOSING", "OPENING", "code_of", "fenced", "visible"]

OPENING = "<<<{label} {code}>>>"
CLOSING = "<<<END {label} {code}>>>"
_CODE_DIGITS = 16
_GUTTER = "| "

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_HIDDEN_OTHERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\u180b\u180c\u180d\u180f").union(
    map(chr, range(0xFE00, 0xFE10)), map(chr, range(0xE0100, 0xE01F0))
)
_JOINER, _NON_JOINER, _EMOJI_STYLE = "\u200d", "\u200c", "\ufe0f"
_FIRST_JOINING_SCRIPT = "\u0590"  # Hebrew and all that follow: joiners are part of how Persian and Hindi are spelled

_TEMPLATE_TOKENS = re.compile(
    r"<[|\uff5c][^<>\n]{1,60}[|\uff5c]>"
    r"|<<?/?(?:sys|s|bos|eos|pad|unk|think|thinking|tool_call|tool_response|start_of_turn|end_of_turn)>"
    r"|\[/?(?:inst|system_prompt|available_tools|tool_results|tool_calls)\]",
    re.IGNORECASE,
)
_LEFT_ANGLES = "<\u2039\u00ab\u3008\u300a\u27e8\u27ea\u226a\u22d8\u276e\u2770\u1438\u02c2\uff1c\ufe64\u2329"
_FENCE_LIKE = re.compile(rf"<{{3,}}(?:end)?(?:candidate|text|first|second|fence|[0-9a-f]{{{_CODE_DIGITS}}})")


def code_of(request: str, *texts: str) -> str:
    """Return the code for ``texts`` about which ``request`` is asked; equal in, equal out, on every machine.

    Example:
        >>> code_of("Is it clear?", "A text.")
        'b20e8399bd7dfa9a'
    """
    asked = json.dumps([request, *texts])  # ASCII, so also half characters can be hashed
    return hashlib.sha256(asked.encode()).hexdigest()[:_CODE_DIGITS]


def fenced(text: str, code: str, label: str = "CANDIDATE") -> str:
    r"""Return ``text`` between the two lines of its fence.

    Example:
        >>> print(fenced("one\ntwo", "3f2a"))
        <<<CANDIDATE 3f2a>>>
        | one
        | two
        <<<END CANDIDATE 3f2a>>>
    """
    lines = [_GUTTER + _unfenced(line) for line in visible(text).split("\n")]
    return "\n".join([OPENING.format(label=label, code=code), *lines, CLOSING.format(label=label, code=code)])


def visible(text: str) -> str:
    r"""Return ``text`` with what cannot be seen, and what a chat template would obey, written out.

    Line ends and tabs stay; so do the joiners inside emoji and inside words of the scripts that need them.

    Example:
        >>> visible("10\u202e points <|im_end|>")
        '10[U+202E] points [U+003C]|im_end|>'
    """
    text = text.replace("\r\n", "\n")
    hidden = "".join(one for one in set(text) if _is_hidden(one))
    if hidden:
        text = re.sub(f"[{re.escape(hidden)}]", _written_out, text)
    return _TEMPLATE_TOKENS.sub(lambda found: _named(found[0][0]) + found[0][1:], text)


def _is_hidden(character: str) -> bool:
    if character in "\n\t":
        return False
    return unicodedata.category(character) in _HIDDEN_CATEGORIES or character in _HIDDEN_OTHERS


def _written_out(found: re.Match[str]) -> str:
    before, after = found.string[: found.start()][-2:], found.string[found.end() :][:1]
    return found[0] if _is_spelling(found[0], before, after) else _named(found[0])


def _is_spelling(character: str, before: str, after: str) -> bool:
    """Return whether an invisible character belongs to an emoji or a word as people write them."""
    left = before[-1:]
    if character == _EMOJI_STYLE:
        return _is_picture(left) or left in set("#*0123456789")
    if character == _JOINER and _is_picture(after):
        return _is_picture(left) or (left == _EMOJI_STYLE and _is_picture(before[:1]))
    return character in {_JOINER, _NON_JOINER} and _is_joining(left) and _is_joining(after)


def _is_picture(character: str) -> bool:
    return bool(character) and unicodedata.category(character) in {"So", "Sk"}


def _is_joining(character: str) -> bool:
    return character > _FIRST_JOINING_SCRIPT and unicodedata.category(character)[0] in "LM"


def _unfenced(line: str) -> str:
    """Return ``line`` with its angle brackets written out where a generous reader could take it for a fence."""
    shown = line.translate(dict.fromkeys(map(ord, _LEFT_ANGLES), "<"))
    folded = re.sub(r"[^<\w]", "", unicodedata.normalize("NFKC", shown).casefold())
    if not _FENCE_LIKE.search(folded):
        return line
    return "".join(_named(one) if one in _LEFT_ANGLES else one for one in line)


def _named(character: str) -> str:
    return f"[U+{ord(character):04X}]"
