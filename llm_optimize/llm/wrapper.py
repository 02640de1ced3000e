"""What every layer around a chat model has in common: the name of the model inside."""

from __future__ import annotations

__all__ = ["Wrapper"]


class Wrapper:
    """A model with an attribute ``inner``, the model that it asks; :func:`llm_optimize.llm.layers` walks them."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The model's name."""
        return str(getattr(getattr(self, "inner", None), "name", ""))
