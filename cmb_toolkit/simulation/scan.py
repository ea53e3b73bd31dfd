"""One simulated scan: a head, its vessels and lesions, its image and the noise, with all there is to know of it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from .acquisition import DIFFICULTIES, PROTOCOLS, SCANNERS, Difficulty, Protocol, Scanner, acquire, draw_motion, moved
from .anatomy import make_head
from .grid import Grid
from .mimics import draw_deposits, draw_flow_voids, draw_perivascular_spaces
from .mni import make_mni_head
from .placement import place_microbleeds
from .recipe import Variant
from .scene import PlacedLesion, Scene
from .signal import Array
from .spots import Spot, explain_spots
from .white_matter import with_white_matter_lesions

T = TypeVar("T")

__all__ = ["ANATOMIES", "Scan", "simulate_scan"]

ANATOMIES = {"procedural": make_head, "mni": make_mni_head}


@dataclass(frozen=True)
class Scan:
    """A simulated scan; arrays are (i, j, k) on RAS+ axes.

    Attributes
    ----------
    magnitude : array, float32
        White matter is about 1.
    phase : array, float32
        Wrapped, radians, paramagnetic positive.
    intracranial, brain : arrays, bool
        Inside of the skull; brain tissue.
    veins : array, float32
        Volume fraction of venous blood.
    affine : array (4, 4)
        Voxel to scanner [mm].
    microbleeds, mimics : tuple of PlacedLesion
    spots : tuple of Spot
        Other dark spots of the noise-free image: veins in cross-section, the brain's rim, the sinuses' field, ...
    drawn : dict
        Every other number that was drawn, JSON-able.
    """

    protocol: Protocol
    scanner: Scanner
    difficulty: Difficulty
    magnitude: Array = field(repr=False)
    phase: Array = field(repr=False)
    intracranial: npt.NDArray[np.bool_] = field(repr=False)
    brain: npt.NDArray[np.bool_] = field(repr=False)
    veins: Array = field(repr=False)
    affine: Array
    microbleeds: tuple[PlacedLesion, ...]
    mimics: tuple[PlacedLesion, ...]
    spots: tuple[Spot, ...]
    drawn: dict[str, Any]


def simulate_scan(
    seed: int | np.random.SeedSequence,
    protocol: str | Protocol,
    *,
    microbleeds: int = 4,
    healthy: bool = False,
    scanner: str | Scanner = "scanner-a",
    difficulty: str | Difficulty = "paper",
    variant: Variant | None = None,
) -> Scan:
    """Simulate the scan of one subject.

    Parameters
    ----------
    seed : int or SeedSequence
        Equal seeds and parameters give equal scans.
    protocol : str or Protocol
        A name of `PROTOCOLS` or a protocol of one's own.
    microbleeds : int
        How many visible microbleeds; 0 for a healthy subject. Mimics come on top.
    healthy : bool
        A healthy control has less atrophy and no microbleed.
    scanner : str or Scanner
        Decides noise and non-uniformity here; sign and storage of the phase are for the writer.
    difficulty : str or Difficulty
        Vein density, noise, size and least visibility of the microbleeds.
    variant : Variant, optional
        Where the scan leaves the usual.

    Raises
    ------
    UsageError
        For unknown names, a healthy subject with microbleeds, or more microbleeds than find room.
    """
    protocol = _named(protocol, PROTOCOLS, "protocol")
    scanner = _named(scanner, SCANNERS, "scanner")
    difficulty = _named(difficulty, DIFFICULTIES, "difficulty")
    variant = variant or Variant()
    if microbleeds < 0 or (healthy and microbleeds):
        raise UsageError(f"{microbleeds} microbleeds asked for in a {'healthy' if healthy else 'diseased'} subject.")
    sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    # Own random numbers for every part, so that one part can change without shuffling the others.
    anatomy, tissue, veins, deposits, bleeds, noise, arteries, spaces, motion, white = (
        np.random.default_rng(np.random.SeedSequence(sequence.entropy, spawn_key=(*sequence.spawn_key, n)))
        for n in range(10)
    )
    grid = _acquisition_grid(protocol, anatomy)
    atrophy = float(anatomy.uniform(0.5, 1.0) if healthy else anatomy.uniform(0.6, 1.8))
    head = ANATOMIES[variant.anatomy](anatomy, _anatomy_grid(protocol, grid), atrophy=atrophy)
    if variant.white_matter_lesions_ml:
        head = with_white_matter_lesions(white, head, variant.white_matter_lesions_ml)
    turn = _about_x(variant.oblique_deg)
    scene = Scene.make(
        protocol=protocol,
        scanner=scanner,
        difficulty=difficulty,
        grid=grid,
        head=head,
        rng=tissue,
        vein_rng=veins,
        artery_rng=arteries,
        b0_direction=(float(turn[2, 0]), float(turn[2, 1]), float(turn[2, 2])),
    )
    false_lesions = [
        *draw_deposits(deposits, head),
        *draw_flow_voids(spaces, scene.course_of_arteries),
        *draw_perivascular_spaces(spaces, head),
    ]
    true_lesions = place_microbleeds(bleeds, scene, head, false_lesions, microbleeds)
    ideal, placed = scene.image([*false_lesions, *(t.lesion for t in true_lesions)])
    axes = grid.axes
    to_skull = head.grid.resample(head.intracranial, axes)
    intracranial = to_skull < 0
    spots = explain_spots(scene, head, ideal, to_skull < -max(1.0, protocol.voxel_mm[0]), [*placed, *true_lesions])
    if variant.motion_mm:
        ideal = moved(ideal, draw_motion(motion, protocol.matrix[0], variant.motion_mm), protocol.voxel_mm)
    image = acquire(ideal, protocol, noise=scene.noise, rng=noise)
    return Scan(
        protocol=protocol,
        scanner=scanner,
        difficulty=difficulty,
        magnitude=np.abs(image) / np.float32(scene.white_matter),
        phase=np.angle(image),
        intracranial=intracranial,
        brain=head.grid.resample(head.brain - head.fractions["csf"], axes) > 0.5,
        veins=scene.vein_share(),
        affine=_affine(grid, turn),
        microbleeds=tuple(true_lesions),
        mimics=tuple(p for p in placed if p.lesion.kind != "microbleed"),
        spots=tuple(spots),
        drawn={
            "atrophy": atrophy,
            # no more than these: a recipe of a whole study says of others, too
            **{each.name: getattr(variant, each.name) for each in fields(Variant)},
            "pose": {k: np.round(getattr(head.pose, k), 6).tolist() for k in ("scale", "rotation", "shift")},
            **scene.drawn,
        },
    )


def _named(given: str | T, known: dict[str, T], what: str) -> T:
    if not isinstance(given, str):
        return given
    if given not in known:
        raise UsageError(f"{what} {given!r} is not known; choose one of {', '.join(known)}.")
    return known[given]


def _acquisition_grid(protocol: Protocol, rng: np.random.Generator) -> Grid:
    centre = (0.0, -16.0, rng.normal(protocol.slab_centre_mm, protocol.slab_spread_mm))
    origin = [c - (n - 1) / 2 * v for c, n, v in zip(centre, protocol.matrix, protocol.voxel_mm, strict=True)]
    return Grid((origin[0], origin[1], origin[2]), protocol.voxel_mm, protocol.matrix)


def _anatomy_grid(protocol: Protocol, grid: Grid) -> Grid:
    """The head's box, at least 80 mm high so that the nearest sources of field are in it."""
    height = protocol.matrix[2] * protocol.voxel_mm[2]
    middle = grid.origin[2] + (height - protocol.voxel_mm[2]) / 2
    half = max(40.0, height / 2 + 18)
    return Grid.covering((-92, -124, middle - half), (92, 96, middle + half), protocol.anatomy_mm)


def _about_x(angle_deg: float) -> Array:
    angle = np.deg2rad(angle_deg)
    return np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])


def _affine(grid: Grid, turn: Array) -> Array:
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(grid.spacing)
    affine[:3, 3] = turn @ np.array(grid.origin)
    return affine
