"""Has a model tuned by a provider and kills itself at a line of progress: ``URL DATA OUTPUT LINE``."""

from __future__ import annotations

import os
import signal
import sys

from llm_optimize import finetune


def say(line: str) -> None:
    """End this process as the system would: no handler, no cleaning up."""
    if line.startswith(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    finetune.start(sys.argv[2], "small", sys.argv[3], base_url=sys.argv[1], poll=0.01, resume=True, say=say)
