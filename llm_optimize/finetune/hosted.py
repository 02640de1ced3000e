"""A fine-tuning job at a provider, through the openai SDK: upload, start, wait, and the tuned model's name.

Each id is on disk before the next step, and what was about to be done before it is done. So a process that is killed
between a request and its answer does not upload or start again: the next one looks at the provider's lists first, for
a file of the name, or a job on the file, that only this output folder knows.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.core.checks import check_number, check_whole
from llm_optimize.errors import BadInput, ModelRefused
from llm_optimize.finetune.folder import Folder, fingerprint
from llm_optimize.finetune.methods import method_for
from llm_optimize.finetune.rows import read_items, split_items
from llm_optimize.finetune.templates import as_messages
from llm_optimize.llm.calling import check_positive
from llm_optimize.llm.endpoint import resolve
from llm_optimize.llm.failures import translate
from llm_optimize.llm.gate import requests, wait

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from llm_optimize.finetune.rows import Item
    from llm_optimize.llm.endpoint import Endpoint

__all__ = ["Hosted", "HostedJob", "start"]

_FILE = "hosted.json"
_TIMEOUT_S = 600.0  # of one request: an upload may be long
_PATIENCE = 5  # repeats of a request that changes nothing
_OVER = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Hosted:
    """What is asked of the provider.

    Attributes:
        epochs: passes over the data; None leaves it to the provider.
        held_out: share of the items that is uploaded as the validation file; 0 for none.
        seed: of the split and of the job.
        suffix: for the tuned model's name; empty for none.

    Raises:
        BadInput: one of these cannot be.
    """

    epochs: int | None = None
    held_out: float = 0.15
    seed: int = 0
    suffix: str = ""

    def __post_init__(self) -> None:
        """Check the bounds."""
        if self.epochs is not None:
            check_whole("epochs", self.epochs, 1)
        check_number("held_out", self.held_out, 0, 0.9)
        check_whole("seed", self.seed, 0)


@dataclass(frozen=True, slots=True)
class HostedJob:
    """A job as the provider last told of it.

    Attributes:
        id: the provider's.
        status: ``validating_files``, ``queued``, ``running``, ``succeeded``, ``failed`` or ``cancelled``.
        model: the tuned model's name, to be given as ``model``; None before it has succeeded.
        training_file: the id of the uploaded file.
        validation_file: likewise; None where nothing was held out.
        tokens: that were trained on; None before the end.
    """

    id: str
    status: str
    model: str | None
    training_file: str
    validation_file: str | None
    tokens: int | None


def start(  # noqa: PLR0913 - the three that are needed, and what can be chosen
    data: str | os.PathLike[str],
    model: str,
    output: str | os.PathLike[str],
    wanted: Hosted | None = None,
    *,
    method: str | None = None,
    base_url: str | None = None,
    poll: float | None = 30.0,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> HostedJob:
    """Upload a training file, start a job on it, and wait for its end.

    The key is that of the environment (``OPENAI_API_KEY``) and is written nowhere.

    Args:
        data: JSON Lines, see :mod:`llm_optimize.finetune.rows`; plain texts excepted.
        model: the provider's name of the base.
        output: a folder for the ids, empty or not there yet; with ``resume`` that of a job that was begun.
        wanted: the job's settings; None for the provider's own.
        method: ``sft`` or ``dpo``; None for what the data is made for.
        base_url: the provider; None for that of the environment, else OpenAI.
        poll: seconds between two looks at the job; None to return as soon as it is started.
        resume: go on with what was begun in ``output``: nothing is uploaded or started twice.
        say: gets each line of progress.

    Raises:
        BadInput: a setting, the data, the key or the URL cannot work; nothing was sent.
        ModelRefused: the provider refuses, or the job failed or was cancelled; says what it said.
        ModelUnavailable: the provider cannot be reached; go on later with ``resume``.
        StudyOwned: another live process works in ``output``.
    """
    settings = wanted or Hosted()
    if poll is not None:
        check_positive("poll", poll)
    if not model.strip():
        msg = "base is empty: give the provider's name of the model to tune"
        raise BadInput(msg)
    items = read_items(data)
    way = method_for(items, method)
    parts = split_items(items, settings.held_out, settings.seed)
    files = {name: _upload_of(part) for name, part in zip(("training", "validation"), parts, strict=True) if part}
    endpoint = resolve(base_url, None)
    requests.check(endpoint.base_url)
    asked = {"data": fingerprint(data), "base": model, "method": way, "provider": endpoint.base_url}
    folder = Folder(output)
    with folder.owned(asked | {"settings": asdict(settings)}, resume=resume):
        return _Session(folder, endpoint, model, say).run(files, _body(model, way, settings), poll)


def _body(model: str, method: str, settings: Hosted) -> dict[str, Any]:
    kind = "supervised" if method == "sft" else "dpo"
    numbers = {} if settings.epochs is None else {"n_epochs": settings.epochs}
    body = {"model": model, "seed": settings.seed, "method": {"type": kind, kind: {"hyperparameters": numbers}}}
    return body | ({"suffix": settings.suffix} if settings.suffix else {})


class _Session:
    """One process's work on a job: what is known of it is in the folder, at every step."""

    def __init__(self, folder: Folder, endpoint: Endpoint, model: str, say: Callable[[str], None]) -> None:
        import openai  # noqa: PLC0415 - heavy: only loaded by those who call a provider

        self._folder, self._url, self._model, self._say = folder, endpoint.base_url, model, say
        self._client = openai.OpenAI(
            base_url=endpoint.base_url, api_key=endpoint.api_key, max_retries=0, timeout=_TIMEOUT_S
        )
        self._known: dict[str, Any] = folder.read(_FILE) or {}

    def run(self, files: dict[str, bytes], body: dict[str, Any], poll: float | None) -> HostedJob:
        for name, content in files.items():
            self._once(name, self._finder(name), self._sender(name, content))
        ids = {f"{name}_file": self._known[name]["id"] for name in files}
        self._once(
            "job",
            lambda _: self._find_job(ids["training_file"]),
            lambda mark: str(self._client.fine_tuning.jobs.create(**body, **ids, metadata={"llm-optimize": mark}).id),
        )
        return self._followed(poll)

    def _once(self, name: str, find: Callable[[str], str | None], make: Callable[[str], str]) -> None:
        """Make sure that something is there: known by its id, found by its mark, or made."""
        if self._known.get(name, {}).get("id"):
            return
        begun = name in self._known
        mark = self._known.setdefault(name, {"mark": uuid.uuid4().hex})["mark"]
        self._keep()
        found = self._asked(lambda: find(mark)) if begun else None
        if found is not None:
            self._say(f"{name}: found {found}, which a process before this one made")
        else:
            found = self._asked(lambda: make(mark))
            self._say(f"{name}: {found}")
        self._known[name]["id"] = found
        self._keep()

    def _sender(self, name: str, content: bytes) -> Callable[[str], str]:
        def send(mark: str) -> str:
            file = (_name(mark, name), content, "application/jsonl")
            return str(self._client.files.create(file=file, purpose="fine-tune").id)

        return send

    def _finder(self, name: str) -> Callable[[str], str | None]:
        def find(mark: str) -> str | None:
            listed = self._patient.files.list(purpose="fine-tune")
            return next((str(file.id) for file in listed if file.filename == _name(mark, name)), None)

        return find

    def _find_job(self, training_file: str) -> str | None:
        listed = self._patient.fine_tuning.jobs.list()
        return next((job.id for job in listed if job.training_file == training_file), None)

    def _followed(self, poll: float | None) -> HostedJob:
        """Wait until the job is over, unless ``poll`` is None, and return it."""
        before = ""
        while True:
            told = self._asked(lambda: self._patient.fine_tuning.jobs.retrieve(self._known["job"]["id"]))
            job = HostedJob(
                told.id,
                told.status,
                told.fine_tuned_model,
                told.training_file,
                told.validation_file,
                told.trained_tokens,
            )
            if job.status != before:
                self._say(f"{job.id}: {job.status}")
                self._known["told"] = asdict(job)
                self._keep()
            if job.status in _OVER[1:]:
                why = f": {told.error.message}" if told.error and told.error.message else ""
                msg = f"{self._url}: the fine-tuning job {job.id} is {job.status}{why}"
                raise ModelRefused(msg)
            if job.status in _OVER or poll is None:
                return job
            before = job.status
            wait(poll)

    @property
    def _patient(self) -> Any:  # noqa: ANN401 - the SDK is loaded late
        return self._client.with_options(max_retries=_PATIENCE)

    def _asked(self, ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - the SDK's objects
        import openai  # noqa: PLC0415 - heavy: only loaded by those who call a provider

        try:
            return ask()
        except openai.OpenAIError as error:
            raise translate(error, self._url, self._model) from error

    def _keep(self) -> None:
        self._folder.write(_FILE, self._known)


def _name(mark: str, name: str) -> str:
    return f"llm-optimize-{mark}-{name}.jsonl"


def _upload_of(items: Sequence[Item]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _upload_rows(items)).encode()


def _upload_rows(items: Sequence[Item]) -> Iterator[dict[str, Any]]:
    for item in items:
        if item.kind == "text":
            msg = "data: a hosted job learns chats, and a row is a plain text: give prompt and completion, or messages"
            raise BadInput(msg)
        said = [{"role": "assistant", "content": item.answer}]
        asked: list[dict[str, Any]] = list(as_messages(item.prompt))
        if item.rejected is not None:
            refused = [{"role": "assistant", "content": item.rejected}]
            yield {"input": {"messages": asked}, "preferred_output": said, "non_preferred_output": refused}
        else:
            # an earlier answer in the prompt is context here: where it is to be learnt it has a row of its own
            yield {"messages": [m | {"weight": 0} if m["role"] == "assistant" else m for m in asked] + said}
