"""What a sweep says to people, in English and in German."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llm_optimize.errors import BadInput

__all__ = ["LANGUAGES", "Language", "Words", "words"]

Language = Literal["en", "de"]


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences, with places for what they are about.

    Attributes:
        forecast: before the first call: pairs, calls, tokens, price.
        probing: what the probe costs.
        price: of all calls.
        price_unknown: where the model's price is not known.
        no_effect: a field that is left out of the search, and why.
        unclear: a field that the probe could not judge.
        scored: a pair that was asked, with its similarity.
        failed: one that has none.
        stopped: why the sweep ended.
        best: the heading of the last lines.
        nothing: instead of them where no pair has a similarity.
        table: the heads of the ranking's columns.
        body: the heading of the request body.
        saved: which files were written.
    """

    forecast: str
    probing: str
    price: str
    price_unknown: str
    no_effect: str
    unclear: str
    scored: str
    failed: str
    stopped: str
    best: str
    nothing: str
    table: tuple[str, str, str, str, str]
    body: str
    saved: str


_ENGLISH = Words(
    forecast="{pairs} pairs, {calls} calls of {model}, about {tokens} tokens, {price}",
    probing="up to {calls} tiny requests come first, to find out which fields have an effect",
    price="${dollars:.2g}",
    price_unknown="price unknown",
    no_effect="no effect: {field} ({why}); it is not sent and not searched",
    unclear="unclear whether {field} has an effect: {why}",
    scored="#{id} similarity {similarity:.4f}{mark}  {settings}",
    failed="#{id} failed: {why}",
    stopped="stopped: {reason}",
    best="Best settings found:",
    nothing="No request succeeded, so there are no best settings: {why}",
    table=("rank", "similarity", "spread", "n", "settings"),
    body="Ready request body:",
    saved="written: {files}",
)
_GERMAN = Words(
    forecast="{pairs} Paare, {calls} Anfragen an {model}, etwa {tokens} Tokens, {price}",
    probing="zuerst bis zu {calls} winzige Anfragen, um zu prüfen, welche Felder wirken",
    price="{dollars:.2g} US-Dollar",
    price_unknown="Preis unbekannt",
    no_effect="Ohne Wirkung: {field} ({why}); das Feld wird nicht gesendet und nicht durchsucht",
    unclear="Unklar, ob {field} wirkt: {why}",
    scored="#{id} Ähnlichkeit {similarity:.4f}{mark}  {settings}",
    failed="#{id} fehlgeschlagen: {why}",
    stopped="Beendet: {reason}",
    best="Beste gefundene Parameter:",
    nothing="Keine Anfrage war erfolgreich, es gibt also keine besten Parameter: {why}",
    table=("Rang", "Ähnlichkeit", "Streuung", "n", "Parameter"),
    body="Fertiger Anfragetext:",
    saved="Geschrieben: {files}",
)
_KNOWN: dict[str, Words] = {"en": _ENGLISH, "de": _GERMAN}

LANGUAGES = tuple(_KNOWN)
"""The languages of the messages."""


def words(language: str) -> Words:
    """Return the sentences of a language.

    Raises:
        BadInput: it is not known.
    """
    if language not in _KNOWN:
        msg = f"language is {language!r}: give one of {', '.join(_KNOWN)}"
        raise BadInput(msg)
    return _KNOWN[language]
