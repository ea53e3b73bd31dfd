"""One look for every figure: readable at half size, told apart without colour vision, drawn without a display."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text

__all__ = ["COLOURS", "KINDS", "canvas", "fit", "headline", "save"]

KINDS: tuple[str, ...] = ("found", "missed", "false")
"""What a finding can be: a microbleed found, a microbleed missed, a false positive."""

COLOURS: dict[str, str] = {
    # Okabe and Ito's palette; kinds also differ in line style or label wherever they are drawn
    "found": "#009E73",
    "missed": "#D55E00",
    "false": "#56B4E9",
    "stage1": "#0072B2",
    "overall": "#D55E00",
    "validation": "#D55E00",
    "train": "#0072B2",
    "paper": "#555555",
}

_RC: Any = {
    "font.size": 11,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "text.parse_math": False,  # names are names, whatever they hold: `$x$` is no formula
    "figure.dpi": 150,  # what is measured is what is drawn: glyphs are a little wider at other resolutions
    "savefig.dpi": 150,
    "savefig.facecolor": "white",
}


@contextmanager
def canvas(width: float, height: float, *, arrange: bool = True) -> Iterator[Figure]:
    """An empty figure of the house's look; no window, no global state left behind.

    Parameters
    ----------
    width, height : float
        Size [inch].
    arrange : bool
        Let matplotlib fit axes and texts; placing them by hand is three times faster.
    """
    with mpl.rc_context(_RC):
        yield Figure(figsize=(width, height), layout="constrained" if arrange else None)


def headline(figure: Figure, text: str) -> None:
    """A bold title above everything, from the left, that fits the width."""
    fit(figure.suptitle(text, x=0.01, ha="left", fontsize=13, fontweight="bold"), 0.98 * figure.bbox.width)


def fit(text: Text, width: float, least: float = 6) -> None:
    """Make a text that is wider than this [px] smaller, and where that does not do, break its lines.

    Parameters
    ----------
    text : Text
        Of a figure.
    width : float
    least : float
        Size below which lines are broken [point].
    """
    size = float(text.get_fontsize())
    while text.get_window_extent().width > width and size > least:
        size = max(least, size - 0.5)
        text.set_fontsize(size)
    wide = text.get_window_extent().width
    if wide > width:
        lines = text.get_text().splitlines()
        most = max(1, int(0.97 * max(map(len, lines)) * width / wide))
        text.set_text("\n".join(part for line in lines for part in wrap(line, most) or [""]))


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG: equal figures are equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", metadata={"Software": None})
    return path
