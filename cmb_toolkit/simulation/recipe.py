"""What can be chosen of simulated scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import UsageError
from ..recipe import Recipe, option

__all__ = ["COHORTS", "MOST_MICROBLEEDS", "Part", "People", "Simulating", "Variant"]

MOST_MICROBLEEDS = 30.0
"""Highest mean per patient; more do not find room 12 mm apart in a slab."""


@dataclass(frozen=True)
class Part:
    """The subjects of one resolution in a cohort with exact numbers.

    Attributes
    ----------
    patients, microbleeds, healthy : int
    scanners : tuple of int
        Patients on the first and on the second simulated scanner.
    """

    patients: int
    microbleeds: int
    healthy: int
    scanners: tuple[int, int]


COHORTS: dict[str, dict[str, Part]] = {
    "paper": {"HR": Part(72, 188, 14, (47, 25)), "LR": Part(107, 572, 8, (74, 33))},
    "demo": {"slab": Part(10, 30, 2, (6, 4)), "slab-lr": Part(10, 40, 2, (6, 4))},
}
"""Cohorts by name: parts by resolution. ``paper``: sections 2.2.1 and 3.4 (Verio and Skyra; Table 7's controls).
``demo``: so few subjects of either resolution that the whole experiment takes less than an hour."""


@dataclass(frozen=True)
class People(Recipe):
    """Who is scanned, and by what protocol."""

    resolution: Literal["HR", "LR", "slab", "slab-lr", "tiny"] | None = option(
        None,
        "Protocol: the paper's HR (0.5x0.5x2 mm, TE 20 ms, 448x512x72) and LR (0.8x0.8x2 mm, TE 13.7 ms, "
        "252x288x72), about 15 s a subject; slab: 14 slices of HR through the deep nuclei, about 4 s; tiny: 1.8x1.8x3 "
        "mm, 112x128x24, about 1 s, for trying the commands.",
        otherwise="slab; of a cohort all that it has",
    )
    cohort: str | None = option(
        None,
        "Exactly as many subjects and microbleeds as the paper had: HR 72 patients with 188 and 14 controls, LR 107 "
        "with 572 and 8; about half an hour on 2 processors. demo: 12 slab and 12 slab-lr subjects, for the whole "
        "experiment. In place of --subjects, --healthy, --scanners and --microbleeds.",
        choices=COHORTS,
    )
    subjects: int = option(24, "Subjects in all.", least=1)
    healthy: int = option(0, "How many of them are controls without microbleeds.", least=0)
    scanners: int = option(2, "Simulated scanners (1 or 2), in turn.", least=1, most=2)
    # whatever the number of jobs is: subject n has its own random numbers
    seed: int = option(0, "Equal seeds give equal studies.", least=0)
    # one, and Poisson-distributed more
    microbleeds: float = option(4.0, "Mean number of microbleeds per patient.", least=1, most=MOST_MICROBLEEDS)
    difficulty: Literal["easy", "paper", "hard"] = option(
        "paper", "Vein density, noise, size and least visibility of the microbleeds."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.healthy >= self.subjects:
            raise UsageError(
                f"{self.healthy} healthy of {self.subjects} subjects asked for; at least one subject must be a "
                "patient. --subjects counts all, --healthy says how many of them are controls."
            )


@dataclass(frozen=True)
class Variant(Recipe):
    """What scans may be besides the usual."""

    white_matter_lesions_ml: float = option(
        0.0,
        "White matter lesions of small vessel disease in every subject.",
        name="white-matter-lesions",
        unit="ml",
        least=0,
        most=150,
    )
    motion_mm: float = option(
        0.0,
        "How far the head moves while it is scanned, root mean square; 1 shows clear ghosts.",
        name="motion",
        unit="mm",
        least=0,
        most=10,
    )
    oblique_deg: float = option(
        0.0,
        "Turn the slices about the left-right axis, out of the plane across the main field.",
        name="oblique",
        unit="degrees",
        least=-60,
        most=60,
    )
    anatomy: Literal["procedural", "mni"] = option(
        "procedural",
        "procedural: every head is drawn. mni: the MNI152 template, warped (needs the extra mni: nilearn).",
    )


@dataclass(frozen=True)
class Simulating(Variant, People):
    """What `cmbtk simulate` is asked for."""
