"""``cmbtk preprocess``: brain mask, high-passed phase, SWI and its minIP from the scanner's magnitude and phase."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problems, UsageError
from ..imaging.bet import bet
from ..imaging.brain import BRAIN_ML, find_brain, too_large, volume_ml
from ..imaging.highpass import gaussian_highpass, homodyne_highpass
from ..imaging.phase import alternating_slices, phase_scale, to_radians, without_alternation
from ..imaging.sign import SinusEvidence, sinus_evidence, vein_evidence
from ..imaging.slow_phase import slow_phase
from ..imaging.swi import extreme_phase, minip, phase_mask, swi
from ..imaging.unwrap import unwrap_laplacian, unwrap_path
from ..io.fsl import find_bet
from ..io.nifti import Volume, read_mask, write_volume
from ..io.publish import Record, publish, read_record, sidecar
from ..model import OnProgress
from ..parallel import for_each
from ..study.cohort import read_participants
from ..study.layout import Study
from ..study.nameless import without_names
from ..study.phase_sign import disagreeing, settled_sign
from ..study.scan import Images, Scan, Settings, acquisition, check_files, read_images, scan_of
from ..study.scan_limits import method_doubts

__all__ = ["PreprocessSummary", "Scan", "ScanReport", "Settings", "preprocess", "preprocess_scan", "scan_of"]

REVISION = 1

_STEPS = ("wrapped", "unwrapped", "phasemask")
"""What ``save_steps`` writes as well."""

_MAX_INVALID = 0.25  # share of the brain that may be NaN before a scan is refused


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
    sign : int
    warnings : tuple of str
        What a person should look at.
    """

    name: str
    folder: Path
    made: bool
    brain_ml: float
    phase_unit: str
    phase_sign: str = ""
    sign: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def sign_seen(self) -> bool:
        """Whether the sign was looked for in the scan."""
        return " from the " in self.phase_sign

    @property
    def sign_assumed(self) -> bool:
        """Whether nothing was known of the sign."""
        return " assumed" in self.phase_sign


@dataclass(frozen=True)
class PreprocessSummary:
    """What became of the scans of a study, and what is odd about them together."""

    scans: tuple[ScanReport, ...] = ()
    warnings: tuple[str, ...] = ()

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
    problems: Problems | None = None,
) -> PreprocessSummary:
    """Preprocess the scans of a study into one folder per subject.

    Subjects whose files and settings have not changed are not done again. A ``mask`` or ``swi`` column of
    participants.tsv is used where it names a file. A scan that cannot be preprocessed does not stop the others.

    Parameters
    ----------
    study_folder : Path
    settings : Settings, optional
    subjects : sequence of str, optional
        Only these.
    jobs : int, default=1
        Worker processes.
    on_progress : callable
    problems : Problems, optional
        Where to gather what is wrong with single subjects, instead of raising it after the others are done: the
        summary is then of the others.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
    """
    settings = settings or Settings()
    gathered = Problems() if problems is None else problems
    study = Study.open(study_folder)
    table = read_participants(study)
    unknown = sorted(set(subjects or ()) - set(table.index))
    if unknown:
        raise UsageError(f"{study.participants}: no subject {unknown[0]}. Check --subject; names are like sub-001.")
    reports: dict[str, ScanReport] = {}
    todo = []
    chosen = [(str(name), row) for name, row in table.iterrows() if not subjects or name in subjects]
    for name, row in chosen:
        with gathered.of(name):
            scan = scan_of(study, row)
            check_files(scan)
            _check_output(study.subject(name), _names_in(study, name), scan)
            if _record(scan, settings).is_current(study.subject(name)):
                reports[name] = _one_of_study(scan, study, settings)
            else:
                todo.append(scan)
    _check_tools(todo, settings)
    work = partial(_one_of_study, study=study, settings=settings)
    made = for_each(work, todo, jobs=jobs, on_progress=on_progress, label=_name, problems=gathered)
    reports |= {report.name: report for report in made}
    warnings = []
    signs = ((row["scanner"], name, reports[name].sign) for name, row in chosen if name in reports)
    for sentence, names in disagreeing(signs):
        if any(reports[name].sign_seen for name in names):  # one of them was seen wrongly
            gathered.add(f"{study.participants}: {sentence}.")
        else:
            warnings.append(sentence)
    if problems is None:
        gathered.raise_if_any()
    return PreprocessSummary(tuple(reports[name] for name, _ in chosen if name in reports), tuple(warnings))


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
    scan = replace(scan, echo=scan.echo or settings.echo, phase_volume=scan.phase_volume or settings.phase_volume)
    names = {role: f"{role}.nii.gz" for role in ("magnitude", "phase", "swi", "minip", "mask", *_STEPS)}
    check_files(scan)
    _check_output(out, names, scan)
    _check_tools([] if _record(scan, settings).is_current(out) else [scan], settings)
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


