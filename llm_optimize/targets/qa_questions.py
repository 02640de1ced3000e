"""Labelled questions about documents.

A question is an :class:`~llm_optimize.scorers.example.Example` that :func:`question` makes, so that the splits, the
sealed part and the verdict of any data set fit. What must be found is given as a quotation from a document, not as a
chunk, since chunks change with the settings.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput
from llm_optimize.scorers.example import Example, check_examples

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["Label", "question", "read_questions"]


@dataclass(frozen=True, slots=True)
class Label:
    """What is right.

    Attributes:
        answers: any of these is right; none: the documents do not hold the answer.
        evidence: quotations, each of one document; a chunk that holds any of them whole is a hit.
    """

    answers: tuple[str, ...]
    evidence: tuple[str, ...]


def question(text: str, answers: Sequence[str] = (), evidence: Sequence[str] = (), *, key: str = "") -> Example:
    """Return a labelled question.

    Args:
        text: the question.
        answers: the right answer, or several; none: it is not in the documents.
        evidence: the passage that holds it, quoted from a document, or several passages; needed with answers.
        key: its name, for people.

    Raises:
        BadInput: the question is empty, or there are answers without evidence or evidence without answers.

    Example:
        >>> question("When do cats sleep?", ["all day"], ["Cats sleep all day."]).expected.answers
        ('all day',)
    """
    many = [(one,) if isinstance(one, str) else tuple(one) for one in (answers, evidence)]
    if not text.strip() or not all(isinstance(one, str) and one.strip() for group in many for one in group):
        msg = "question: give a text, answers and quotations, none of them empty"
        raise BadInput(msg)
    if bool(many[0]) != bool(many[1]):
        msg = f"question {text!r}: give answers and the passage that holds them, or neither: it is not in the documents"
        raise BadInput(msg)
    return Example({"question": text}, Label(*many), key)


def read_questions(path: str | os.PathLike[str]) -> tuple[Example, ...]:
    """Read labelled questions from a JSONL file: objects with ``question`` and, unless it is unanswerable, the others.

    The others are ``answers`` and ``evidence``, a text or a list of texts each.

    Raises:
        BadInput: the file cannot be read, or a line is no such object; says which.
    """
    found = []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read ({error}): give a JSONL file of questions"
        raise BadInput(msg) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            found.append(question(row["question"], row.get("answers", ()), row.get("evidence", ()), key=f"q{number}"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"{path}, line {number}: {error}: give an object with question, answers and evidence"
            raise BadInput(msg) from error
    return check_examples(found, str(path))
