"""A Dask cluster on this machine in a process of its own, which outlives the owners that use it; prints its address."""

from __future__ import annotations

import sys
import threading

import distributed


def main() -> None:
    """Serve until the process is ended; its workers end with it."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        # A worker that is killed as it starts is not always started again by its nanny; this brings it back.
        cluster.adapt(minimum=2, maximum=2, interval="500ms")
        sys.stdout.write(cluster.scheduler_address.replace("tcp://", "dask://") + "\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
