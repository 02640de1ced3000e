r"""Tells a model's refusal from a candidate: what declines the request is never evaluated.

A text is taken for a refusal if, as a whole, it is nothing else: short, and beginning with one, whatever quotes,
comment signs or assignments stand around. A text that only contains one, such as an instruction that says how to
decline, is a candidate. The phrases are those of the usual chat models in English and eleven further languages; what
they have in common is that the speaker is "I", and that what cannot be done is to help, to answer or to write it. A
mail that begins "I'm sorry, but the parcel cannot be sent" is no refusal.
"""

# ruff: noqa: RUF001 - phrases in other alphabets, on purpose

from __future__ import annotations

import re
import unicodedata
from functools import cache

__all__ = ["is_refusal", "speaks_of_refusing"]

_LONGEST = 800  # characters; a longer text has said something else as well
_APART = 160  # characters between the parts of a refusal

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u201c": '"', "\u201d": '"', "\u00b4": "'"})
# Fences, comment signs, quotes, marks of lists and headings, an assignment or a call, a speaker's name.
_AROUND = re.compile(
    r"[\W_]+|(?:rem|print|return|pass|text|answer|x|f|assistant|ai|response|echo)\b(?=\s*[\"'=:(]|\s*$)"
)
_BETWEEN = re.compile(r"\n[ \t]*(?:#|//|--|;|%|\*|>)+")

_CANNOT = (
    r"(?:can(?:no|')?t|can not|could not|couldn't|am unable to|'m unable to|am not able to|'m not able to|"
    r"won't(?: be able to)?|will not(?: be able to)?|am not allowed to|'m not allowed to|am not permitted to|"
    r"'m not permitted to|do not feel comfortable|don't feel comfortable|am not comfortable|"
    r"'m not comfortable|am not going to|'m not going to|am not in a position to|don't think i can|do not think i can)"
)
_IT = (
    r"(?:th(?:is|at|ese|ose|e)\b|it\b|such\b|your\b|any\b|an?\b|what\b|content|information|instructions|anything|"
    r"either)"
)
_DOING = (
    r"(?:help\b(?! but\b)(?! \w+ing\b(?! you))|assist|comply|oblige|engage\b|participate|fulfil|proceed\b|do "
    + _IT
    + r"|(?:accommodate|answer|continue|complete|create|discuss|facilitate|generate|give|improve|offer|optimi[sz]e|"
    r"produce|process|propose|provide|rewrite|satisfy|share|suggest|support|write)(?:ing)? (?:you |with |on |for )*"
    + _IT
    + r"|(?:helping|assisting|complying|continuing|answering|doing|\w+ing th(?:is|at)))"
)
_ASKED = (
    r"(?:request|prompt|question|content|information|instructions?|topic|task|assistance|material|candidate|text|code|"
    r"assist|help|comply|that|this|it|one|either)\b"
)
_INABILITY = (
    rf"\bi(?: am|'m)?(?: really| truly| simply| just| also)?,? ?{_CANNOT}"
    rf"(?: and (?:will|shall|must|can)(?: ?not|'t)?)?(?: \w+)? {_DOING}"
)
_SORRY = (
    r"(?:i(?: am|'m)(?: \w+)? (?:sorry|afraid)|(?:so |very |terribly )?sorry|(?:my )?apologies|i (?:do )?apologi[sz]e|"
    r"i regret|unfortunately|regrettably|thank you for|thanks for|i understand|i appreciate|no)\b"
)

