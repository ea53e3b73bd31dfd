"""A training of the detector: its loss, and under it what it found of validation and training subjects."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from .figures import draw_detector_loss
from .style import COLOURS, canvas, headline, save

__all__ = ["draw_training"]

_NAMES = {"validation": "validation", "train": "training"}


def draw_training(history: pd.DataFrame, watch: pd.DataFrame, title: str, out: Path) -> Path:
    """Draw the loss of every iteration and what was found at every look.

    Parameters
    ----------
    history : DataFrame
        iteration, loss, avg_loss [, rate].
    watch : DataFrame
        The columns of yolo_watch.tsv; without rows the loss is drawn alone.
    title : str
    out : Path
    """
    seen = watch[watch["microbleeds"] > 0] if len(watch) else watch
    with canvas(6.4, 7.4 if len(seen) else 4.2) as figure:
        headline(figure, title)
        axes = figure.subplots(2 if len(seen) else 1, 1, sharex=True, squeeze=False)[:, 0]
        draw_detector_loss(axes[0], history)
        if len(seen):
            axes[0].set_xlabel("")
            _draw_found(axes[1], seen)
        return save(figure, out)


def _draw_found(axis: Axes, seen: pd.DataFrame) -> None:
    budgets = [int(name.removeprefix("found_")) for name in map(str, seen) if name.startswith("found_")]
    low, middle, high = budgets
    for role, name in _NAMES.items():
        rows = seen[seen["role"] == role]
        if not len(rows):
            continue
        share = {budget: rows[f"found_{budget}"] / rows["microbleeds"] for budget in budgets}
        axis.fill_between(rows["iteration"], share[low], share[high], color=COLOURS[role], alpha=0.15, linewidth=0)
        axis.plot(
            rows["iteration"],
            share[middle],
            color=COLOURS[role],
            linestyle="-" if role == "validation" else "--",
            marker="o",
            markersize=4,
            label=f"{name}: {rows['microbleeds'].iloc[0]} in {rows['subjects'].iloc[0]} scans",
        )
        best = rows[rows["best"].astype(bool)] if role == "validation" else rows[:0]
        if len(best):
            place = best["iteration"].iloc[-1], share[middle][best.index[-1]]
            axis.plot(*place, "o", color=COLOURS[role], markersize=9, zorder=3, label=f"best: iteration {place[0]}")
    axis.set(
        title=f"Microbleeds found (shaded: at {low} to {high})",
        xlabel="iteration",
        ylabel=f"at {middle} false positives a subject",
        ylim=(0, 1.03),
    )
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.legend(loc="lower right")
