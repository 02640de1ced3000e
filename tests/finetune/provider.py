"""A provider of fine-tuning jobs on 127.0.0.1: files, jobs, lists in pages, and a job that goes on at each look."""

from __future__ import annotations

import email
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from typing import Self

PAGE = 2
STATES = ("validating_files", "queued", "running", "running", "succeeded")


class Provider:
    """Keeps what it was sent; a context manager.

    Attributes:
        files: uploads in order: id, filename, purpose and content.
        jobs: what was started, in order.
        keys: the ``Authorization`` header of every request.
        lose: paths whose next request is carried out, but its answer never sent.
        fail: the error message with which every job ends; None for success.
    """

    def __init__(self) -> None:
        self.files: list[dict[str, Any]] = []
        self.jobs: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.lose: set[str] = set()
        self.fail: str | None = None
        self._looks: dict[str, int] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"owner": self}))
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> Self:
        """Begin to serve."""
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self._http.shutdown()
        self._http.server_close()

    def rows(self, number: int) -> list[dict[str, Any]]:
        """Return the rows of an upload."""
        return [json.loads(line) for line in self.files[number]["content"].decode().splitlines()]

    def upload(self, headers: str, body: bytes) -> dict[str, Any]:
        parts = email.message_from_bytes(f"Content-Type: {headers}\r\n\r\n".encode() + body).get_payload()
        fields = {part.get_param("name", header="content-disposition"): part for part in parts}
        file = {
            "id": f"file-{len(self.files) + 1}",
            "object": "file",
            "bytes": len(body),
            "created_at": 0,
            "status": "processed",
            "filename": fields["file"].get_filename(),
            "purpose": fields["purpose"].get_payload().strip(),
        }
        self.files.append({**file, "content": fields["file"].get_payload(decode=True)})
        return file

    def start(self, body: dict[str, Any]) -> dict[str, Any]:
        self.jobs.append({"id": f"ftjob-{len(self.jobs) + 1}", **body})
        return self.job(self.jobs[-1], "validating_files")

    def look(self, job: dict[str, Any]) -> dict[str, Any]:
        seen = self._looks[job["id"]] = self._looks.get(job["id"], -1) + 1
        status = STATES[min(seen, len(STATES) - 1)]
        return self.job(job, "failed" if self.fail and status == "succeeded" else status)

    def job(self, job: dict[str, Any], status: str) -> dict[str, Any]:
        done = status == "succeeded"
        return {
            "object": "fine_tuning.job",
            "created_at": 0,
            "hyperparameters": {},
            "organization_id": "org",
            "result_files": [],
            "validation_file": None,
            "status": status,
            "fine_tuned_model": f"ft:{job['model']}:{job['id']}" if done else None,
            "trained_tokens": 1234 if done else None,
            "error": {"code": "bad", "message": self.fail} if status == "failed" else None,
            **job,
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Provider

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.owner.keys.append(self.headers["Authorization"])
        if self.path == "/v1/files":
            answer = self.owner.upload(self.headers["Content-Type"], body)
        else:
            answer = self.owner.start(json.loads(body))
        if self.path in self.owner.lose:
            self.owner.lose.remove(self.path)
            self.close_connection = True
            return
        self._send(answer)

    def do_GET(self) -> None:
        owner, parts = self.owner, urlsplit(self.path)
        owner.keys.append(self.headers["Authorization"])
        after = parse_qs(parts.query).get("after", [""])[0]
        if parts.path == "/v1/files":
            self._send(_page([{k: v for k, v in file.items() if k != "content"} for file in owner.files], after))
        elif parts.path == "/v1/fine_tuning/jobs":
            self._send(_page([owner.job(job, "running") for job in owner.jobs], after))
        else:
            wanted = parts.path.rpartition("/")[2]
            self._send(owner.look(next(job for job in owner.jobs if job["id"] == wanted)))

    def _send(self, answer: dict[str, Any]) -> None:
        raw = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


def _page(things: list[dict[str, Any]], after: str) -> dict[str, Any]:
    ids = [thing["id"] for thing in things]
    begin = ids.index(after) + 1 if after else 0
    return {"object": "list", "data": things[begin : begin + PAGE], "has_more": begin + PAGE < len(things)}
