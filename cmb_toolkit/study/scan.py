"""One scan as `cmbtk preprocess` and `cmbtk swi` take it: its files, how it is to be treated, and its images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, MissingError, UsageError
from ..imaging.clean import Acquired
from ..imaging.phase import polar
from ..imaging.recipe import PhaseRange, Preprocessing
from ..io.bids import echo_time_ms, part_of, read_acquisition
from ..io.foreign import describe_folder
from ..io.nifti import Volume, check_same_grid, read_grid, read_volume
from ..io.publish import sidecar
from ..io.tables import as_number
from .layout import Study
from .places import located, missing, named_at
from .scan_content import check_signal, same_values

__all__ = [
    "Images",
    "Scan",
    "acquisition",
    "check_files",
    "complex_parts",
    "not_found",
    "own_recipe",
    "read_images",
    "scan_of",
    "volume_of",
]

_SAME_ECHO_MS = 0.01
_PARTS = {"mag": "magnitude", "phase": "phase", "real": "real", "imag": "imaginary"}


@dataclass(frozen=True)
class Scan:
    """The files of one subject, and what is known about its phase.

    Attributes
    ----------
    name : str
        For messages and the names of outputs.
    phase : Path or None
        None where `real` and `imaginary` are given.
    magnitude, swi, mask : Path or None
        At least one of magnitude and SWI; a SWI that is given is taken as it is.
    phase_sign : {1, -1} or None
        1 where the file's phase is paramagnetic positive; None: what the settings say.
    phase_range : "radians", float or None
    real, imaginary : Path or None
        Both, in place of magnitude and phase.
    echo_time_ms : float or None
        What is known of it from elsewhere; held against the files' sidecars.
    echo, phase_volume : int or None
        Which volume of its files, from 1, and which of the phase where that is another.
    study : Study or None
        Whose table names its files.
    """

    name: str
    phase: Path | None = None
    magnitude: Path | None = None
    swi: Path | None = None
    mask: Path | None = None
    phase_sign: int | None = None
    phase_range: PhaseRange = None
    real: Path | None = None
    imaginary: Path | None = None
    echo_time_ms: float | None = None
    echo: int | None = None
    phase_volume: int | None = None
    study: Study | None = None

    @property
    def files(self) -> dict[str, Path]:
        """The files that are given, by role."""
        roles = ("magnitude", "phase", "real", "imaginary", "swi", "mask")
        return {role: path for role in roles if (path := getattr(self, role)) is not None}

    @property
    def sidecars(self) -> dict[str, Path]:
        """The BIDS sidecars that lie beside them, by role."""
        beside = {role: sidecar(path) for role, path in self.files.items() if role in _PARTS.values()}
        return {role: path for role, path in beside.items() if path.is_file()}

    def lacking(self) -> str:
        """What is missing to make an SWI or to take the one that is given; empty where nothing is."""
        if self.real is not None or self.imaginary is not None:
            if self.real is None or self.imaginary is None:
                return "the real and the imaginary part both"
            if self.phase is not None or self.magnitude is not None:
                return "magnitude and phase, or real and imaginary part, and not both pairs"
            return ""
        if self.phase is None or (self.magnitude is None and self.swi is None):
            return "a phase, and a magnitude or an SWI; or a real and an imaginary part"
        return ""


def scan_of(study: Study, row: pd.Series[Any]) -> Scan:
    """The scan that a row of participants.tsv describes.

    Raises
    ------
    DataError
        If a file or a value that it needs is missing or impossible.
    """
    name = str(row["participant_id"])

    def value(column: str) -> Any:
        found = row.get(column)
        return None if found is None or pd.isna(found) else found

    paths = {
        role: located(study, str(value(role))) if value(role) is not None else None
        for role in ("magnitude", "phase", "swi", "mask", "real", "imaginary")
    }
    sign = value("phase_sign")
    if sign is not None and str(sign) not in {"1", "-1", "1.0", "-1.0", "+1"}:
        raise DataError(f"{study.participants}: {name} has phase_sign {sign}; expected 1, -1 or n/a.")
    scan = Scan(
        name,
        **paths,
        phase_sign=None if sign is None else int(float(sign)),
        phase_range=_range_of(study, name, value("phase_range")),
        echo_time_ms=_number(study, name, "echo_time_ms", value("echo_time_ms")),
        echo=_count(study, name, "echo", value("echo")),
        phase_volume=_count(study, name, "phase_volume", value("phase_volume")),
        study=study,
    )
    if scan.lacking():
        raise DataError(
            f"{study.participants}: {name} needs {scan.lacking()}. Fill in these columns with paths relative to the "
            "study folder."
        )
    return scan


def _range_of(study: Study, name: str, value: Any) -> PhaseRange:
    if value is None or str(value) == "radians":
        return value if value is None else "radians"
    number = as_number(value)
    if not 0 < number < np.inf:
        raise DataError(
            f"{study.participants}: {name} has phase_range {value!r}; expected `radians`, the file units of one full "
            "cycle, or n/a."
        )
    return number


def _number(study: Study, name: str, column: str, value: Any) -> float | None:
    number = None if value is None else as_number(value)
    if number is not None and np.isnan(number):
        raise DataError(f"{study.participants}: {name} has {column} {value!r}; expected a number or n/a.")
    return number


def _count(study: Study, name: str, column: str, value: Any) -> int | None:
    number = None if value is None else as_number(value)
    if number is None:
        return None
    if not (number >= 1 and number == int(number)):
        raise DataError(f"{study.participants}: {name} has {column} {value!r}; expected a whole number from 1, or n/a.")
    return int(number)


def volume_of(scan: Scan, role: str, echo: int | None, phase_volume: int | None) -> int | None:
    """Which volume of a file of a scan is meant, from 1; None where it holds one, or nobody said.

    Parameters
    ----------
    scan : Scan
        What is known of it alone comes first, and must fit the file.
    role : str
        A key of its `files`.
    echo, phase_volume : int or None
        What was said for all scans together: it holds for files of several volumes.

    Raises
    ------
    UsageError
        If both are given and differ.
    MissingError, DataError
        If the file's header cannot be read.
    """
    if role in ("swi", "mask"):
        return None
    for name, own, given in (("echo", scan.echo, echo), ("phase_volume", scan.phase_volume, phase_volume)):
        if None not in (own, given) and own != given:
            raise UsageError(
                f"{scan.name}: column {name} says {own}, and --{name.replace('_', '-')} {given} was given. Leave the "
                "option out, or empty the column (n/a)."
            )
    own = (scan.phase_volume if role == "phase" else None) or scan.echo
    given = (phase_volume if role == "phase" else None) or echo
    if own is not None or given is None or read_grid(scan.files[role]).volumes > 1:
        return own or given
    return None


def not_found(scan: Scan, role: str) -> MissingError:
    """What to say of a file of a scan that is not there."""
    return missing(scan.files[role], role, scan.name, named_at(scan.study, scan.name) if scan.study else "")


def check_files(scan: Scan) -> None:
    """Check that every file is there, and that no name says it is another part than it was given for.

    Raises
    ------
    MissingError, UsageError
    """
    for role, path in scan.files.items():
        if path.is_dir():
            raise MissingError(f"{path}: the {role} of {scan.name} {describe_folder(path)}")
        if not path.is_file():
            raise not_found(scan, role)
    for role in ("magnitude", "phase", "real", "imaginary"):
        image = scan.files.get(role)
        part = part_of(image) if image is not None else None
        both = role in ("magnitude", "phase") and scan.magnitude == scan.phase  # a stacked or complex file
        if part is not None and _PARTS[part] != role and not both:
            raise UsageError(
                f"{image}: was given as the {role}, but part-{part} stands in its name. Give each file in its place "
                "(real and imaginary parts with --real and --imaginary, or in these columns)."
            )


@dataclass(frozen=True)
class Images:
    """The images of a scan, on one grid.

    Attributes
    ----------
    phase : Volume
        In the file's own unit and sign; the angle [rad] where the file was complex.
    magnitude, swi : Volume or None
    sources : dict of Volume
        All that were read, by role, with their notes and what is not finite in them.
    warnings : tuple of str
    """

    phase: Volume
    magnitude: Volume | None
    swi: Volume | None
    sources: dict[str, Volume]
    warnings: tuple[str, ...]

    @property
    def structure(self) -> Volume:
        """What shows the anatomy: the magnitude, or else the SWI."""
        shown = self.magnitude or self.swi
        assert shown is not None
        return shown

    @property
    def acquired(self) -> Acquired:
        """The arrays, to be cleaned."""
        return Acquired(
            self.phase.data,
            self.magnitude.data if self.magnitude else None,
            self.structure.zooms,
            self.swi.data if self.swi else None,
            {role: volume.invalid for role, volume in self.sources.items() if volume.invalid is not None},
            self.phase.complex,
        )

    @property
    def called(self) -> dict[str, Path]:
        """The file that is meant by each image that :mod:`cmb_toolkit.imaging.clean` speaks of."""
        called = {role: volume.path for role, volume in self.sources.items()}
        return called | {"phase": self.phase.path, "structure": self.structure.path}


def own_recipe(scan: Scan, recipe: Preprocessing) -> Preprocessing:
    """A recipe with what is known of this scan alone."""
    return replace(
        recipe,
        phase_range=recipe.phase_range if recipe.phase_range is not None else scan.phase_range,
        phase_sign=recipe.phase_sign if scan.phase_sign is None else 1 if scan.phase_sign > 0 else -1,
        echo=scan.echo or recipe.echo,
        phase_volume=scan.phase_volume or recipe.phase_volume,
    )


def read_images(scan: Scan, recipe: Preprocessing) -> Images:
    """Read a scan's images and check that they can be what they are given for.

    Raises
    ------
    MissingError, DataError
        If a file is damaged, grids disagree, or values cannot be those of a magnitude, a phase or complex parts.
    """
    which = {role: volume_of(scan, role, recipe.echo, recipe.phase_volume) for role in scan.files}
    swi = read_volume(scan.swi) if scan.swi else None
    if scan.real and scan.imaginary:
        parts = {role: read_volume(scan.files[role], echo=which[role]) for role in ("real", "imaginary")}
        magnitude: Volume | None
        magnitude, phase = complex_parts(*parts.values())
        sources: dict[str, Volume | None] = {**parts, "swi": swi}
    else:
        assert scan.phase is not None
        magnitude = read_volume(scan.magnitude, echo=which["magnitude"], part="magnitude") if scan.magnitude else None
        phase = read_volume(scan.phase, echo=which["phase"], part="phase")
        sources = {"magnitude": magnitude, "swi": swi, "phase": phase}
    read = {role: volume for role, volume in sources.items() if volume is not None}
    first, *others = read.values()
    for volume in others:
        check_same_grid(first, volume)
    warnings = [f"{volume.path.name}: {note}" for volume in read.values() for note in volume.notes]
    if (recipe.echo or recipe.phase_volume) and any(which[role] is None for role in which.keys() & _PARTS.values()):
        warnings.append(
            "a file holds one volume, which was taken: --echo and --phase-volume choose where there are more"
        )
    shown = {"magnitude": magnitude, "swi": swi}
    for role, image in shown.items():
        if image is None:
            continue
        if np.array_equal(image.data, phase.data):
            raise same_values(role, image.path, phase.path)
        notes = check_signal(role, image)
        if notes:
            warnings += [f"{image.path.name}: {note}" for note in notes]
            shown[role] = replace(image, data=np.maximum(image.data, 0))
    return Images(phase, shown["magnitude"], shown["swi"], read, tuple(warnings))


def complex_parts(real: Volume, imaginary: Volume) -> tuple[Volume, Volume]:
    """Magnitude and phase [rad] of a real and an imaginary part.

    Raises
    ------
    DataError
        If their grids disagree, or neither has a negative value: then the scaling that makes them signed was lost.
    """
    check_same_grid(real, imaginary)
    try:
        magnitude, phase = polar(real.data, imaginary.data)
    except DataError as error:
        raise DataError(f"{real.path} and {imaginary.path}: {error}") from error
    return replace(real, data=magnitude, complex=True), replace(real, data=phase, complex=True)


def acquisition(scan: Scan, recipe: Preprocessing) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the files' BIDS sidecars say about how they were acquired, and where that disagrees.

    Returns
    -------
    dict
        By role; empty without sidecars. For the record: nothing is decided by it.
    tuple of str
        Warnings about the echo time.
    """
    found = {role: facts for role, path in scan.sidecars.items() if (facts := read_acquisition(path))}
    times = {
        role: time
        for role, facts in found.items()
        if (time := echo_time_ms(facts, scan.echo or recipe.echo)) is not None
    }
    warnings = []
    if times and max(times.values()) - min(times.values()) > _SAME_ECHO_MS:
        said = ", ".join(f"{role} {time:g} ms" for role, time in times.items())
        warnings.append(f"the sidecars give different echo times ({said}): are the files of the same echo?")
    elif times and scan.echo_time_ms is not None and not _same_time(next(iter(times.values())), scan.echo_time_ms):
        warnings.append(
            f"the sidecar gives an echo time of {next(iter(times.values())):g} ms, participants.tsv "
            f"{scan.echo_time_ms:g} ms: correct the table, or the path"
        )
    return found, tuple(warnings)


def _same_time(one: float, other: float) -> bool:
    """Within a hundredth: tables are rounded."""
    return abs(one - other) <= max(_SAME_ECHO_MS, 0.01 * max(abs(one), abs(other)))
