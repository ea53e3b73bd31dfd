"""What is wrong with the files of one scan, and what they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from nibabel.affines import obliquity
from nibabel.orientations import aff2axcodes
from numpy.typing import NDArray

from ..errors import CmbError, DataError
from ..imaging.darkness import on_dark_spots
from ..imaging.phase import phase_scale
from ..io.marks import inside
from ..io.nifti import Volume, check_same_grid, read_grid, read_mask, read_volume
from .check_problem import Problem, error, some, warning
from .scan import Scan, complex_parts, volume_of

__all__ = ["ScanFacts", "Task", "check_files"]

_OBLIQUE_DEG = 25.0


@dataclass(frozen=True)
class ScanFacts:
    """What was found in the files of one scan; empty where none could be read.

    Attributes
    ----------
    name : str
    file : str
        The volume that the next four are taken from.
    shape : tuple of int
        Voxels along the canonical axes.
    affine : tuple of tuple of float
        From canonical voxel indices to world coordinates [mm].
    voxel_mm : tuple of float
        Edges of a voxel.
    axes : str
        Directions of the file's own axes, for example ``LPS``.
    phase_unit : str
    marks, dark_marks : int
        Marks inside the volume, and those of them on dark spots.
    digest : str
        Tells equal magnitudes of different subjects.
    problems : tuple of Problem
    """

    name: str
    file: str = ""
    shape: tuple[int, ...] = ()
    affine: tuple[tuple[float, ...], ...] = ()
    voxel_mm: tuple[float, ...] = ()
    axes: str = ""
    phase_unit: str = ""
    marks: int = 0
    dark_marks: int = 0
    digest: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Task:
    """One scan and its marks (n, 3) as canonical voxels."""

    scan: Scan
    marks: NDArray[np.int_]


def check_files(task: Task, echo: int | None, phase_volume: int | None) -> ScanFacts:
    """Everything about the files of one scan."""
    scan = task.scan
    problems: list[Problem] = []
    volumes: dict[str, Volume] = {}
    for role in ("magnitude", "phase", "real", "imaginary", "swi"):
        path = scan.files.get(role)
        if path is None:
            continue
        try:
            which = volume_of(scan, role, echo, phase_volume)
            volumes[role] = _read(path, role, which, scan.name, problems)
        except CmbError as reason:
            problems.append(error(reason, scan.name))
            continue
        problems += [warning(f"{path}: {note}.", scan.name) for note in volumes[role].notes]
    facts = ScanFacts(scan.name)
    if not volumes:
        return replace(facts, problems=tuple(problems))
    first = next(iter(volumes.values()))
    for other in list(volumes.values())[1:]:
        try:
            check_same_grid(first, other)
        except DataError as reason:
            problems.append(error(reason, scan.name))
    volumes |= _of_parts(volumes, scan, problems)
    problems += _check_content(scan, volumes)
    problems += _check_geometry(scan, first)
    unit = _phase_unit(scan, volumes, problems)
    mask = None
    if scan.mask is not None:
        try:
            mask = read_mask(scan.mask, first)
        except CmbError as reason:
            problems.append(error(reason, scan.name))
    fits = inside(task.marks, first.shape)
    marks = task.marks[fits]
    if mask is not None and len(marks) and not mask[tuple(marks.T)].all():
        out = [f"({', '.join(map(str, mark))})" for mark in marks[~mask[tuple(marks.T)]].tolist()]
        problems.append(
            warning(
                f"{scan.mask}: marks of {scan.name} at {some(out)} lie outside the brain mask. Correct the mask, or "
                "the marks.",
                scan.name,
            )
        )
    structure = volumes.get("swi", volumes.get("magnitude"))
    dark = on_dark_spots(structure.data, marks, structure.zooms) if structure is not None else np.zeros(0, bool)
    return ScanFacts(
        scan.name,
        first.path.name,
        first.shape,
        tuple(map(tuple, first.affine.tolist())),
        tuple(round(zoom, 3) for zoom in first.zooms),
        "".join(str(code) for code in aff2axcodes(first.file_affine)),
        unit,
        len(marks),
        int(dark.sum()),
        hashlib.sha256(first.data.tobytes()).hexdigest(),
        tuple(problems),
    )


def _read(path: Path, role: str, echo: int | None, subject: str, problems: list[Problem]) -> Volume:
    """A volume; of a file with several, without being told which, the first, so that the rest is checked as well."""
    part: Literal["magnitude", "phase"] | None = (
        "phase" if role == "phase" else "magnitude" if role == "magnitude" else None
    )
    count = read_grid(path).volumes
    own_echo = echo if role != "swi" else None
    if count > 1 and own_echo is None:
        try:
            return read_volume(path, part=part)
        except DataError as reason:
            problems.append(error(reason, subject))
        return read_volume(path, echo=1, part=part)
    return read_volume(path, echo=own_echo, part=part)


def _of_parts(volumes: Mapping[str, Volume], scan: Scan, problems: list[Problem]) -> dict[str, Volume]:
    """Magnitude and phase where a scan has a real and an imaginary part."""
    if not {"real", "imaginary"} <= volumes.keys():
        return {}
    try:
        magnitude, phase = complex_parts(volumes["real"], volumes["imaginary"])
    except DataError as reason:
        if str(reason) not in {problem.message for problem in problems}:  # that grids differ was said already
            problems.append(error(reason, scan.name))
        return {}
    return {"magnitude": magnitude, "phase": phase}


def _phase_unit(scan: Scan, volumes: Mapping[str, Volume], problems: list[Problem]) -> str:
    if "phase" not in volumes:
        return ""
    phase = volumes["phase"]
    if phase.complex:
        return "radians, of complex values"
    try:
        scale = phase_scale(phase.data if phase.invalid is None else phase.data[~phase.invalid], scan.phase_range)
    except DataError as reason:
        problems.append(error(f"{scan.phase}: {reason}", scan.name))
        return ""
    problems += [warning(f"{scan.phase}: {said}.", scan.name) for said in scale.warnings]
    return scale.unit


def _check_content(scan: Scan, volumes: dict[str, Volume]) -> Iterator[Problem]:
    for role in ("magnitude", "swi"):
        if role in volumes and float(volumes[role].data.min()) < 0:
            yield warning(
                f"{volumes[role].path}: holds negative values, which a {role} has not. Is it the phase?", scan.name
            )
    roles = list(volumes)
    for n, one in enumerate(roles):
        for other in roles[n + 1 :]:
            if np.array_equal(volumes[one].data, volumes[other].data):
                yield error(
                    f"{volumes[one].path} and {volumes[other].path}: {one} and {other} hold the same values. Give the "
                    f"right file for one of them.",
                    scan.name,
                )


def _check_geometry(scan: Scan, volume: Volume) -> Iterator[Problem]:
    angle = float(np.degrees(np.max(obliquity(volume.affine))))
    if angle > _OBLIQUE_DEG:
        yield warning(
            f"{volume.path}: its slices are tilted by {angle:.0f} degrees; the method was made for axial slices.",
            scan.name,
        )
    if volume.shape[2] < 3:
        yield warning(
            f"{volume.path}: holds {volume.shape[2]} slices only; neighbouring slices and patches are padded.",
            scan.name,
        )
