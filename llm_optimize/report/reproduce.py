"""How to get the same again: the commands, and the settings that were in force."""

from __future__ import annotations

import json
import re
import shlex
from importlib import metadata
from typing import TYPE_CHECKING, Any

from llm_optimize.report.pairs import is_sweep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.report.log import Log

__all__ = ["commands", "in_force"]

_PASSWORD = re.compile(r"(?<=//)[^/@\s]+@")
_SEVERAL = {"price"}


def commands(log: Log) -> list[tuple[str, str]]:
    """Return commands with what each is for, in the order in which a reader needs them."""
    settings, where = log.settings, f" --store {shlex.quote(log.where)}" if log.where else ""
    name = shlex.quote(log.name)
    found: list[tuple[str, str]] = []
    given = settings.get("command")
    if isinstance(given, str):
        found.append(("Run it again", f"llm-optimize {given}{_flags(settings.get('flags', {}))}"))
    elif isinstance(settings.get("file"), str):
        folder = settings.get("folder")
        before = f"cd {shlex.quote(folder)} && " if isinstance(folder, str) else ""
        run = f"{before}llm-optimize run {shlex.quote(settings['file'])}{_flags(settings.get('flags', {}))}"
        found.append(("Run it again", run))
        if log.exchanges:
            kept = shlex.quote(f"{log.name}.jsonl")
            again = f"{before}llm-optimize export {name}{where} --exchanges {kept} && {run} --model recorded:{kept}"
            found.append(("The same run from its recorded replies, without a model", again))
    if is_sweep(settings) and settings.get("again", {"withheld": True})["withheld"]:  # no log keeps all that it needs
        found.append(("Go on with it", f"llm-optimize sweep ... --study {name}{where}  # as it was given"))
    elif log.where:
        found.append(("Go on with it", f"llm-optimize resume {name}{where}"))
    if log.where:
        found.append(("This report", f"llm-optimize report {name}{where} --format html -o report.html"))
    return [(label, _PASSWORD.sub("", text)) for label, text in found]


def in_force(log: Log) -> list[tuple[str, str]]:
    """Return the settings of the latest session by name, with the package's version and the study's seed."""
    rows = [("llm-optimize", metadata.version("llm-optimize")), ("seed", str(log.history.seed))]
    shown = {name: value for name, value in log.settings.items() if name != "again"}  # what a sweep needs to go on
    rows += [(path, _PASSWORD.sub("", text)) for path, text in _flat(shown) if path != "in_force.seed"]
    return rows + ([("store", log.where)] if log.where else [])


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")
        elif value not in (None, "", [], ()):
            rows.append((f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value, default=str)))
    return rows


def _flags(flags: Mapping[str, Any]) -> str:
    return "".join(f" --{name.replace('_', '-')} {shlex.quote(_shown(name, value))}" for name, value in flags.items())


def _shown(name: str, value: Any) -> str:  # noqa: ANN401 - any JSON value
    return ",".join(map(str, value)) if name in _SEVERAL and isinstance(value, (list, tuple)) else str(value)
