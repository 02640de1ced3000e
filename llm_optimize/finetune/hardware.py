"""Where to train: the device, and which of the wished number formats it can do; what it cannot is said, not faked."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.finetune.libraries import torch, transformers

if TYPE_CHECKING:
    from llm_optimize.finetune.settings import Settings

__all__ = ["DEVICES", "Hardware", "choose"]

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a fine-tune runs on.

    Attributes:
        device: ``cpu``, ``cuda`` or ``mps``.
        bf16: numbers of 16 bits with the range of 32 in forward and backward passes.
        four_bit: the base's weights in 4 bits (nf4).
        paged: an optimizer whose state may leave the GPU's memory.
        said: what was wished for and cannot be had here, a sentence each.
    """

    device: str
    bf16: bool = False
    four_bit: bool = False
    paged: bool = False
    said: tuple[str, ...] = ()

    def loading(self) -> dict[str, Any]:
        """Return the arguments with which transformers loads a model for it."""
        found: dict[str, Any] = {"dtype": torch().bfloat16 if self.bf16 else torch().float32}
        if self.four_bit:
            found["quantization_config"] = transformers().BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=found["dtype"]
            )
        return found


def choose(device: str, settings: Settings) -> Hardware:
    """Return what to run on.

    Args:
        device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for the fastest that is there.
        settings: the wished formats.

    Raises:
        BadInput: no such device is here.
    """
    if device not in DEVICES:
        msg = f"device is {device!r}: give one of {', '.join(DEVICES)}"
        raise BadInput(msg)
    here = _present()
    chosen = here[0] if device == "auto" else device
    if chosen not in here:
        msg = f"device is {device!r}: torch sees {', '.join(here)} here; choose one of these, or auto"
        raise BadInput(msg)
    said = []
    bf16 = settings.precision == "bf16" or (settings.precision == "auto" and _fast_bf16(chosen))
    quantizes = chosen == "cuda" and importlib.util.find_spec("bitsandbytes") is not None
    if settings.four_bit and not quantizes:
        why = "bitsandbytes is not installed" if chosen == "cuda" else f"the device is {chosen}, not cuda"
        said.append(f"the base is not loaded in 4 bits: {why}")
    return Hardware(chosen, bf16, settings.four_bit and quantizes, settings.four_bit and quantizes, tuple(said))


def _present() -> list[str]:
    found = [("cuda", torch().cuda.is_available()), ("mps", torch().backends.mps.is_available()), ("cpu", True)]
    return [name for name, there in found if there]


def _fast_bf16(device: str) -> bool:
    # On a CPU it is emulated or slower for small models; on MPS it depends on the version of macOS.
    return device == "cuda" and bool(torch().cuda.is_bf16_supported())
