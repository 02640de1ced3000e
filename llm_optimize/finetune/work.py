"""A fine-tune from file to saved model, in stages that each leave their result whole in the output folder.

::

    OUTPUT/asked.json      what was asked: a restart must ask the same
    OUTPUT/checkpoints/    while it trains
    OUTPUT/adapter/        the adapter with its tokenizer
    OUTPUT/merged/         base and adapter in one: what a server loads
    OUTPUT/report.json     the losses, and the tuned model against the untuned on held-out items
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.finetune.asking import held_out_scores
from llm_optimize.finetune.folder import Folder, fingerprint
from llm_optimize.finetune.hardware import choose
from llm_optimize.finetune.libraries import quiet, require
from llm_optimize.finetune.measuring import Comparison, held_out_losses, token_ids
from llm_optimize.finetune.merging import load_tuned, merge
from llm_optimize.finetune.methods import method_for
from llm_optimize.finetune.rows import read_items, split_items
from llm_optimize.finetune.settings import Settings
from llm_optimize.finetune.templates import told
from llm_optimize.finetune.training import Job, Trained, fit, load_tokenizer, trained_before

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from llm_optimize.finetune.rows import Item

__all__ = ["Tuned", "train"]


@dataclass(frozen=True, slots=True)
class Tuned:
    """A tuned model and what is known of it.

    Attributes:
        adapter: its folder, to be loaded beside the base.
        merged: the folder with base and adapter in one.
        trained: steps, losses, seconds.
        items: how many were trained on.
        held_out: how many were not.
        loss: the tuned model against the untuned; None where nothing was held out.
        score: likewise by the user's scorer.
        said: what was not as wished, a sentence each.
    """

    adapter: Path
    merged: Path
    trained: Trained
    items: int
    held_out: int
    loss: Comparison | None
    score: Comparison | None
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Parts:
    """The items on both sides, with where they come from and go to."""

    job: Job
    held: Sequence[Item]
    folder: Folder


def train(  # noqa: PLR0913 - the three that are needed, and what can be chosen
    data: str | os.PathLike[str],
    base: str | os.PathLike[str],
    output: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    method: str | None = None,
    device: str = "auto",
    scorer: Callable[..., object] | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Tuned:
    """Train an adapter on a file, merge it into the base, and measure it on held-out items.

    Args:
        data: JSON Lines, see :mod:`llm_optimize.finetune.rows`.
        base: a folder with a model, or a name that transformers finds in its own store.
        output: a folder that is empty or not there yet; with ``resume`` that of an unfinished fine-tune.
        settings: how; None for the defaults.
        method: ``sft`` or ``dpo``; None for what the data is made for.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        scorer: of answers to held-out prompts, see :func:`~llm_optimize.finetune.asking.held_out_scores`.
        resume: go on from the last whole checkpoint, or the last stage that was finished.
        say: gets each line of progress.

    Raises:
        BadInput: a setting, the data or the base cannot work, or a library is missing; says what to do.
        StudyOwned: another live process works in ``output``.

    Example:
        >>> tuned = train("pairs.jsonl", "./tiny-llama", "tuned")  # doctest: +SKIP
        >>> print(tuned.loss)  # doctest: +SKIP
        loss on 8 held-out items: 5.9305 -> 0.5892 (better: improvement 5.3413, 95 % 5.2 to 5.4)
    """
    chosen = settings or Settings()
    items = read_items(data)
    way = method_for(items, method)
    learnt, held = split_items(items, chosen.held_out, chosen.seed)
    require()
    hardware = choose(device, chosen)
    where = str(Path(base).absolute()) if Path(base).is_dir() else str(base)
    asked = {"data": fingerprint(data), "base": where, "method": way, "settings": asdict(chosen)}
    folder = Folder(output)
    with folder.owned(asked, resume=resume), quiet():
        return _carry_out(_Parts(Job(where, learnt, way, chosen, hardware, say), held, folder), scorer)


def _carry_out(parts: _Parts, scorer: Callable[..., object] | None) -> Tuned:
    job, folder = parts.job, parts.folder
    adapter, merged = folder.path / "adapter", folder.path / "merged"
    if not adapter.exists():
        fit(job, folder.path / "checkpoints", adapter)
    trained = trained_before(adapter)
    if not merged.exists():
        job.say("merging the adapter into the base")
        merge(job.base, adapter, merged, job.hardware)
    loss, score = _measured(parts, adapter, scorer)
    said = (*job.hardware.said, *_told(parts, load_tokenizer(str(adapter), job.items)))
    tuned = Tuned(adapter, merged, trained, len(job.items), len(parts.held), loss, score, said)
    folder.write("report.json", _as_json(tuned))
    return tuned


def _measured(
    parts: _Parts, adapter: Path, scorer: Callable[..., object] | None
) -> tuple[Comparison | None, Comparison | None]:
    job, held = parts.job, parts.held
    if not held:
        return None, None
    job.say(f"measuring on {len(held)} held-out items")
    model, tokenizer = load_tuned(job.base, adapter, job.hardware), load_tokenizer(str(adapter), held)
    loss = held_out_losses(model, tokenizer, held, job.settings)
    return loss, None if scorer is None else held_out_scores(model, tokenizer, held, scorer, job.settings.answer_length)


def _told(parts: _Parts, tokenizer: Any) -> Iterator[str]:  # noqa: ANN401 - transformers has no types here
    """Yield what happened to the items: how their prompts are written, and which were cut off."""
    items, longest = parts.job.items, parts.job.settings.length
    yield from told(tokenizer)
    sizes = [token_ids(tokenizer, item, item.answer) for item in items]
    cut = sum(len(ids) > longest for ids, _ in sizes)
    if cut:
        lost = sum(begin >= longest for _, begin in sizes)
        yield (
            f"{cut} of {len(items)} training items are longer than {longest} tokens and were cut off there"
            + (f", {lost} of them before the answer, so they taught nothing" if lost else "")
        )


def _as_json(tuned: Tuned) -> dict[str, Any]:
    compared = {"loss": tuned.loss, "score": tuned.score}
    return asdict(tuned) | {
        "adapter": str(tuned.adapter),
        "merged": str(tuned.merged),
        **{
            name: one and asdict(one) | {"improvement": one.improvement, "said": str(one)}
            for name, one in compared.items()
        },
    }
