"""Scores by a sequence classifier of transformers on this machine: a reward model, or one class's probability."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_optimize.core.types import Evaluation
from llm_optimize.errors import BadInput
from llm_optimize.llm.calling import check_positive
from llm_optimize.scorers.installed import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["ClassifierReward"]

_EXTRA = "reward"


@dataclass(frozen=True, slots=True)
class ClassifierReward:
    """Scores a text by a sequence classifier; loaded on first use, once per process.

    Attributes:
        model: a folder, or a name that transformers finds in its own store. Code that a model brings is never run.
        prompt: what the text answers; with it the model sees a pair, as reward models are trained. Empty for none.
        label: for a model with several labels: whose probability is the raw value, by name or number.
        scaling: from the raw value to the score; None for the raw value itself.
        device: as torch names it, such as ``cpu`` or ``cuda:0``.
        longest: tokens; what is beyond is cut off, and ``cut`` in the metrics is 1. None for the model's own limit.

    Raises:
        BadInput: see the message.

    Example:
        >>> ClassifierReward("./reward-model", prompt="Explain rain.").device
        'cpu'
    """

    model: str | Path
    prompt: str = ""
    label: str | int | None = None
    scaling: Callable[[float], float] | None = None
    device: str = "cpu"
    longest: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be loaded; nothing is loaded yet."""
        if not str(self.model).strip():
            msg = "model is empty: give a folder with a sequence classifier, or its name"
            raise BadInput(msg)
        if self.longest is not None:
            check_positive("longest", self.longest)

    def __call__(self, text: str) -> Evaluation:
        """Classify ``text``.

        Raises:
            BadInput: transformers or torch is not installed, or the model cannot be loaded or has no such label.
        """
        torch = load("torch", _EXTRA)
        classifier, tokenizer = _loaded(str(self.model), self.device)
        pair = (self.prompt, text) if self.prompt else (text,)
        encoded, cut = self._encoded(tokenizer, pair, int(getattr(classifier.config, "max_position_embeddings", 512)))
        with torch.inference_mode():
            logits = classifier(**encoded.to(self.device)).logits[0].float()
        raw = float(logits[0]) if len(logits) == 1 else float(logits.softmax(0)[self._index(classifier.config)])
        score = raw if self.scaling is None else self.scaling(raw)
        return Evaluation(score, "", {"raw": raw, "cut": float(cut)})

    def _encoded(self, tokenizer: Any, pair: tuple[str, ...], positions: int) -> tuple[Any, bool]:  # noqa: ANN401 - transformers has no types here
        longest = min(self.longest or positions, positions, int(tokenizer.model_max_length))
        if self.prompt and len(tokenizer(self.prompt, "")["input_ids"]) >= longest:
            msg = f"prompt leaves no room for a text in the {longest} tokens that the model reads: shorten it"
            raise BadInput(msg)
        # Of a pair only the answer is cut, so that the model still sees what is asked.
        way = "only_second" if len(pair) > 1 else True
        whole = len(tokenizer(*pair)["input_ids"])
        return tokenizer(*pair, truncation=way, max_length=longest, return_tensors="pt"), whole > longest

    def _index(self, config: Any) -> int:  # noqa: ANN401 - as above
        names = {int(number): str(name) for number, name in config.id2label.items()}
        for number, name in names.items():
            if self.label in (number, name) and not isinstance(self.label, bool):
                return number
        msg = f"label is {self.label!r}: the model has {', '.join(names.values())}; name the one that counts"
        raise BadInput(msg)


@lru_cache(maxsize=2)
def _loaded(model: str, device: str) -> tuple[Any, Any]:
    transformers = load("transformers", _EXTRA)
    load("torch", _EXTRA)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(model, trust_remote_code=False)
        classifier = transformers.AutoModelForSequenceClassification.from_pretrained(model, trust_remote_code=False)
        return classifier.eval().to(device), tokenizer
    except (OSError, ValueError, RuntimeError) as error:
        line = " ".join(str(error).split())[:200]
        msg = f"model: {model!r} cannot be loaded as a sequence classifier ({type(error).__name__}: {line})"
        raise BadInput(msg) from error
