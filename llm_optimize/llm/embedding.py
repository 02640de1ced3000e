"""Vectors of texts from any endpoint that speaks the embeddings protocol: recorded, booked, asked again, remembered.

A call travels through the same layers as a chat's: its texts are the messages, its vectors the reply's text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.core.chat import Message, Reply, Request
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput, BadReply
from llm_optimize.llm.cached import Cached
from llm_optimize.llm.calling import Caller, check_positive
from llm_optimize.llm.endpoint import resolve, split_name
from llm_optimize.llm.priced import Priced
from llm_optimize.llm.recorded import Recorded
from llm_optimize.llm.retrying import Retrying

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.protocols import ChatModel

__all__ = ["OpenAIEmbedding"]

_ROLE = "embedding"


@dataclass(frozen=True, slots=True)
class OpenAIEmbedding:
    """An embedding model behind an OpenAI-compatible endpoint; a text is sent once per process.

    Attributes:
        model: the name that the server knows it by, or ``URL#name``.
        base_url: None means ``OPENAI_BASE_URL``, else OpenAI; read at each call.
        api_key: None means ``OPENAI_API_KEY``, read at each call.
        settings: fields of the request body, such as ``dimensions``.
        batch: texts in one request.
        timeout: seconds for one answer.

    Raises:
        BadInput: a setting that cannot work.

    Example:
        >>> OpenAIEmbedding("http://127.0.0.1:11434/v1#nomic-embed-text").batch
        64
    """

    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 64
    timeout: float = 60.0
    _layers: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Stack what stands between a text and the socket."""
        name, url = split_name(self.model)
        check_positive("timeout", self.timeout)
        if isinstance(self.batch, bool) or not isinstance(self.batch, int) or self.batch < 1:
            msg = f"batch is {self.batch!r}: give a whole number of texts, at least 1"
            raise BadInput(msg)
        call = _Call(name, url or self.base_url, self.api_key, dict(self.settings), self.timeout)
        object.__setattr__(self, "_layers", Recorded(Cached(Priced(Retrying(call), role=_ROLE), always=True)))

    @property
    def name(self) -> str:
        """The model's name."""
        return split_name(self.model)[0]

    def embed(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 - numpy is optional, so its array type cannot be named
        """Return an array of shape (len(texts), d), float32, one row per text.

        Raises:
            ModelError: the endpoint did not answer, or not with vectors.
            BudgetExceeded: the call would pass a cap.
        """
        import numpy as np  # noqa: PLC0415 - optional and heavy

        layers: ChatModel = self._layers
        rows: list[list[float]] = []
        for start in range(0, len(texts), self.batch):
            asked = tuple(Message("user", text) for text in texts[start : start + self.batch])
            rows += json.loads(layers.complete(Request(asked)).text)
        return np.asarray(rows, dtype=np.float32).reshape(len(texts), -1 if texts else 0)


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, in the shape of a chat model's, so that the layers fit."""

    name: str
    base_url: str | None
    api_key: str | None = field(repr=False)
    settings: Mapping[str, Any]
    timeout: float

    @property
    def address(self) -> tuple[str, str]:
        return resolve(self.base_url, self.api_key).base_url, self.name

    def complete(self, request: Request) -> Reply:
        endpoint = resolve(self.base_url, self.api_key)
        texts = [message.content for message in request.messages]
        # "float", as the SDK's own default (base64) is not understood by every server
        body = {"model": self.name, "input": texts, "encoding_format": "float", **self.settings}
        caller = Caller(f"{endpoint.base_url}/embeddings", endpoint.api_key, self.timeout)
        answer, seconds = caller.post(body, self.name)
        try:
            vectors = [one["embedding"] for one in sorted(answer["data"], key=lambda one: int(one["index"]))]
            if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) > 1:
                raise ValueError  # noqa: TRY301 - the same trouble, found out here
            tokens = int((answer.get("usage") or {}).get("prompt_tokens") or 0)
            text = json.dumps([[float(number) for number in vector] for vector in vectors])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            msg = f"{endpoint.base_url} answered without {len(texts)} vectors of one length: no embeddings endpoint?"
            raise BadReply(msg) from error
        return Reply(text, model=self.name, usage=Usage(1, tokens, seconds=seconds))