def _check_tools(scans: Sequence[Scan], settings: Settings) -> None:
    """Refuse before any work what another program is needed for and is not there."""
    if settings.brain_mask == "fsl" and any(scan.mask is None for scan in scans):
        find_bet()


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
    brain_mask: str = ""
    phase_unit: str = ""
    phase_sign: str = ""
    sign: int = 0
    warnings: list[str] = field(default_factory=list)

    def without_names(self, scan: Scan) -> None:
        """Speak of the scan's files by their role."""
        self.phase_unit, self.phase_sign, *self.warnings = (
            without_names(text, scan.files) for text in (self.phase_unit, self.phase_sign, *self.warnings)
        )


def _record(scan: Scan, settings: Settings) -> Record:
    """What is about to be done to a scan."""
    return Record(
        step="preprocess",
        parameters={
            **asdict(settings),
            "phase_range": _range(scan, settings),
            "phase_sign": _sign(scan, settings),
            "echo": scan.echo or settings.echo,
            "phase_volume": scan.phase_volume or settings.phase_volume,
            "echo_time_ms": scan.echo_time_ms,
        },
        sources={**scan.files, **{f"sidecar of the {role}": path for role, path in scan.sidecars.items()}},
        revision=REVISION,
    )


def _range(scan: Scan, settings: Settings) -> str | float | None:
    return settings.phase_range if settings.phase_range is not None else scan.phase_range


def _sign(scan: Scan, settings: Settings) -> int | Literal["auto"]:
    return scan.phase_sign if scan.phase_sign is not None else settings.phase_sign


def _process(scan: Scan, out: Path, names: Mapping[str, str], settings: Settings) -> ScanReport:
    record = _record(scan, settings)
    made = not record.is_current(out)
    if made:
        with publish(out, record) as folder:
            folder.mkdir()
            acquired, doubts = acquisition(scan, settings)
            findings = _write(scan, folder, names, settings)
            findings.warnings += doubts
            findings.without_names(scan)
            folder.note(acquisition=acquired, found=asdict(findings))
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
        findings.sign,
        tuple(dict.fromkeys(findings.warnings)),
    )


