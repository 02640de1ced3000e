"""A report as Markdown: what fits into a pull request or a note."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llm_optimize.report.data import report_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from llm_optimize.report.log import Log

__all__ = ["markdown"]

_LISTED = 20
_WIDTH = 80
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!])")


def markdown(log: Log) -> str:
    """Return the report's figures, the difference of the best and the start, and the ranking's head."""
    data = report_data(log)
    parts = [
        f"# {_plain(log.name)}", _summary(data), _best(data), _sweep(data) if data["sweep"] else _trials(data),
        _claims(data), _cost(data), _failures(data), _reproduce(data),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _plain(text: object, width: int = _WIDTH) -> str:
    """Return a text on one line in which Markdown and HTML see nothing but a text."""
    line = " ".join(str(text).split())
    return _SPECIAL.sub(r"\\\1", line if len(line) <= width else line[: width - 1] + "…")


def _figure(value: object) -> str:
    return "none" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _fenced(text: str, language: str = "") -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _summary(data: dict[str, Any]) -> str:
    one, study = data["summary"], data["study"]
    ended = _plain(study["reason"] or "not ended", 400)
    rows = [
        f"- {_plain(one['verdict'], 400)}",
        f"- best score {_figure(one['best_score'])} (#{one['best']}), start {_figure(one['start_score'])}",
        f"- {one['evaluations']} evaluations, {one['failed']} candidates failed, {one['pending']} pending",
        f"- {one['usage'][0]} model calls, {one['usage'][1]} tokens in, {one['usage'][3]} out, ${one['usage'][4]:.4g}",
        f"- {study['seconds']:.1f} s in {study['sessions']} session(s); ended: {ended}",
    ]
    return "\n".join(rows)


def _best(data: dict[str, Any]) -> str:
    if data["difference"] is None:
        return ""
    by, segments = data["difference"]["by"], data["difference"]["segments"]
    if by == "word":
        said = "".join(
            text if sign == "=" else f"[-{text}-]" if sign == "-" else f"{{+{text}+}}" for sign, text in segments
        )
        return f"## Best against start\n\nWords in `[-…-]` were removed, those in `{{+…+}}` added.\n\n{_fenced(said)}"
    lines = [
        f"{' ' if sign == '=' else sign}{line}"
        for sign, text in segments
        for line in text.removesuffix("\n").split("\n")
    ]
    return "## Best against start\n\n" + _fenced("\n".join(lines), "diff")


def _trials(data: dict[str, Any]) -> str:
    trials, texts = data["trials"], data["texts"]
    order = sorted(
        range(len(trials["id"])), key=lambda row: (trials["score"][row] is None, -(trials["score"][row] or 0))
    )
    rows = [
        [
            f"#{trials['id'][row]}",
            _figure(trials["score"][row]) if trials["score"][row] is not None else "failed",
            _plain(texts[trials["origin"][row]], 30),
            _plain(texts[trials["text"][row]], 60),
            _plain(texts[trials["feedback"][row]], 60),
        ]
        for row in order[:_LISTED]
    ]
    head = f"## The {len(rows)} best of {len(order)} candidates"
    return f"{head}\n\n" + _table(("#", "Score", "Made by", "Text", "Feedback"), rows)


def _sweep(data: dict[str, Any]) -> str:
    sweep, trials, texts = data["sweep"], data["trials"], data["texts"]
    row_of = {number: row for row, number in enumerate(trials["id"])}
    names = sweep["names"]
    rows = []
    for place, number in enumerate(sweep["order"][:_LISTED]):
        row = row_of[number]
        said = [texts[answer] for answer in trials["answers"][row]] or [texts[trials["feedback"][row]]]
        score = trials["score"][row]
        values = [_plain(_figure(sweep["settings"][name][place]), 20) for name in names]
        prompt = texts[sweep["prompts"][sweep["prompt"][place]]]
        rows.append(
            [
                str(place + 1),
                "failed" if score is None else _figure(score),
                *values,
                _plain(prompt, 40),
                _plain(said[0], 60),
            ]
        )
    head = ("Rank", "Similarity", *(_plain(name) for name in names), "Prompt", "Answer")
    parts = [f"## The {len(rows)} best of {len(sweep['order'])} pairs\n\n" + _table(head, rows)]
    shares = [
        [_plain(one["name"]), f"{one['share']:.1%}", _plain(max(one["steps"], key=lambda step: step[2])[0])]
        for one in sweep["effects"]
    ]
    if shares:
        parts.append("## Effect of each setting\n\n" + _table(("Setting", "Share of the variance", "Best at"), shares))
    if sweep["request"]:
        body, command = _fenced(sweep["request"]["json"], "json"), _fenced(sweep["request"]["curl"], "sh")
        parts.append(f"## The best as a request\n\n{body}\n\n{command}")
    return "\n\n".join(parts)


def _claims(data: dict[str, Any]) -> str:
    said = {True: "held", False: "did not hold", None: "open"}
    rows = [[f"#{one['id']}", _plain(data["texts"][one["claim"]], 120), said[one["held"]]] for one in data["claims"]]
    return "## Claims\n\n" + _table(("Step", "Claim", "Held"), rows[:_LISTED]) if rows else ""


def _cost(data: dict[str, Any]) -> str:
    rows = [[_plain(row[0]), _plain(row[1]), *map(_figure, row[2:7])] for row in data["cost"]]
    return (
        "## Cost\n\n" + _table(("Role", "Model", "Calls", "Tokens in", "cached", "Tokens out", "Dollars"), rows)
        if rows
        else ""
    )


def _failures(data: dict[str, Any]) -> str:
    rows = [
        [_plain(one["kind"]), str(one["count"]), _plain(data["texts"][one["example"]], 120)] for one in data["failures"]
    ]
    return "## Failures\n\n" + _table(("Kind", "Candidates", "For example"), rows) if rows else ""


def _reproduce(data: dict[str, Any]) -> str:
    parts = [f"{label}:\n\n{_fenced(command, 'sh')}" for label, command in data["reproduce"]["commands"]]
    return "## Reproduce\n\n" + "\n\n".join(parts) if parts else ""
