"""Units of phase images: what a file's numbers mean in radians.

Scanners and converters store one cycle of phase in many units. The unit is recognised only where the values fill a
known range; a range that is merely close is refused, because a wrong unit makes a wrong image without any error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .unsigned import Groups, two_groups

__all__ = [
    "PhaseScale",
    "alternating_slices",
    "phase_scale",
    "polar",
    "to_radians",
    "without_alternation",
]

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

TOLERANCE = 0.02
"""How far each end of the values may be from a known range, as a share of its span."""

_TWO_PI = 2 * np.pi
_UNWRAPPED_MAX_RAD = 200.0
_WRAP_SHARE = 1e-4
_SIGN_SLICES = 24  # about so many slices are enough to see the sign
_FEW_LEVELS = 256
_CYCLE_BINS = 50
_END_BINS = 4  # how much emptier or fuller than others the first and the last may be


@dataclass(frozen=True)
class PhaseScale:
    """How a file's values become radians: ``slope * value + intercept``.

    Attributes
    ----------
    unit : str
        What the values are, in words.
    slope, intercept : float
    wrapped : bool
        False where the phase was unwrapped before it was stored.
    warnings : tuple of str
        What a user should know about this file.
    groups : Groups or None
        Where signed values were stored as unsigned ones: slope and intercept are those of the signed values.
    """

    unit: str
    slope: float
    intercept: float
    wrapped: bool = True
    warnings: tuple[str, ...] = ()
    groups: Groups | None = None


@dataclass(frozen=True)
class _Known:
    unit: str
    low: float
    high: float
    slope: float
    intercept: float
    warning: str = ""


_KNOWN = (
    _Known("radians, -pi..pi", -np.pi, np.pi, 1.0, 0.0),
    _Known("radians, 0..2 pi", 0.0, _TWO_PI, 1.0, -np.pi),
    _Known("milliradians, -3142..3142", -1000 * np.pi, 1000 * np.pi, 1e-3, 0.0),
    _Known("12 bits, 0..4095", 0.0, 4095.0, _TWO_PI / 4096, -np.pi),
    _Known("12 bits scaled, -4096..4094", -4096.0, 4094.0, np.pi / 4096, 0.0),
    _Known(
        "12 bits scaled twice, -12288..4092",
        -12288.0,
        4092.0,
        np.pi / 8192,
        np.pi / 2,
        "the scaling 2 x - 4096 was applied twice before the file was written; it was undone once",
    ),
)
# A field of view without the lowest raw values: dcm2niix issue 406 saw -8192..4096.
_TWICE_LOWEST = -8192.0


def phase_scale(values: NDArray[Any], given: str | float | None = None) -> PhaseScale:
    """Recognise, or take from the user, the unit of phase values.

    Parameters
    ----------
    values : array
        Finite values, with the file's own slope and intercept applied.
    given : None, ``"radians"`` or float
        None recognises; ``"radians"`` takes the values as they are; a number is the span of one full cycle in the
        file's units.

    Returns
    -------
    PhaseScale

    Raises
    ------
    DataError
        If the unit cannot be recognised, or what was given cannot be right.
    """
    scale = _scale(values, given)
    levels = _few_levels(values)
    if levels is None:
        return scale
    return replace(
        scale,
        warnings=(
            *scale.warnings,
            f"the phase has only {levels} different values, as 8-bit pictures have; export the scan itself",
        ),
    )


def _scale(values: NDArray[Any], given: str | float | None) -> PhaseScale:
    groups = two_groups(values)
    if groups is not None and groups.turns is not None:
        return _scale_of_unsigned(values, groups, groups.turns, given)
    low, high = float(values.min()), float(values.max())
    if given is not None:
        scale = _given_scale(values, low, high, given)
        if groups is None or not scale.wrapped:
            return scale
        doubt = f"its values lie in two groups, {groups}, with nothing between: is one of them padding, or a label?"
        return replace(scale, warnings=(*scale.warnings, doubt))
    known = _known(low, high)
    if known is not None:
        return PhaseScale(known.unit, known.slope, known.intercept, warnings=(known.warning,) if known.warning else ())
    twice = _KNOWN[-1]
    slack = TOLERANCE * (twice.high - twice.low)
    if abs(high - twice.high) <= slack and twice.low - slack <= low <= _TWICE_LOWEST + slack:
        return PhaseScale(twice.unit, twice.slope, twice.intercept, warnings=(twice.warning,))
    if _looks_unwrapped(values, high - low):
        return PhaseScale("radians, already unwrapped", 1.0, 0.0, wrapped=False)
    if groups is not None:
        raise DataError(
            f"the unit of the phase is not known: its values lie in two groups, {groups}, with nothing between, and a "
            "wrapped phase fills its cycle. If one of them is padding, or a label, export the phase again without it; "
            "else say how many file units one full cycle (2 pi) spans with --phase-range SPAN."
        )
    cycle = _cycle(values, low, high)
    proposal = "" if cycle is None else f", --phase-range {cycle:.6g} if the values wrap from {high:.6g} to {low:.6g}"
    raise DataError(
        f"the unit of the phase is not known: its values span {low:.6g} .. {high:.6g}, which is none of -pi..pi, "
        "0..2 pi, -3142..3142, 0..4095 and -4096..4094. Say how many file units one full cycle (2 pi) spans with "
        f"--phase-range SPAN (or in the column phase_range of participants.tsv){proposal}; --phase-range radians if "
        "they are radians that do not fill a cycle."
    )


def _known(low: float, high: float) -> _Known | None:
    for known in _KNOWN:
        slack = TOLERANCE * (known.high - known.low)
        if abs(low - known.low) <= slack and abs(high - known.high) <= slack:
            return known
    return None


def _scale_of_unsigned(values: NDArray[Any], groups: Groups, turns: float, given: str | float | None) -> PhaseScale:
    """The unit of signed values that were stored as unsigned ones: only where it is given."""
    low, high = groups.high_start - turns, groups.low_end
    what = f"its values, {groups}, are signed numbers, {low:.6g} .. {high:.6g}, that were stored as unsigned ones"
    if given is None:
        known = _known(low, high)
        cycle = "" if known is None else f", or say --phase-range {_TWO_PI / known.slope:.6g} to have that undone"
        raise DataError(f"{what}. Convert the scan again with a newer converter{cycle}.")
    scale = _given_scale(groups.signed(values), low, high, given)
    filled = (high - low) * scale.slope / _TWO_PI
    if filled < 0.5:
        raise DataError(
            f"{what}, and fill only {filled:.0%} of the given cycle. Give the units that one full cycle of the signed "
            "numbers spans with --phase-range."
        )
    return replace(scale, warnings=(*scale.warnings, f"{what}; this was undone"), groups=groups)


def _cycle(values: NDArray[Any], low: float, high: float) -> float | None:
    """The span of the values where they fill it to its ends and jump from end to end, as one wrapped cycle does."""
    counts = np.histogram(values, _CYCLE_BINS, (low, high))[0]
    usual = float(np.median(counts))
    ends = counts[[0, -1]]
    if ends.min() < usual / _END_BINS or ends.max() > usual * _END_BINS or not counts.all():
        return None
    if _wrap_share(values, high - low) <= _WRAP_SHARE:
        return None
    whole = low == 0 and bool(np.all(values == np.rint(values)))
    return high - low + whole  # whole numbers from 0 to 359 are 360 in a cycle


def _few_levels(values: NDArray[Any]) -> int | None:
    """How many different values there are, where 8 bits hold them all; None for more, or too few voxels to tell."""
    sample = values.ravel()[:: max(1, values.size // 100_000)]
    levels = len(np.unique(sample))
    return levels if levels <= _FEW_LEVELS < sample.size / 8 else None


def _given_scale(values: NDArray[Any], low: float, high: float, given: str | float) -> PhaseScale:
    if isinstance(given, str):
        if given != "radians":
            raise DataError(f"phase range {given!r}: expected `radians` or the file units of one full cycle (> 0).")
        span, unit = _TWO_PI, "radians, as given"
    else:
        span, unit = float(given), f"{given:g} per cycle, as given"
        if not (np.isfinite(span) and span > 0):
            raise DataError(f"phase range {given!r}: expected `radians` or the file units of one full cycle (> 0).")
    slope, cycles = _TWO_PI / span, (high - low) / span
    if cycles > 1 + TOLERANCE:
        if _wrap_share(values, high - low) > _WRAP_SHARE:
            raise DataError(
                f"the phase spans {low:.6g} .. {high:.6g}, which is {cycles:.3g} cycles of the given {span:.6g}, and "
                "still wraps. Give the span of one cycle, which is where the values jump, with --phase-range."
            )
        if _usual_span(values) <= span:
            raise DataError(
                f"the phase spans {low:.6g} .. {high:.6g}, which is {cycles:.3g} cycles of the given {span:.6g}, but "
                "nearly all of its values lie within one. Are the others no phase (padding, a hot voxel)? Export the "
                "phase again without them, or give the span of one cycle with --phase-range."
            )
        return PhaseScale(unit + ", already unwrapped", slope, 0.0, wrapped=False)
    if cycles < 0.02:
        raise DataError(
            f"the phase spans only {low:.6g} .. {high:.6g}, {cycles:.2%} of the given cycle of {span:.6g}. Give the "
            "file units of one full cycle with --phase-range."
        )
    warnings: tuple[str, ...] = ()
    if cycles < 0.5:
        warnings = (f"the phase fills only {cycles:.0%} of the given cycle of {span:.6g}: check --phase-range",)
    elif cycles < 1 - TOLERANCE and (seen := _cycle(values, low, high)) is not None:
        warnings = (
            f"the phase wraps from {high:.6g} to {low:.6g}, a cycle of {seen:.6g} and not of the given {span:.6g}: "
            "check --phase-range",
        )
    # 0..span instead of -span/2..span/2: keep radians within -pi..pi
    intercept = -np.pi if low > -TOLERANCE * span and high > (0.5 + TOLERANCE) * span else 0.0
    return PhaseScale(unit, slope, intercept, warnings=warnings)


def _looks_unwrapped(values: NDArray[Any], span: float) -> bool:
    """Fractional values over more than one cycle of radians, without jumps as large as the whole range."""
    if not _TWO_PI * (1 + TOLERANCE) < span <= _UNWRAPPED_MAX_RAD:
        return False
    sample = values.ravel()[:: max(1, values.size // 100_000)]
    fractional = bool(np.any(sample != np.rint(sample)))
    return fractional and _usual_span(values) > _TWO_PI and _wrap_share(values, span) <= _WRAP_SHARE


def _usual_span(values: NDArray[Any]) -> float:
    """What nearly all values span: not the few that are no phase, such as a hot voxel."""
    low, high = np.quantile(values.ravel()[:: max(1, values.size // 100_000)], (0.001, 0.999))
    return float(high - low)


def _wrap_share(values: NDArray[Any], span: float) -> float:
    """Share of in-plane neighbours that differ by more than 0.6 of the span: where a wrapped phase wraps."""
    if values.ndim < 2:
        return 0.0
    jumps = total = 0
    for plane in np.moveaxis(values, -1, 0) if values.ndim > 2 else (values,):  # a copy of all would be large
        for axis in (0, 1):
            step = np.abs(np.diff(plane, axis=axis))
            jumps += int((step > 0.6 * span).sum())
            total += step.size
    return jumps / max(total, 1)


def to_radians(values: NDArray[Any], scale: PhaseScale) -> Float:
    """Phase in radians, of the file's own sign."""
    values = values if scale.groups is None else scale.groups.signed(values)
    radians = np.asarray(values, np.float32) * np.float32(scale.slope)
    radians += np.float32(scale.intercept)
    return radians


