"""What the matrix found, as text, as the table of ``THREAT_MODEL.md``, and as ``held_by.json`` for the attack."""

# ruff: noqa: T201 - called by a script that is run by hand and prints its figures

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from llm_optimize.sandbox.attack import attempts
from llm_optimize.sandbox.base import LAYERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matrix_rows import Rows

__all__ = ["ALL", "NEEDED", "measured", "show", "summary", "write_held_by", "write_model"]

Order = list[tuple[str, tuple[str, ...]]]
BEGIN, END = "<!-- begin: written by tests/soak/matrix.py --tables -->", "<!-- end -->"
ALL = frozenset(layer for layer in LAYERS if layer != "cgroup")
"""The layers that are switched off; a control group is in force only where it was delegated."""
NEEDED = {"landlock": "no_new_privs", "seccomp": "no_new_privs"} | dict.fromkeys(
    ("pid", "ipc", "uts", "mount", "net"), "user"
)
"""What a layer cannot do without."""
ABOUT = (
    "Written by tests/soak/matrix.py --tables. needed: layers without which it gets through although all others are in "
    "force. by: layers that hold it with all others off (and what they need themselves on). bare: what becomes of it "
    "when every layer is off; 'held' may also be owed to the matrix's surroundings: no network outside, an "
    "unprivileged user, a read-only system."
)


def show(rows: Rows, order: Order, names: Sequence[str]) -> bool:
    """Print what was found; return whether nothing got through with all layers, but for what needs a missing one."""
    print("\nmissing -> what gets through")
    for who, without in order:
        _show_configuration(rows, who, without, names)
    print("\nrun again, alone, because the first verdict may have been owed to the machine's speed")
    for (who, without, name), first, again in sorted(rows.repeated(), key=lambda found: found[0]):
        before, after = (f"{row['outcome']} ({row['reason']})" for row in (first, again))
        print(f"  {who} without {_off(without)}: {name}: {before}, then {after}")
    allowed = {attempt.name for attempt in attempts() if attempt.only_by}
    bad = [(who, name) for who, off in order if not off for name in _with(rows, who, off, names, "through")]
    bad = [(who, name) for who, name in bad if name not in allowed]
    print(f"\n{summary(rows, order, names)}")
    print(f"through with all layers, unexpectedly: {len(bad)} {bad or ''}")
    return not bad


def summary(rows: Rows, order: Order, names: Sequence[str]) -> str:
    """Return the counts in words."""
    counts = {
        outcome: sum(len(_with(rows, who, off, names, outcome)) for who, off in order)
        for outcome in ("held", "through", "not run")
    }
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    after = (
        "two honest programs scored as before, and no process, descriptor, socket, file, memory, queue or key was left"
    )
    return f"{len(names)} programs, {len(order)} configurations: {told}. After each that was held {after}."


def measured(rows: Rows, order: Order, name: str) -> dict[str, object]:
    """Return which layers a program needs missing to get through, and which hold it by themselves."""
    users = sorted({who for who, _ in order})

    def outcome(without: frozenset[str]) -> str:
        wanted = [(who, off) for who, off in order if frozenset(off) == without and who in users]
        found = {rows.verdict(who, off, name)["outcome"] for who, off in wanted}
        return next((one for one in ("through", "not run", "held") if one in found), "not run")

    def alone(layer: str) -> str:
        return outcome(ALL - {layer, NEEDED.get(layer, layer)})

    single = [layer for layer in LAYERS if layer in ALL]
    needed = [layer for layer in single if outcome(frozenset({layer})) == "through"]
    bare = outcome(ALL)
    by = []
    if bare != "held":
        by = [one for one in single if alone(one) == "held" and (one not in NEEDED or alone(NEEDED[one]) != "held")]
    return {"needed": needed, "by": by, "bare": bare}


