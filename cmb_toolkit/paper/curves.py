"""The paper's figures 4 and 7: what thresholds do to stage 1, and how subjects of each scanner fare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter
from numpy.typing import NDArray

from ..report.style import canvas, save

__all__ = ["draw_methods", "draw_scanners", "draw_thresholds"]

_FOLDS: tuple[tuple[str, Any], ...] = (
    ("#0072B2", "-"),
    ("#D55E00", "--"),
    ("#009E73", "-."),
    ("#CC79A7", (0, (5, 1, 1, 1, 1, 1))),
    ("#E69F00", ":"),
)
"""Okabe and Ito's colours, each with a line of its own."""

_PANELS = (("threshold", "sensitivity"), ("threshold", "fp_per_subject"), ("fp_per_subject", "sensitivity"))

_SCANNERS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def draw_thresholds(curves: pd.DataFrame, chosen: Mapping[tuple[str, str], float], note: str, out: Path) -> Path:
    """Draw sensitivity and false positives of stage 1 against its threshold, and against each other (figure 4).

    Parameters
    ----------
    curves : DataFrame
        resolution, fold, threshold, sensitivity (0..1), fp_per_subject; a row of panels per resolution, a line per
        fold.
    chosen : mapping
        (resolution, fold) -> threshold in use, marked on the lines.
    note : str
        Under the panels.
    out : Path
    """
    names = list(dict.fromkeys(curves["resolution"]))
    with canvas(11, 3.5 * len(names) + 0.7) as figure:
        axes = figure.subplots(len(names), 3, squeeze=False)
        for row, name in enumerate(names):
            mine = curves[(curves["resolution"] == name) & np.isfinite(curves["threshold"])]
            for n, fold in enumerate(dict.fromkeys(mine["fold"])):
                colour, dashes = _FOLDS[n % len(_FOLDS)]
                style = {"color": colour, "linestyle": dashes, "linewidth": 1.8}
                line = mine[mine["fold"] == fold].sort_values("threshold")
                point = line[line["threshold"] >= chosen.get((name, fold), np.inf)].head(1)
                for axis, (x, y) in zip(axes[row], _PANELS, strict=True):
                    where = "pre" if x == "threshold" else "post"
                    axis.step(line[x], line[y], where=where, label=f"fold {fold}", **style)
                    axis.plot(point[x], point[y], "o", color=colour, markersize=7, markeredgecolor="black", zorder=3)
            _label_thresholds(axes[row], name, "abcdef"[3 * row : 3 * row + 3])
            axes[row, 0].legend(loc="lower left", fontsize=9)
        figure.supxlabel(note, x=0.01, ha="left", fontsize=9)
        return save(figure, out)


