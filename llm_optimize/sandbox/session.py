"""A session: one confined process that stays alive between questions, so that what it holds never has to leave it.

A model is fitted inside once; later its ``predict`` is asked for answers on features without labels, and the score is
computed here. The process may lie about any answer, and about nothing else: only an answer of the right form to the
question that was just asked is taken, and whatever else arrives ends the session.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Self

from llm_optimize.errors import BadInput, SandboxError
from llm_optimize.sandbox.base import Call, Program, named
from llm_optimize.sandbox.talking import Breach, Talk
from llm_optimize.sandbox.verdict import NoResult, Observed, claimed, encode_question, finished, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.sandbox.base import Finished
    from llm_optimize.sandbox.live import Ended, Live

__all__ = ["Session"]

_LIMITS = ("memory", "processes")  # told by the program itself, because the kernel told it first


class Session:
    """A live program; made by :meth:`llm_optimize.sandbox.Sandbox.session`. Thread-safe: one question at a time.

    A question has the wall limit to itself; processor time, memory, processes and far too much output are counted over
    the whole session, the time between questions included. Passing a limit, dying, and an answer that is none, comes
    twice, or comes unasked end the session and every process of it: that question and all later ones come back with
    ``ok=False`` and the reason. A question that fails inside (an exception, a missing name, a value that is not data)
    leaves it open. What an answer says is the program's word: compute no score inside.

    Attributes:
        started: how the source ended; where not ``ok``, the session is over.
    """

    def __init__(self, start: Callable[[Program], Live], program: Program) -> None:
        """Start the process and run the source in it.

        Args:
            start: the back end's way of starting one.
            program: source, inputs and limits.

        Raises:
            BadInput: an input is not data.
            SandboxError: the back end failed.
        """
        self._limits = program.limits
        self._lock = threading.Lock()
        self._over: Finished | None = None
        question = encode_question(Program(program.source, outputs=program.outputs), with_source=True)
        live = start(program)
        self._layers = live.layers
        self._talk = Talk(live)
        self._closed = False
        self._end = weakref.finalize(self, _end_of_forgotten, self._talk)
        self.started = self._ask(program, question)
        if not self.started.ok and self._over is None:
            self._over = self.started
            self._finish()

    @property
    def alive(self) -> bool:
        """Whether another question can be asked; the process may still have died since the last one."""
        return self._over is None and not self._closed

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Finished:  # noqa: ANN401 - arguments of any function, data only
        """Call a function, or anything callable, that the program has set by this name.

        Args:
            name: a name, or dotted names such as ``model.predict``.
            args: positional arguments, data only.
            kwargs: keyword arguments, data only.

        Returns:
            How it went. When ``ok``, ``values["result"]`` is what it returned, and ``seconds`` the time by the host's
            clock; ``stdout`` and ``stderr`` hold what was printed since the last question. Costs are 0 while the
            process lives: they are known at its end.

        Raises:
            BadInput: the name is none, an argument is not data, or the session was closed.
            SandboxError: the sandbox itself failed.
        """
        if not isinstance(name, str) or not name:
            msg = f"name is {name!r}: give the name of a function of the program"
            raise BadInput(msg)
        named(name.split("."), "name")
        asked = Program("", call=Call(name, args, kwargs), limits=self._limits)
        return self._ask(asked, encode_question(asked, with_source=False))

    def run(self, script: str, inputs: Mapping[str, Any] | None = None, outputs: Sequence[str] = ()) -> Finished:
        """Run a further script in the same namespace; as :meth:`llm_optimize.sandbox.Sandbox.run`.

        Raises:
            BadInput: as there, or the session was closed.
            SandboxError: the sandbox itself failed.
        """
        if not isinstance(script, str):
            msg = f"the program is a {type(script).__name__}: give its source as text"
            raise BadInput(msg)
        given = dict(inputs or {})
        named(list(given), "inputs")
        asked = Program(script, given, named(outputs, "outputs"), None, self._limits)
        return self._ask(asked, encode_question(asked, with_source=True))

    def close(self) -> None:
        """End the process and all that it has started; safe to call again.

        Raises:
            SandboxError: the sandbox itself failed.
        """
        with self._lock:
            self._closed = True
            if self._end.alive and self._talk.owned:
                self._finish()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _ask(self, asked: Program, chunks: list[bytes | memoryview]) -> Finished:
        with self._lock:
            if self._closed or not self._talk.owned:
                why = "closed" if self._talk.owned else "another process's"
                msg = f"this session is {why}: open one with Sandbox.session(...)"
                raise BadInput(msg)
            if self._over is not None:
                return _after(self._over)
            start = time.perf_counter()
            try:
                return self._answered(asked, self._talk.ask(chunks, asked.limits.wall_s), start)
            except Breach as breach:
                self._over = self._broken(asked, breach, time.perf_counter() - start)
                return self._over

    def _answered(self, asked: Program, body: memoryview, start: float) -> Finished:
        seconds = time.perf_counter() - start
        try:
            reason, message, values = claimed(asked, body)
        except NoResult as lie:
            raise Breach(words=str(lie)) from None
        seen = Observed(0, "", b"", *self._talk.printed(), seconds, 0.0, 0.0)
        done = finished(reason, message, values, seen, self._layers)
        if reason in _LIMITS and self._over is None:
            self._over = done
            self._finish()
        return done

    def _broken(self, asked: Program, breach: Breach, seconds: float) -> Finished:
        ended = self._finish()
        # "killed" is the lane's word for an end that the host ordered, for which the breach knows the reason
        cause = breach.cause or ended.cause.removeprefix("killed")
        seen = Observed(
            status=ended.status,
            cause=cause,
            result=b"",
            stdout=(printed := self._talk.printed())[0],
            stderr=printed[1],
            seconds=seconds,
            cpu_seconds=ended.cpu_seconds,
            peak_mb=ended.peak_mb,
        )
        if breach.words:
            return finished("bad_value", breach.words, {}, seen, self._layers)
        return verdict(asked, seen, self._layers)

    def _finish(self) -> Ended:
        self._end.detach()
        return self._talk.end()


def _after(over: Finished) -> Finished:
    """What a question gets that comes too late."""
    message = f"the session had ended before: {over.message}"
    return dataclasses.replace(over, message=message, stdout="", stderr="", seconds=0.0, cpu_seconds=0.0)


def _end_of_forgotten(talk: Talk) -> None:
    if talk.owned:
        with contextlib.suppress(SandboxError):  # it is ended all the same
            talk.end()
