"""One program in an interpreter of its own: the other side of the ``subprocess`` back end, on any platform.

Started by path with a bare ``python -I`` and a folder that holds ``task``, ``inputs`` and ``limits``; leaves
``result`` there; or serves a session on two descriptors. Standard library only.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_optimize.sandbox import answering, codec, program
else:

    def _sibling(name: str) -> object:
        # by path, not by import: this folder must not be on the path of a program, nor our package in its sight
        spec = importlib.util.spec_from_file_location(f"_jail_{name}", Path(__file__).with_name(f"{name}.py"))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    answering, codec, program = map(_sibling, ("answering", "codec", "program"))

__all__ = ["main"]

_SOFT = ("RLIMIT_CPU", "RLIMIT_FSIZE")  # the first so that a signal names the reason, the second for our own result


def main(folder: Path, wires: tuple[int, int] | None = None) -> None:
    """Run the program that lies in ``folder`` and leave its result there.

    Args:
        folder: the exchange.
        wires: where questions are read and answers written, if there is no one task but a session.
    """
    inputs = bytearray((folder / "inputs").read_bytes())  # arrays become views of it, to be written to
    limits = json.loads((folder / "limits").read_text("ascii"))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]  # text streams
    _limit(limits)
    if wires is not None:
        answering.serve(*wires, inputs, codec, program)
        os._exit(0)
    task = (folder / "task").read_bytes()
    chunks = answering.once(lambda: (codec.decode(task), codec.decode(inputs, copy=False)), codec, program)
    sys.stdout.flush()
    sys.stderr.flush()
    _lift_file_limit()
    with (folder / "result").open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
    os._exit(0)  # no exit handlers, no waiting for threads


def _limit(limits: dict[str, float]) -> None:
    try:
        import resource  # noqa: PLC0415 - there is none on Windows, where only the host's watch holds
    except ImportError:
        return
    bounds = {
        "RLIMIT_AS": _mapped_bytes() + (int(limits["memory_mb"]) << 20),
        "RLIMIT_CPU": int(limits["cpu_s"]) + 1,
        "RLIMIT_FSIZE": max(int(limits["files_mb"]) << 20, 1 << 20),
        "RLIMIT_CORE": 0,
    }
    for name, value in bounds.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (bound, hard if name in _SOFT else bound))
        except (OSError, ValueError):
            continue  # macOS knows RLIMIT_AS but does not let it be set


def _lift_file_limit() -> None:
    try:
        import resource  # noqa: PLC0415 - see _limit
    except ImportError:
        return
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def _mapped_bytes() -> int:
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()[0]
    except OSError:
        return 1 << 30
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main(Path(sys.argv[1]), (int(sys.argv[2]), int(sys.argv[3])) if sys.argv[2:] else None)
