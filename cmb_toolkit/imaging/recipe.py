"""How a scan is cleaned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..errors import UsageError

__all__ = ["Background", "Mode", "Recipe", "Scale"]

Scale: TypeAlias = Literal["paper", "slice", "fixed"]
Background: TypeAlias = Literal["black", "white"]
Mode: TypeAlias = Literal["auto", "crop", "resize"]


@dataclass(frozen=True)
class Recipe:
    """How scans are cleaned.

    Attributes
    ----------
    unwrap : {"path", "laplacian"}
        Exact unwrapping along a path, or the smoother Laplacian one.
    highpass : {"gaussian", "homodyne"}
        Gaussian high-pass of the unwrapped phase (2.5 mm), or the classic homodyne filter (0.25 cycles/mm), which
        needs no unwrapping.
    brain_mask : {"own", "fsl", "none"}
        Who finds the brain: the toolkit's own BET, FSL's ``bet``, which the caller has to give, or nobody: every voxel
        with signal is taken (crops and volumes without a skull).
    bet_fraction : float
        Fractional intensity threshold of either BET, 0..1.
    bet_gradient : float
        Added to it from the lower (-) to the upper (+) end of the head, -1..1: positive gives a larger brain below.
    swi_power : int
        How many times the phase mask is multiplied.
    swi_polarity : {"paramagnetic", "diamagnetic"}
        What the SWI darkens: blood, or calcification.
    swi_scaling : {"pi", "extreme"}
        Phase at which the mask reaches 0: pi (Haacke), or the scan's own 99.9th percentile.
    minip_slices : int
        Slices projected into one.
    phase_range : "radians", float or None
        Unit of the phase: file units of one full cycle. None: recognised.
    phase_is_filtered : bool
        The phase was unwrapped and high-passed before (for example a scanner's SWI phase).
    phase_sign : {1, -1, "auto"}
        ``auto`` asks veins and sinuses, scan by scan, and refuses where they do not
        tell or contradict each other.
    fix_ge_phase : bool
        Undo a jump of pi from every slice to the next in the scans that have it.
    """

    unwrap: Literal["path", "laplacian"] = "path"
    highpass: Literal["gaussian", "homodyne"] = "gaussian"
    brain_mask: Literal["own", "fsl", "none"] = "own"
    bet_fraction: float = 0.5
    bet_gradient: float = 0.0
    swi_power: int = 4
    swi_polarity: Literal["paramagnetic", "diamagnetic"] = "paramagnetic"
    swi_scaling: Literal["pi", "extreme"] = "pi"
    minip_slices: int = 5
    phase_range: str | float | None = None
    phase_is_filtered: bool = False
    phase_sign: Literal[1, -1, "auto"] = 1
    fix_ge_phase: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.bet_fraction < 1:
            raise UsageError(f"--bet-fraction {self.bet_fraction:g}: expected a number between 0 and 1.")
        if not -1 <= self.bet_gradient <= 1:
            raise UsageError(f"--bet-gradient {self.bet_gradient:g}: expected a number from -1 to 1.")
        if self.swi_power < 1:
            raise UsageError(f"--swi-power {self.swi_power}: expected 1 or more (the paper takes 4).")
        if self.minip_slices < 1:
            raise UsageError(f"--minip-slices {self.minip_slices}: expected 1 or more.")