def _label_thresholds(axes: Sequence[Axes], name: str, letters: str) -> None:
    sensitivity, false, both = axes
    for axis, letter in zip(axes, letters, strict=True):
        axis.set_title(f"({letter}) {name}")
    for axis in (sensitivity, both):
        axis.set(ylabel="sensitivity", ylim=(0, 1.03))
        axis.yaxis.set_major_formatter(PercentFormatter(1))
    for axis in (sensitivity, false):
        axis.set(xlabel="confidence threshold", xscale="log")
        axis.xaxis.set_major_locator(FixedLocator([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter("{x:g}")
    false.set(ylabel="false positives per subject", ylim=(0, None))
    both.set(xlabel="false positives per subject", xlim=(0, None))


_METHOD_RATES = (0.1, 64.0)
"""False positives a subject between which methods are held against each other."""


def draw_methods(curves: Mapping[str, Mapping[str, pd.DataFrame]], note: str, out: Path) -> Path:
    """Draw sensitivity against false positives of several methods.

    Parameters
    ----------
    curves : mapping
        Resolution, a panel each -> method -> its curve: sensitivity (0..1) and fp_per_subject.
    note : str
        Under the panels.
    out : Path
    """
    methods = list(dict.fromkeys(method for mine in curves.values() for method in mine))
    with canvas(6.2 * len(curves) + 0.6, 5.2) as figure:
        panels = figure.subplots(1, len(curves), squeeze=False)[0]
        for axis, (name, mine) in zip(panels, curves.items(), strict=True):
            for method, curve in mine.items():
                colour, dashes = _FOLDS[methods.index(method) % len(_FOLDS)]
                width = 1.6 if methods.index(method) < len(_FOLDS) else 3.0
                line = curve.sort_values(["fp_per_subject", "sensitivity"])
                x = line["fp_per_subject"].clip(*_METHOD_RATES)
                axis.step(x, line["sensitivity"], where="post", color=colour, linestyle=dashes, linewidth=width,
                          label=method)  # fmt: skip
            axis.set(title=name, xlabel="false positives per subject", xscale="log", xlim=_METHOD_RATES)
            axis.set(ylabel="sensitivity", ylim=(0, 1.03))
            axis.xaxis.set_major_locator(FixedLocator([0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64]))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.xaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_major_formatter(PercentFormatter(1))
            axis.legend(loc="lower right", fontsize=9)
        figure.supxlabel(note, x=0.01, ha="left", fontsize=9)
        return save(figure, out)


def draw_scanners(
    subjects: pd.DataFrame, overall: Mapping[tuple[str, str], tuple[float, float]], note: str, out: Path
) -> Path:
    """Draw how stage 1 fares on each subject, by resolution and scanner (figure 7).

    Parameters
    ----------
    subjects : DataFrame
        resolution, scanner, sensitivity (0..1; NaN without microbleeds), fp_per_subject; one row per subject.
    overall : mapping
        (resolution, scanner) -> sensitivity and false positives per subject over all microbleeds and subjects,
        written in parentheses.
    note : str
        Under the panels.
    out : Path
    """
    groups = list(dict.fromkeys(zip(subjects["resolution"], subjects["scanner"], strict=True)))
    names = sorted({scanner for _, scanner in groups})
    with canvas(max(8.0, 2.2 * len(groups) + 2), 4.9) as figure:
        axes = figure.subplots(1, 2)
        for at, (resolution, scanner) in enumerate(groups):
            mine = subjects[(subjects["resolution"] == resolution) & (subjects["scanner"] == scanner)]
            colour = _SCANNERS[names.index(scanner) % len(_SCANNERS)]
            for axis, column in zip(axes, ("sensitivity", "fp_per_subject"), strict=True):
                _draw_group(axis, at, np.sort(mine[column].dropna().to_numpy(float)), colour)
        rates = [overall[group] for group in groups]
        ticks = [f"{resolution}\n{scanner}\n" for resolution, scanner in groups]
        percents = [f"{tick}({100 * rate[0]:.1f} %)" for tick, rate in zip(ticks, rates, strict=True)]
        numbers = [f"{tick}({rate[1]:.2f})" for tick, rate in zip(ticks, rates, strict=True)]
        for axis, labels, title in ((axes[0], percents, "(a) sensitivity"), (axes[1], numbers, "(b) false positives")):
            axis.set(title=f"{title} of each subject", xlim=(-0.6, len(groups) - 0.4))
            axis.set_xticks(range(len(groups)), labels)
            axis.grid(visible=False, axis="x")
        axes[0].set_ylim(-0.04, 1.04)
        axes[0].yaxis.set_major_formatter(PercentFormatter(1))
        axes[1].set_ylim(0, None)
        figure.supxlabel(note, x=0.01, ha="left", fontsize=9)
        return save(figure, out)


def _draw_group(axis: Axes, at: int, values: NDArray[np.float64], colour: str) -> None:
    """A box of quartiles, and every subject beside it; equal values stand side by side."""
    if not len(values):
        return
    axis.boxplot(
        values,
        positions=[at],
        widths=0.6,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": colour, "alpha": 0.18, "edgecolor": colour},
        medianprops={"color": colour, "linewidth": 2.2},
        whiskerprops={"color": colour},
        capprops={"color": colour},
        manage_ticks=False,
    )
    rank = np.arange(len(values)) - np.searchsorted(values, values)
    same = np.searchsorted(values, values, side="right") - np.searchsorted(values, values)
    spread = np.minimum(0.09, 0.5 / same)
    axis.plot(at + (rank - (same - 1) / 2) * spread, values, "o", color=colour, markersize=5, alpha=0.75, zorder=3)
