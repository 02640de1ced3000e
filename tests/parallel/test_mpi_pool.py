"""mpi4py's pool as it is; run where mpi4py and an MPI are installed, which the package's own tests do not ask for."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

_SCRIPT = """
import sys
sys.path.insert(0, {helpers!r})
from evaluation_log import LoggingScorer, make_study
from mpi4py.futures import MPIPoolExecutor
from llm_optimize.parallel import as_executor

if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        one = make_study(LoggingScorer({log!r}), as_executor(pool), 20)
        one.run()
    print(one.last.evaluations)
"""

if find_spec("mpi4py"):

    def test_an_mpi_pool_is_an_executor(tmp_path):
        """Three ranks, two of them workers: each evaluation is made once, on either worker."""
        script, log = tmp_path / "script.py", tmp_path / "log"
        script.write_text(_SCRIPT.format(helpers=str(Path(__file__).parent), log=str(log)))
        mpiexec = Path(sys.executable).with_name("mpiexec")
        command = [str(mpiexec), "-n", "3", sys.executable, "-m", "mpi4py.futures", str(script)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.stdout == "21\n", done.stderr
        rows = [line.split() for line in log.read_text().splitlines()]
        assert Counter(number for what, number, _ in rows if what == "end") == {str(n): 1 for n in range(21)}
        assert len({pid for _, _, pid in rows}) == 2
