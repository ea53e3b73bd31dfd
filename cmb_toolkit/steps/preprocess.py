"""``cmbtk preprocess``: brain mask, high-passed phase, SWI and its minIP from the scanner's magnitude and phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError, MissingError, UsageError
from ..imaging.bet import bet, implausible_volume
from ..imaging.highpass import gaussian_highpass, homodyne_highpass
from ..imaging.phase import SignEvidence, alternating_slices, phase_scale, sign_evidence, to_radians
from ..imaging.swi import extreme_phase, minip, phase_mask, swi
from ..imaging.unwrap import unwrap_laplacian, unwrap_path
from ..io.layout import Study
from ..io.nifti import Volume, check_same_grid, read_mask, read_volume, write_volume
from ..io.publish import Record, publish, read_record, sidecar
from ..model import OnProgress
from .cohort import located, read_participants
from .parallel import for_each

__all__ = ["PreprocessSummary", "Scan", "ScanReport", "Settings", "preprocess", "preprocess_scan", "scan_of"]

_STEPS = ("wrapped", "unwrapped", "phasemask")
"""What ``save_steps`` writes as well."""

_MAX_INVALID = 0.25  # share of the brain that may be NaN before a scan is refused


@dataclass(frozen=True)
class Settings:
    """How scans are preprocessed, alike for all of them.

    Attributes
    ----------
    unwrap : {"path", "laplacian"}
        Exact unwrapping along a path, or the smoother Laplacian one.
    highpass : {"gaussian", "homodyne"}
        Gaussian high-pass of the unwrapped phase (2.5 mm), or the classic homodyne filter (0.25 cycles/mm), which
        needs no unwrapping.
    bet : bool
        Find the brain; False takes every voxel with signal (crops and volumes without a skull).
    bet_fraction : float
        Fractional intensity threshold of BET, 0..1.
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
    echo : int or None
        Which volume of 4-D files, from 1.
    phase_range : "radians", float or None
        Unit of all phases: file units of one full cycle. None: what participants.tsv says, or recognised.
    phase_is_filtered : bool
        The phase was unwrapped and high-passed before (for example a scanner's SWI phase).
    phase_sign : {1, -1, "auto"}
        Of scans whose sign is not known; ``auto`` asks the veins, scan by scan, and refuses where they do not tell.
    save_steps : bool
        Write the phase in radians, the unwrapped phase and the phase mask as well.
    """

    unwrap: Literal["path", "laplacian"] = "path"
    highpass: Literal["gaussian", "homodyne"] = "gaussian"
    bet: bool = True
    bet_fraction: float = 0.5
    bet_gradient: float = 0.0
    swi_power: int = 4
    swi_polarity: Literal["paramagnetic", "diamagnetic"] = "paramagnetic"
    swi_scaling: Literal["pi", "extreme"] = "pi"
    minip_slices: int = 5
    echo: int | None = None
    phase_range: str | float | None = None
    phase_is_filtered: bool = False
    phase_sign: Literal[1, -1, "auto"] = 1
    save_steps: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.bet_fraction < 1:
            raise UsageError(f"--bet-fraction {self.bet_fraction:g}: expected a number between 0 and 1.")
        if not -1 <= self.bet_gradient <= 1:
            raise UsageError(f"--bet-gradient {self.bet_gradient:g}: expected a number from -1 to 1.")
        if self.swi_power < 1:
            raise UsageError(f"--swi-power {self.swi_power}: expected 1 or more (the paper takes 4).")
        if self.minip_slices < 1:
            raise UsageError(f"--minip-slices {self.minip_slices}: expected 1 or more.")


@dataclass(frozen=True)
class Scan:
    """The files of one subject, and what is known about its phase.

    Attributes
    ----------
    name : str
        For messages and the names of outputs.
    phase : Path
    magnitude, swi, mask : Path or None
        At least one of magnitude and SWI; a SWI that is given is taken as it is.
    phase_sign : {1, -1} or None
        1 where the file's phase is paramagnetic positive; None: what the settings say.
    phase_range : "radians", float or None
    """

    name: str
    phase: Path
    magnitude: Path | None = None
    swi: Path | None = None
    mask: Path | None = None
    phase_sign: int | None = None
    phase_range: str | float | None = None

    @property
    def files(self) -> dict[str, Path]:
        """The files that are given, by role."""
        roles = {"magnitude": self.magnitude, "phase": self.phase, "swi": self.swi, "mask": self.mask}
        return {role: path for role, path in roles.items() if path is not None}


@dataclass(frozen=True)
class ScanReport:
    """What became of one scan.

    Attributes
    ----------
    name : str
    folder : Path
    made : bool
        False where the outputs were current already.
    brain_ml : float
        Volume of the mask [ml].
    phase_unit : str
        What the file's phase values are.
    phase_sign : str
        The sign, and where it comes from.
    warnings : tuple of str
        What a person should look at.
    """

    name: str
    folder: Path
    made: bool
    brain_ml: float
    phase_unit: str
    phase_sign: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class PreprocessSummary:
    """What became of the scans of a study."""

    scans: tuple[ScanReport, ...] = ()

    @property
    def made(self) -> int:
        return sum(scan.made for scan in self.scans)

    @property
    def unchanged(self) -> int:
        return len(self.scans) - self.made


def preprocess(
    study_folder: Path,
    settings: Settings | None = None,
    *,
    subjects: Sequence[str] | None = None,
    jobs: int = 1,
    on_progress: OnProgress,
) -> PreprocessSummary:
    """Preprocess the scans of a study into one folder per subject.

    Subjects whose files and settings have not changed are not done again. A ``mask`` or ``swi`` column of
    participants.tsv is used where it names a file.

    Parameters
    ----------
    study_folder : Path
    settings : Settings, optional
    subjects : sequence of str, optional
        Only these.
    jobs : int, default=1
        Worker processes.
    on_progress : callable

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
    """
    settings = settings or Settings()
    study = Study.open(study_folder)
    table = read_participants(study)
    unknown = sorted(set(subjects or ()) - set(table.index))
    if unknown:
        raise UsageError(f"{study.participants}: no subject {unknown[0]}. Check --subject; names are like sub-001.")
    scans = [scan_of(study, row) for name, row in table.iterrows() if not subjects or name in subjects]
    outputs = {scan.name: (study.subject(scan.name), _names_in(study, scan.name)) for scan in scans}
    for scan in scans:
        _check_inputs(scan)
        _check_output(*outputs[scan.name], scan)
    work = partial(_one_of_study, study=study, settings=settings)
    todo = [scan for scan in scans if not _record(scan, settings).is_current(outputs[scan.name][0])]
    made = dict(
        zip(
            (scan.name for scan in todo),
            for_each(work, todo, jobs=jobs, on_progress=on_progress, label=_name),
            strict=True,
        )
    )
    return PreprocessSummary(tuple(made.get(scan.name) or work(scan) for scan in scans))


def preprocess_scan(
    scan: Scan, out: Path, settings: Settings | None = None, *, on_progress: OnProgress
) -> PreprocessSummary:
    """Preprocess one scan, without a study, into the folder `out`.

    Writes ``magnitude``, ``phase``, ``swi``, ``minip`` and ``mask``, each ``.nii.gz``.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
    """
    settings = settings or Settings()
    names = {role: f"{role}.nii.gz" for role in ("magnitude", "phase", "swi", "minip", "mask", *_STEPS)}
    _check_inputs(scan)
    _check_output(out, names, scan)
    on_progress(0, 1, scan.name)
    report = _process(scan, out, names, settings)
    on_progress(1, 1, scan.name)
    return PreprocessSummary((report,))


def _name(scan: Scan) -> str:
    return scan.name


def _one_of_study(scan: Scan, study: Study, settings: Settings) -> ScanReport:
    return _process(scan, study.subject(scan.name), _names_in(study, scan.name), settings)


def _names_in(study: Study, subject: str) -> dict[str, str]:
    places = {
        "magnitude": study.magnitude,
        "phase": study.phase,
        "swi": study.swi,
        "minip": study.minip,
        "mask": study.mask,
    }
    steps = {step: study.phase_step(subject, step).name for step in _STEPS}
    return {role: place(subject).name for role, place in places.items()} | steps


def scan_of(study: Study, row: pd.Series[Any]) -> Scan:
    """The scan that a row of participants.tsv describes."""
    name = str(row["participant_id"])

    def value(column: str) -> Any:
        found = row.get(column)
        return None if found is None or pd.isna(found) else found

    paths = {
        role: located(study, str(value(role))) if value(role) is not None else None
        for role in ("magnitude", "phase", "swi", "mask")
    }
    if paths["phase"] is None or (paths["magnitude"] is None and paths["swi"] is None):
        raise DataError(
            f"{study.participants}: {name} needs a phase, and a magnitude or an SWI. Fill in these columns with paths "
            "relative to the study folder."
        )
    sign = value("phase_sign")
    if sign is not None and str(sign) not in {"1", "-1", "1.0", "-1.0", "+1"}:
        raise DataError(f"{study.participants}: {name} has phase_sign {sign}; expected 1, -1 or n/a.")
    return Scan(
        name,
        paths["phase"],
        paths["magnitude"],
        paths["swi"],
        paths["mask"],
        None if sign is None else int(float(sign)),
        _range_of(study, name, value("phase_range")),
    )


def _range_of(study: Study, name: str, value: Any) -> str | float | None:
    if value is None or str(value) == "radians":
        return value if value is None else "radians"
    try:
        return float(value)
    except ValueError as error:
        raise DataError(
            f"{study.participants}: {name} has phase_range {value!r}; expected `radians`, the file units of one full "
            "cycle, or n/a."
        ) from error


def _check_inputs(scan: Scan) -> None:
    for role, path in scan.files.items():
        if not path.is_file():
            raise MissingError(
                f"{path}: the {role} of {scan.name} was not found. Check the path (in a study: participants.tsv)."
            )


def _check_output(folder: Path, names: Mapping[str, str], scan: Scan) -> None:
    """Refuse to replace a folder that holds anything but what this step writes."""
    inside = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    sources = [path for path in scan.files.values() if folder.resolve() in path.resolve().parents]
    if sources or not inside <= set(names.values()) or (folder.exists() and not folder.is_dir()):
        found = sources[0].name if sources else next(iter(sorted(inside - set(names.values()))), "a file")
        raise UsageError(
            f"{folder}: holds {found}, which is not an output of `cmbtk preprocess`, and would be replaced. Keep scans "
            "outside the folders that the toolkit writes, or choose another output."
        )
    note = sidecar(folder)
    if note.exists() and read_record(folder) is None:
        raise UsageError(f"{note}: is not of `cmbtk preprocess`, and would be replaced. Choose another output.")


@dataclass
class _Findings:
    """What is learned on the way; it goes into the provenance and the report."""

    brain_ml: float = 0.0
    phase_unit: str = ""
    phase_sign: str = ""
    warnings: list[str] = field(default_factory=list)


def _record(scan: Scan, settings: Settings, facts: Mapping[str, Any] | None = None) -> Record:
    """What is about to be done to a scan; `facts` may be filled until it is published."""
    return Record(
        step="preprocess",
        parameters={
            **asdict(settings),
            "phase_range": _range(scan, settings),
            "phase_sign": _sign(scan, settings),
            "files": {role: path.name for role, path in scan.files.items()},
        },
        sources=tuple(dict.fromkeys(scan.files.values())),
        extra={} if facts is None else facts,
    )


def _range(scan: Scan, settings: Settings) -> str | float | None:
    return settings.phase_range if settings.phase_range is not None else scan.phase_range


def _sign(scan: Scan, settings: Settings) -> int | Literal["auto"]:
    return scan.phase_sign if scan.phase_sign is not None else settings.phase_sign


def _process(scan: Scan, out: Path, names: Mapping[str, str], settings: Settings) -> ScanReport:
    facts: dict[str, Any] = {}
    record = _record(scan, settings, facts)
    made = not record.is_current(out)
    if made:
        with publish(out, record) as folder:
            folder.mkdir()
            findings = _write(scan, folder, names, settings)
            facts["found"] = asdict(findings)
    else:
        found = (read_record(out) or {}).get("found", {})
        findings = _Findings(**found)
    return ScanReport(
        scan.name,
        out,
        made,
        findings.brain_ml,
        findings.phase_unit,
        findings.phase_sign,
        tuple(dict.fromkeys(findings.warnings)),
    )


def _write(scan: Scan, folder: Path, names: Mapping[str, str], settings: Settings) -> _Findings:
    """Read a scan, compute, write its outputs into `folder`."""
    findings = _Findings()
    phase = read_volume(scan.phase, echo=settings.echo, part="phase")
    magnitude = read_volume(scan.magnitude, echo=settings.echo, part="magnitude") if scan.magnitude else None
    own_swi = read_volume(scan.swi) if scan.swi else None
    structure = magnitude or own_swi
    assert structure is not None
    volumes = [volume for volume in (magnitude, own_swi, phase) if volume is not None]
    for volume in volumes:
        check_same_grid(structure, volume)
        findings.warnings += [f"{volume.path.name}: {note}" for note in volume.notes]

    wrapped, is_wrapped = _radians(phase, _range(scan, settings), findings)
    mask = _brain(scan, structure, volumes, settings, findings)
    steps = _filtered(phase, wrapped, is_wrapped, structure, mask, settings, findings)
    sign = _settled_sign(scan, phase, steps, structure, mask, settings, findings)
    steps = {name: np.float32(sign) * data for name, data in steps.items()}

    polarity = 1 if settings.swi_polarity == "paramagnetic" else -1
    full = np.pi
    if settings.swi_scaling == "extreme":
        full = extreme_phase(steps["phase"], mask, polarity=polarity)
    weight = np.where(mask, phase_mask(steps["phase"], polarity=polarity, full=full), 0)
    weighted = np.where(mask, own_swi.data if own_swi else swi(structure.data, weight, settings.swi_power), 0)
    outputs: dict[str, NDArray[Any]] = {
        "phase": steps["phase"],
        "swi": weighted,
        "minip": minip(weighted, settings.minip_slices, mask),
    }
    if magnitude:
        outputs["magnitude"] = np.where(mask, magnitude.data, 0)
    if settings.save_steps:
        outputs |= steps | {"phasemask": weight}
    for role, data in outputs.items():
        write_volume(folder / names[role], data, structure)
    write_volume(folder / names["mask"], mask, structure, np.uint8)
    return findings


def _filtered(
    phase: Volume,
    wrapped: NDArray[np.float32],
    is_wrapped: bool,
    structure: Volume,
    mask: NDArray[np.bool_],
    settings: Settings,
    findings: _Findings,
) -> dict[str, NDArray[np.float32]]:
    """The phase in the file's own sign: ``wrapped``, ``unwrapped`` where it is, and ``phase``, the high-passed one."""
    steps = {"wrapped": wrapped}
    if settings.phase_is_filtered:
        return steps | {"phase": np.where(mask, np.clip(wrapped, -np.pi, np.pi), 0).astype(np.float32)}
    if settings.highpass == "homodyne":
        return steps | {"phase": homodyne_highpass(structure.data, wrapped, mask, structure.zooms)}
    if is_wrapped and alternating_slices(wrapped, mask):
        findings.warnings.append(
            f"{phase.path.name}: the phase jumps by about pi from slice to slice, as some GE reconstructions make "
            "it; correct that before preprocessing, or use --highpass homodyne, which is blind to it"
        )
    unwrapped = wrapped
    if is_wrapped and settings.unwrap == "laplacian":
        unwrapped = unwrap_laplacian(wrapped, mask, structure.zooms)
    elif is_wrapped:
        unwrapped = unwrap_path(wrapped, mask)
    filtered = gaussian_highpass(unwrapped, mask, structure.zooms)
    return steps | {"unwrapped": np.where(mask, unwrapped, 0).astype(np.float32), "phase": filtered}


def _settled_sign(
    scan: Scan,
    phase: Volume,
    steps: Mapping[str, NDArray[np.float32]],
    structure: Volume,
    mask: NDArray[np.bool_],
    settings: Settings,
    findings: _Findings,
) -> int:
    """The sign that was given, with a warning where the veins contradict it; or the one that they show."""
    veins = steps["phase"]
    if settings.unwrap == "laplacian" and not settings.phase_is_filtered:
        # Laplacian unwrapping distorts dipoles on coarse voxels, so the veins are asked on the homodyne phase
        veins = homodyne_highpass(structure.data, steps["wrapped"], mask, structure.zooms)
    evidence = sign_evidence(veins, structure.data, mask, structure.zooms)
    sign = _sign(scan, settings)
    if sign == "auto":
        return _sign_of(phase, evidence, findings)
    findings.phase_sign = f"{sign:+d} as given"
    if evidence.verdict == -sign:
        share = 1 - evidence.positive if sign > 0 else evidence.positive
        findings.warnings.append(
            f"{phase.path.name}: the phase sign looks wrong: {share:.0%} of {evidence.voxels} dark vessel-like voxels "
            f"are negative (median {sign * evidence.median:+.2f} rad) with phase_sign {sign:+d} where veins must be "
            f"positive; look at the SWI, and set phase_sign {-sign:+d} if its veins are bright"
        )
    return sign


def _radians(phase: Volume, given: str | float | None, findings: _Findings) -> tuple[NDArray[np.float32], bool]:
    valid = phase.data if phase.invalid is None else phase.data[~phase.invalid]
    try:
        scale = phase_scale(valid, given)
    except DataError as error:
        raise DataError(f"{phase.path}: {error}") from error
    findings.phase_unit = scale.unit
    findings.warnings += [f"{phase.path.name}: {warning}" for warning in scale.warnings]
    return to_radians(phase.data, scale), scale.wrapped


def _brain(
    scan: Scan, structure: Volume, volumes: Sequence[Volume], settings: Settings, findings: _Findings
) -> NDArray[np.bool_]:
    """The mask: the user's, BET's, or every voxel with signal; never where a file holds NaN."""
    if scan.mask:
        mask = read_mask(scan.mask, structure)
    elif settings.bet:
        mask = _extracted(structure, settings, findings)
    else:
        mask = structure.data > 0
    whole = mask
    for volume in volumes:
        if volume.invalid is None:
            continue
        share = float(volume.invalid[whole].mean()) if whole.any() else 0.0
        if share > _MAX_INVALID and (scan.mask or settings.bet):
            raise DataError(
                f"{volume.path}: {share:.0%} of the brain is NaN or infinite. Convert or export the scan again."
            )
        if share > 0:
            findings.warnings.append(f"{volume.path.name}: {share:.2%} of the brain is NaN and was left out")
            mask = mask & ~volume.invalid
    if not mask.any():
        raise DataError(f"{structure.path}: no voxel is left in the brain mask. Give another mask.")
    findings.brain_ml = round(float(mask.sum() * np.prod(structure.zooms) / 1000), 1)
    return mask


def _extracted(structure: Volume, settings: Settings, findings: _Findings) -> NDArray[np.bool_]:
    try:
        extraction = bet(
            structure.data, structure.zooms, fraction=settings.bet_fraction, gradient=settings.bet_gradient
        )
    except DataError as error:
        raise DataError(f"{structure.path}: {error}") from error
    if extraction.uncertain:
        findings.warnings.append(
            f"the surface of the brain still folds in {extraction.folded:.1%} of its points: look at the mask"
        )
    odd = implausible_volume(extraction.mask, structure.zooms)
    if odd is not None:
        findings.warnings.append(
            f"the brain mask holds {odd:.0f} ml, expected 600 to 2200: look at it, and try another --bet-fraction "
            "(smaller gives a larger brain) or give a mask"
        )
    return extraction.mask


def _sign_of(phase: Volume, evidence: SignEvidence, findings: _Findings) -> int:
    """The sign that the veins show."""
    if not evidence.verdict:
        seen = (
            f"{evidence.positive:.0%} of {evidence.voxels}" if np.isfinite(evidence.positive) else f"{evidence.voxels}"
        )
        raise DataError(
            f"{phase.path}: the veins do not tell the sign of the phase ({seen} dark vessel-like voxels are positive; "
            "at least 60 % or at most 40 % of 30 or more are needed). Look at the phase: where veins are bright, say "
            "--phase-sign +1, where they are dark, -1."
        )
    share = evidence.positive if evidence.verdict > 0 else 1 - evidence.positive
    findings.phase_sign = (
        f"{evidence.verdict:+d} from the veins: {share:.0%} of {evidence.voxels} dark vessel-like voxels are "
        f"{'positive' if evidence.verdict > 0 else 'negative'} in the file, median {evidence.median:+.2f} rad"
    )
    return evidence.verdict
