"""Answers from documents: a question is embedded, the nearest chunks are fetched, a model answers from them.

The eight steps are those of the usual description of retrieval-augmented answering: the question, its vector, the
nearest chunks, their text, a new prompt with question and context, the model, its answer, and the link back to the
document. What a model is shown and says here is checked: contexts that did not fit are named, so are citations of
sources that it was not shown, and "not in the documents" is an outcome and no text to be guessed at.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from llm_optimize import llm
from llm_optimize.core.chat import Request
from llm_optimize.core.checks import check_number, check_whole
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.retrieval.chunking import Chunking
from llm_optimize.retrieval.store import DocumentStore
from llm_optimize.scorers.prompt_task import Prompt, slots_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.chat import Message
    from llm_optimize.core.protocols import ChatModel, EmbeddingModel
    from llm_optimize.retrieval.chunking import By, Document
    from llm_optimize.retrieval.index import VectorIndex
    from llm_optimize.retrieval.store import Found, Kind

__all__ = ["ANSWER_PROMPT", "NOT_FOUND", "DocumentQA", "QAAnswer", "QASettings"]

NOT_FOUND = "NOT IN THE DOCUMENTS"
"""What a model is asked to reply when the contexts do not hold the answer."""

ANSWER_PROMPT = f"""Answer the question from the sources below and from nothing else.
Cite the number of each source that you use in brackets, such as [1].
If the sources do not hold the answer, reply with exactly: {NOT_FOUND}

{{{{context}}}}

Question: {{{{question}}}}"""
"""A prompt to begin with: the slots ``{{{{context}}}}`` and ``{{{{question}}}}`` are filled in."""

_SLOTS = ("context", "question")
_CITED = re.compile(r"\[(\d{1,4}(?:\s*[,;]\s*\d{1,4})*)\](?!\()")
_NAMED = re.compile(r"\[([^\[\]\n]{1,200})\](?!\()")
_URL = re.compile(r"https?://[^\s<>()\[\]\"']+")
_STORES = 4  # cuttings of the documents that are kept at a time
_DEPTH = 10  # how deep the ranking goes for the metrics, whatever the model is shown


class QASettings(Protocol):
    """How to look up and answer; :class:`~llm_optimize.targets.qa_candidate.QACandidate` is one."""

    @property
    def size(self) -> int:
        """Characters in a chunk."""
        ...

    @property
    def overlap(self) -> float:
        """Share of a chunk that the next one repeats, 0 to 0.5."""
        ...

    @property
    def by(self) -> By:
        """What chunks end at."""
        ...

    @property
    def retrieval(self) -> Kind:
        """How chunks are ranked."""
        ...

    @property
    def k(self) -> int:
        """Chunks that are shown to the model, at least 1."""
        ...

    @property
    def threshold(self) -> float:
        """Support below which a chunk is not shown, 0 to 1."""
        ...

    @property
    def prompt(self) -> str:
        """Text with the slots context and question."""
        ...


@dataclass(frozen=True, slots=True)
class QAAnswer:
    """What came of a question.

    Attributes:
        question: as it was asked.
        outcome: ``answered``; or ``not_in_documents``: no chunk reached the threshold (then no model was called), or
            the model said so.
        text: the model's words; of ``not_in_documents`` always :data:`NOT_FOUND`.
        contexts: the chunks that the model was shown, in the order of their numbers from 1, with their scores.
        dropped: chunks that were good enough, but did not fit into the token limit.
        links: where to read on: those of the contexts that were cited, else of all contexts; each once.
        cited: numbers of contexts that the answer cites, each once, in order.
        unknown: what the answer cites that it was not shown: numbers, names or addresses as it wrote them.
        ranking: the best chunks, at least 10 where there are so many, whatever was shown: what retrieval is judged by.
        prompt_tokens: of the prompt, as counted before it was sent; 0 without a call.
        usage: what the call cost.
        seconds: for everything.
    """

    question: str
    outcome: Literal["answered", "not_in_documents"]
    text: str
    contexts: tuple[Found, ...] = ()
    dropped: tuple[Found, ...] = ()
    links: tuple[str, ...] = ()
    cited: tuple[int, ...] = ()
    unknown: tuple[str, ...] = ()
    ranking: tuple[Found, ...] = field(default=(), repr=False)
    prompt_tokens: int = 0
    usage: Usage = Usage()
    seconds: float = 0.0

    @property
    def plain(self) -> str:
        """The text without citations; empty for ``not_in_documents``."""
        if self.outcome == "not_in_documents":
            return ""
        return " ".join(_CITED.sub(" ", self.text).split()).replace(" .", ".")


class _Kept:
    """Documents as they were cut lately, and the connected model; a copy in another process begins with none."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.made: OrderedDict[Chunking, DocumentStore] = OrderedDict()
        self.target: ChatModel | None = None

    def __reduce__(self) -> tuple[type[_Kept], tuple[()]]:
        return _Kept, ()


