"""The curve of a study as a PNG, for slides and papers; matplotlib draws it, since PNG needs a rasterizer and fonts."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["picture"]

_SIZE, _DPI = (9.0, 4.8), 160
_ACCENT, _POINT, _BAD = "#2457d6", "#7c8da6", "#c22f3d"
_SMALL_AFTER = 400
_LISTED = 10


def picture(data: Mapping[str, Any]) -> bytes:
    """Return a PNG: every evaluation, the best so far with its interval; for a sweep, importances beside it.

    Args:
        data: as :func:`llm_optimize.report.data.report_data` returns it.

    Raises:
        BadInput: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional, and owned by this file
    except ImportError:
        msg = "format: png needs matplotlib: pip install 'llm-optimize[png]', or choose html, md, csv or json"
        raise BadInput(msg) from None
    shares = data["sweep"]["effects"][:_LISTED] if data["sweep"] else []
    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    axes = figure.subplots(1, 2, width_ratios=(3, 1)) if shares else [figure.subplots()]
    _curve(axes[0], data)
    if shares:
        _shares(axes[1], shares)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _curve(axes: Any, data: Mapping[str, Any]) -> None:  # noqa: ANN401 - matplotlib is optional
    course = data["course"]
    places = range(1, len(course["score"]) + 1)
    scored = [(place, score) for place, score in zip(places, course["score"], strict=True) if score is not None]
    best = [(place, value) for place, value in zip(places, course["best"], strict=True) if value is not None]
    size = 4 if len(scored) > _SMALL_AFTER else 14
    if scored:
        axes.scatter(*zip(*scored, strict=True), s=size, color=_POINT, label="evaluation", linewidths=0)
        axes.step(*zip(*best, strict=True), where="post", color=_ACCENT, label="best so far")
    spread = [
        (place, value, course["half"][place - 1]) for place, value in best if course["half"][place - 1] is not None
    ]
    if spread:
        at, middle, half = zip(*spread, strict=True)
        low, high = (
            [m - h for m, h in zip(middle, half, strict=True)],
            [m + h for m, h in zip(middle, half, strict=True)],
        )
        axes.fill_between(at, low, high, step="post", color=_ACCENT, alpha=0.15, label="95 % interval", linewidth=0)
    failed = [place for place, score in zip(places, course["score"], strict=True) if score is None]
    if failed:
        axes.plot(failed, [0.01] * len(failed), "|", color=_BAD, label="failed", transform=axes.get_xaxis_transform())
    axes.set_xlabel("evaluations")
    axes.set_ylabel("similarity" if data["sweep"] else "score")
    axes.set_title(data["study"]["name"].replace("$", r"\$"), loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    if scored or failed:
        axes.legend(frameon=False, loc="lower right")


def _shares(axes: Any, shares: list[dict[str, Any]]) -> None:  # noqa: ANN401 - matplotlib is optional
    names = [one["name"].replace("$", r"\$") for one in shares][::-1]
    axes.barh(names, [one["share"] for one in shares][::-1], color=_ACCENT)
    axes.set_xlabel("share of the variance")
    axes.spines[["top", "right"]].set_visible(False)
