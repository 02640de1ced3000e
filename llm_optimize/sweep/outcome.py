"""What a sweep came to: the ranking, the best settings as a request, and the files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.report.pairs import pairs
from llm_optimize.sweep.watching import settings_line
from llm_optimize.sweep.wording import words
from llm_optimize.targets.chat_call import ChatCall, curl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Usage
    from llm_optimize.optimize import Result
    from llm_optimize.report.pairs import Pair
    from llm_optimize.sweep.wording import Words
    from llm_optimize.targets.probing import Finding

__all__ = ["SweepResult"]

_SHOWN = 20
_WIDE = 100  # characters of a failure in the ranking
_PAGE, _TEMPLATES = "index.html", "jinja2"


@dataclass(frozen=True, slots=True, eq=False)
class SweepResult:
    """The ranked pairs, and what to do with the best of them; prints as the ranking and the last lines.

    Attributes:
        result: of the study behind it.
        model: the name that was asked.
        base_url: the endpoint; empty for a chat model of one's own.
        varied: the names of the settings that were tried out.
        inputs: the sets of values for the slots.
        findings: what the probe said of fields, those without an effect first.
        language: of the last lines.
    """

    result: Result
    model: str
    base_url: str
    varied: Sequence[str]
    inputs: Sequence[Mapping[str, Any]]
    findings: Sequence[Finding] = ()
    language: str = "en"

    @property
    def history(self) -> History:
        """Everything that happened."""
        return self.result.history

    @property
    def pairs(self) -> list[Pair]:
        """Every pair that was tried, the closest first, failures last."""
        return pairs(self.history.trials)

    @property
    def best(self) -> Pair | None:
        """The pair to use: of repeated similarities the one with the best lower bound; None where all have failed."""
        chosen = self.history.best
        return None if chosen is None else pairs([chosen])[0]

    @property
    def target(self) -> float | None:
        """The similarity of the best."""
        return None if self.best is None else self.best.similarity

    @property
    def params(self) -> dict[str, Any]:
        """The settings of the best that were tried out, as they were sent."""
        best = self.best
        return {} if best is None else {name: best.settings[name] for name in self.varied if name in best.settings}

    @property
    def max(self) -> dict[str, Any]:
        """``{'target': ..., 'params': {...}}``; empty where all have failed."""
        return {} if self.best is None else {"target": self.target, "params": self.params}

    @property
    def no_effect(self) -> list[str]:
        """The fields that the endpoint refuses or ignores."""
        return [one.field for one in self.findings if not one.works]

    @property
    def usage(self) -> Usage:
        """What all calls cost."""
        return self.history.usage

    @property
    def reason(self) -> str:
        """Why the sweep ended."""
        return self.result.reason

    @property
    def code(self) -> int:
        """The exit code for a program: 0, or 1 where no pair has a similarity."""
        return 130 if self.result.interrupted else int(self.best is None)

    @property
    def body(self) -> dict[str, Any]:
        """The request body of the best, ready to be sent; of several inputs with the first.

        Empty where all have failed.
        """
        best = self.best
        if best is None:
            return {}
        return ChatCall(best.prompt, best.system_prompt, best.settings).body(self.model, self.inputs[0])

    @property
    def curl(self) -> str:
        """The command that sends it; the key, where there is one, stays in the environment."""
        return curl(self.base_url, self.body, with_key=self.base_url.startswith("https")) if self.body else ""

    def table(self, most: int = _SHOWN) -> str:
        """Return the ranking as lines of text."""
        rows = [self._words.table, *(_row(rank, one) for rank, one in enumerate(self.pairs[:most], 1))]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = ["  ".join([*(one.rjust(widths[i]) for i, one in enumerate(row[:4])), row[4]]) for row in rows]
        left = len(self.history.trials) - most
        return "\n".join([*lines, f"... {left}"] if left > 0 else lines)

    def closing(self) -> str:
        """Return the last lines: the heading and ``{'target': ..., 'params': {...}}``, or that nothing succeeded."""
        said = self._words
        silent = [said.no_effect.format(field=one.field, why=one.why) for one in self.findings if not one.works]
        if self.best is None:
            return "\n".join([*silent, said.nothing.format(why=self._trouble())])
        return "\n".join([*silent, said.body, json.dumps(self.body, ensure_ascii=False), said.best, str(self.max)])

    def report(self, path: str | Path) -> Path:
        """Write the report, see :meth:`llm_optimize.optimize.Result.report`.

        Raises:
            BadInput: the file cannot be written, or a package for the format is missing.
        """
        return self.result.report(path)

    def save(self, folder: str | Path) -> list[Path]:
        """Write ``results.json``, and of the best the request body (``best.json``) and the command (``best.sh``).

        And ``index.html``, the report, where the extra ``report`` is installed.

        Returns:
            The files.
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        content = {"results.json": json.dumps(self.rows(), ensure_ascii=False, indent=2)}
        if self.body:
            best = {**self.max, "body": self.body, "curl": self.curl, "no_effect": self.no_effect}
            content |= {"best.json": json.dumps(best, ensure_ascii=False, indent=2), "best.sh": self.curl}
        for name, text in content.items():
            (place / name).write_text(text + "\n", encoding="utf-8")
        page = [self.report(place / _PAGE)] if find_spec(_TEMPLATES) is not None else []
        return [*(place / name for name in content), *page]

    def rows(self) -> list[dict[str, Any]]:
        """Return the ranking as JSON values: id, prompt, settings, response, similarity, tokens, seconds, and more."""
        return [_json(rank, one) for rank, one in enumerate(self.pairs, 1)]

    def __str__(self) -> str:
        """Return the ranking and the last lines."""
        return f"{self.table()}\n{self.closing()}"

    @property
    def _words(self) -> Words:
        return words(self.language)

    def _trouble(self) -> str:
        return next((one.failure for one in self.pairs if one.failure), self.reason)


def _row(rank: int, pair: Pair) -> tuple[str, str, str, str, str]:
    similarity = "-" if pair.similarity is None else f"{pair.similarity:.4f}"
    spread = "-" if pair.spread is None else f"{pair.spread:.4f}"
    prompt = " ".join(pair.prompt.split())
    shown = f"{settings_line(dict(pair.settings))}  {prompt[:40]}{'...' * (len(prompt) > 40)}"  # noqa: PLR2004 - a line
    return str(rank), similarity, spread, str(pair.n), f"{shown}  {_cut(pair.failure)}".rstrip()


def _cut(text: str) -> str:
    return text if len(text) <= _WIDE else f"{text[:_WIDE]}..."


def _json(rank: int, pair: Pair) -> dict[str, Any]:
    row = asdict(pair)
    usage, answers = row.pop("usage"), row.pop("answers")
    return {
        "rank": rank,
        **row,
        "response": answers[0] if answers else None,
        "responses": list(answers),
        "tokens": pair.usage.tokens,
        "dollars": usage["dollars"],
    }