@dataclass(frozen=True, slots=True)
class DocumentQA:
    r"""Answers questions from documents; safe for threads.

    The documents are cut and embedded when a chunking is first asked for, and kept for the latest four chunkings. Wrap
    the embedding model in :class:`~llm_optimize.retrieval.cached.CachedEmbedding` to embed each chunk once for ever.

    Attributes:
        documents: each with a name of its own; there may be none.
        model: that answers, as for :func:`llm_optimize.llm.connect`; its cost is booked under ``target``.
        embedding: of chunks and questions; None for rankings by words alone.
        settings: of the request, such as ``{"temperature": 0}``.
        prompt_tokens: the most tokens in a prompt, question and contexts included.
        index: makes an index, as for :class:`~llm_optimize.retrieval.store.DocumentStore`.

    Raises:
        BadInput: a value makes no sense.

    Example:
        >>> from llm_optimize import ScriptedModel
        >>> from llm_optimize.retrieval.chunking import Document
        >>> from llm_optimize.targets.qa_candidate import QACandidate
        >>> said = ScriptedModel(["All day [1]."])
        >>> qa = DocumentQA([Document("cats.md", "# Sleep\nCats sleep all day.")], said, None)
        >>> answer = qa.ask("When do cats sleep?", QACandidate(retrieval="bm25"))
        >>> answer.text, answer.links
        ('All day [1].', ('cats.md#sleep',))
    """

    documents: Sequence[Document] = field(repr=False)
    model: Any
    embedding: EmbeddingModel | None
    _: KW_ONLY
    settings: Mapping[str, Any] = field(default_factory=dict)
    prompt_tokens: int = 3000
    index: Callable[[int], VectorIndex] | None = None
    _kept: _Kept = field(init=False, repr=False, compare=False, default_factory=_Kept)

    def __post_init__(self) -> None:
        """Check what can be checked before anything is spent."""
        check_whole("prompt_tokens", self.prompt_tokens, 1)
        object.__setattr__(self, "documents", tuple(self.documents))
        names = [one.name for one in self.documents]
        if len(set(names)) < len(names) or not all(names):
            msg = "documents: give each a name of its own"
            raise BadInput(msg)

    def store(self, chunking: Chunking) -> DocumentStore:
        """Return the documents, cut like this and embedded.

        Raises:
            ModelError: the embedding model did not answer.
        """
        with self._kept.lock:
            made = self._kept.made
            if chunking not in made:
                fresh = DocumentStore(self.embedding, chunking, index=self.index)
                fresh.add(self.documents)
                made[chunking] = fresh
            made.move_to_end(chunking)
            while len(made) > _STORES:
                made.popitem(last=False)
            return made[chunking]

    def ask(self, question: str, how: QASettings) -> QAAnswer:
        """Answer a question, in one call.

        Raises:
            BadInput: the question is empty, the prompt has lost a slot, or it does not fit without any context.
            ModelError: a model did not answer.
            BudgetExceeded: a call would pass a cap.
        """
        began = time.perf_counter()
        if not question.strip():
            msg = "question is empty: ask something"
            raise BadInput(msg)
        _check_settings(how)
        store = self.store(Chunking(how.size, int(how.size * how.overlap), how.by))
        ranking = tuple(store.search(question, max(how.k, _DEPTH), how.retrieval))
        wanted = [one for one in ranking[: how.k] if one.support >= how.threshold]
        contexts, dropped, messages, tokens = self._prompt(question, wanted, how.prompt)
        if not contexts:
            answer = QAAnswer(question, "not_in_documents", NOT_FOUND, dropped=dropped, ranking=ranking)
        else:
            reply = self._target().complete(Request(messages, self.settings))
            answer = _read(question, (reply.text or reply.refusal).strip(), contexts, self.documents)
            answer = replace(answer, dropped=dropped, ranking=ranking, prompt_tokens=tokens, usage=reply.usage)
        return replace(answer, seconds=time.perf_counter() - began)

    def _prompt(
        self, question: str, wanted: Sequence[Found], prompt: str
    ) -> tuple[tuple[Found, ...], tuple[Found, ...], tuple[Message, ...], int]:
        """Return the contexts that fit, best first, those that do not, and the prompt with its tokens."""
        parts, counter = Prompt.of(prompt), TokenCounter(str(getattr(self._target(), "name", "")))

        def made(contexts: Sequence[Found]) -> tuple[tuple[Message, ...], int]:
            messages = parts.messages({"question": question, "context": _laid_out(contexts)}, ())
            return messages, counter.plain_messages(messages)

        messages, tokens = made(())
        if tokens > self.prompt_tokens:
            msg = f"the prompt has {tokens} tokens without any context, the limit is {self.prompt_tokens}: shorten it"
            raise BadInput(msg)
        shown: list[Found] = []
        dropped: list[Found] = []
        for one in wanted:
            longer, count = made([*shown, one])
            if count > self.prompt_tokens:
                dropped.append(one)
            else:
                shown.append(one)
                messages, tokens = longer, count
        return tuple(shown), tuple(dropped), messages, tokens

    def _target(self) -> ChatModel:
        if self._kept.target is None:
            self._kept.target = llm.connect(self.model, role="target")
        return self._kept.target


