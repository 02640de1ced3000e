"""A chat endpoint with a rate limit, in a process of its own: prints its URL, and its figures when stdin ends.

``python limited_server.py '{"rate": 10, "burst": 10, "says": "headers"}'``. The limit is a token bucket, for requests
and, with ``token_rate``, for tokens (the prompt's characters / 4 and ``max_tokens``, settled by nothing: as OpenAI
counts them on arrival). ``says`` is what it tells of it: ``headers`` (OpenAI's, on every answer, and Retry-After),
``retry-after`` (whole seconds, rounded up) or ``bare`` (429 and nothing else).
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from typing import Any

from llm_optimize.testing.server import Answer, ScriptedServer


class Bucket:
    """Fills at ``rate`` per second up to ``size``."""

    def __init__(self, rate: float, size: float) -> None:
        """Begin full."""
        self.rate, self.size, self.level, self.at = rate, size, size, time.monotonic()

    def refill(self) -> None:
        """Reckon until now."""
        now = time.monotonic()
        self.level, self.at = min(self.level + (now - self.at) * self.rate, self.size), now

    def headers(self, what: str) -> dict[str, str]:
        """Return its state in OpenAI's words."""
        return {
            f"x-ratelimit-limit-{what}": f"{self.size:.0f}",
            f"x-ratelimit-remaining-{what}": f"{max(math.floor(self.level), 0)}",
            f"x-ratelimit-reset-{what}": f"{(self.size - max(math.floor(self.level), 0)) / self.rate * 1000:.0f}ms",
        }


class Limit:
    """The endpoint's rule, and what came of it."""

    def __init__(self, rate: float, burst: float, says: str, token_rate: float = 0.0, token_burst: float = 0.0) -> None:
        """Begin with full buckets."""
        self.says = says
        self.buckets = {"requests": Bucket(rate, burst)}
        if token_rate:
            self.buckets["tokens"] = Bucket(token_rate, token_burst)
        self.lock = threading.Lock()
        self.times: list[float] = []
        self.tokens = 0.0
        self.refused = 0

    def answer(self, body: dict[str, Any], index: int) -> Answer:
        """Serve a candidate that is new, or refuse."""
        prompt = sum(len(message["content"]) for message in body["messages"]) / 4
        costs = {"requests": 1.0, "tokens": prompt + body.get("max_tokens", 0)}
        with self.lock:
            for bucket in self.buckets.values():
                bucket.refill()
            if all(bucket.level >= costs[what] for what, bucket in self.buckets.items()):
                for what, bucket in self.buckets.items():
                    bucket.level -= costs[what]
                self.times.append(time.monotonic())
                self.tokens += costs["tokens"]
                return Answer(f"```\n{'x' * 3} {index}\n```", headers=self.headers())
            self.refused += 1
            waits = [(costs[what] - bucket.level) / bucket.rate for what, bucket in self.buckets.items()]
            after = {"Retry-After": str(math.ceil(max(waits)))} if self.says != "bare" else {}
            return Answer("rate limit reached", status=429, headers=self.headers() | after)

    def headers(self) -> dict[str, str]:
        """Return what every answer says."""
        if self.says != "headers":
            return {}
        return {name: value for what, bucket in self.buckets.items() for name, value in bucket.headers(what).items()}

    def figures(self) -> dict[str, float]:
        """Return counts, and the share of what the limit would have let through from the first answer to the last."""
        seconds = self.times[-1] - self.times[0] if self.times else 0.0
        served = {"requests": float(len(self.times)), "tokens": self.tokens}
        share = max(served[what] / (bucket.size + seconds * bucket.rate) for what, bucket in self.buckets.items())
        return {"accepted": len(self.times), "refused": self.refused, "seconds": seconds, "share": share}


def main() -> None:
    """Serve until stdin ends."""
    options = json.loads(sys.argv[1])
    latency = options.pop("latency", 0.0)
    limit = Limit(**options)
    with ScriptedServer(limit.answer, latency=latency, models=None) as server:
        print(server.url, flush=True)  # noqa: T201 - how the parent learns it
        sys.stdin.read()
    print(json.dumps(limit.figures()), flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
