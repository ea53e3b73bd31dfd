"""The five input images of the paper's Table 2 (sections 3.1.1.1 to 3.1.1.5), as 8-bit RGB.

Darknet's loaders know one and three channels only, so every input is a three-channel image: R = SWI, G = phase or its
complement, B = magnitude; a channel that an input does not have is constant 0. SWI alone stands in all three channels,
which is what Darknet makes of a grey image.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..imaging import frame as framing
from ..imaging.normalise import complement, phase_channel, swi_channel
from ..model import INPUTS, Frame

__all__ = ["average_slices", "composite", "needs", "network_images"]

Volume = NDArray[np.float32]


def needs(input_name: str) -> tuple[str, ...]:
    """Volumes an input is made of: some of ``swi``, ``phase``, ``magnitude``.

    Raises
    ------
    UsageError
        If the input is none of the five.
    """
    if input_name not in INPUTS:
        raise UsageError(f"input {input_name!r}: expected one of {', '.join(INPUTS)}.")
    parts = input_name.removesuffix("-averaged").split("+")
    return tuple("phase" if part == "cphase" else part for part in parts)


def average_slices(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of slices k-1, k, k+1 (equation 11); the first and the last slice average the two that exist.

    Parameters
    ----------
    images : (k, row, column) float32 array

    Returns
    -------
    (k, row, column) float32 array
    """
    means = images.copy()
    last = len(images) - 1
    for k in range(len(images)):  # one after the other: what a processor keeps at hand holds a few
        if k > 0:
            means[k] += images[k - 1]
        if k < last:
            means[k] += images[k + 1]
        means[k] /= np.float32(1 + (k > 0) + (k < last))
    return means


def composite(
    input_name: str,
    frame: Frame,
    *,
    swi: Volume,
    phase: Volume | None = None,
    magnitude: Volume | None = None,
    mask: NDArray[np.bool_] | None = None,
    background: str = "black",
) -> NDArray[np.uint8]:
    """Network images of every slice.

    Parameters
    ----------
    input_name : str
        One of :data:`cmb_toolkit.model.INPUTS`. ``cphase`` is 1 - phase inside the mask and outside what `background`
        says; ``averaged`` is :func:`average_slices` of each channel.
    frame : Frame
    swi, phase, magnitude : (i, j, k) float32 arrays
        Normalised to 0..1; those that :func:`needs` names.
    mask : (i, j, k) bool array
        The brain; needed where the input has ``cphase``.
    background : {"black", "white"}
        Of ``cphase``, see :func:`cmb_toolkit.imaging.normalise.complement`.

    Returns
    -------
    (k, row, column, 3) uint8 array
        RGB; 255 is 1.0, values beyond 0..1 are clipped.

    Raises
    ------
    UsageError
        If the input or the background is unknown or a volume it needs is not given.
    """
    given = {"swi": swi, "phase": phase, "magnitude": magnitude}
    absent = [name for name in needs(input_name) if given[name] is None]
    if "cphase" in input_name and mask is None:
        absent.append("mask")
    if absent:
        raise UsageError(f"input {input_name} needs {' and '.join(absent)}, not given here.")
    result = np.zeros((swi.shape[2], frame.size, frame.size, 3), np.uint8)
    for n, name in enumerate(needs(input_name)):
        volume = given[name]
        assert volume is not None
        if name == "phase" and "cphase" in input_name:
            assert mask is not None
            volume = complement(volume, mask, background=background)
        if name == "phase" and "cphase" in input_name and background == "white":
            images = framing.apply(frame, volume - 1)  # beyond the volume as well, where the frame fills with 0
            images += 1
        else:
            images = framing.apply(frame, volume)
        if input_name.endswith("-averaged"):
            images = average_slices(images)  # interpolation in the plane and averaging across planes commute
        for k in range(len(images)):
            images[k] *= 255
            images[k] += 0.5
            result[k, ..., n] = np.clip(images[k], 0, 255, out=images[k])
    if len(needs(input_name)) == 1:
        result[..., 1:] = result[..., :1]
    return result


def network_images(
    input_name: str,
    frame: Frame,
    volumes: Mapping[str, Volume],
    mask: NDArray[np.bool_],
    *,
    scale: str,
    background: str,
) -> NDArray[np.uint8]:
    """Network images of clean volumes: grey values to 0..1, then :func:`composite`.

    Parameters
    ----------
    input_name, frame, background
        As :func:`composite` takes them.
    volumes : mapping of (i, j, k) float32 arrays
        Those that :func:`needs` names.
    mask : (i, j, k) bool array
        The brain.
    scale : str
        One of :data:`cmb_toolkit.imaging.normalise.SCALES`.

    Returns
    -------
    (k, row, column, 3) uint8 array
        RGB.
    """
    channels = {
        name: (phase_channel if name == "phase" else swi_channel)(volumes[name], mask, scale)
        for name in needs(input_name)
    }
    return composite(input_name, frame, mask=mask, background=background, **channels)