def _write(scan: Scan, folder: Path, names: Mapping[str, str], settings: Settings) -> _Findings:
    """Read a scan, compute, write its outputs into `folder`."""
    findings = _Findings()
    images = read_images(scan, settings)
    phase, structure = images.phase, images.structure
    findings.warnings += images.warnings
    findings.warnings += method_doubts(scan, structure.zooms, scan.echo or settings.echo)
    wrapped, is_wrapped = _radians(phase, _range(scan, settings), findings)
    mask = _brain(scan, images, settings, findings)
    steps = _filtered(phase, wrapped, is_wrapped, structure, mask, settings, findings)
    sign = _settled_sign(scan, phase, steps, structure, mask, settings, findings)
    steps = {name: np.float32(sign) * data for name, data in steps.items()}

    polarity = 1 if settings.swi_polarity == "paramagnetic" else -1
    full = np.pi
    if settings.swi_scaling == "extreme":
        full = extreme_phase(steps["phase"], mask, polarity=polarity)
    weight = np.where(mask, phase_mask(steps["phase"], polarity=polarity, full=full), 0)
    weighted = np.where(mask, images.swi.data if images.swi else swi(structure.data, weight, settings.swi_power), 0)
    outputs: dict[str, NDArray[Any]] = {
        "phase": steps["phase"],
        "swi": weighted,
        "minip": minip(weighted, settings.minip_slices, mask),
    }
    if images.magnitude:
        outputs["magnitude"] = np.where(mask, images.magnitude.data, 0)
    if settings.save_steps:
        outputs |= steps | {"phasemask": weight}
    for role, data in outputs.items():
        write_volume(folder / names[role], data, structure, np.dtype(settings.output_type))
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
    matters = settings.highpass == "gaussian" or settings.fix_ge_phase  # the homodyne filter is blind to it
    if is_wrapped and not settings.phase_is_filtered and matters and alternating_slices(wrapped, mask):
        found = "the phase jumps by about pi from slice to slice, as some GE reconstructions make it"
        remedy = "it was undone" if settings.fix_ge_phase else "undo it with --fix-ge-phase"
        findings.warnings.append(f"{phase.path.name}: {found}; {remedy}")
        if settings.fix_ge_phase:
            wrapped = without_alternation(wrapped)
    steps = {"wrapped": wrapped}
    varies = slow_phase(wrapped, structure.data, mask, structure.zooms)
    if settings.phase_is_filtered:
        if varies.is_unfiltered:
            findings.warnings.append(
                f"{phase.path.name}: the phase of half of the brain's surroundings, averaged over centimetres, is "
                f"beyond {varies.slow:.2f} rad, where filtered phase is near 0; leave out --phase-is-filtered if it was"
                " not filtered"
            )
        return steps | {"phase": np.where(mask, np.clip(wrapped, -np.pi, np.pi), 0).astype(np.float32)}
    if varies.is_filtered:
        findings.warnings.append(
            f"{phase.path.name}: the phase looks high-passed already (averaged over centimetres, half of the brain is "
            f"within {varies.slow:.2f} rad of 0), and filtering it again lowers microbleeds; say --phase-is-filtered if"
            " it was"
        )
    if settings.highpass == "homodyne":
        return steps | {"phase": homodyne_highpass(structure.data, wrapped, mask, structure.zooms)}
    unwrapped = wrapped
    if is_wrapped and settings.unwrap == "laplacian":
        unwrapped = unwrap_laplacian(wrapped, mask, structure.zooms)
    elif is_wrapped:
        unwrapped = unwrap_path(wrapped, mask)
    filtered = gaussian_highpass(unwrapped, mask, structure.zooms, magnitude=structure.data)
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
    """The sign that was given, with a warning where what is seen contradicts it; or the one that is seen."""
    sign = _sign(scan, settings)
    brain = mask
    if scan.mask is None and settings.brain_mask == "none":
        brain = mask & _for_witnesses(structure, mask, settings)
    veins, unwrapped = steps["phase"], steps.get("unwrapped")
    if settings.unwrap == "laplacian" and not settings.phase_is_filtered:
        # Laplacian unwrapping distorts dipoles on coarse voxels, so the veins are asked on the homodyne phase
        veins = homodyne_highpass(structure.data, steps["wrapped"], brain, structure.zooms)
    if unwrapped is None and sign == "auto" and not settings.phase_is_filtered:
        unwrapped = unwrap_path(steps["wrapped"], brain)
    settled = settled_sign(
        phase.path,
        sign,
        in_table=scan.phase_sign is not None,
        veins=vein_evidence(veins, structure.data, brain, structure.zooms),
        sinuses=SinusEvidence()
        if unwrapped is None
        else sinus_evidence(unwrapped, structure.data, brain, structure.zooms),
    )
    findings.sign, findings.phase_sign = settled.sign, settled.why
    if settled.warning:
        findings.warnings.append(settled.warning)
    return settled.sign


def _for_witnesses(structure: Volume, mask: NDArray[np.bool_], settings: Settings) -> NDArray[np.bool_]:
    """Where to look for veins and sinuses if every voxel with signal is taken: scalp and neck know nothing of them."""
    try:
        return find_brain(
            lambda fraction: bet(structure.data, structure.zooms, fraction=fraction).mask,
            structure.zooms,
            settings.bet_fraction,
        ).mask
    except DataError:  # no head in it: a crop
        return mask


def _radians(phase: Volume, given: str | float | None, findings: _Findings) -> tuple[NDArray[np.float32], bool]:
    if phase.complex:
        findings.phase_unit = "radians, of complex values"
        return phase.data, True
    valid = phase.data if phase.invalid is None else phase.data[~phase.invalid]
    try:
        scale = phase_scale(valid, given)
    except DataError as error:
        raise DataError(f"{phase.path}: {error}") from error
    findings.phase_unit = scale.unit
    findings.warnings += [f"{phase.path.name}: {warning}" for warning in scale.warnings]
    return to_radians(phase.data, scale), scale.wrapped