_ENGLISH = (
    rf"(?:{_SORRY}.{{0,{_APART}}}?)?{_INABILITY}",
    (
        rf"(?:{_SORRY}.{{0,80}}?)?\bi(?:'m| am)?(?: \w+)? (?:must|have to|need to|will have to|'ll have to)"
        r"(?: \w+)? (?:decline|refuse)"
    ),
    rf"(?:{_SORRY}.{{0,80}}?)?\bi (?:respectfully |politely )?(?:decline|refuse) (?:to|this|that|your)",
    (
        rf"as an? (?:\w+ )?(?:ai|artificial intelligence|(?:large )?language model)\b.{{0,{_APART}}}?"
        r"\b(?:i|my)\b.{0,60}?(?:can(?:no|')?t|can not|unable|not able|won't|will not|do not|don't|must|not (?:allowed|"
        r"permitted|designed|programmed)|decline|guidelines|prevent)"
    ),
    (
        rf"(?:{_SORRY}.{{0,40}}?)?(?:this|that|your|the) (?:request|content|prompt|topic|task|question)\b.{{0,60}}?"
        r"\b(?:violates?|goes against|is against|breaches|conflicts with|is not allowed|isn't allowed)\b"
    ),
    rf"i(?:'d| would) (?:rather|prefer) not (?:to )?{_DOING}",
    rf"{_SORRY}[^.!?]{{0,40}}?\bi can(?:no|')?t *(?:[.!]|$)",
    rf"{_SORRY}.{{0,80}}?\b(?:not (?:something|able) .{{0,20}}?i can|can't be (?:assisted|helped) with)",
    (
        rf"{_SORRY}.{{0,60}}?(?:can(?:no|')?t|can not|unable to|not able to) (?:help|assist|comply|do)(?: you)?"
        rf"(?: with| to)? ?(?:{_ASKED}|[.!]|$)"
    ),
    rf"(?:can(?:no|')?t|can not|unable to) (?:help|assist|comply)(?: you)?(?: with)?(?: {_ASKED}|[.!]|$)",
)

_ELSEWHERE = (
    # German
    r"(?:es )?tut mir (?:sehr )?leid.{0,80}?(?:kann|darf|werde|möchte) (?:ich )?.{0,120}?(?:nicht|keine?n?\b)",
    r"(?:entschuldigung|leider|bedaure|verzeihung).{0,40}?(?:kann|darf) ich .{0,120}?(?:nicht|keine?n?\b)",
    r"(?:dabei|damit|darauf|diese\w? anfrage|das) (?:kann|darf) ich .{0,60}?nicht",
    r"ich (?:kann|darf|werde) (?:\w+ ){0,3}?(?:dabei|damit|dazu|diese[rnms]?|anfrage|ihnen|dir|solche).{0,120}?nicht",
    # French
    r"(?:je suis |je )?(?:vraiment )?(?:désolée?|navrée?|regrette)\b.{0,60}?je ne (?:peux|puis|suis|serai).{0,20}?pas",
    (
        r"je ne (?:peux|puis|suis) (?:malheureusement )?pas (?:en mesure |capable |autorisée? )?(?:de |d'|à )?"
        r"(?:vous |t'|te |y )?(?:aide|assist|répond|fourni|satisfai|accéde|donn|génér|traite)"
    ),
    # Spanish
    r"(?:lo siento|disculp[ae]|perd[oó]n|lamentablemente|lamento).{0,60}?no (?:puedo|podré|me es posible|estoy)",
    r"no puedo (?:ayudar|asistir|cumplir|responder|proporcionar|ofrecer|atender|hacer eso|generar)",
    # Italian
    r"(?:mi dispiace|spiacente|scus[ai]|purtroppo).{0,60}?non (?:posso|sono in grado|mi è possibile)",
    r"non (?:posso|sono in grado di) (?:aiutar|assister|soddisfare|rispondere|fornire|generare)",
    # Portuguese
    r"(?:desculp[ea]|sinto muito|lamento|infelizmente).{0,60}?não (?:posso|poderei|consigo|me é possível|estou)",
    r"não (?:posso|consigo) (?:ajud|atender|auxiliar|cumprir|responder|fornecer|fazer isso|gerar)",
    # Dutch
    r"(?:het spijt me|sorry|helaas|excuses).{0,60}?(?:ik kan|kan ik) .{0,80}?(?:niet|geen)\b",
    # Polish
    r"(?:przykro mi|przepraszam|niestety).{0,60}?nie (?:mogę|jestem w stanie)",
    r"nie (?:mogę|jestem w stanie) (?:ci |w tym |tego )?(?:pomóc|spełnić|odpowiedzieć|zrobić|udzielić)",
    # Russian
    r"(?:извините|простите|прошу прощения|к сожалению|сожалею|жаль).{0,60}?(?:не (?:могу|смогу|в состоянии)|не имею)",
    r"я не (?:могу|смогу) (?:вам |тебе |с этим |этого |это )?(?:помо|выполн|ответ|предостав|сдела|обсужд)",
    # Turkish
    (
        r"(?:üzgünüm|özür dilerim|maalesef|kusura bakma).{0,80}?"
        r"(?:olamam|yapamam|edemem|veremem|yardımcı olam|mümkün değil)"
    ),
    # Chinese
    r"(?:很?抱歉|对不起|對不起|不好意思|很?遗憾|很?遺憾).{0,20}?我?.{0,10}?(?:无法|無法|不能|不可以|没办法|沒辦法)",
    r"(?:作为|作為).{0,20}?(?:人工智能|人工智慧|语言模型|語言模型|ai).{0,30}?(?:无法|無法|不能|不可以)",
    r"我(?:无法|無法|不能)(?:为您|为你|為您)?(?:协助|協助|帮助|幫助|提供|满足|滿足|回答|完成|处理|處理)",
    # Japanese
    (
        r"(?:大変)?(?:申し訳(?:ありません|ございません|ないです)|すみません|ごめんなさい|恐れ入りますが|残念ながら).{0,60}?"
        r"(?:できません|できかね|出来ません|お手伝い|致しかね|いたしかね|お応え|お答え)"
    ),
    r"(?:その|この)?(?:リクエスト|ご要望|ご依頼|要求)に(?:は)?.{0,20}?(?:お応え|対応|応じ).{0,10}?(?:できません|でき兼ね|かね)",
    # Korean
    r"(?:죄송|미안|유감).{0,60}?(?:없습니다|없어요|수 없|어렵습니다|않습니다)",
)