def _check_settings(how: QASettings) -> None:
    """Refuse settings that cannot work.

    Raises:
        BadInput: says which.
    """
    check_whole("k", how.k, 1)
    check_number("threshold", how.threshold, 0, 1)
    check_number("overlap", how.overlap, 0, 0.5)
    has = slots_of(how.prompt)
    for slot in _SLOTS:
        if slot not in has:
            msg = f"prompt: the slot {{{{{slot}}}}} is lost: keep {{{{context}}}} and {{{{question}}}}"
            raise BadInput(msg)
    unknown = next((slot for slot in has if slot not in _SLOTS), None)
    if unknown is not None:
        msg = f"prompt: the slot {{{{{unknown}}}}} is unknown: there are {{{{context}}}} and {{{{question}}}}"
        raise BadInput(msg)


def _laid_out(contexts: Sequence[Found]) -> str:
    """Return the contexts as the model sees them, numbered from 1, each under its document and headings."""
    blocks = []
    for number, one in enumerate(contexts, start=1):
        place = " > ".join(filter(None, (one.chunk.document, one.chunk.heading)))
        blocks.append(f"[{number}] {place}\n{one.chunk.text}")
    return "\n\n".join(blocks)


def _read(question: str, text: str, contexts: tuple[Found, ...], documents: Sequence[Document]) -> QAAnswer:
    """Make an answer of a reply: its outcome, its citations checked, its links."""
    if not text or NOT_FOUND in text or text.lstrip("\"'*` ").upper().startswith(NOT_FOUND):
        links = _links(contexts)
        return QAAnswer(question, "not_in_documents", NOT_FOUND, contexts, links=links)
    numbers = [int(one) for group in _CITED.findall(text) for one in re.split(r"\s*[,;]\s*", group)]
    named, unknown = _named(text, contexts, documents)
    known = list(dict.fromkeys([one for one in numbers if 1 <= one <= len(contexts)] + named))
    unknown = [f"[{one}]" for one in dict.fromkeys(numbers) if not 1 <= one <= len(contexts)] + unknown
    links = _links([contexts[number - 1] for number in known] or contexts)
    return QAAnswer(question, "answered", text, contexts, (), links, tuple(known), tuple(unknown))


def _named(text: str, contexts: Sequence[Found], documents: Sequence[Document]) -> tuple[list[int], list[str]]:
    """Return the contexts that are cited by a document's name or address, and those names that were not shown."""
    shown = {name: number for number, one in reversed(list(enumerate(contexts, start=1))) for name in _names(one)}
    exist = {name for one in documents for name in (one.name, one.link) if name}
    cited: list[int] = []
    unknown: list[str] = []
    mentioned = [one for one in _NAMED.findall(text) if one in exist or one in shown]
    for one in [*mentioned, *(url.rstrip(".,;:!?") for url in _URL.findall(text))]:
        base = one.partition("#")[0]
        if one in shown or base in shown:
            cited.append(shown.get(one) or shown[base])
        elif one not in unknown and not any(one in context.chunk.text for context in contexts):
            unknown.append(one)
    return cited, unknown


def _names(one: Found) -> tuple[str, ...]:
    link = one.chunk.link
    return tuple(dict.fromkeys((one.chunk.document, link, link.partition("#")[0])))


def _links(contexts: Sequence[Found]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.chunk.link for one in contexts))
