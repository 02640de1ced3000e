"""What a sweep goes through: prompts, system prompts and settings of a request, as a grid or as an engine's space."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.sweep.dimensions import Between, Listed, parse_dimension
from llm_optimize.targets.chat_call import ChatCall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.sweep.dimensions import Dimension
    from llm_optimize.text.domains import Domain, Value

__all__ = ["Space", "texts_of"]

_PROMPT, _SYSTEM = "prompt", "system_prompt"


@dataclass(frozen=True, slots=True)
class Space:
    """All pairs of a prompt and settings.

    Attributes:
        axes: name -> what it may be, the prompt and the system prompt first; the last one changes fastest in a grid.

    Example:
        >>> space = Space.of(["Hi", "Hello"], [""], {"temperature": (0.1, 0.3, 0.1), "top_p": 0.9})
        >>> space.size, space.call(4).settings
        (6, {'temperature': 0.2, 'top_p': 0.9})
    """

    axes: tuple[tuple[str, Dimension], ...]

    @classmethod
    def of(cls, prompts: Sequence[str], system_prompts: Sequence[str], settings: Mapping[str, object]) -> Space:
        """Read what a user gave.

        Raises:
            BadInput: names the field that cannot work.
        """
        named = [(name, parse_dimension(name, spec)) for name, spec in settings.items()]
        texts = ((_PROMPT, Listed(tuple(prompts))), (_SYSTEM, Listed(tuple(system_prompts))))
        return cls((*texts, *named))

    @property
    def settings(self) -> dict[str, Dimension]:
        """The fields of the request, without the prompts."""
        return {name: one for name, one in self.axes if name not in {_PROMPT, _SYSTEM}}

    @property
    def prompts(self) -> tuple[str, ...]:
        """The user prompts."""
        return self._texts(_PROMPT)

    @property
    def system_prompts(self) -> tuple[str, ...]:
        """The system prompts."""
        return self._texts(_SYSTEM)

    @property
    def varied_settings(self) -> list[str]:
        """The names of the settings with more than one value."""
        return [name for name, one in self.settings.items() if one.count != 1]

    @property
    def size(self) -> int | None:
        """How many pairs there are; None where a range has no steps."""
        counts = [one.count for _, one in self.axes]
        return None if None in counts else math.prod(counts)  # type: ignore[arg-type]  # none of them is None

    def without(self, names: Sequence[str]) -> Space:
        """Return the space without some settings: they are not sent."""
        return Space(tuple((name, one) for name, one in self.axes if name not in names))

    def check_grid(self) -> int:
        """Return the size.

        Raises:
            BadInput: a range has no steps; names it.
        """
        for name, one in self.axes:
            if isinstance(one, Between):
                msg = f"{name} is {one} without steps, so there is no grid: give (start, stop, step), or search='gp'"
                raise BadInput(msg)
        return self.size or 0

    def call(self, index: int) -> ChatCall:
        """Return a pair of the grid by its index, in a time that grows with the number of axes alone."""
        chosen: dict[str, Any] = {}
        for name, one in reversed(self.axes):
            index, place = divmod(index, one.count or 1)
            chosen[name] = one.at(place)  # type: ignore[union-attr]  # check_grid() has seen that each has steps
        return self._call(chosen)

    @property
    def domains(self) -> tuple[Domain, ...]:
        """What an engine is to search, one for each axis with more than one value."""
        return tuple(one.domain for _, one in self.axes if one.domain is not None)

    def decode(self, values: Sequence[Value]) -> ChatCall:
        """Return the pair that an engine's values stand for."""
        given = iter(values)
        chosen = {name: one.at(0) if one.domain is None else one.decode(next(given)) for name, one in self.axes}
        return self._call(chosen)

    def encode(self, text: str) -> tuple[Value, ...]:
        """Return the engine's values for a candidate of this space."""
        content = json.loads(text)
        values = {_PROMPT: content[_PROMPT], _SYSTEM: content[_SYSTEM], **content["settings"]}
        return tuple(one.encode(values[name]) for name, one in self.axes if one.domain is not None)

    def _texts(self, name: str) -> tuple[str, ...]:
        axis = dict(self.axes)[name]
        return axis.values if isinstance(axis, Listed) else ()

    def _call(self, chosen: Mapping[str, Any]) -> ChatCall:
        settings = {name: chosen[name] for name, _ in self.axes if name not in {_PROMPT, _SYSTEM}}
        return ChatCall(chosen[_PROMPT], chosen[_SYSTEM], settings)


def texts_of(field: str, given: object, *, empty: bool = False) -> tuple[str, ...]:
    """Return one text or several as a tuple of different ones, in their order.

    Args:
        field: what the user calls them.
        given: a text or a sequence of texts.
        empty: whether an empty text will do.

    Raises:
        BadInput: none of that, or there are none.
    """
    listed = [given] if isinstance(given, str) else list(given) if isinstance(given, list | tuple) else []
    if not listed or not all(isinstance(one, str) and (empty or one.strip()) for one in listed):
        msg = f"{field} is {given!r}: give a text, or a list of texts, none of them empty"
        raise BadInput(msg)
    return tuple(dict.fromkeys(listed))
