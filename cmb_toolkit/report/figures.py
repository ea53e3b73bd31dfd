"""Curves: losses over training, and sensitivity against false positives per subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from .style import COLOURS, canvas, headline, save

__all__ = ["OperatingPoint", "draw_detector_loss", "draw_froc", "draw_lessons", "draw_losses"]


@dataclass(frozen=True)
class OperatingPoint:
    """Where a threshold puts a stage: rates, and their 95 % intervals where they are known."""

    label: str
    sensitivity: float
    fp_per_subject: float
    sensitivity_interval: tuple[float, float] = (float("nan"), float("nan"))
    fp_interval: tuple[float, float] = (float("nan"), float("nan"))


def draw_losses(stage1: pd.DataFrame | None, stage2: pd.DataFrame | None, title: str, out: Path) -> Path:
    """Draw what is known of both stages' training.

    Parameters
    ----------
    stage1 : DataFrame or None
        iteration, loss, avg_loss [, rate].
    stage2 : DataFrame or None
        epoch, loss, val_loss [, best: whether the epoch was the best so far, by whatever training chooses it; seed:
        the last one's epochs are drawn].
    title : str
    out : Path
    """
    panels = [panel for panel in ((draw_detector_loss, stage1), (_draw_stage2, stage2)) if panel[1] is not None]
    with canvas(5.6 * len(panels), 4.2) as figure:
        headline(figure, title)
        for axis, (draw, history) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            assert history is not None
            draw(axis, history)
        return save(figure, out)


def draw_detector_loss(axis: Axes, history: pd.DataFrame) -> None:
    """The loss of every iteration, and where the learning rate falls."""
    axis.plot(history["iteration"], history["loss"], color=COLOURS["train"], alpha=0.3, linewidth=0.8, label="batch")
    axis.plot(history["iteration"], history["avg_loss"], color=COLOURS["train"], label="running mean")
    axis.set(title="Stage 1: detector", xlabel="iteration", ylabel="region loss")
    _log_if_wide(axis, history["loss"])
    _mark_rate_steps(axis, history)
    axis.legend(loc="upper right")


def draw_lessons(history: pd.DataFrame, title: str, out: Path) -> Path:
    """Draw the training of a network that learns from marked scans.

    Parameters
    ----------
    history : DataFrame
        step, loss, mined: how many places are known that it took for microbleeds wrongly.
    title : str
    out : Path
    """
    with canvas(5.6, 4.2) as figure:
        headline(figure, title)
        axis = figure.subplots()
        axis.plot(history["step"], history["loss"], color=COLOURS["train"], marker=".")
        axis.set(xlabel="step", ylabel="loss")
        _log_if_wide(axis, history["loss"])
        known = history["mined"].to_numpy()
        for n in range(1, len(known)):
            if known[n] != known[n - 1]:
                axis.axvline(history["step"].iloc[n - 1], color="#888888", linestyle=":", linewidth=1.2)
        axis.set_title("dotted: training subjects looked at for false positives", fontsize="small")
        return save(figure, out)


def _mark_rate_steps(axis: Axes, history: pd.DataFrame) -> None:
    """Dotted lines where the learning rate, which was constant, falls by a step of the schedule."""
    if "rate" not in history:
        return
    rate = history["rate"].to_numpy(float)
    for n in np.flatnonzero((rate[2:] < 0.7 * rate[1:-1]) & (rate[1:-1] == rate[:-2])) + 2:
        axis.axvline(history["iteration"].iloc[n], color="#888888", linestyle=":", linewidth=1.2)
        axis.annotate(
            f"rate {rate[n]:.1g}",
            (history["iteration"].iloc[n], 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=8,
            color="#555555",
        )


def _draw_stage2(axis: Axes, history: pd.DataFrame) -> None:
    if "seed" in history:  # earlier ones had learned nothing
        history = history[history["seed"] == history["seed"].iloc[-1]]
    axis.plot(history["epoch"], history["loss"], color=COLOURS["train"], label="training")
    if history["val_loss"].notna().any():
        axis.plot(
            history["epoch"], history["val_loss"], color=COLOURS["validation"], linestyle="--", label="validation"
        )
        _mark_epoch(axis, history)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set(title="Stage 2: 3D-CNN", xlabel="epoch", ylabel="cross-entropy")
    _log_if_wide(axis, history["loss"])
    axis.legend(loc="upper right")


def _mark_epoch(axis: Axes, history: pd.DataFrame) -> None:
    """The epoch whose weights are kept; where the history does not say, the one with the lowest validation loss."""
    values = history["val_loss"].to_numpy(float)
    if "best" in history and history["best"].astype(bool).any():
        row, word = int(np.flatnonzero(history["best"].astype(bool))[-1]), "kept"
    else:
        row, word = int(np.nanargmin(values)), "lowest"
    epoch = history["epoch"].iloc[row]
    axis.plot(epoch, values[row], "o", color=COLOURS["validation"], markersize=8, zorder=3)
    late = row > len(values) / 2  # the words stay inside: above the point, and on the side where there is room
    axis.annotate(
        f"{word}: epoch {epoch}",
        (epoch, values[row]),
        xytext=(4 if late else -4, 10),
        textcoords="offset points",
        ha="right" if late else "left",
        fontsize=9,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
    )


def _log_if_wide(axis: Axes, values: pd.Series[float]) -> None:
    positive = values[values > 0]
    if len(positive) and len(positive) == len(values) and positive.max() > 30 * positive.min():
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())


@dataclass(frozen=True)
class _Panel:
    title: str
    stage: str


def draw_froc(
    folds: pd.DataFrame, points: Mapping[str, Sequence[OperatingPoint]], rule_label: str, title: str, out: Path
) -> Path:
    """Draw sensitivity against false positives per subject for stage 1 and for both stages.

    Parameters
    ----------
    folds : DataFrame
        fold, stage (``stage1``, ``overall``), sensitivity, fp_per_subject; the fold ``all`` is drawn thick.
    points : mapping
        Stage -> operating points to mark, the first of them with its interval.
    rule_label : str
        The rule in words.
    title : str
    out : Path
    """
    panels = [
        _Panel("Stage 1, by confidence", "stage1"),
        _Panel("Both stages, by probability", "overall"),
    ]
    panels = [panel for panel in panels if (folds["stage"] == panel.stage).any()]
    with canvas(5.8 * len(panels), 5.4) as figure:
        headline(figure, f"{title}\n{rule_label}")
        for axis, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw_curves(axis, folds[folds["stage"] == panel.stage], panel, points.get(panel.stage, ()))
        return save(figure, out)


def _draw_curves(axis: Axes, curves: pd.DataFrame, panel: _Panel, points: Sequence[OperatingPoint]) -> None:
    colour = COLOURS[panel.stage]
    names = list(curves["fold"].unique())
    for name in names:
        curve = curves[curves["fold"] == name]
        main = name == "all" or len(names) == 1
        label = "all folds" if name == "all" else f"fold {name}"
        axis.step(
            curve["fp_per_subject"],
            curve["sensitivity"],
            where="post",
            color=colour,
            alpha=1 if main else 0.35,
            linewidth=2.4 if main else 1.1,
            label=label if main else ("single folds" if name == names[0] else None),
        )
    for point in points:
        _draw_point(axis, point)
    limit = _alarm_limit(curves, points, panel.stage)
    axis.set(title=panel.title, xlabel="false positives per subject", ylabel="sensitivity", xlim=(-0.02 * limit, limit))
    axis.set_ylim(0, 1.03)
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.legend(loc="upper left", bbox_to_anchor=(0, -0.16), borderaxespad=0)  # below: it never hides a curve


def _draw_point(axis: Axes, point: OperatingPoint) -> None:
    x, y = point.fp_per_subject, point.sensitivity
    if not np.isfinite([x, y]).all():
        return
    error = [
        np.abs(np.array([[low - value], [high - value]])) if np.isfinite([low, high]).all() else None
        for value, (low, high) in ((x, point.fp_interval), (y, point.sensitivity_interval))
    ]
    axis.errorbar(
        x,
        y,
        xerr=error[0],
        yerr=error[1],
        fmt="o",
        color="black",
        markersize=8,
        elinewidth=1,
        ecolor="#777777",
        capsize=3,
        zorder=4,
        label=f"{point.label}:\n{100 * y:.1f} % at {x:.2f} per subject"
        + (" (95 % interval)" if error[1] is not None else ""),
    )


def _alarm_limit(curves: pd.DataFrame, points: Sequence[OperatingPoint], stage: str) -> float:
    """How far the axis goes: stage 1 shows everything, both stages what somebody could want to read."""
    ends = [point.fp_interval[1] if np.isfinite(point.fp_interval[1]) else point.fp_per_subject for point in points]
    ends = [end for end in ends if np.isfinite(end)]
    everything = 1.05 * max(1.0, float(curves["fp_per_subject"].max()), *ends)
    return everything if stage == "stage1" else min(everything, max([5.0, *(2.5 * end for end in ends)]))
