"""``cmbtk preprocess``: brain mask, high-passed phase, SWI and its minIP from the scanner's magnitude and phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import DataError, Problems, UsageError
from ..imaging.clean import UnusableError, clean
from ..imaging.recipe import Preprocessing
from ..io.fsl import find_bet, other_program
from ..io.nifti import read_mask, write_volume
from ..io.publish import Record, publish, read_record, sidecar
from ..model import OnProgress
from ..parallel import for_each
from ..study.cohort import read_participants
from ..study.layout import Study
from ..study.nameless import without_names
from ..study.phase_sign import disagreeing
from ..study.scan import Scan, acquisition, check_files, own_recipe, read_images, scan_of
from ..study.scan_limits import method_doubts

__all__ = ["PreprocessSummary", "Scan", "ScanReport", "preprocess", "preprocess_scan", "scan_of"]

REVISION = 1

_STEPS = ("wrapped", "unwrapped", "phasemask")
"""What ``save_steps`` writes as well."""

_WRITING = 2
"""Volumes that are written at once; each takes as much memory again."""


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
    recipe: Preprocessing | None = None,
    *,
    subjects: Sequence[str] | None = None,
    jobs: int = 1,
    on_progress: OnProgress,
    problems: Problems | None = None,
) -> PreprocessSummary:
    """Preprocess the scans of a study into one folder per subject.

    Subjects whose files and recipe have not changed are not done again. A ``mask`` or ``swi`` column of
    participants.tsv is used where it names a file. A scan that cannot be preprocessed does not stop the others.

    Parameters
    ----------
    study_folder : Path
    recipe : Preprocessing, optional
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
    recipe = recipe or Preprocessing()
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
            if _record(scan, recipe).is_current(study.subject(name)):
                reports[name] = _one_of_study(scan, study, recipe)
            else:
                todo.append(scan)
    _check_tools(todo, recipe)
    work = partial(_one_of_study, study=study, recipe=recipe)
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
    scan: Scan, out: Path, recipe: Preprocessing | None = None, *, on_progress: OnProgress
) -> PreprocessSummary:
    """Preprocess one scan, without a study, into the folder `out`.

    Writes ``magnitude``, ``phase``, ``swi``, ``minip`` and ``mask``, each ``.nii.gz``.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
    """
    recipe = recipe or Preprocessing()
    scan = replace(scan, echo=scan.echo or recipe.echo, phase_volume=scan.phase_volume or recipe.phase_volume)
    names = {role: f"{role}.nii.gz" for role in ("magnitude", "phase", "swi", "minip", "mask", *_STEPS)}
    check_files(scan)
    _check_output(out, names, scan)
    _check_tools([] if _record(scan, recipe).is_current(out) else [scan], recipe)
    on_progress(0, 1, scan.name)
    report = _process(scan, out, names, recipe)
    on_progress(1, 1, scan.name)
    return PreprocessSummary((report,))


def _name(scan: Scan) -> str:
    return scan.name


def _one_of_study(scan: Scan, study: Study, recipe: Preprocessing) -> ScanReport:
    return _process(scan, study.subject(scan.name), _names_in(study, scan.name), recipe)


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


def _check_tools(scans: Sequence[Scan], recipe: Preprocessing) -> None:
    """Refuse before any work what another program is needed for and is not there."""
    if recipe.brain_mask == "fsl" and any(scan.mask is None for scan in scans):
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


def _record(scan: Scan, recipe: Preprocessing) -> Record:
    """What is about to be done to a scan."""
    return Record(
        step="preprocess",
        parameters={**asdict(own_recipe(scan, recipe)), "echo_time_ms": scan.echo_time_ms},
        sources={**scan.files, **{f"sidecar of the {role}": path for role, path in scan.sidecars.items()}},
        revision=REVISION,
    )


def _process(scan: Scan, out: Path, names: Mapping[str, str], recipe: Preprocessing) -> ScanReport:
    record = _record(scan, recipe)
    made = not record.is_current(out)
    if made:
        with publish(out, record) as folder:
            folder.mkdir()
            acquired, doubts = acquisition(scan, recipe)
            findings = _write(scan, folder, names, recipe)
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


def _write(scan: Scan, folder: Path, names: Mapping[str, str], recipe: Preprocessing) -> _Findings:
    """Read a scan, clean it, write its outputs into `folder`."""
    images = read_images(scan, recipe)
    grid = images.structure
    warnings = [*images.warnings, *method_doubts(scan, grid.zooms, scan.echo or recipe.echo)]
    called = images.called
    mask = read_mask(scan.mask, grid) if scan.mask else None
    known = scan.phase_sign is not None
    try:
        done = clean(
            images.acquired,
            own_recipe(scan, recipe),
            mask,
            sign_is_known=known,
            extract=None if scan.mask else other_program(recipe.brain_mask, grid, recipe.bet_gradient),
        )
    except UnusableError as error:
        raise DataError(f"{called[error.image]}: {error}") from error
    warnings += [f"{called[image].name}: {text}" if image else text for image, text in done.notes]
    outputs = done.volumes | (done.steps if recipe.save_steps else {})
    write = partial(write_volume, like=grid, dtype=np.dtype(recipe.output_type))
    with ThreadPoolExecutor(_WRITING) as pool:  # most of it is compression, which needs no lock
        for _ in pool.map(write, [folder / names[role] for role in outputs], outputs.values()):
            pass
    write_volume(folder / names["mask"], done.mask, grid, np.uint8)
    return _Findings(done.brain_ml, done.brain_mask, done.phase_unit, done.phase_sign, done.sign, warnings)
