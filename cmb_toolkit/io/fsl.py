"""FSL's ``bet``, where somebody has it: a volume goes out as a file, a brain mask comes back as one.

FSL is not part of the toolkit and never needed; its licence leaves it to non-commercial use. It is called as a program,
found by ``FSLDIR`` or on the ``PATH``. What proves success is the mask it wrote, not its exit status.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import CmbError, DataError, MissingError
from .nifti import Volume, read_mask, write_volume
from .process import running

__all__ = ["FslBet", "bet_argv", "find_bet", "other_program"]

_PATIENCE_S = 1800.0
"""A bet that says nothing for so long [s], which is all that it does, hangs."""


@dataclass(frozen=True)
class FslBet:
    """An installed ``bet``.

    Attributes
    ----------
    program : Path
    version : str
        Of FSL, from its ``etc/fslversion``; empty where there is no such file.
    """

    program: Path
    version: str = ""

    @property
    def root(self) -> Path:
        """FSL's folder, for ``FSLDIR`` where that is not set."""
        return self.program.resolve().parents[1]

    def describe(self) -> str:
        return f"FSL {self.version} bet" if self.version else "FSL bet"

    def mask(self, magnitude: Volume, *, fraction: float = 0.5, gradient: float = 0.0) -> NDArray[np.bool_]:
        """Let it find the brain.

        Parameters
        ----------
        magnitude : Volume
            Goes out on canonical axes, so that the gradient runs from bottom to top whatever the file's own axes.
        fraction : float
            Its ``-f``, 0..1: smaller gives a larger brain.
        gradient : float
            Its ``-g``, -1..1: positive gives a larger brain below.

        Returns
        -------
        (i, j, k) bool array

        Raises
        ------
        CmbError
            If it cannot be started, hangs, or writes no mask.
        DataError
            If the mask is empty or not on the volume's grid.
        """
        with tempfile.TemporaryDirectory(prefix="cmbtk-bet-") as name:
            folder = Path(name)
            upright = replace(magnitude, file_affine=magnitude.affine)
            write_volume(folder / "magnitude.nii.gz", magnitude.data, upright)
            said = self._run(bet_argv(self.program, fraction=fraction, gradient=gradient), folder)
            if not (folder / "brain_mask.nii.gz").is_file():
                raise CmbError(
                    f"{self.program}: wrote no mask for {magnitude.path.name}. Its last words:\n{said}\n"
                    "Give a brain mask (--mask, or the column mask), or take --brain-mask own."
                )
            try:
                return read_mask(folder / "brain_mask.nii.gz", upright)
            except DataError as error:
                raise DataError(
                    f"{self.program}: its mask for {magnitude.path.name} cannot be used ({error}). Try another "
                    "--bet-fraction, give a brain mask, or take --brain-mask own."
                ) from error

    def _run(self, argv: list[str], folder: Path) -> str:
        """Run it to its end; return the last lines that it printed."""
        environment = {"FSLDIR": os.environ.get("FSLDIR", str(self.root)), "FSLOUTPUTTYPE": "NIFTI_GZ"}
        cure = "Repair FSL, give a brain mask, or take --brain-mask own."
        with running(argv, folder, cure=cure, environment=environment, patience_s=_PATIENCE_S) as program:
            for _ in program.lines():
                pass
        return program.last_words() or "  (nothing)"


def bet_argv(program: Path, *, fraction: float, gradient: float) -> list[str]:
    """The command, run in the folder that holds ``magnitude.nii.gz``: a mask (-m) and no brain image (-n)."""
    return [str(program), "magnitude", "brain", "-f", f"{fraction:g}", "-g", f"{gradient:g}", "-m", "-n"]


def find_bet(environment: Mapping[str, str] | None = None) -> FslBet:
    """Find ``bet``: in ``FSLDIR``, or else on the ``PATH``.

    Raises
    ------
    MissingError
        If it is in neither place, saying where was looked.
    """
    known = os.environ if environment is None else environment
    folder = known.get("FSLDIR")
    inside = Path(folder) / "bin" / "bet" if folder else None
    if inside is not None and inside.is_file() and os.access(inside, os.X_OK):
        return _described(inside)
    found = shutil.which("bet", path=known.get("PATH", ""))
    if found is not None:
        return _described(Path(found).absolute())
    looked = f"FSLDIR is {folder}, and {inside} is no program" if folder else "FSLDIR is not set"
    raise MissingError(
        f"FSL's bet was not found ({looked}; there is none on the PATH). Install FSL and set FSLDIR to its folder, or "
        "take --brain-mask own, which needs nothing."
    )


def _described(program: Path) -> FslBet:
    bet = FslBet(program)
    with suppress(OSError, ValueError):
        return replace(bet, version=(bet.root / "etc" / "fslversion").read_text("utf-8").split(":")[0].strip())
    return bet


def other_program(
    brain_mask: str, image: Volume, gradient: float
) -> tuple[str, Callable[[float], NDArray[np.bool_]]] | None:
    """What finds the brain in place of the toolkit's own BET, where that is asked for: its name, and the mask that it
    gives at a fractional intensity threshold.

    Raises
    ------
    MissingError
        If it is asked for and not installed.
    """
    if brain_mask != "fsl":
        return None
    program = find_bet()
    return program.describe(), lambda fraction: program.mask(image, fraction=fraction, gradient=gradient)
