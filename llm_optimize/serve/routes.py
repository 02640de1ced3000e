"""The addresses of the live page and what they answer."""

from __future__ import annotations

import asyncio
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput, LLMOptimizeError, StoreError
from llm_optimize.report.rendering import ASSETS as REPORT
from llm_optimize.serve.answers import Answer, EventStream, refusal
from llm_optimize.serve.hub import TooMany
from llm_optimize.serve.saying import heard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from llm_optimize.serve.answers import App
    from llm_optimize.serve.hub import Hub

__all__ = ["application"]

_ASSETS = Path(__file__).parent / "assets"
_PARTS = ("dom", "diff", "table", "charts", "effects", "lineage", "detail", "sections", "assembling")
_POINTS = 120  # of a small curve
_KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
}

_Reply = Answer | EventStream


def application(hub: Hub) -> App:
    """Return the ASGI application.

    Args:
        hub: what it shows.

    Raises:
        BadInput: starlette is not installed.
    """
    try:
        from starlette.applications import Starlette  # noqa: PLC0415 - optional, and owned by this file
        from starlette.routing import Route  # noqa: PLC0415 - as above
    except ImportError:
        msg = "serve needs starlette and uvicorn: pip install 'llm-optimize[serve]'"
        raise BadInput(msg) from None
    desk = _Desk(hub)

    def route(path: str, answer: Callable[[Request], Awaitable[_Reply]], method: str = "GET") -> Route:
        async def endpoint(request: Request) -> _Reply:
            return await _answered(answer, request)

        return Route(path, endpoint, methods=[method])

    return Starlette(
        routes=[
            route("/", desk.index),
            route("/study", desk.study),
            route("/static/{name}", desk.static),
            route("/api/studies", desk.studies),
            route("/api/listing", desk.listing),
            route("/api/curve", desk.curve),
            route("/api/report", desk.report),
            route("/api/events", desk.events),
            route("/api/say", desk.say, "POST"),
        ]
    )


async def _answered(answer: Callable[[Request], Awaitable[_Reply]], request: Request) -> _Reply:
    try:
        return await answer(request)
    except TooMany:
        return refusal(503, "as many pages are open as may be: close one")
    except StoreError as error:
        return refusal(500, str(error))
    except LLMOptimizeError as error:
        return refusal(400, " ".join(str(error).split()))


class _Desk:
    """One method for each address."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def index(self, _: Request) -> Answer:
        self._hub.attach()
        return _file(_ASSETS / ("index.html" if self._hub.only is None else "study.html"))

    async def study(self, _: Request) -> Answer:
        self._hub.attach()
        return _file(_ASSETS / "study.html")

    async def static(self, request: Request) -> Answer:
        make = _STATIC.get(request.path_params["name"])
        return refusal(404, "there is no such file") if make is None else make()

    async def studies(self, _: Request) -> Answer:
        return Answer.of({"studies": await self._hub.studies(), "only": self._hub.only})

    async def listing(self, _: Request) -> EventStream:
        self._hub.attach()
        return EventStream(await self._hub.listings())

    async def curve(self, request: Request) -> Answer:
        follower = await self._hub.up_to_date(self._name(request))
        return Answer.of({"best": follower.curve(_POINTS)})

    async def report(self, request: Request) -> Answer:
        return Answer(200, await self._hub.report(self._name(request)), "application/json")

    async def events(self, request: Request) -> EventStream:
        self._hub.attach()
        words = request.query_params
        after = _number("after", request.headers.get("last-event-id") or words.get("after", "0"))
        most = _number("most", words["most"]) if "most" in words else None
        return EventStream(await self._hub.events(self._name(request), after, most))

    async def say(self, request: Request) -> Answer:
        name = self._name(request)
        follower = await self._hub.up_to_date(name)
        lines = await self._hub.studies()
        runs = any(line["name"] == name and line["state"] == "running" for line in lines)
        event = heard(await request.body(), follower.history, runs=runs)
        sequence = await asyncio.to_thread(self._hub.store.append, name, event)
        self._hub.wake()
        return Answer.of({"seq": sequence, "heeded": _heeded(event.act, runs=runs)})

    def _name(self, request: Request) -> str:
        name = request.query_params.get("study", self._hub.only)
        if not name:
            msg = "study: give its name"
            raise BadInput(msg)
        return name


def _heeded(act: str, *, runs: bool) -> str:
    if not runs:
        return "now: it is the result until the study is resumed" if act == "accept" else "when the study is resumed"
    return "from the next prompt on" if act == "say" else "before anything more is begun"


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):  # noqa: PLR2004 - digits of no number of events
        msg = f"{name}: give a number of events, 0 or more"
        raise BadInput(msg)
    return int(text)


def _file(path: Path) -> Answer:
    return Answer(200, path.read_bytes(), _KINDS[path.suffix])


@cache
def _report_script() -> Answer:
    """Return the report's scripts as a function, which the page calls for each state of the study."""
    parts = "\n".join((REPORT / f"{name}.js").read_text(encoding="utf-8") for name in _PARTS)
    result = "return { D, tables, charts, openTrial, assemble, unpack };"
    made = f'"use strict";\nfunction drawReport() {{\n{parts}\n{result}\n}}\n'
    return Answer(200, made.encode(), _KINDS[".js"])


@cache
def _plot_script() -> Answer:
    licence = (REPORT / "uPlot.LICENSE").read_text(encoding="utf-8")
    return Answer(200, f"/*\n{licence}*/\n".encode() + (REPORT / "uPlot.iife.min.js").read_bytes(), _KINDS[".js"])


_STATIC: dict[str, Callable[[], Answer]] = {
    "report.js": _report_script,
    "uplot.js": _plot_script,
    "uplot.css": lambda: _file(REPORT / "uPlot.min.css"),
    "report.css": lambda: _file(REPORT / "report.css"),
    **{name: partial(_file, _ASSETS / name) for name in ("live.js", "live.css", "index.js", "common.js")},
}
