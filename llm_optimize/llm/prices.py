"""Dollars per call: the prices that ship with ``genai-prices``, and the user's own, which win.

The package's data are part of it; its updater, which would use the network, is never started. Prices of your own come
as ``{"my-model": (in, out, cached)}`` in dollars per million tokens, or as a JSON file with the same content whose
path is in ``LLM_OPTIMIZE_PRICES``.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.types import Usage

__all__ = ["Price", "PriceBook", "price_remedy"]

_LOG = logging.getLogger("llm_optimize")
_MILLION = 1e6
_FORM = '{"my-model": [1.25, 10, 0.125]}'


@dataclass(frozen=True, slots=True)
class Price:
    """A price of the user's own, in dollars per million tokens.

    Attributes:
        tokens_in: for a prompt token.
        tokens_out: for a completion token.
        cached: for a prompt token that the provider had cached.
    """

    tokens_in: float
    tokens_out: float
    cached: float

    def dollars(self, usage: Usage) -> float:
        """Return the price of ``usage``."""
        fresh = usage.tokens_in - usage.tokens_cached
        return (
            fresh * self.tokens_in + usage.tokens_cached * self.cached + usage.tokens_out * self.tokens_out
        ) / _MILLION


class PriceBook:
    """What models cost.

    Example:
        >>> from llm_optimize.core.types import Usage
        >>> PriceBook({"mine": (1.0, 2.0)}).dollars("mine", Usage(calls=1, tokens_in=1_000_000))
        1.0
    """

    def __init__(self, prices: Mapping[str, Sequence[float]] | None = None) -> None:
        """Read the user's prices.

        Args:
            prices: model name to (in, out) or (in, out, cached), dollars per million tokens; wins over the file in
                ``LLM_OPTIMIZE_PRICES``, which wins over the package.

        Raises:
            BadInput: a price that is none, or a file that cannot be read.
        """
        given = {**_file_prices(), **(prices or {})}
        self._own = {name: _price(name, numbers) for name, numbers in given.items()}

    def price_known(self, model: str) -> bool:
        """Return whether calls of ``model`` can be priced."""
        return model in self._own or _listed(model)

    def dollars(self, model: str, usage: Usage) -> float:
        """Return the price of ``usage``; 0.0, said once in the log, where the model's price is unknown."""
        if model in self._own:
            return self._own[model].dollars(usage)
        if not _listed(model):
            _say_unknown(model)
            return 0.0
        return _package_dollars(model, usage)


def _price(name: str, numbers: object) -> Price:
    listed = list(numbers) if isinstance(numbers, list | tuple) else []
    usable = all(isinstance(n, int | float) and not isinstance(n, bool) and 0 <= n < float("inf") for n in listed)
    if len(listed) not in (2, 3) or not usable:
        msg = f"prices: {name!r} is {numbers!r}; give (in, out) or (in, out, cached) in dollars per million tokens"
        raise BadInput(msg)
    return Price(listed[0], listed[1], listed[-1] if len(listed) == 3 else listed[0])  # noqa: PLR2004 - as the message says


def _file_prices() -> dict[str, Sequence[float]]:
    path = os.environ.get("LLM_OPTIMIZE_PRICES")
    if not path:
        return {}
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"LLM_OPTIMIZE_PRICES: {path} cannot be read ({error}): give a JSON file like {_FORM}"
        raise BadInput(msg) from error
    if not isinstance(content, dict):
        msg = f"LLM_OPTIMIZE_PRICES: {path} holds no JSON object; write it like {_FORM}"
        raise BadInput(msg)
    return content


@cache
def _listed(model: str) -> bool:
    return bool(_package_name(model))


@cache
def _package_name(model: str) -> str:
    try:
        from genai_prices import Usage, calc_price  # noqa: PLC0415 - an optional package, 180 ms to import
    except ImportError:
        return ""
    for name in (model, model.rpartition("/")[2]):  # gateways write "openai/gpt-5"
        try:
            calc_price(Usage(input_tokens=1, output_tokens=1), name)
        except LookupError:
            continue
        return name
    return ""


def _package_dollars(model: str, usage: Usage) -> float:
    import genai_prices  # noqa: PLC0415 - an optional package, 180 ms to import

    counted = genai_prices.Usage(
        input_tokens=usage.tokens_in, output_tokens=usage.tokens_out, cache_read_tokens=usage.tokens_cached
    )
    return float(genai_prices.calc_price(counted, _package_name(model)).total_price)


def price_remedy(model: str) -> str:
    """Return what makes the price of ``model`` known, in half a line."""
    missing = "" if importlib.util.find_spec("genai_prices") else "install 'llm-optimize[prices]', or "
    example = f"{{{json.dumps(model)}: [in, out]}}"
    return (
        f"{missing}name a JSON file like {example}, dollars per million tokens, in LLM_OPTIMIZE_PRICES, or tell it by "
        "llm.connect(..., prices=...); on the command line --price IN,OUT for --model"
    )


def _say_unknown(model: str) -> None:
    with _SAYING:  # many chains make their first call at once
        if model in _SAID:
            return
        _SAID.add(model)
    _LOG.warning("the price of %r is unknown and counts as 0 dollars: %s", model, price_remedy(model))


_SAID: set[str] = set()
_SAYING = threading.Lock()
