"""``llm-optimize prompt``: what cannot work is said in one line before anything is spent."""

from __future__ import annotations


def test_without_a_prompt_or_a_model_it_says_what_to_do(here, server) -> None:
    """Nobody to ask and nothing given is wrong usage, said in one line, with nothing spent."""
    for given, named in [
        ((), "--prompt: there is none"),
        (("--prompt", "p", "--model", ""), "--model"),
        (("--prompt", "p"), "OPENAI_API_KEY"),
        (("--prompt", "p", "--threshold", "2"), "threshold"),
        (("--prompt", "p", "--evaluator", "none.py", "--model", f"{server.url}#scripted"), "none.py"),
        (("--prompt", "p", "--output", "no/such/file"), "--output"),
        (("--prompt", "p", "--data", "x.jsonl", "--evaluator", "y.py", "--model", f"{server.url}#scripted"), "--data"),
    ]:
        done = here("prompt", *given)
        assert (done.returncode, done.stdout) == (2, ""), given
        assert named in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
    assert server.requests == []


def test_a_study_of_another_command_is_refused(here, server) -> None:
    """``--study`` of a run that was no prompt search is named, not overwritten."""
    here.write('TASK, QUESTION, x0, MAX_STEPS = "t", "q", "start", 0\ndef score(text):\n    return 1\n', "task.py")
    base = ("--model", f"{server.url}#scripted", "--study", "other")
    assert here("run", "task.py", *base).returncode == 0
    done = here("prompt", "--prompt", "p", *base)
    assert done.returncode == 2
    assert "was not begun with `llm-optimize prompt`" in done.stderr
