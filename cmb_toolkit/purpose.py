"""What a network was trained for, and what speaks against giving it something else.

A network's file says nothing of it: the same weights take any image of their size. So whoever trains notes a
:class:`Purpose` beside the weights, and whoever uses them asks :func:`contradictions` and :func:`doubts` first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

__all__ = ["PHASE", "TOLERANCE", "Purpose", "contradictions", "doubts", "together"]

PHASE = "paramagnetic positive"
"""The sign that every preprocessed phase of the toolkit has, whatever the scanner's was."""

TOLERANCE = 0.2
"""Share by which sizes in millimetres may differ from those trained on before it is worth a warning. (A detector
trained at 0.5 x 0.5 x 2 mm found none of 29 microbleeds in scans with other voxels.)"""

_SAME_GRID = 0.1
"""Cropped or resized does not matter where the pixels are as large in millimetres to within this share."""

Span = tuple[float, float]


@dataclass(frozen=True)
class Purpose:
    """What a network takes. None: not known, or no matter for this network.

    Attributes
    ----------
    network : str
        Fingerprint of its layers and anchors: weights of another one may have the same size.
    input : str
        What the image or patch shows, for example ``swi+cphase-averaged``.
    channels : int
    size : int
        Side of the image [px] or patch [voxel].
    mode : str
        ``crop`` or ``resize``, or both with a ``+``: how planes became images.
    scale : str
        How grey values became 0..1, see :mod:`cmb_toolkit.imaging.normalise`.
    background : str
        Of the complemented phase outside the brain.
    phase : str
        Sign of the phase, :data:`PHASE`.
    swi : str
        What the SWI darkens: ``paramagnetic`` or ``diamagnetic``.
    pixel_mm : (float, float)
        Least and greatest side of a pixel of the image, or voxel of the patch, in the plane [mm].
    slice_mm : (float, float)
        Least and greatest distance of slices [mm].
    """

    network: str | None = None
    input: str | None = None
    channels: int | None = None
    size: int | None = None
    mode: str | None = None
    scale: str | None = None
    background: str | None = None
    phase: str | None = None
    swi: str | None = None
    pixel_mm: Span | None = None
    slice_mm: Span | None = None

    def as_json(self) -> dict[str, Any]:
        """What is known, for a sidecar."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, value: object) -> Purpose | None:
        """The same again; None where it is none or was damaged."""
        if not isinstance(value, Mapping) or not value or not set(value) <= {each.name for each in fields(cls)}:
            return None
        known: dict[str, Any] = dict(value)
        for name, found in known.items():
            if name in _SPANS:
                if not isinstance(found, list | tuple) or len(found) != 2 or not all(map(_is_length, found)):
                    return None
                known[name] = (float(found[0]), float(found[1]))
            elif type(found) is not (int if name in _WHOLE else str):
                return None
        return cls(**known)


_SPANS = {"pixel_mm": "mm per pixel", "slice_mm": "mm from slice to slice"}
_WHOLE = ("channels", "size")
_EXACT = {
    "network": "layers and anchors of the network",
    "input": "input",
    "channels": "channels",
    "size": "side of the image or patch",
    "scale": "scale of grey values",
    "background": "background of the phase",
    "phase": "sign of the phase",
    "swi": "what the SWI darkens",
}


def _is_length(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def together(purposes: Iterable[Purpose]) -> Purpose:
    """Several as one: spans and modes cover all of them, and of what they do not agree in nothing is known."""
    every = list(purposes)
    if not every:
        return Purpose()
    known: dict[str, Any] = {}
    for name in _EXACT:
        values = {getattr(each, name) for each in every}
        known[name] = values.pop() if len(values) == 1 else None
    for name in _SPANS:
        spans = [getattr(each, name) for each in every]
        if None not in spans:
            known[name] = (min(low for low, _ in spans), max(high for _, high in spans))
    modes = [each.mode for each in every if each.mode is not None]
    if len(modes) == len(every):
        known["mode"] = "+".join(sorted({one for mode in modes for one in mode.split("+")}))
    return Purpose(**known)


def contradictions(trained: Purpose, asked: Purpose) -> list[str]:
    """What must not be given to a network because it was trained for something else.

    Parameters
    ----------
    trained, asked : Purpose
        What it was trained for, and what it is to be given. What is not known in either is passed over.

    Returns
    -------
    list of str
        One line each, for people; empty where nothing contradicts.
    """
    lines = []
    for name, words in _EXACT.items():
        mine, theirs = getattr(trained, name), getattr(asked, name)
        if mine is not None and theirs is not None and mine != theirs:
            lines.append(f"{words}: trained with {mine}, given {theirs}")
    if _other_mode(trained, asked) and not _within(trained.pixel_mm, asked.pixel_mm, _SAME_GRID):
        lines.append(f"planes become images by: trained with {trained.mode}, given {asked.mode}")
    return lines


def doubts(trained: Purpose, asked: Purpose) -> list[str]:
    """What a network may do badly at: sizes beyond :data:`TOLERANCE`, and what nobody noted when it was trained.

    Parameters
    ----------
    trained, asked : Purpose

    Returns
    -------
    list of str
        One line each, for people; empty where there is no doubt.
    """
    lines = []
    for name, words in _SPANS.items():
        mine, theirs = getattr(trained, name), getattr(asked, name)
        if mine is not None and theirs is not None and not _within(mine, theirs, TOLERANCE):
            lines.append(f"{_span(theirs)} {words}, trained with {_span(mine)}: more than {TOLERANCE:.0%} apart")
    if _other_mode(trained, asked) and _within(trained.pixel_mm, asked.pixel_mm, _SAME_GRID):
        lines.append(f"{asked.mode} where it was trained with {trained.mode}, though with pixels of nearly one size")
    unknown = [
        words
        for name, words in (_EXACT | _SPANS | {"mode": "how planes become images"}).items()
        if getattr(trained, name) is None and getattr(asked, name) is not None
    ]
    if unknown:
        lines.append(f"not known of what it was trained for: {', '.join(unknown)}")
    return lines


def _other_mode(trained: Purpose, asked: Purpose) -> bool:
    if trained.mode is None or asked.mode is None:
        return False
    return not set(asked.mode.split("+")) <= set(trained.mode.split("+"))


def _within(trained: Span | None, asked: Span | None, share: float) -> bool:
    """Whether a span lies in another one widened by a share on either side."""
    if trained is None or asked is None:
        return False
    rounding = 1e-6
    return trained[0] * (1 - share - rounding) <= asked[0] and asked[1] <= trained[1] * (1 + share + rounding)


def _span(span: Span) -> str:
    low, high = (f"{value:.3g}" for value in span)
    return low if low == high else f"{low} to {high}"
