"""Training itself: TRL's trainers with a PEFT adapter, from the last whole checkpoint where there is one."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.finetune.libraries import datasets, peft, transformers, trl
from llm_optimize.finetune.templates import as_messages, install

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from llm_optimize.finetune.hardware import Hardware
    from llm_optimize.finetune.rows import Item
    from llm_optimize.finetune.settings import Settings

__all__ = ["Job", "Trained", "fit", "load_base", "load_tokenizer", "trained_before"]

_WHOLE = "whole"  # the file that says a checkpoint was written to its end
_RECORD = "trained.json"
_KEPT = 2  # one that is being written, and the last whole one


@dataclass(frozen=True, slots=True)
class Job:
    """What is trained, on what, with what.

    Attributes:
        base: a folder, or a name that transformers finds in its own store.
        items: what is learnt.
        method: ``sft`` or ``dpo``.
        settings: how.
        hardware: where.
        say: gets each line of progress.
    """

    base: str
    items: Sequence[Item]
    method: str
    settings: Settings
    hardware: Hardware
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What training came to.

    Attributes:
        steps: of the optimizer, those before a restart included.
        resumed_at: the step from which it went on; 0 for from the start.
        log: (step, loss) of each line of progress.
        seconds: of this process's training.
    """

    steps: int
    resumed_at: int
    log: tuple[tuple[int, float], ...]
    seconds: float


def fit(job: Job, checkpoints: Path, adapter: Path) -> Trained:
    """Train and save the adapter with its tokenizer in ``adapter``, which appears only when it is whole.

    Args:
        job: what to do.
        checkpoints: their folder; where it holds a whole one, training goes on from there to the same end.
        adapter: the folder to make.

    Raises:
        BadInput: the base cannot be loaded, or a library is missing.
    """
    transformers().set_seed(job.settings.seed)
    tokenizer = load_tokenizer(job.base, job.items)
    begin = _last_whole(checkpoints)
    trainer = _trainer(job, load_base(job.base, job.hardware), tokenizer, checkpoints)
    trainer.remove_callback(transformers().PrinterCallback)
    trainer.add_callback(_progress(job.say))
    outcome = trainer.train(resume_from_checkpoint=str(begin) if begin else None)
    log = tuple((int(line["step"]), float(line["loss"])) for line in trainer.state.log_history if "loss" in line)
    resumed = int(begin.name.rpartition("-")[2]) if begin else 0
    trained = Trained(int(trainer.state.global_step), resumed, log, float(outcome.metrics["train_runtime"]))
    draft = adapter.with_name(adapter.name + ".part")
    trainer.model.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    (draft / _RECORD).write_text(json.dumps(asdict(trained)), "utf-8")
    draft.replace(adapter)
    return trained


def trained_before(adapter: Path) -> Trained:
    """Return what :func:`fit` returned when it made ``adapter``."""
    kept = json.loads((adapter / _RECORD).read_text("utf-8"))
    return Trained(**kept | {"log": tuple((step, loss) for step, loss in kept["log"])})


def load_tokenizer(base: str, items: Sequence[Item]) -> Any:  # noqa: ANN401 - transformers has no types here
    """Return the base's tokenizer with the template for ``items``.

    Raises:
        BadInput: there is none, or it has no token that ends a text.
    """
    tokenizer = _loaded("tokenizer", base, transformers().AutoTokenizer.from_pretrained)
    if tokenizer.eos_token is None:
        msg = f"base: the tokenizer of {base!r} has no token that ends a text (eos_token): set one and save it"
        raise BadInput(msg)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    install(tokenizer, items)
    return tokenizer


def load_base(base: str, hardware: Hardware) -> Any:  # noqa: ANN401 - as above
    """Return the untuned model; code that it brings is never run.

    Raises:
        BadInput: it cannot be loaded.
    """
    model = _loaded("model", base, transformers().AutoModelForCausalLM.from_pretrained, hardware.loading())
    return model if hardware.four_bit else model.to(hardware.device)


