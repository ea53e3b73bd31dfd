"""Training images drawn anew: none is shown twice.

Eight fixed copies of some hundred slices are learned by heart. With ``draw=1`` in the ``[net]`` section of a network
file the embedded engine makes every training image when it is needed, from a plain slice of ``train.txt``: a window of
it, turned, mirrored, enlarged or reduced, the grey values of its channels bent, with noise. The keys, all in ``[net]``
(a Darknet reports them as unused, and trains on the listed images as they are):

- ``draw_size``: side of the window [px], by default and at most the network's. A window of half the side costs a
  quarter of the time and holds as many microbleeds, as it is laid around one (or around a place inside the brain); the
  network is convolutional and does not know the size. Whole images are shifted by up to ``draw_shift`` [px] instead.
- ``draw_angle``: turned by up to so many degrees, beside the eight symmetries of the square.
- ``draw_zoom``: enlarged or reduced by a factor of up to exp(``draw_zoom``). The label stays the square that it is:
  it stands for the middle, not for the extent.
- ``draw_gamma``, ``draw_gain``, ``draw_noise``: the values v in 0..1 of each channel become ``gain * v**gamma``, with
  log gamma within +-``draw_gamma`` and gain within 1 +- ``draw_gain``, and get noise of a standard deviation up to
  ``draw_noise``; what is black (outside the brain) stays black.
- ``draw_marked``: share of the images that hold a microbleed. The others come from all other slices of the list.
- ``draw_hard``: from half time on, share of the images that are laid around false positives which the network
  itself, as it is then, finds on the slices without a microbleed (see :mod:`cmb_toolkit.darknet.mining`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Drawing", "draw_image", "place_in"]

_EDGE = 12
"""A window keeps what it is laid around so far from its own edge [px]: half a label, and a little."""

_NOISE_SIDE = 1024
_NOISE_STEP = 32.0


@dataclass(frozen=True)
class Drawing:
    """How images are drawn; the keys of the module's docstring without ``draw_``. Defaults change nothing.

    Attributes
    ----------
    size : int
        [px]; 0 is the network's, which is the most.
    shift : float
        [px]
    angle : float
        [degrees]
    zoom, gamma : float
        Logarithms.
    gain, noise : float
        Relative to the range 0..1.
    marked, hard : float
        Shares, 0..1.
    """

    size: int = 0
    shift: float = 0.0
    angle: float = 0.0
    zoom: float = 0.0
    gamma: float = 0.0
    gain: float = 0.0
    noise: float = 0.0
    marked: float = 0.5
    hard: float = 0.0


def place_in(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.float64]:
    """A place (x, y) [px] inside the brain: where the first channel is not black; the middle, where all is."""
    rows, columns = image.shape[:2]
    for _ in range(20):
        row, column = int(random.integers(rows)), int(random.integers(columns))
        if image[row, column, 0]:
            return np.array([column + 0.5, row + 0.5])
    return np.array([columns / 2, rows / 2])


def draw_image(
    image: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    around: NDArray[np.float64],
    drawing: Drawing,
    size: int,
    random: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """One training image.

    Parameters
    ----------
    image : (rows, columns, 3) uint8 array
        A plain slice.
    boxes : (n, 5) array
        Centre x, y, width, height relative to the image, class.
    around : (2,) array
        Place (x, y) [px] on the slice that the window is laid around; whole images do not look at it.
    drawing : Drawing
    size : int
        Side of the result [px].
    random : Generator

    Returns
    -------
    image : (size, size, 3) uint8 array
    boxes : (m, 5) array
        Those whose middle is in the window, relative to it, of the pixels they had.
    """
    rows, columns = image.shape[:2]
    whole = size >= min(rows, columns)
    angle = np.pi / 2 * random.integers(4) + np.deg2rad(random.uniform(-1, 1) * drawing.angle)
    mirror = 1.0 - 2.0 * random.integers(2)
    zoom = np.exp(random.uniform(-1, 1) * drawing.zoom)
    if whole:
        around = np.array([columns, rows]) / 2 + random.uniform(-1, 1, 2) * drawing.shift
        at = np.full(2, size / 2)
    else:
        at = random.uniform(_EDGE, size - _EDGE, 2)
    # from the result's pixels p to the slice's: turn (p - at) + around; edges of pixels count from 0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([mirror, 1.0]) / zoom
    matrix = np.column_stack([turn, turn @ (0.5 - at) + around - 0.5])
    drawn = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    drawn = _grey_values(np.asarray(drawn, np.uint8), drawing, random)
    scale = np.array([columns, rows])
    middle = (boxes[:, :2] * scale - around) @ np.linalg.inv(turn).T + at
    inside = ((middle > 2) & (middle < size - 2)).all(axis=1)
    moved = np.concatenate([middle / size, boxes[:, 2:4] * scale / size, boxes[:, 4:]], axis=1)
    return drawn, moved[inside].astype(np.float32)


def _grey_values(image: NDArray[np.uint8], drawing: Drawing, random: np.random.Generator) -> NDArray[np.uint8]:
    """The image with its channels' grey values bent and noise added; black stays black."""
    result = image
    if drawing.gamma or drawing.gain:
        gamma = np.exp(random.uniform(-1, 1, 3) * drawing.gamma)
        gain = 1 + random.uniform(-1, 1, 3) * drawing.gain
        values = np.clip((np.arange(256)[:, None] / 255) ** gamma * gain, 0, 1) * 255
        result = np.asarray(cv2.LUT(image, np.round(values).astype(np.uint8).reshape(1, 256, 3)), np.uint8)
    if drawing.noise:
        rows, columns = image.shape[:2]
        top, left = random.integers(_NOISE_SIDE - np.array([rows, columns]) + 1)
        amount = random.uniform(0, drawing.noise, 3) * 255 / _NOISE_STEP
        piece = np.ascontiguousarray(_noise()[top : top + rows, left : left + columns])
        noise = cv2.multiply(piece, np.array([*amount, 0.0]), dtype=cv2.CV_8S)
        result = np.asarray(cv2.add(result, noise, dtype=cv2.CV_8U), np.uint8)
        held = cv2.threshold(image, 0, 255, cv2.THRESH_BINARY)[1]
        result = np.asarray(cv2.bitwise_and(result, held), np.uint8)
    return result


_bank: list[Any] = []


def _noise() -> NDArray[np.int8]:
    """Gaussian noise to take pieces of, three channels, in steps of 1/32 of its standard deviation; made once."""
    if not _bank:
        drawn = np.random.default_rng(0).standard_normal((_NOISE_SIDE, _NOISE_SIDE, 3), np.float32) * _NOISE_STEP
        _bank.append(np.clip(np.round(drawn), -127, 127).astype(np.int8))
    return _bank[0]  # type: ignore[no-any-return]
