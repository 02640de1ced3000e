"""The calls: ``optimize`` and the class form for prompts x settings, ``find_parameters`` for settings alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Unpack

from llm_optimize.core.checks import check_number, check_whole
from llm_optimize.sweep.options import More, options_of
from llm_optimize.sweep.plan import Plan
from llm_optimize.sweep.running import Sweep, carry_out
from llm_optimize.sweep.space import Space, texts_of
from llm_optimize.targets.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.sweep.outcome import SweepResult

__all__ = ["BOUNDS", "MAX_TOKENS", "MODEL", "URL", "NuxAI", "find_parameters", "optimize"]

URL = "http://localhost:11434/v1/chat/completions"
"""The endpoint of :func:`find_parameters`: Ollama's, on this machine."""

MODEL = "EVA-GPT-Version6.1"
"""The model of :func:`find_parameters`."""

BOUNDS: Mapping[str, tuple[Any, ...]] = {
    "temperature": (0.1, 0.9),
    "top_p": (0.1, 0.9),
    "frequency_penalty": (-1.0, 1.0),
    "presence_penalty": (-1.0, 1.0),
    "top_k": (1, 100),
}
"""What :func:`find_parameters` searches."""

MAX_TOKENS = 700
"""The limit on the answers of :func:`find_parameters`."""

_SEED = 1
_ALIASES = {"chatgpt": "chatgpt-4o-latest"}
_HIGHEST = 1.0


def optimize(  # noqa: PLR0913, PLR0917 - the first six are the predecessor's
    model: Any,  # noqa: ANN401 - a name, URL#name or a chat model
    api_key: str | None = None,
    interval: float = 0.1,
    max_combinations: int | None = None,
    user_prompts: str | Sequence[str] = (),
    desired_output: str | Sequence[Any] = "",
    *,
    system_prompts: str | Sequence[str] = "",
    settings: Mapping[str, object] | None = None,
    search: str = "grid",
    init_points: int = 5,
    base_url: str | None = None,
    **more: Unpack[More],
) -> SweepResult:
    """Rank every pair of a prompt and settings by how close its answer comes to the wanted one.

    Args:
        model: a name (``chatgpt``, ``gpt-4o``), ``URL#name``, or a chat model.
        api_key: None for ``OPENAI_API_KEY``.
        interval: step of the temperature, from ``interval`` to 1, where no ``settings`` are given.
        max_combinations: how many pairs at most: of a grid a random sample, each pair once. Without ``settings`` it
            also widens the grid to top_p, max_tokens and both penalties. For a search: how many it may try.
        user_prompts: a prompt, or several; ``{{name}}`` is a slot, ``inputs`` has its value.
        desired_output: the wanted answer; a list for several alternatives, or for one per set of inputs.
        system_prompts: a system prompt, or several.
        settings: field -> what it may be, see :mod:`llm_optimize.sweep.dimensions`; any field of a request.
        search: one of :data:`~llm_optimize.sweep.plan.SEARCHES`; ``grid`` tries all.
        init_points: how many pairs an engine's search begins with.
        base_url: the server; None for the environment's.
        **more: see :class:`~llm_optimize.sweep.options.Options`; here ``similarity`` is ``cosine`` by default, of
            vectors that need no model (``embedding="lexical"``).

    Raises:
        BadInput: a setting cannot work; nothing was asked.
        ModelError: the endpoint cannot be reached, refuses the key, or has no such model.
    """
    prompts = texts_of("user_prompts", user_prompts)
    systems = texts_of("system_prompts", system_prompts, empty=True)
    given = _usual_grid(interval, wide=max_combinations is not None) if settings is None else settings
    name = _ALIASES.get(model, model) if isinstance(model, str) else model
    options = options_of(more, similarity="cosine")
    endpoint = Endpoint(
        name, base_url, api_key, options.headers, options.proxy, options.timeout, options.prices, options.attempts
    )
    plan = Plan(search, max_combinations, init_points)
    return carry_out(
        Sweep(Space.of(prompts, systems, given), plan, endpoint, ("desired_output", desired_output), options)
    )


def find_parameters(  # noqa: PLR0913, PLR0917 - the predecessor's constants as arguments
    url: str = URL,
    model: str = MODEL,
    system_prompt: str = "",
    prompt: str = "",
    target: str | Sequence[Any] = "",
    pbounds: Mapping[str, object] | None = None,
    init_points: int = 5,
    n_iter: int = 25,
    *,
    settings: Mapping[str, object] | None = None,
    search: str = "gp",
    api_key: str | None = None,
    **more: Unpack[More],
) -> SweepResult:
    """Find the sampling settings with which a model's answer comes closest to the wanted one.

    Args:
        url: the endpoint, with or without ``/chat/completions``.
        model: the name that it knows the model by.
        system_prompt: may be empty.
        prompt: the input.
        target: the wanted answer; or several, see :func:`optimize`.
        pbounds: field -> (low, high), see :mod:`llm_optimize.sweep.dimensions`; ``top_k`` and other fields that take
            whole numbers only are searched as such. None for :data:`BOUNDS`.
        init_points: pairs that are spread over the bounds first.
        n_iter: pairs that the search chooses after them.
        settings: fields that stay as they are; None for ``max_tokens`` 700.
        search: see :func:`optimize`.
        api_key: sent as ``Authorization: Bearer``; None for ``OPENAI_API_KEY``, a server of one's own needs none.
        **more: see :class:`~llm_optimize.sweep.options.Options`.

    Returns:
        The result; ``.max`` is ``{'target': ..., 'params': {...}}``.

    Raises:
        BadInput: a setting cannot work; nothing was asked.
        ModelError: the endpoint cannot be reached, refuses the key, or has no such model.
    """
    check_whole("init_points", init_points, 1)
    check_whole("n_iter", n_iter, 0)
    fixed = {"max_tokens": MAX_TOKENS} if settings is None else settings
    space = Space.of(
        texts_of("prompt", prompt),
        texts_of("system_prompt", system_prompt, empty=True),
        {**fixed, **(BOUNDS if pbounds is None else pbounds)},
    )
    options = options_of(more, seed=_SEED)
    endpoint = Endpoint(
        model, url, api_key, options.headers, options.proxy, options.timeout, options.prices, options.attempts
    )
    plan = Plan(search, init_points + n_iter, init_points)
    return carry_out(Sweep(space, plan, endpoint, ("target", target), options))


@dataclass(frozen=True, slots=True)
class NuxAI:
    """The class form of :func:`optimize`.

    Attributes:
        model: see there.
        api_key: see there.
        base_url: see there.

    Example:
        >>> NuxAI(model="chatgpt", api_key="...").model
        'chatgpt'
    """

    model: Any
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None

    def optimize(self, **how: Any) -> SweepResult:  # noqa: ANN401 - the keywords of the function
        """Return what :func:`optimize` returns with these keywords."""
        return optimize(self.model, self.api_key, base_url=self.base_url, **how)


def _usual_grid(interval: float, *, wide: bool) -> dict[str, object]:
    """Return the grid of a call that names no settings."""
    check_number("interval", interval, 0, _HIGHEST, above=True)
    temperature = (interval, _HIGHEST, interval) if interval < _HIGHEST else interval
    if not wide:
        return {"temperature": temperature}
    penalty = (-2.0, 2.0, 0.1)
    return {
        "temperature": temperature,
        "top_p": temperature,
        "max_tokens": (10, 4090, 10),
        "frequency_penalty": penalty,
        "presence_penalty": penalty,
    }
