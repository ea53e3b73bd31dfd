"""What is wrong with the files of one scan, and what they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from nibabel.affines import obliquity
from nibabel.orientations import aff2axcodes
from numpy.typing import NDArray

from ..errors import CmbError, DataError, MissingError
from ..imaging.likeness import signature
from ..imaging.phase import phase_scale
from ..io.nifti import Grid, Volume, check_same_grid, read_grid, read_mask, read_volume
from ..io.orient import inside
from ..io.recount import Counting
from ..report.mark_sheet import MarkPicture, slice_of, surroundings
from ..schema import MARKS_ON
from ..study.scan import Scan, complex_parts, not_found, volume_of
from ..study.scan import check_files as check_names
from ..study.scan_content import check_signal, same_values
from ..study.scan_limits import method_doubts
from .problem import Problem, error, some, warning
from .spots import MarkFacts, look_at_marks

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
    marks : MarkFacts
    signature : tuple of float
        Tells scans that are the same; see :func:`cmb_toolkit.imaging.likeness.signature`.
    problems : tuple of Problem
    pictures : tuple of MarkPicture
        Of the marks, where they were asked for.
    """

    name: str
    file: str = ""
    shape: tuple[int, ...] = ()
    affine: tuple[tuple[float, ...], ...] = ()
    voxel_mm: tuple[float, ...] = ()
    axes: str = ""
    phase_unit: str = ""
    marks: MarkFacts = field(default_factory=MarkFacts)
    signature: tuple[float, ...] = ()
    problems: tuple[Problem, ...] = ()
    pictures: tuple[MarkPicture, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Task:
    """One scan to look at.

    Attributes
    ----------
    scan : Scan
    marks : (n, 3) integer array
        Its marks as canonical voxels.
    counting : Counting
        How they were said to count.
    echo, phase_volume : int or None
        Which volumes of 4-D files, from 1.
    pictures : bool
        Take pictures of the marks.
    """

    scan: Scan
    marks: NDArray[np.int_]
    counting: Counting = field(default_factory=Counting)
    echo: int | None = None
    phase_volume: int | None = None
    pictures: bool = False


def check_files(task: Task) -> ScanFacts:
    """Everything about the files of one scan. One volume is held at a time (of complex parts, both)."""
    return _Look(task).facts()


class _Look:
    """One look at the files of a scan: what is found on the way, volume by volume."""

    def __init__(self, task: Task) -> None:
        self.task, self.scan = task, task.scan
        self.problems: list[Problem] = []
        self.first: Volume | None = None
        self.digests: dict[str, bytes] = {}
        self.marks = MarkFacts()
        self.signature: tuple[float, ...] = ()
        self.unit = ""
        self.shown: list[tuple[NDArray[np.uint8], tuple[int, int], NDArray[np.uint8]]] = []
        self.phases: list[NDArray[np.uint8]] = []

    def facts(self) -> ScanFacts:
        """Look at everything."""
        self._look_at_names()
        if self.scan.real is not None or self.scan.imaginary is not None:
            self._look_at_parts()
        else:
            self._look_at_signal("magnitude", self._read("magnitude"))
        self._look_at_signal("swi", self._read("swi"))
        self._look_at_phase(self._read("phase"))
        first = self.first
        if first is None:
            return ScanFacts(self.scan.name, problems=tuple(self.problems))
        self._look_at_mask(first)
        self.problems += _check_geometry(self.scan, first)
        doubts = method_doubts(self.scan, first.zooms, self.scan.echo or self.task.echo)
        self._warn(*(f"{self.scan.name}: {doubt}" for doubt in doubts))
        return ScanFacts(
            self.scan.name,
            first.path.name,
            first.shape,
            tuple(map(tuple, first.affine.tolist())),
            tuple(round(zoom, 3) for zoom in first.zooms),
            "".join(str(code) for code in aff2axcodes(first.file_affine)),
            self.unit,
            self.marks,
            self.signature,
            tuple(self.problems),
            tuple(self._pictures()),
        )

    def _refuse(self, reason: CmbError | str) -> None:
        problem = error(reason, self.scan.name)
        if problem not in self.problems:
            self.problems.append(problem)

    def _warn(self, *said: str) -> None:
        self.problems += [warning(f"{text}.", self.scan.name) for text in said]

    def _look_at_names(self) -> None:
        try:
            check_names(self.scan)
        except MissingError:
            pass  # each file that is missing is said where it is read
        except CmbError as reason:
            self._refuse(reason)

    def _read(self, role: str) -> Volume | None:
        path = self.scan.files.get(role)
        if path is None:
            return None
        try:
            if not path.exists():
                raise not_found(self.scan, role)
            volume = self._volume(path, role)
            if self.first is None:
                # the grid alone: values would be held for as long
                self.first = replace(volume, data=np.broadcast_to(np.float32(0), volume.shape), invalid=None)
            else:
                check_same_grid(self.first, volume)
        except CmbError as reason:
            self._refuse(reason)
            return None
        self._warn(*(f"{path}: {note}" for note in volume.notes))
        return volume

    def _volume(self, path: Path, role: str) -> Volume:
        """A volume; of a file with several, without being told which, the first, so that the rest is checked too."""
        part: Literal["magnitude", "phase"] | None = (
            "phase" if role == "phase" else "magnitude" if role == "magnitude" else None
        )
        echo = volume_of(self.scan, role, self.task.echo, self.task.phase_volume)
        if echo is None and read_grid(path).volumes > 1:
            try:
                return read_volume(path, part=part)
            except DataError as reason:
                self._refuse(reason)
            return read_volume(path, echo=1, part=part)
        return read_volume(path, echo=echo, part=part)

    def _look_at_parts(self) -> None:
        """Magnitude and phase where a scan has a real and an imaginary part."""
        real, imaginary = self._read("real"), self._read("imaginary")
        if real is None or imaginary is None:
            return
        try:
            magnitude, phase = complex_parts(real, imaginary)
        except DataError as reason:
            self._refuse(reason)
            return
        del real, imaginary
        self._look_at_signal("magnitude", magnitude)
        self._look_at_phase(phase)

    def _look_at_signal(self, role: str, volume: Volume | None) -> None:
        """A magnitude or SWI: its values, and the marks on it."""
        if volume is None or self.first is None:
            return
        self.digests[role] = hashlib.sha256(volume.data.data).digest()
        if len(self.digests) > 1 and len(set(self.digests.values())) == 1:
            self._refuse(
                f"{self.scan.magnitude} and {volume.path}: magnitude and swi hold the same values. Give the "
                "right file for one of them."
            )
        try:
            self._warn(*(f"{volume.path}: {note}" for note in check_signal(role, volume)))
        except DataError as reason:
            self._refuse(reason)
        if not self.signature:
            self.signature = signature(volume.data)
        if role == "magnitude" and self.scan.swi is not None and self.scan.swi.is_file():
            return  # the SWI shows the marks better
        marks = self.task.marks[inside(self.task.marks, volume.shape)]
        self.marks = look_at_marks(volume, self._grids(), marks, self.task.counting)
        if self.task.pictures:
            self.shown = [
                (*slice_of(volume.data, mark, volume.zooms), surroundings(volume.data, mark, volume.zooms))
                for mark in self.marks.voxels
            ]

    def _grids(self) -> dict[str, Grid]:
        """The grids of all files that marks may count on, of those that have one."""
        grids = {}
        for role in MARKS_ON:
            path = self.scan.files.get(role)
            if path is not None:
                with suppress(CmbError):  # said where the file is read
                    grids[role] = read_grid(path)
        return grids

    def _look_at_phase(self, phase: Volume | None) -> None:
        if phase is None:
            return
        digest = hashlib.sha256(phase.data.data).digest()
        for role, path in (("magnitude", self.scan.magnitude), ("swi", self.scan.swi)):
            if path is not None and self.digests.get(role) == digest:
                self._refuse(same_values(role, path, phase.path))
        if self.task.pictures:
            self.phases = [surroundings(phase.data, mark, phase.zooms) for mark in self.marks.voxels]
        if phase.complex:
            self.unit = "radians, of complex values"
            return
        try:
            scale = phase_scale(
                phase.data if phase.invalid is None else phase.data[~phase.invalid], self.scan.phase_range
            )
        except DataError as reason:
            self._refuse(f"{phase.path}: {reason}")
            return
        self._warn(*(f"{phase.path}: {said}" for said in scale.warnings))
        self.unit = scale.unit

    def _look_at_mask(self, first: Volume) -> None:
        if self.scan.mask is None:
            return
        try:
            mask = read_mask(self.scan.mask, first)
        except CmbError as reason:
            self._refuse(reason)
            return
        outside = [voxel for voxel in self.marks.voxels if not mask[voxel]]
        if outside:
            self._warn(
                f"{self.scan.mask}: marks of {self.scan.name} at "
                f"{some(outside)} lie outside the brain mask. Correct "
                "the mask, or the marks"
            )

    def _pictures(self) -> Iterator[MarkPicture]:
        phases: Sequence[NDArray[np.uint8] | None] = self.phases or [None] * len(self.shown)
        voxels = self.marks.voxels if self.shown else ()
        for voxel, (whole, at, near), phase in zip(voxels, self.shown, phases, strict=True):
            yield MarkPicture(self.scan.name, voxel, whole, at, near, phase)


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
