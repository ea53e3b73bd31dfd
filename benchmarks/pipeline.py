"""What every step takes, on the way of a study and of a new patient, beside its floor, in one run.

    python benchmarks/pipeline.py ours.cmbtk                             # one HR and one LR subject, and 40 of either
    python benchmarks/pipeline.py ours.cmbtk --subjects 1 8 --resolution HR --jobs 1

MODEL (`cmbtk train` makes one) gives both networks. What its weights have learned changes no time but that of stage 2
and of pictures, as there are more or fewer candidates. Scans are simulated before anything is timed: two a resolution,
which all subjects have in turn, under names of their own.

Each step is its command in a process of its own, from start to end, as a user waits for it. Printed are seconds by the
clock; seconds of all processors together, which other work on the machine disturbs less; the share of the sum of these;
and the most memory of the command and all its workers. `prepare-yolo` stands there twice: with everybody to learn from,
whose images it writes as files, and with nobody.

The floor is what the same work costs a plain program, once and without starting one: to read and decode the very files
that the step reads, to unwrap the phase inside the mask (scikit-image) or to run the networks on arrays that are there,
and to encode and write the very bytes that it writes, each with the libraries that anybody would take (nibabel, zlib,
OpenCV, OpenVINO, Keras). The last column has seconds of processors as multiples of the floor's; what is counted,
simulated or drawn without a plain program to hold it against has none.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cmb_toolkit.bundle.content import OnImages
from cmb_toolkit.bundle.files import Bundle, opened
from cmb_toolkit.darknet.cfg import read_cfg
from cmb_toolkit.darknet.embedded_detection import at_once
from cmb_toolkit.darknet.looking import looking
from cmb_toolkit.darknet.weights import read_weights
from cmb_toolkit.machine import machine_in_words
from cmb_toolkit.stage2.looking import looking as classifier_looking
from cmb_toolkit.study.layout import Cell, Study

DISTINCT = 2
"""Scans that are simulated; further subjects have them again, as hard links."""

EVERY_S = 0.05
PAGE = os.sysconf("SC_PAGE_SIZE")


class Taken(NamedTuple):
    """Seconds by the clock and of processors, and the most memory [MB]."""

    wall: float
    cpu: float
    memory: float = 0.0


# --- measuring -------------------------------------------------------------------------------------------------------


def command(*words: object) -> Taken:
    """Run a command of this installation and see what it and its workers take."""
    line = [sys.executable, "-m", "cmb_toolkit", "--quiet", *map(str, words)]
    started = time.monotonic()
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, start_new_session=True)
    most = [0.0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(EVERY_S):
            most[0] = max(most[0], memory_of(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    over.set()
    watcher.join()
    if status:
        sys.exit(f"{' '.join(line)}: exit status {os.waitstatus_to_exitcode(status)}")
    return Taken(wall, usage.ru_utime + usage.ru_stime, most[0])


def memory_of(session: int) -> float:
    """Resident memory of all processes of a session [MB]; what they share counts for each."""
    total = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, ValueError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                total += int(fields[21]) * (int(fields[3]) == session)
    return total * PAGE / 1e6


def timed(work: Callable[[], object]) -> Taken:
    """What something takes in this process."""
    started, spent = time.monotonic(), time.process_time()
    work()
    return Taken(time.monotonic() - started, time.process_time() - spent)


# --- floors ----------------------------------------------------------------------------------------------------------


def read(paths: list[Path]) -> list[NDArray[np.float32]]:
    """Values of NIfTI files."""
    images: list[Any] = [nib.load(path) for path in paths]
    return [np.asanyarray(image.dataobj, np.float32) for image in images]


def rewrite(paths: list[Path], out: Path) -> None:
    """Encode and write what some NIfTI files hold, as it was stored."""
    for n, path in enumerate(paths):
        image: Any = nib.load(path)
        stored = np.asanyarray(image.dataobj.get_unscaled())
        nib.save(nib.Nifti1Image(stored, image.affine, image.header), out / f"{n}.nii.gz")


def unwrap(phase: NDArray[np.float32], mask: NDArray[np.float32]) -> None:
    """Unwrap the phase of the brain's box, the mask's outside left out."""
    from skimage.restoration import unwrap_phase

    inside = np.argwhere(mask > 0)
    box = tuple(slice(a, b + 1) for a, b in zip(inside.min(axis=0), inside.max(axis=0), strict=True))
    angle = (phase[box] / max(np.abs(phase).max(), 1) * np.pi).astype(np.float32)
    unwrap_phase(np.ma.array(angle, mask=mask[box] == 0))


def write_images(count: int, size: int, out: Path) -> None:
    """Encode and write images as varied as a scan's, with a label each."""
    random = np.random.default_rng(0)
    image = random.integers(0, 64, (size, size, 3), dtype=np.uint8)
    for n in range(count):
        cv2.imwrite(str(out / f"{n}.png"), image)
        (out / f"{n}.txt").write_text("")


