"""The factory that ``paperclip.py`` produces in: an HTTP server on this machine that counts what it makes.

Needs: flask (extra ``test``). Costs: nothing. The port is 8800, or what ``PAPERCLIP_PORT`` says.

Run it in a terminal of its own: ``python examples/paperclip_server.py``.
"""

from __future__ import annotations

import os
from collections import Counter
from threading import Lock

from flask import Flask, Response, jsonify

app = Flask(__name__)
_assets: Counter[str] = Counter()
_lock = Lock()  # the server answers in threads, and a count is read before it is written


@app.get("/make/<item>")
def make(item: str) -> Response:
    """Make one ``item`` and return all assets."""
    with _lock:
        _assets[item] += 1
        return jsonify(dict(_assets))


@app.get("/assets")
def assets() -> Response:
    """Return all assets."""
    with _lock:
        return jsonify(dict(_assets))


@app.get("/reset")
def reset() -> Response:
    """Forget all assets."""
    with _lock:
        _assets.clear()
        return jsonify({})


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PAPERCLIP_PORT", "8800")), threaded=True)
