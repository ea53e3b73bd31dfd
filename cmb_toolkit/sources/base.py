"""What a source of scans has to say: who there is, where the files are, where the marks are.

A source is a recipe with a way to find, in a file of its own, and a line of :mod:`cmb_toolkit.sources.registry`. Its
class is imported to show its options, so that what is heavy is imported where it is used.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from ..errors import Problems
from ..names import RESOLUTION
from ..recipe import Recipe, option
from ..schema import MARKS_ON

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..io.nifti import Grid

__all__ = ["Found", "Marks", "Scan", "Source", "Way", "marks_on", "resolution", "settled", "unmarked"]

Way: TypeAlias = "Callable[[Grid], NDArray[np.int_]]"
"""A way of counting: the (n, 3) voxels on the closest canonical axes that marks are, if they count on a grid."""


@dataclass(frozen=True)
class Marks:
    """The microbleeds of a scan as somebody marked them.

    Attributes
    ----------
    named : str
        What a message about all of them begins with: the file.
    where : sequence of str
        Where each of them stands, likewise.
    ways : mapping of str to Way
        How they count: as was said, and then in which other ways they may, each by the options that say so.
    on : str, optional
        The volume whose voxels they count, where that was said.
    world_mm : (n, 3) array, optional
        Where they say that they are [mm], where they say both.
    """

    named: str
    where: Sequence[str]
    ways: Mapping[str, Way]
    on: str | None = None
    world_mm: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Scan:
    """A subject that was found.

    Attributes
    ----------
    subject : str
        Its identifier.
    facts : mapping
        What else participants.tsv says of it, without paths. Where it has none of these: the resolution is that of the
        voxels, the scanner unknown, the group patient.
    volumes : mapping of str to Path
        Its files, by what they are: magnitude, phase, swi, mask, real, imaginary.
    marks : Marks, optional
    """

    subject: str
    facts: Mapping[str, Any]
    volumes: Mapping[str, Path]
    marks: Marks | None = None


@dataclass(frozen=True)
class Found:
    """What a source holds.

    Attributes
    ----------
    scans : sequence of Scan
    wrong : Problems
        What was not understood of the marks: then nothing is imported, lest somebody count as without any.
    tables : mapping of str to Path
        Files that say all this, by what they are: they stand in the provenance.
    labels : sequence of Path, optional
        Such files whose names may be people's: they are known by where they are and what they hold.
    left_out : int or sequence of str
        How many files, or which columns, were not taken.
    key : Path, optional
        Where to write who was called what, outside the study; with `names`.
    names : mapping of str to str
        Subject -> what it was called.
    notes : sequence of str
        What a person should look at, a line each.
    """

    scans: Sequence[Scan]
    wrong: Problems = field(default_factory=Problems)
    tables: Mapping[str, Path] = field(default_factory=dict)
    labels: Sequence[Path] | None = None
    left_out: int | Sequence[str] = 0
    key: Path | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Source(Recipe, ABC):
    """Where a study can come from; the fields are what can be said of it, the docstring is the command's help.

    Attributes
    ----------
    name : str
        As in the registry.
    place : str
        What it looks at, in a word: ``folder`` or ``table``.
    """

    name: ClassVar[str]
    place: ClassVar[str]

    @abstractmethod
    def find(self, place: Path, out: Path) -> Found:
        """Look for scans and marks. Of a scan no more is read than where it is.

        Parameters
        ----------
        place : Path
            The folder or table.
        out : Path
            The study, for what has to be converted; all else stays where it is.

        Raises
        ------
        UsageError, MissingError, DataError
        """


def marks_on() -> Any:
    """The option that says whose voxels marks count."""
    return option(
        None,
        "The file whose voxels the marks count; must be said where the files of a subject store their axes in "
        "different orders.",
        choices=MARKS_ON,
        silent=True,
    )


def unmarked(*, silent: bool = False) -> Any:
    """The option that says what a subject without a mark is."""
    return option(
        "patient",
        "What a subject without a mark is, where nothing else says so. patient: somebody whose scan nobody has read, "
        "neither learned from nor counted; read: a patient who was read and has no microbleed; control: healthy, never "
        "trained on, counted apart.",
        choices=("patient", "read", "control"),
        silent=silent,
    )


def resolution(*, silent: bool = False) -> Any:
    """The option that names the resolution of all subjects."""
    return option(
        None,
        "Name for the resolution of all subjects of whom nothing else says it.  [default: HR, LR or other, by the "
        "voxel size]",
        names=RESOLUTION,
        silent=silent,
    )


def settled(scan: Scan, resolution: str | None, unmarked: str, looked_at: Collection[str]) -> Scan:
    """A scan with what options say of it where nothing else does.

    Parameters
    ----------
    scan : Scan
    resolution : str, optional
    unmarked : {"patient", "read", "control"}
    looked_at : collection of str
        Subjects of whom somebody has written down that they have no microbleed, too.
    """
    facts = dict(scan.facts)
    if resolution is not None:
        facts.setdefault("resolution", resolution)
    read = scan.subject in looked_at
    alone = scan.marks is None
    facts.setdefault("group", "control" if alone and not read and unmarked == "control" else "patient")
    if alone and facts["group"] == "patient" and (read or unmarked == "read"):
        facts.setdefault("read", "yes")
    return replace(scan, facts=facts)