def alternating_slices(radians: Float, mask: Mask) -> bool:
    """Whether the phase jumps by about pi from every slice to the next, as in some GE reconstructions."""
    both = mask[:, :, 1:] & mask[:, :, :-1]
    if both.sum() < 100:
        return False
    step = np.angle(np.exp(1j * (radians[:, :, 1:] - radians[:, :, :-1])[both][:: max(1, int(both.sum()) // 200_000)]))
    return bool(np.median(np.abs(step)) > 0.75 * np.pi)


def without_alternation(radians: Float) -> Float:
    """Take a jump of pi from every slice to the next out again, by adding pi to every second slice.

    Whether the even or the odd slices are shifted is a constant of the whole volume, which no filter keeps.

    Parameters
    ----------
    radians : (i, j, k) array
        Wrapped phase.

    Returns
    -------
    (i, j, k) float32 array
        Within -pi..pi.
    """
    result = np.asarray(radians, np.float32).copy()
    odd = result[:, :, 1::2]
    result[:, :, 1::2] = np.where(odd > 0, odd - np.float32(np.pi), odd + np.float32(np.pi))
    return result


def polar(real: NDArray[np.float32], imaginary: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Magnitude and phase [rad] of a real and an imaginary part.

    Raises
    ------
    DataError
        If neither has a negative value: then the scaling that makes them signed was lost.
    """
    if min(real.min(), imaginary.min()) >= 0:
        raise DataError(
            "no value is negative, so they are no real and imaginary part, or their scaling was lost. Export them "
            "again with signed values."
        )
    return np.hypot(real, imaginary), np.arctan2(imaginary, real)
