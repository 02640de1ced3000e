"""The data of a report as one HTML file that needs nothing else: template, style, scripts and data in one.

A Content-Security-Policy in the page forbids every request and every script but those named by their hash, so that a
candidate's text can never become one; the scripts put texts into the page as text only.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.report.escaping import hash_of, packed_json, script_json

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ASSETS", "page"]

ASSETS = Path(__file__).parent / "assets"
"""The template, the style and the scripts; a live page serves the same ones."""

_SCRIPTS = ("dom", "diff", "table", "charts", "effects", "lineage", "detail", "sections", "assembling", "main")
_PACKED_FROM = 500_000  # characters of texts and exchanges; smaller ones stay readable in the file
_STYLES = ("uPlot.min.css", "report.css")


def page(data: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        data: as :func:`llm_optimize.report.data.report_data` returns it.

    Raises:
        BadInput: jinja2 is not installed.
    """
    try:
        import jinja2  # noqa: PLC0415 - optional, and owned by this file
    except ImportError:
        msg = "format: html needs jinja2: pip install 'llm-optimize[report]', or choose md, csv or json"
        raise BadInput(msg) from None
    loader = jinja2.FileSystemLoader(ASSETS)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    style, plot, script = _assets()
    policy = (
        f"default-src 'none'; script-src {hash_of(plot)} {hash_of(script)}; style-src {hash_of(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    exchanges = data["exchanges"]
    bulk = {"texts": data["texts"], "rows": exchanges["rows"]}
    head = script_json({**data, "texts": [], "exchanges": {**exchanges, "rows": []}})
    plain = script_json(bulk)
    packed = len(plain) > _PACKED_FROM
    # what the template marks as safe is ours, or JSON without a character that HTML knows
    return environment.get_template("page.html").render(
        study=data["study"], summary=data["summary"], texts=data["texts"], trials=data["trials"], policy=policy,
        style=style, plot=plot, script=script, data=head, bulk=packed_json(bulk) if packed else plain, packed=packed,
    ).encode("utf-8", "replace").decode()  # fmt: skip


@cache
def _assets() -> tuple[str, str, str]:
    """Return the style, the plotting library and our scripts."""
    style = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in _STYLES)
    parts = "\n".join((ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)
    licence = (ASSETS / "uPlot.LICENSE").read_text(encoding="utf-8")  # to go with every copy, and a page holds one
    plot = f"/*\n{licence}*/\n" + (ASSETS / "uPlot.iife.min.js").read_text(encoding="utf-8")
    return style, plot, f'(function () {{\n"use strict";\n{parts}\n}})();\n'