class Floors:
    """What the work of each step costs a plain program.

    Parameters
    ----------
    study : Study
        When all steps were done.
    cell : Cell
    bundle : Bundle
    """

    def __init__(self, study: Study, cell: Cell, bundle: Bundle) -> None:
        self.study, self.cell, self.size = study, cell, looks_at(bundle).size
        people = pd.read_csv(study.participants, sep="\t", dtype=str)
        roles = {role: [study.root / path for path in people[role].tolist()] for role in ("magnitude", "phase")}
        self.scans = list(zip(roles["magnitude"], roles["phase"], strict=True))
        self.subjects = people["participant_id"].tolist()
        cfg = read_cfg(bundle.cfg)
        self.batch = at_once()
        self.detector = looking().detector(cfg, read_weights(bundle.weights, cfg), self.batch)
        self.detector(np.zeros((self.batch, self.size, self.size, 3), np.uint8))
        looks = None if bundle.classifier is None else classifier_looking(bundle.classifier)
        self.classifier = looks.classifier() if looks else None
        if looks and self.classifier:
            self.classifier(np.zeros((1, looks.size, 2 * looks.size, looks.size), np.float32))

    def _volumes(self, subject: str) -> list[Path]:
        return [self.study.swi(subject), self.study.phase(subject), self.study.mask(subject)]

    def preprocess(self, out: Path) -> None:
        """Read, unwrap, write."""
        for subject, scan in zip(self.subjects, self.scans, strict=True):
            phase, mask = read([scan[1], self.study.mask(subject)])
            read([scan[0]])
            unwrap(phase, mask)
            rewrite(sorted(self.study.subject(subject).glob("*.nii.gz")), out)

    def images(self, out: Path) -> None:
        """Read, encode, write."""
        for subject in self.subjects:
            volumes = read(self._volumes(subject))
            write_images(volumes[0].shape[2], self.size, out)

    def detect(self, out: Path) -> None:
        """Read, run the detector."""
        for subject in self.subjects:
            count = read(self._volumes(subject))[0].shape[2]
            images = np.random.default_rng(0).integers(0, 256, (self.batch, self.size, self.size, 3), dtype=np.uint8)
            for _ in range(-(-count // self.batch)):
                self.detector(images)

    def crop(self, out: Path) -> None:
        """Read, write the patches."""
        for subject in self.subjects:
            read(self._volumes(subject))
        shutil.copyfile(self.cell.patches / "patches.npy", out / "patches.npy")

    def classify(self, out: Path) -> None:
        """Run the classifier."""
        assert self.classifier is not None
        patches = np.load(self.cell.patches / "patches.npy", mmap_mode="r")
        for start in range(0, len(patches), 128):
            self.classifier(patches[start : start + 128])

    def new_patient(self, out: Path) -> None:
        """All of it without files in between."""
        for subject, scan in zip(self.subjects, self.scans, strict=True):
            phase, mask, _ = read([scan[1], self.study.mask(subject), scan[0]])
            unwrap(phase, mask)
            images = np.random.default_rng(0).integers(0, 256, (self.batch, self.size, self.size, 3), dtype=np.uint8)
            for _ in range(-(-phase.shape[2] // self.batch)):
                self.detector(images)
        if self.classifier is not None:
            self.classify(out)


# --- the ways --------------------------------------------------------------------------------------------------------


def simulate(folder: Path, resolution: str) -> Path:
    """A study of a few simulated scans."""
    study = folder / f"{resolution}-simulated"
    command("simulate", study, "--resolution", resolution, "--subjects", DISTINCT, "--healthy", 0, "--seed", 5)
    return study


def repeated(source: Path, target: Path, subjects: int) -> Study:
    """A study of so many subjects, who have the scans of another one in turn."""
    made = Study.create(target, "subjects")
    tables = {
        name: pd.read_csv(source / f"{name}.tsv", sep="\t", dtype=str) for name in ("participants", "microbleeds")
    }
    names = list(tables["participants"]["participant_id"])
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in tables}
    for n in range(subjects):
        old, new = names[n % len(names)], f"sub-{n + 1:03d}"
        folder = made.simulated(new)
        folder.mkdir(parents=True)
        for path in (source / "scans" / old).glob("*.nii.gz"):
            os.link(path, folder / path.name.replace(old, new))
        for name, table in tables.items():
            mine = table[table["participant_id"] == old]
            parts[name].append(mine.replace(re.escape(old), new, regex=True))
    for name, tables_of_all in parts.items():
        pd.concat(tables_of_all).to_csv(target / f"{name}.tsv", sep="\t", index=False, na_rep="n/a")
    every = [f"sub-{n + 1:03d}" for n in range(subjects)]
    folds = pd.DataFrame({"fold": "1", "participant_id": every, "role": "train"})
    folds.to_csv(made.folds, sep="\t", index=False)
    return made


def looks_at(bundle: Bundle) -> OnImages:
    """What a model's detector takes."""
    if bundle.content.look.images is None:
        sys.exit(f"{bundle.content.name}: a model of {bundle.content.look.method}, but this is timed with one of YOLO")
    return bundle.content.look.images


def way_of_a_study(
    study: Study, resolution: str, model: Path, bundle: Bundle, jobs: int
) -> tuple[Cell, dict[str, Taken]]:
    """From scans to counts, with networks that are there."""
    look = looks_at(bundle)
    images = (
        "--resolution",
        resolution,
        "--input",
        look.input,
        "--size",
        look.size,
        "--cfg",
        bundle.cfg,
        "--jobs",
        jobs,
    )
    taken = {"preprocess": command("preprocess", study.root, "--jobs", jobs)}
    taken["prepare-yolo, to learn"] = command("prepare-yolo", study.root, "--fold", "1", *images)
    taken["prepare-yolo, to look"] = command("prepare-yolo", study.root, "--fold", "none", *images)
    cell = study.cell(resolution, look.input, "none")
    taken["stage1-detect"] = command(
        "stage1-detect", cell.folder, "--weights", bundle.weights, "--threshold", bundle.content.look.confidence
    )
    if bundle.classifier is not None:
        taken["stage2-crop"] = command("stage2-crop", cell.folder, "--jobs", jobs)
        shutil.copyfile(bundle.classifier, cell.cnn)
        taken["stage2-classify"] = command("stage2-classify", cell.folder, "--threshold", 0.5)
    taken["evaluate"] = command("evaluate", cell.folder)
    return cell, taken


def way_of_new_patients(study: Study, model: Path, out: Path, jobs: int) -> Taken:
    """From scans to lesions, without a study of their own."""
    return command("detect", model, study.root, "-o", out, "--force", "--jobs", jobs)


def show(title: str, taken: dict[str, Taken], floors: dict[str, Taken]) -> None:
    """Print a way."""
    total = sum(each.cpu for each in taken.values())
    columns = f"{'wall s':>8}{'CPU s':>8}{'share':>7}{'MB':>7}{'floor wall':>12}{'floor CPU':>11}{'x floor':>9}"
    print(f"\n{title}\n{'':24}{columns}")
    for name, each in taken.items():
        line = f"{name:24}{each.wall:8.1f}{each.cpu:8.1f}{each.cpu / total:7.0%}{each.memory:7.0f}"
        if (floor := floors.get(name)) is not None:
            line += f"{floor.wall:12.2f}{floor.cpu:11.2f}{each.cpu / max(floor.cpu, 0.01):9.1f}"
        print(line)
    if len(taken) > 1:
        wall = sum(each.wall for each in taken.values())
        print(f"{'all':24}{wall:8.1f}{total:8.1f}{'':7}{max(each.memory for each in taken.values()):7.0f}", flush=True)


def measure(folder: Path, source: Path, resolution: str, subjects: int, chosen: argparse.Namespace) -> None:
    """Both ways of so many subjects."""
    study = repeated(source, folder / f"{resolution}-{subjects}", subjects)
    try:
        with opened(chosen.model) as bundle:
            cell, taken = way_of_a_study(study, resolution, chosen.model, bundle, chosen.jobs)
            out = folder / "out"
            new = way_of_new_patients(study, chosen.model, folder / "found", chosen.jobs)
            plain = Floors(study, cell, bundle)
            works = {
                "preprocess": plain.preprocess,
                "prepare-yolo, to learn": plain.images,
                "stage1-detect": plain.detect,
                "stage2-crop": plain.crop,
                "stage2-classify": plain.classify,
                "detect": plain.new_patient,
            }
            floors = {}
            for name, work in works.items():
                if name in taken or name == "detect":
                    out.mkdir()
                    floors[name] = timed(lambda work=work: work(out))  # type: ignore[misc]
                    shutil.rmtree(out)
        candidates = len(pd.read_csv(cell.candidates, sep="\t"))
        of = f"{subjects} {resolution} subject{'s' * (subjects > 1)}"
        show(f"{of}, {candidates} candidates: a study", taken, floors)
        show(f"{of}: new patients", {"detect": new}, floors)
    finally:
        for made in (study.root, folder / "found", folder / "out"):
            shutil.rmtree(made, ignore_errors=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a model, NAME.cmbtk")
    parser.add_argument("--resolution", action="append", help="HR, LR, ...; may be repeated")
    parser.add_argument("--subjects", type=int, nargs="+", default=[1, 40])
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="subjects at a time")
    parser.add_argument("--folder", type=Path, help="to work in; simulated scans stay there, for the next time")
    chosen = parser.parse_args()
    print(f"{machine_in_words()}; load {os.getloadavg()[0]:.1f} before it began", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        for resolution in chosen.resolution or ["HR", "LR"]:
            source = simulate(folder, resolution)
            for subjects in chosen.subjects:
                measure(folder, source, resolution, subjects, chosen)


if __name__ == "__main__":
    main()