def write_held_by(rows: Rows, order: Order, path: Path) -> None:
    """Write what :func:`measured` says of every program; refuse where rows are missing."""
    names = [attempt.name for attempt in attempts()]
    _complete(rows, order, names)
    found = {name: measured(rows, order, name) for name in names}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in found.items())
    head = f'"about": {json.dumps(ABOUT)},\n "measured on": {json.dumps(rows.identity)}'
    path.write_text(f'{{\n {head},\n "programs": {{\n{lines}\n }}\n}}\n', "utf-8")


def write_model(rows: Rows, order: Order, path: Path) -> None:
    """Replace the part of the text between the marks."""
    text = path.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    if not rest:
        msg = f"{path} has no line {BEGIN!r}"
        raise SystemExit(msg)
    names = [attempt.name for attempt in attempts()]
    _complete(rows, order, names)
    path.write_text(f"{before}{BEGIN}\n\n{_model(rows, order, names)}\n\n{END}{rest.partition(END)[2]}", "utf-8")


def _complete(rows: Rows, order: Order, names: list[str]) -> None:
    missing = [(who, _off(off), name) for who, off in order for name in names if rows.unknown(who, off, name)]
    if missing:
        msg = f"no tables: {len(missing)} programs were never reached, such as {missing[0]}"
        raise SystemExit(msg)


def _model(rows: Rows, order: Order, names: list[str]) -> str:
    lines = [f"{summary(rows, order, names)} Sources {rows.identity}.", ""]
    lines += ["| switched off | started by | held | not run | gets through |", "|---|---|---|---|---|"]
    few = [(who, off) for who, off in order if len(off) <= len(ALL) // 2]
    lines += [_line(rows, who, off, names, list_them=True) for who, off in few]
    lines += ["", "With a single layer in force, and those that it needs itself:", ""]
    lines += ["| in force | started by | held | not run | gets through |", "|---|---|---|---|---|"]
    lines += [_line(rows, who, off, names, list_them=False) for who, off in order if (who, off) not in few]
    lines += ["", "Not run:", ""]
    reasons: dict[str, set[str]] = {}
    for who, off in order:
        for name in _with(rows, who, off, names, "not run"):
            reasons.setdefault("; ".join(rows.verdict(who, off, name)["why"]), set()).add(name)
    lines += [f"- {why}: {', '.join(f'`{name}`' for name in sorted(found))}" for why, found in sorted(reasons.items())]
    return "\n".join(lines)


def _line(rows: Rows, who: str, off: tuple[str, ...], names: list[str], *, list_them: bool) -> str:
    through = _with(rows, who, off, names, "through")
    counts = " | ".join(str(len(_with(rows, who, off, names, outcome))) for outcome in ("held", "not run"))
    shown = ", ".join(f"`{name}`" for name in through) or "nothing"
    if not list_them:
        off = tuple(layer for layer in LAYERS if layer in ALL - set(off))
        shown = str(len(through))
    return f"| {', '.join(f'`{layer}`' for layer in off) or 'nothing'} | {who} | {counts} | {shown} |"


def _show_configuration(rows: Rows, who: str, without: tuple[str, ...], names: Sequence[str]) -> None:
    through, skipped, held = (_with(rows, who, without, names, one) for one in ("through", "not run", "held"))
    print(f"  {who} without {_off(without)}: held {len(held)}, through {len(through)}, not run {len(skipped)}")
    for name in through:
        print(f"        {name}: {'; '.join(rows.verdict(who, without, name)['why'])[:150]}")
    reasons: dict[str, list[str]] = {}
    for name in skipped:
        reasons.setdefault("; ".join(rows.verdict(who, without, name)["why"]), []).append(name)
    for why, those in reasons.items():
        print(f"        not run ({why}): {' '.join(those) if len(those) < len(names) else 'all'}")


def _off(without: tuple[str, ...]) -> str:
    if len(without) > len(ALL) // 2:
        return f"all but {','.join(layer for layer in LAYERS if layer in ALL - set(without)) or 'nothing'}"
    return ",".join(without) or "nothing"


def _with(rows: Rows, who: str, without: tuple[str, ...], names: Sequence[str], outcome: str) -> list[str]:
    return [name for name in names if rows.verdict(who, without, name)["outcome"] == outcome]
