"""What Darknets print and write, read: progress of a training, detections of ``valid`` and of ``test -out``."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from ..errors import DarknetError
from ..model import Box
from ..names import shown

__all__ = ["Found", "Iteration", "parse_iteration", "parse_test", "parse_valid"]

_ITERATION = re.compile(
    r"(?P<iteration>\d+): (?P<loss>\S+), \S+ avg(?: loss)?, (?P<rate>\S+) rate, (?P<seconds>\S+) seconds, "
    r"(?P<images>\d+) images(?:, \S+ hours left)?"
)

_LONGEST_REASON = 200
_NO_NUMBER = re.compile(r": ?(-?)(nan|inf)\b")
_JSON = {"nan": "NaN", "inf": "1e9"}
"""What an untrained network's boxes can be, in the words of JSON; C has others."""


class Iteration(NamedTuple):
    """What a training says after each iteration."""

    iteration: int
    loss: float
    images: int


class Found(NamedTuple):
    """A box of one class."""

    label: int
    box: Box


def parse_iteration(line: str) -> Iteration | None:
    """The line after an iteration, of either flavour; None for every other line.

    ``1: 288.887329, 288.887329 avg, 0.000000 rate, 1.286044 seconds, 16 images`` (original) or
    ``1: 21.492613, 21.492613 avg loss, 0.000000 rate, 0.2 seconds, 16 images, -1.0 hours left`` (AlexeyAB).
    """
    match = _ITERATION.fullmatch(line.strip())
    if match is None:
        return None
    try:
        return Iteration(int(match["iteration"]), float(match["loss"]), int(match["images"]))
    except ValueError:  # float() knows nan, -nan and inf
        return None


def parse_valid(text: str, name: str) -> dict[str, list[Box]]:
    """Boxes by image stem from a results file of ``detector valid``.

    Its lines are ``stem confidence left top right bottom``; the corners are pixel edges plus 1, clipped to 1 and to
    the image's width or height, so that a box at the right or lower border has lost up to a pixel.

    Raises
    ------
    DarknetError
        If a line is something else: the file was cut off.
    """
    boxes: dict[str, list[Box]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        try:
            stem, *columns = line.rsplit(" ", 5)
            confidence, left, top, right, bottom = (float(column) for column in columns)
            _check_confidence(confidence)
        except ValueError as error:
            raise DarknetError(
                f"{name}, line {number}: {shown(line)} is not a detection, so Darknet did not finish. Is the disk full?"
            ) from error
        boxes.setdefault(stem, []).append(Box(left - 1, top - 1, right - 1, bottom - 1, confidence))
    return boxes


def parse_test(text: str, width: int, height: int, name: str) -> list[tuple[str, list[Found]]]:
    """Images with their boxes from the JSON of ``detector test -out``, in the order that they were given in.

    Parameters
    ----------
    text : str
    width, height : int
        Of the images [px]; the file has centres and sizes relative to them, with six decimals, not clipped.
    name : str

    Raises
    ------
    DarknetError
        If it is no whole JSON file: Darknet writes its end last.
    """
    found = []
    try:
        for frame in json.loads(_NO_NUMBER.sub(lambda match: f": {_JSON[match[2]]}", text)):
            boxes = []
            for thing in frame["objects"]:
                at = thing["relative_coordinates"]
                x, y = at["center_x"] * width, at["center_y"] * height
                w, h = at["width"] * width, at["height"] * height
                corners = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
                boxes.append(Found(int(thing["class_id"]), Box(*corners, _check_confidence(thing["confidence"]))))
            found.append((str(frame["filename"]), boxes))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        why = f"{error}"[:_LONGEST_REASON]
        raise DarknetError(f"{name}: is not whole, so Darknet did not finish ({why}). Is the disk full?") from error
    return found


def _check_confidence(value: float) -> float:
    """A confidence; NaN is that of a network that diverged, and is dropped later."""
    if value < 0 or value > 1:
        raise ValueError(f"a confidence of {value:g}")
    return float(value)
