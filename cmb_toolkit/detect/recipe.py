"""What can be chosen when a model looks at scans."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..imaging.recipe import PhaseRange, Preprocessing
from ..recipe import Recipe, declared, option

__all__ = ["Detecting"]

_CLEANING = declared(Preprocessing)


def _as_said(name: str) -> dict[str, Any]:
    """The words and bounds of an option of `cmbtk preprocess`."""
    return vars(_CLEANING[name].said)


@dataclass(frozen=True)
class Detecting(Recipe):
    """How scans are looked at; how they are cleaned is the model's affair, what is each scan's own is said here."""

    operating: Literal["sensitive", "balanced", "specific"] = option(
        "balanced",
        "Which of the model's thresholds: chosen to leave 2, 0.5 or 0.125 false positives a subject on its validation "
        "subjects.",
    )
    regions: bool = option(
        False,
        "Say in which region of the brain each finding lies, and count by MARS's regions: lays the scan on the MNI152 "
        "brain (needs the extra regions: SimpleITK, nilearn).",
        silent=True,
    )
    prior: Path | None = option(
        None,
        "What `cmbtk detect` wrote of an earlier scan of the same person: say which findings are new, unchanged and "
        "gone. With SCANS, the folder of earlier results, in which the same person's are called alike (needs the extra "
        "regions).",
        folders=True,
        metavar="DIR",
    )
    force: bool = option(
        False,
        "Look at scans that are far from what the model learned from, too, and compare with a --prior that is little "
        "alike.",
    )
    brain_mask: Literal["own", "none"] | None = option(
        None,
        "What finds the brain where no mask is given: the toolkit's own BET; none takes all voxels with signal (crops, "
        "volumes without a skull).",
        otherwise="as in the model's scans",
    )
    bet_fraction: float | None = option(
        None,
        "Intensity threshold of BET, 0 to 1: smaller gives a larger brain.",
        above=0,
        below=1,
        metavar="F",
        otherwise="as in the model's scans",
    )
    phase_sign: Literal[1, -1, "auto"] = option("auto", **_as_said("phase-sign"))
    phase_range: PhaseRange = option(None, **_as_said("phase-range"))
    phase_is_filtered: bool = option(False, **_as_said("phase-is-filtered"))
    fix_ge_phase: bool = option(False, **_as_said("fix-ge-phase"))
    echo: int | None = option(None, **_as_said("echo"))
    phase_volume: int | None = option(None, **_as_said("phase-volume"))

    def cleaning(self, of_model: dict[str, Any]) -> Preprocessing:
        """How a scan is read and cleaned.

        Parameters
        ----------
        of_model : dict
            What the model's scans were cleaned with.
        """
        own = {name: getattr(self, name) for name in _OWN}
        own |= {name: value for name in _INSTEAD if (value := getattr(self, name)) is not None}
        return Preprocessing(**{**of_model, **own})


_INSTEAD = ("brain_mask", "bet_fraction")
_OWN = ("phase_sign", "phase_range", "phase_is_filtered", "fix_ge_phase", "echo", "phase_volume")
