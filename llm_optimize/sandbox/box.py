"""The sandbox as its users see it: run a program, call a function of it, get a value that says how it went."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from llm_optimize.errors import BadInput, SandboxError
from llm_optimize.sandbox.backends import BACKENDS, LANES, make, missing
from llm_optimize.sandbox.base import LAYERS, Call, Limits, Program, named
from llm_optimize.sandbox.checking import as_cases, ask_all
from llm_optimize.sandbox.relay import loopback_ports
from llm_optimize.sandbox.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llm_optimize.sandbox.base import Backend, Finished, Layers
    from llm_optimize.sandbox.checking import Case, Checked

__all__ = ["NETWORKS", "Sandbox", "describe"]

NETWORKS = ("none", "host", "loopback:PORT")
"""What a program may reach: nothing, all that the host can, or the named ports of the host's 127.0.0.1."""


class Sandbox:
    r"""A place to run programs that nobody vouches for.

    Started by the first run, thread-safe (each concurrent run has a lane of its own), picklable (the copy starts its
    own processes). Nothing passes from one program to the next.

    Example:
        >>> with Sandbox(preload=["math"]) as box:
        ...     box.run("y = math.sqrt(x)", inputs={"x": 9.0}, outputs=["y"]).reason
        ...     box.run("import math\ny = math.sqrt(x)", inputs={"x": 9.0}, outputs=["y"]).values
        'raised'
        {'y': 3.0}
    """

    def __init__(
        self,
        preload: Sequence[str] = (),
        limits: Limits | None = None,
        network: str = "none",
        backend: str = "auto",
        without: Sequence[str] = (),
    ) -> None:
        """Describe the sandbox; nothing is started yet.

        Args:
            preload: modules that programs are likely to import; imported once instead of in every program. They do
                not become names in a program.
            limits: what each program may use, if its run does not say otherwise.
            network: ``none``, ``host``, or ``loopback:8800`` (``loopback:8800,8801``): these ports of the host's
                127.0.0.1 are found at the same place inside, and nothing else is.
            backend: one of :data:`~llm_optimize.sandbox.backends.BACKENDS`. One that protects less than asked for
                says so, once, through the logger ``llm_optimize``, and in ``Finished.layers``.
            without: names of layers of :data:`~llm_optimize.sandbox.base.LAYERS` to leave out, to see what each one
                stops; announced in the same way.

        Raises:
            BadInput: a setting is not one of those.
        """
        if isinstance(preload, str) or not all(
            isinstance(name, str) and all(part.isidentifier() for part in name.split(".")) for name in preload
        ):
            msg = f"preload is {preload!r}: give a list of module names, such as ['numpy', 'sklearn.svm']"
            raise BadInput(msg)
        ported = isinstance(network, str) and bool(loopback_ports(network))
        lanes = sys.platform == "linux" and backend in LANES
        for field, value, known in (
            ("network", NETWORKS[2] if ported and lanes else network, NETWORKS if lanes else NETWORKS[:2]),
            ("backend", backend, BACKENDS),
            *(("without", name, LAYERS if lanes else ()) for name in without),
        ):
            if value not in known:
                msg = f"{field} is {value!r}: give one of {', '.join(known) or 'none at all with this back end'}"
                raise BadInput(msg)
        if limits is not None and not isinstance(limits, Limits):
            msg = f"limits is {limits!r}: give a Limits(...)"
            raise BadInput(msg)
        why = missing(backend)
        if why:
            msg = f"backend is {backend!r}, which is not available here ({why}): give 'auto'"
            raise BadInput(msg)
        self._settings = (tuple(preload), limits or Limits(), network, backend, tuple(without))
        self._lock = threading.Lock()
        self._backend: Backend | None = None

    @property
    def limits(self) -> Limits:
        """The limits of a run that does not say otherwise."""
        return self._settings[1]

    def run(
        self,
        script: str,
        inputs: Mapping[str, Any] | None = None,
        outputs: Sequence[str] = (),
        limits: Limits | None = None,
    ) -> Finished:
        """Run a script with variables set, and read variables that it leaves.

        Args:
            script: Python source; sees its imports, the inputs and its own functions in one namespace.
            inputs: variables by name: numbers, text, bytes, lists, dicts, numpy arrays, tables.
            outputs: names that it must leave set with such values.
            limits: instead of the sandbox's.

        Returns:
            How it ended; ``values`` holds the outputs when ``ok``.

        Raises:
            BadInput: ``script`` is no text, a name is no identifier, or an input is not data.
            SandboxError: the sandbox itself failed, which says nothing about the program.
        """
        given = _mapping(inputs, "inputs")
        program = Program(_text(script), given, named(outputs, "outputs"), None, self._limits(limits))
        return self._run(program)

    def call(  # noqa: PLR0913 - mirrors a call: what, with what, how often
        self,
        source: str,
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        repeat: int = 1,
        *,
        limits: Limits | None = None,
    ) -> Finished:
        """Run source that defines a function, then call the function.

        Args:
            source: Python source.
            name: the function's name.
            args: positional arguments, data only.
            kwargs: keyword arguments, data only.
            repeat: how often to call it, each time with the same argument objects.
            limits: instead of the sandbox's.

        Returns:
            How it ended. When ``ok``, ``values["result"]`` is what the last call returned and ``values["seconds"]``
            lists the seconds of each call, measured inside: a program that cheats can forge them, and
            ``Finished.seconds`` (measured here, start and end of the process included) bounds what they can be.

        Raises:
            BadInput: as for :meth:`run`, or ``repeat`` is below 1.
            SandboxError: the sandbox itself failed.
        """
        if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1:
            msg = f"repeat is {repeat!r}: give a whole number of at least 1"
            raise BadInput(msg)
        (function,) = named([name], "name")
        if isinstance(args, (str, bytes)) or not isinstance(args, Sequence):
            msg = f"args is a {type(args).__name__}: give a tuple of arguments, such as (3,)"
            raise BadInput(msg)
        call = Call(function, tuple(args), _mapping(kwargs, "kwargs"), repeat)
        return self._run(Program(_text(source), {}, (), call, self._limits(limits)))

    def session(
        self,
        source: str = "",
        inputs: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
    ) -> Session:
        r"""Run source in a process that then stays, to be asked again and again: fit once, predict often.

        Args:
            source: Python source; what it sets stays for later questions.
            inputs: variables that it finds set.
            limits: instead of the sandbox's; ``wall_s`` is for each question, the rest for the session as a whole.

        Returns:
            The open session, to be used in a ``with`` statement; ``started`` says how the source ended.

        Raises:
            BadInput: as for :meth:`run`, or the back end has no sessions.
            SandboxError: the sandbox itself failed.

        Example:
            >>> with Sandbox() as box, box.session("total = 40\ndef add(n): return total + n") as session:
            ...     session.call("add", 2).values["result"]
            42
        """
        given = _mapping(inputs, "inputs")
        program = Program(_text(source), given, (), None, self._limits(limits))
        with _of_the_system():
            return Session(self._started().open, program)

    def check(  # noqa: PLR0913 - mirrors call: what, with what, how judged
        self,
        source: str,
        name: str,
        cases: Iterable[Case | tuple[Sequence[Any], Any]],
        *,
        tolerance: float = 1e-9,
        reveal: bool = True,
        limits: Limits | None = None,
    ) -> Checked:
        """Put a function of a program to hidden tests; the expected values never enter a process that has run it.

        Args:
            source: Python source that defines the function.
            name: the function's name.
            cases: each ``(arguments, expected)`` or a :class:`~llm_optimize.sandbox.Case`.
            tolerance: how far a float may be off; the whole rule is :func:`llm_optimize.sandbox.equality.equal`.
            reveal: whether ``message`` shows the first failing case with answer and expected value; the others are
                never shown. False keeps every case hidden from whoever reads the message.
            limits: instead of the sandbox's; ``wall_s`` is for each case, the rest for all of them together.

        Returns:
            What passed. The program is asked case by case in one process: a case that raises fails by itself, one that
            kills the process or passes a limit fails itself and all later ones.

        Raises:
            BadInput: as for :meth:`call`, or a case is none.
            SandboxError: the sandbox itself failed.

        Example:
            >>> with Sandbox() as box:
            ...     box.check("def f(n): return n * n", "f", [((3,), 9), ((0.1,), 0.01), ((2,), 5)]).message
            '2 of 3 hidden tests pass; f(2) is 4, not 5'
        """
        named([name], "name")
        if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or not 0 <= tolerance < 1:
            msg = f"tolerance is {tolerance!r}: give a number from 0 to below 1"
            raise BadInput(msg)
        asked = as_cases(cases)
        with self.session(source, limits=limits) as session:
            return ask_all(session, name, asked, tolerance=tolerance, reveal=reveal)

    def layers(self) -> Layers:
        """Return which protections are in force, starting the sandbox to find out.

        Raises:
            SandboxError: it cannot be started.
        """
        with _of_the_system():
            return self._started().layers()

    def close(self) -> None:
        """End every process; a later run starts the sandbox again."""
        with self._lock:
            if self._backend is not None:
                self._backend.close()
            self._backend = None

    def __enter__(self) -> Self:
        """Return itself; nothing is started."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def __getstate__(self) -> tuple[Any, ...]:
        """Travel as settings only; processes stay behind."""
        return self._settings

    def __setstate__(self, settings: tuple[Any, ...]) -> None:
        """Arrive unstarted."""
        self.__init__(*settings)  # type: ignore[misc]  # the settings are the arguments of __init__

    def _limits(self, limits: Limits | None) -> Limits:
        if limits is not None and not isinstance(limits, Limits):
            msg = f"limits is {limits!r}: give a Limits(...)"
            raise BadInput(msg)
        return limits or self.limits

    def _run(self, program: Program) -> Finished:
        try:  # not _of_the_system(), which takes a while to enter
            return (self._backend or self._started()).run(program)
        except OSError as error:
            raise _refused(error) from error

    def _started(self) -> Backend:
        with self._lock:
            if self._backend is None:
                preload, _, network, backend, without = self._settings
                self._backend = make(preload, network, backend, without)
            return self._backend


def describe(network: str = "none", backend: str = "auto") -> Layers:
    """Start a sandbox, look which protections are in force on this machine, and close it again.

    Raises:
        BadInput: as for :class:`Sandbox`.
        SandboxError: it cannot be started.
    """
    with Sandbox(network=network, backend=backend) as box:
        return box.layers()


@contextlib.contextmanager
def _of_the_system() -> Iterator[None]:
    """What the machine refuses us (room, descriptors, processes) says nothing about the program."""
    try:
        yield
    except OSError as error:
        raise _refused(error) from error


def _refused(error: OSError) -> SandboxError:
    return SandboxError(f"the sandbox failed: {error}; look for room in the temporary folder, and for free descriptors")


def _mapping(given: object, field: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        msg = f"{field} is a {type(given).__name__}: give a dict of values by name"
        raise BadInput(msg)
    named(list(given), field)
    return dict(given)


def _text(source: object) -> str:
    if not isinstance(source, str):
        msg = f"the program is a {type(source).__name__}: give its source as text"
        raise BadInput(msg)
    return source
