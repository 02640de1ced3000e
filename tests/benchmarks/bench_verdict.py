"""Is the verdict right? Prompts optimized on 60 labelled mails, judged against a truth that is known.

A stand-in target sorts the mails of ``examples/prompt_dataset.csv``. Whether it gets one right depends by chance on the
mail (some are hard) and on stated features of the prompt: that it lists the labels, asks for one word, says what a
label means, does not ask to think aloud. A scripted model proposes prompts with features drawn at random. All else is
the real path: the split, ``PromptTask``, ``optimize.run`` with the sealed examples as its final scorer.

The truth is the difference of the two prompts' chances, averaged over all 60 mails. In the null world no feature
matters, so the truth is 0 and whatever looks better was lucky.

Run it: ``python tests/benchmarks/bench_verdict.py`` (2 minutes; ``--runs N``), ``--quick`` for a smoke test.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from statistics import fmean

from llm_optimize import ScriptedModel, optimize
from llm_optimize.scorers.example import Fields
from llm_optimize.scorers.loaders import read_csv
from llm_optimize.scorers.prompt_task import PromptTask
from llm_optimize.scorers.racing import Racing
from llm_optimize.scorers.splits import split

MAILS = read_csv(Path(__file__).parents[2] / "examples" / "prompt_dataset.csv", Fields("label"))
FEATURES = {
    "The labels are refund, delivery, product and praise.": 0.15,
    "Answer with one word.": 0.10,
    "A question about an article before it is bought is product.": 0.10,
    "Think aloud first.": -0.15,
    "Be polite.": 0.0,
}
START = "Sort this mail: {{text}}"
STEPS = 8


def chance(text, example, *, null):
    """Return the probability that the stand-in sorts a mail right when it is prompted with ``text``."""
    hard = random.Random(example["text"]).uniform(-0.25, 0.25)
    features = 0.0 if null else sum(effect for feature, effect in FEATURES.items() if feature in text)
    return min(max(0.5 + hard + features, 0.02), 0.98)


def target(seed, null):
    """Return the stand-in: it knows each mail's label, and gives it or another by chance."""
    known = {example["text"]: example for example in MAILS}

    def answer(request):
        prompt = request.messages[-1].content
        mail = prompt.rpartition("Sort this mail: ")[2]
        own, of_both = random.Random(f"{seed} {mail}"), random.Random(f"{seed} {prompt}")
        drawn = (own if own.random() < 0.5 else of_both).random()  # half of the luck is the mail's, with any prompt
        label = known[mail].expected
        return label if drawn < chance(prompt, known[mail], null=null) else f"not {label}"

    return ScriptedModel(answer, name="stand-in")


def proposer(seed):
    """Return a model that proposes features drawn at random."""
    dice = random.Random(f"proposer {seed}")

    def answer(request):
        chosen = [feature for feature in FEATURES if dice.random() < 0.5]
        dice.shuffle(chosen)
        return "```\n" + " ".join([*chosen, START]) + "\n```"

    return ScriptedModel(answer)


def one_run(seed, *, null):
    """Optimize once; return (gain found, its interval, truth), or None where nothing better was found."""
    parts = split(MAILS, train=0, validation=0.5, sealed=0.5, seed=seed)
    task = PromptTask(
        START,
        target(seed, null),
        parts.validation,
        lambda said, mail: said == mail.expected,
        racing=Racing(),
        parallel=1,
    )
    result = optimize.run(
        task.description, "Which is better?", task, x0=task.start, max_steps=STEPS, model=proposer(seed), seed=seed,
        store=None, verbose=False, final=task.on(parts.sealed.open()),
    )  # fmt: skip
    if result.best.id == 0:
        assert "nothing better was found" in result.verdict
        return None
    truth = fmean(chance(result.best_x, mail, null=null) - chance(START, mail, null=null) for mail in MAILS)
    assert ("the gain is within the noise" in result.verdict) == (result.gain.low <= 0 <= result.gain.high)
    return result.gain, truth


def main():
    """Print for both worlds how often the verdict is right."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    runs = 3 if options.quick else options.runs
    for null in (False, True):
        made = [one_run(seed, null=null) for seed in range(runs)]
        found = [one for one in made if one is not None]
        covered = sum(gain.low <= truth <= gain.high for gain, truth in found) + made.count(None)
        silent = sum(gain.low <= 0 <= gain.high for gain, _ in found) + made.count(None)
        loud = sum(gain.low > 0 for gain, _ in found)
        print(
            f"{'null world' if null else 'real gains'}: truth inside the interval in {covered} of {runs} runs; "
            f"within the noise or nothing better in {silent}, a gain claimed in {loud}; "
            f"mean truth {fmean(truth for _, truth in found or [(None, 0.0)]):+.3f}, "
            f"mean gain reported {fmean(gain.value for gain, _ in found) if found else 0:+.3f}, "
            f"mean width {fmean(gain.high - gain.low for gain, _ in found) if found else 0:.3f}"
        )


if __name__ == "__main__":
    main()