def _brain(scan: Scan, images: Images, settings: Settings, findings: _Findings) -> NDArray[np.bool_]:
    """The mask: the user's, BET's, or every voxel with signal; never where a file holds NaN."""
    structure = images.structure
    if scan.mask:
        mask, findings.brain_mask = read_mask(scan.mask, structure), "given"
    elif settings.brain_mask == "none":
        mask, findings.brain_mask = structure.data > 0, "all voxels with signal"
    else:
        mask = _extracted(structure, settings, findings)
    if (scan.mask or settings.brain_mask == "none") and too_large(mask, structure.zooms):
        what = "the mask that was given holds" if scan.mask else "all voxels with signal are"
        findings.warnings.append(
            f"{what} {volume_ml(mask, structure.zooms):.0f} ml, more than any brain ({BRAIN_ML[1]:.0f} ml): there is "
            "skull, neck or air in it, whose phase is noise; find the brain with --brain-mask own, or give another mask"
        )
    whole = mask
    for volume in images.sources:
        if volume.invalid is None:
            continue
        share = float(volume.invalid[whole].mean()) if whole.any() else 0.0
        if share > _MAX_INVALID and (scan.mask or settings.brain_mask != "none"):
            raise DataError(
                f"{volume.path}: {share:.0%} of the brain is NaN or infinite. Convert or export the scan again."
            )
        if share > 0:
            findings.warnings.append(f"{volume.path.name}: {share:.2%} of the brain is NaN and was left out")
            mask = mask & ~volume.invalid
    if not mask.any():
        raise DataError(f"{structure.path}: no voxel is left in the brain mask. Give another mask.")
    findings.brain_ml = round(volume_ml(mask, structure.zooms), 1)
    return mask


def _extracted(structure: Volume, settings: Settings, findings: _Findings) -> NDArray[np.bool_]:
    """The brain as the toolkit's own BET finds it, or FSL's, at a fraction where its volume can be a brain's."""
    folded: dict[float, float] = {}

    def own(fraction: float) -> NDArray[np.bool_]:
        try:
            found = bet(structure.data, structure.zooms, fraction=fraction, gradient=settings.bet_gradient)
        except DataError as error:
            raise DataError(f"{structure.path}: {error}") from error
        folded[fraction] = found.folded if found.uncertain else 0.0
        return found.mask

    def of_fsl(fraction: float) -> NDArray[np.bool_]:
        return program.mask(structure, fraction=fraction, gradient=settings.bet_gradient)

    extract: Callable[[float], NDArray[np.bool_]] = own
    findings.brain_mask = "own BET"
    if settings.brain_mask == "fsl":
        program = find_bet()
        extract, findings.brain_mask = of_fsl, program.describe()
    asked = settings.bet_fraction
    brain = find_brain(extract, structure.zooms, asked)
    if folded.get(brain.fraction):
        findings.warnings.append(
            f"the surface of the brain still folds in {folded[brain.fraction]:.1%} of its points: look at the mask"
        )
    if brain.asked_ml is not None:
        findings.brain_mask += f", fraction {brain.fraction:g}"
        findings.warnings.append(
            f"the brain mask at --bet-fraction {asked:g} holds {brain.asked_ml:.0f} ml, which is hardly a brain; taken "
            f"was --bet-fraction {brain.fraction:g} with {brain.volume_ml:.0f} ml, around which the mask stays alike: "
            "look at the mask"
        )
    if brain.doubt:
        way = "larger" if brain.doubt == "large" else "smaller"
        other = "smaller" if brain.doubt == "large" else "larger"
        findings.warnings.append(
            f"the brain mask holds {brain.volume_ml:.0f} ml, too {brain.doubt} or unsteady (a brain has "
            f"{BRAIN_ML[0]:.0f} to {BRAIN_ML[1]:.0f}), and no other --bet-fraction gave a better one: look at it, and "
            f"give a mask, or try a {way} --bet-fraction (it gives a {other} brain)"
        )
    return brain.mask
