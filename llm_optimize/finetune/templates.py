"""How turns become one text: the base's own chat template, or one of these where it has none.

The saved model carries the template that it was trained with, so that a server asks it in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llm_optimize.finetune.rows import Item, Turn

__all__ = ["INST", "PLAIN", "as_messages", "install", "told"]

INST = (
    "{{ bos_token if bos_token else '' }}{% set ns = namespace(system='') %}{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    "{% set ns.system = '<<SYS>>\n' + message['content'] + '\n<</SYS>>\n\n' %}"
    "{% elif message['role'] == 'user' %}[INST] {{ ns.system + message['content'] }} [/INST]{% set ns.system = '' %}"
    "{% else %} {{ message['content'] }} {{ eos_token }}{% endif %}{% endfor %}"
)
"""That of Llama 2 and of Promptimal's files: ``<s>[INST] prompt [/INST] answer </s>``."""

PLAIN = (
    "{{ bos_token if bos_token else '' }}{% for message in messages %}"
    "<|{{ message['role'] }}|>\n{{ message['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
"""For a base without a template of its own: the role on a line, the text, the token that ends a text."""


def install(tokenizer: Any, items: Sequence[Item]) -> None:  # noqa: ANN401 - transformers has no types here
    """Give ``tokenizer`` the template for ``items``: its own, unless it has none or the data says another."""
    if items[0].kind == "inst":
        tokenizer.chat_template = INST
    elif tokenizer.chat_template is None:
        tokenizer.chat_template = PLAIN


def told(tokenizer: Any) -> Iterator[str]:  # noqa: ANN401 - as above
    """Yield what there is to say about a template that is not the base's own."""
    if tokenizer.chat_template == INST:
        yield "prompts are written as [INST] prompt [/INST], as in the data"
    if tokenizer.chat_template == PLAIN:
        yield "the base has no chat template: roles are written as <|user|> and <|assistant|>, each on a line"


def as_messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """Return turns as the messages of a chat."""
    return [{"role": turn.role, "content": turn.content} for turn in turns]
