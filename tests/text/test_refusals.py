"""Which texts are refusals as a whole, and which only speak of one."""

# ruff: noqa: RUF001 - phrases in other alphabets, on purpose

from __future__ import annotations

import time

import pytest

from llm_optimize.text.refusals import is_refusal, speaks_of_refusing

REFUSALS = """
I'm sorry, but I can't assist with that.
I’m sorry, but I can’t help with that request.
Sorry, I can't help with that.
I cannot assist with this request.
As an AI language model, I cannot generate that content.
As an AI language model, I don't have personal opinions.
I am unable to fulfill this request.
I must decline.
I won't be able to help with this.
I'm not able to provide that information.
I apologize, but I cannot provide assistance with this topic.
Unfortunately, I can't comply with this request as it violates policy.
I'm afraid I can't do that.
Sorry, but I can't.
I do not feel comfortable writing this.
This request violates our usage policies.
# I'm sorry, but I can't assist with that.
"I'm sorry, but I can't assist with that."
print("I'm sorry, but I can't help with that.")
x = "I cannot help with that."
I cannot and will not help with that.
I decline to answer.
Unable to assist with that.
I'm so\u200brry, but I c\u200ban't assist with that.
Ｉ'm sorry, but I can't assist with that.
Es tut mir leid, aber ich kann Ihnen bei dieser Anfrage nicht helfen.
Ich kann dir dabei leider nicht helfen.
Je suis désolé, mais je ne peux pas vous aider avec cela.
Lo siento, pero no puedo ayudar con eso.
Mi dispiace, ma non posso aiutarti con questo.
Desculpe, mas não posso ajudar com isso.
Het spijt me, maar ik kan u daar niet mee helpen.
Przykro mi, ale nie mogę w tym pomóc.
Извините, но я не могу помочь с этим.
Üzgünüm, bu konuda yardımcı olamam.
抱歉，我无法协助完成这个请求。
作为一个人工智能语言模型，我无法回答这个问题。
申し訳ありませんが、そのリクエストにはお応えできません。
죄송하지만 도와드릴 수 없습니다.
""".strip().split("\n")

CANDIDATES = """
Answer politely. If you cannot answer, say "I'm sorry, but I can't assist with that."
You are a careful assistant. Refuse harmful requests.
As an AI assistant, you must answer in JSON.
As an AI language model, answer briefly and say what you do not know.
I cannot help thinking of the sea.
I cannot forget the day on which we met.
I'm sorry to hear that your parcel is late. We will send a new one today.
I'm sorry, but the parcel cannot be sent before Monday.
Unfortunately, the train was late and I missed it.
No.
I can help with that.
Sorry for the confusion. Think step by step and answer with a number.
Let's think step by step. I can't stress enough how important this is.
I may not write it as well as Shakespeare, but here is a sonnet about love.
Do not apologize. Do not say that you can't help.
Can't stop the feeling
Leider war der Zug zu spät.
Je suis désolé pour le retard.
我不能忘记你
def refuse(): return "I'm sorry, but I can't assist with that."
""".strip().split("\n")


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_seen(text):
    """A short text that declines, and does nothing else, is one: in any language, quoted or commented out."""
    assert is_refusal(text)
    assert is_refusal(f"\n{text}\n\nPlease ask me something else.\n")


@pytest.mark.parametrize("text", CANDIDATES)
def test_a_text_that_contains_or_resembles_one_is_a_candidate(text):
    """Instructions about refusing, mails that apologize and programs that answer so are texts to be scored."""
    assert not is_refusal(text)


def test_a_long_text_is_none():
    """What goes on has said something else as well."""
    assert not is_refusal(REFUSALS[0] + " The first rule of the house is to be kind." * 40)
    assert is_refusal(" " * 10_000 + REFUSALS[0] + "\n" * 10_000)


def test_a_task_about_refusals_is_known():
    """It says so in its own words."""
    assert speaks_of_refusing("Write the sentence with which a bank clerk declines a request.")
    assert not speaks_of_refusing("Write a prompt that sorts mails.")


@pytest.mark.parametrize("text", ["I'm sorry " * 90, "(" * 100_000, "unfortunately " + "i can " * 120, "#\n" * 50_000])
def test_the_work_is_bounded(text):
    """No text makes the search for phrases go on for long: a hundred of these take less than ten seconds."""
    began = time.process_time()
    for _ in range(100):
        is_refusal(text)
    assert time.process_time() - began < 10