_SPEAKS = re.compile(
    r"\b(?:refus(?:e|es|al|als|ing)|declin(?:e|es|ing)|apolog\w*|sorry)\b|ablehn|refus|rechaz|rifiut|recus|отказ|拒|거절"
)


def is_refusal(text: str) -> bool:
    """Return whether a text as a whole declines to do what was asked.

    Example:
        >>> is_refusal("I'm sorry, but I can't assist with that.")
        True
        >>> is_refusal("If asked for a password, say: I'm sorry, but I can't assist with that.")
        False
    """
    plain = _plain(text)
    return 0 < len(plain) <= _LONGEST and _refusal().match(plain) is not None


def speaks_of_refusing(text: str) -> bool:
    """Return whether a text mentions refusals or apologies, as the task of writing one does."""
    return _SPEAKS.search(_plain(text)) is not None


def _plain(text: str) -> str:
    """Return a text in small letters and one line, without what programs and Markdown put before it."""
    # Invisible characters would hide a phrase; the full-width letters of East Asia stand for the plain ones.
    told = unicodedata.normalize("NFKC", text.strip()[: 4 * _LONGEST]).translate(_QUOTES).casefold()
    told = "".join(one for one in told if unicodedata.category(one) != "Cf")
    told = " ".join(_BETWEEN.sub("\n", told).split())
    while found := _AROUND.match(told):
        told = told[found.end() :]
    return told if len(text.strip()) <= 4 * _LONGEST else told.ljust(_LONGEST + 1)


@cache
def _refusal() -> re.Pattern[str]:
    """Return the phrases as one pattern, made on first use: that takes longer than the import of ten other modules."""
    return re.compile("|".join((*_ENGLISH, *_ELSEWHERE)), re.DOTALL)
