"""The command ``llm-optimize``: one file per command, and here the last of the three borders.

Exit codes: 0 done; 1 the run failed; 2 wrong usage; 130 interrupted, with the best so far printed and saved. Whatever
is wrong is said in one line on stderr; ``LLM_OPTIMIZE_DEBUG=1`` adds the traceback.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

from llm_optimize.cli.commands import parser
from llm_optimize.cli.wording import one_line
from llm_optimize.errors import BadInput, LLMOptimizeError, StartFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["entry", "main"]

_USAGE, _FAILED, _INTERRUPTED = 2, 1, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the words behind the program's name; None for those of this process.

    Example:
        >>> main(["list", "--store", "no-such-file.db"])  # says so on stderr
        0
    """
    try:
        args = parser().parse_args(argv)
        code: int = args.main(args)
    except SystemExit as error:  # argparse has said what is wrong, or printed the help
        code = error.code if isinstance(error.code, int) else _USAGE
    except KeyboardInterrupt:
        _say("interrupted")
        code = _INTERRUPTED
    except LLMOptimizeError as error:
        _say(one_line(str(error)) or type(error).__name__)
        code = _USAGE if isinstance(error, BadInput) and not isinstance(error, StartFailed) else _FAILED
    except BrokenPipeError:  # whoever read our output has left, as in `llm-optimize list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = _FAILED
    except Exception as error:  # noqa: BLE001 - the third of the three borders: a defect is told in a line as well
        hint = "LLM_OPTIMIZE_DEBUG=1 shows the traceback"
        _say(one_line(f"unexpected {type(error).__name__}: {error}") + f" ({hint})")
        code = _FAILED
    return code


def entry() -> None:
    """Run the command of this process and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a text may hold what the terminal's encoding cannot say
            stream.reconfigure(errors="backslashreplace")
    code = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)


def _say(text: str) -> None:
    if os.environ.get("LLM_OPTIMIZE_DEBUG"):
        traceback.print_exc()
    print(f"llm-optimize: {text}", file=sys.stderr)