def _loaded(what: str, base: str, load: Callable[..., Any], more: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - as above
    try:
        return load(base, trust_remote_code=False, **(more or {}))
    except (OSError, ValueError, RuntimeError) as error:
        line = " ".join(str(error).split())[:200]
        msg = f"base: the {what} of {base!r} cannot be loaded ({type(error).__name__}: {line})"
        raise BadInput(msg) from error


def _trainer(job: Job, model: Any, tokenizer: Any, checkpoints: Path) -> Any:  # noqa: ANN401 - as above
    lora = job.settings.lora
    adapter = peft().LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.layers,
        task_type="CAUSAL_LM",
    )
    table = datasets().Dataset.from_list([_row(item) for item in job.items])
    common = _arguments(job, checkpoints)
    if job.method == "dpo":
        config = trl().DPOConfig(**common, beta=job.settings.beta)
        kind = trl().DPOTrainer
    else:
        whole = job.settings.loss == "all" or job.items[0].kind == "text"
        config = trl().SFTConfig(**common, packing=False, completion_only_loss=not whole)
        kind = trl().SFTTrainer
    return kind(model=model, args=config, train_dataset=table, processing_class=tokenizer, peft_config=adapter)


def _arguments(job: Job, checkpoints: Path) -> dict[str, Any]:
    settings, hardware = job.settings, job.hardware
    grouped = {"train_sampling_strategy": "group_by_length"} if settings.group_by_length else {}
    return grouped | {
        "output_dir": str(checkpoints),
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": settings.batch,
        "gradient_accumulation_steps": settings.accumulation,
        "learning_rate": settings.rate(job.method),
        "lr_scheduler_type": settings.schedule,
        "warmup_steps": settings.warmup,  # below 1 it is a share of all steps
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.clip,
        "max_length": settings.length,
        "optim": "paged_adamw_32bit" if hardware.paged else "adamw_torch",
        "bf16": hardware.bf16,
        "use_cpu": hardware.device == "cpu",
        "gradient_checkpointing": hardware.device != "cpu",  # memory for time: of use where memory is short
        "dataloader_pin_memory": hardware.device == "cuda",
        "seed": settings.seed,
        "logging_steps": settings.log_every,
        "logging_first_step": True,
        "save_strategy": "steps",
        "save_steps": settings.save_every,
        "save_total_limit": _KEPT,
        "report_to": "none",
        "disable_tqdm": True,
    }


def _row(item: Item) -> dict[str, Any]:
    if item.kind == "text":
        return {"text": item.answer}
    said = [{"role": "assistant", "content": item.answer}]
    if item.rejected is None:
        return {"prompt": as_messages(item.prompt), "completion": said}
    refused = [{"role": "assistant", "content": item.rejected}]
    return {"prompt": as_messages(item.prompt), "chosen": said, "rejected": refused}


def _last_whole(checkpoints: Path) -> Path | None:
    """Return the newest checkpoint that was written to its end; those that were not are removed."""
    whole: list[Path] = []
    for folder in checkpoints.glob("checkpoint-*"):
        if (folder / _WHOLE).exists():
            whole.append(folder)
        else:
            shutil.rmtree(folder)
    return max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)


def _progress(say: Callable[[str], None]) -> Any:  # noqa: ANN401 - as above
    """Return what follows the trainer: says each line, and marks each checkpoint when all of it is on disk."""

    class Progress(transformers().TrainerCallback):  # type: ignore[misc]  # the base class has no type here
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ANN401, ARG002 - the base class's signature
            if logs and "loss" in logs:
                say(f"step {state.global_step} of {state.max_steps}: loss {float(logs['loss']):.4f}")

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401, ARG002 - as above
            folder = f"{args.output_dir}/checkpoint-{state.global_step}"
            with open(f"{folder}/{_WHOLE}", "x", encoding="utf-8"):  # noqa: PTH123 - args hold texts
                say(f"checkpoint at step {state.global_step}")

    return Progress()
