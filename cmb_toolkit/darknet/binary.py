"""A Darknet binary as engine: found, probed, asked to detect, its text output read.

Two flavours are known: the original (Debian's package ``darknet`` among others) and AlexeyAB's fork. Their exit codes
say nothing, and they go on without a word when an image, the weights or the disk fail them. So everything is checked
before they start, and success is what they leave behind: the results file and the line that they print last.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np
import pandas as pd

from ..errors import DarknetError, MissingError, UsageError
from ..model import Box, Detection, OnProgress
from .cfg import Cfg, read_cfg
from .engine import TrainingOptions
from .project import CFG, CLASS_NAME, set_net
from .region import select_boxes
from .training import read_image
from .weights import read_weights

__all__ = [
    "Binary",
    "BinaryEngine",
    "find_darknet",
    "parse_probe",
    "parse_valid",
    "probe",
    "probe_argv",
    "valid_argv",
]

_CHECKOUT = Path(__file__).parents[2] / "darknet" / "build" / "darknet"
_PROBE_TIMEOUT_S = 60.0
_LEAST_IMAGES = 4  # the original's `valid` runs four threads, even over fewer images
_LAST_LINE = "Total Detection Time"
_KEPT_LINES = 12

Flavour = Literal["original", "alexeyab"]

_LIMITS: dict[Flavour, tuple[float, float]] = {"original": (0.005, 0.45), "alexeyab": (0.001, 0.6)}
"""Least confidence and NMS overlap that are compiled into ``detector valid``."""


@dataclass(frozen=True)
class Binary:
    """A Darknet that runs on this machine."""

    path: Path
    flavour: Flavour
    cuda: bool


def find_darknet(given: Path | None = None) -> Binary:
    """Find and probe a Darknet: the one given, ``CMBTK_DARKNET``, the checkout's own build, or one on the PATH.

    Raises
    ------
    MissingError
        If there is none, or the one named is not there.
    DarknetError
        If it is no Darknet, or one that cannot run here.
    """
    named = given or (Path(os.environ["CMBTK_DARKNET"]) if os.environ.get("CMBTK_DARKNET") else None)
    if named is not None:
        if not (named.is_file() and os.access(named, os.X_OK)):
            where = "" if given else " (from CMBTK_DARKNET)"
            raise MissingError(f"{named}{where}: not a program that can be run. Correct the path, or leave it out.")
        return probe(named.absolute())
    if _CHECKOUT.is_file():
        return probe(_CHECKOUT)
    on_path = shutil.which("darknet")
    if on_path is None:
        raise MissingError(
            "no Darknet found (looked at --darknet, CMBTK_DARKNET, darknet/build/darknet of the checkout, and PATH). "
            "Use the embedded engine, which needs none, or install one: `apt-get install darknet` can detect."
        )
    return probe(Path(on_path))


def probe_argv(binary: Path) -> list[str]:
    """A command that no Darknet knows: each flavour says so in its own words."""
    return [str(binary), "__probe__"]


def probe(binary: Path) -> Binary:
    """Run a Darknet once to see what it is."""
    with tempfile.TemporaryDirectory() as nowhere:
        try:
            done = subprocess.run(
                probe_argv(binary), cwd=nowhere, capture_output=True, check=False, timeout=_PROBE_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DarknetError(f"{binary}: does not run ({error}). Choose another binary.") from error
    flavour, cuda = parse_probe(
        done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1"), str(binary)
    )
    return Binary(binary, flavour, cuda)


def parse_probe(code: int, stdout: str, stderr: str, name: str) -> tuple[Flavour, bool]:
    """Flavour, and whether a GPU is used, from what a probe left.

    Raises
    ------
    DarknetError
        If it is a build for GPUs on a machine without one, or no Darknet at all.
    """
    both = stdout + stderr
    if "error while loading shared libraries" in both:
        library = both.split("error while loading shared libraries:")[1].split(":")[0].strip()
        raise DarknetError(
            f"{name}: the library {library} is missing here. Install it, or build Darknet on this machine."
        )
    if "CUDA status Error" in both or "cuda_set_device" in both or "check_error: Assertion" in both:
        raise DarknetError(
            f"{name}: built for an NVIDIA GPU, but no driver answers here. Use a CPU build or the embedded engine."
        )
    if "Not an option: __probe__" not in both or code != 0:
        raise DarknetError(f"{name}: does not answer as a Darknet does. Give the path of a Darknet binary.")
    if "CUDA-version:" in both:
        return "alexeyab", True
    if "GPU isn't used" in both or "OpenCV isn't used" in both or "OpenCV version" in both:
        return "alexeyab", False
    return "original", False


def valid_argv(binary: Path) -> list[str]:
    """``detector valid`` on the files that :class:`BinaryEngine` lays out in its working directory."""
    return [str(binary), "detector", "valid", "valid.data", "valid.cfg", "valid.weights"]


def parse_valid(text: str, name: str) -> dict[str, list[Box]]:
    """Boxes by image stem from a results file of ``detector valid``.

    Its lines are ``stem confidence left top right bottom``; the corners are pixel edges plus 1, clipped to 1 and to
    the image's width or height, so that a box at the right or lower border has lost up to a pixel.

    Raises
    ------
    DarknetError
        If a line is something else: the file was cut off.
    """
    boxes: dict[str, list[Box]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        try:
            stem, *columns = line.rsplit(" ", 5)
            confidence, left, top, right, bottom = (float(column) for column in columns)
        except ValueError as error:
            raise DarknetError(
                f"{name}, line {number}: {line!r} is not a detection, so Darknet did not finish. Is the disk full?"
            ) from error
        boxes.setdefault(stem, []).append(Box(left - 1, top - 1, right - 1, bottom - 1, confidence))
    return boxes


class BinaryEngine:
    """See :class:`cmb_toolkit.darknet.engine.Engine`."""

    name = "darknet"

    def __init__(self, binary: Binary) -> None:
        self._binary = binary

    def describe(self) -> str:
        """Flavour and fingerprint of the binary; its path may hold a person's name."""
        digest = hashlib.sha256(self._binary.path.read_bytes()).hexdigest()[:12]
        return f"darknet ({self._binary.flavour}, {'GPU' if self._binary.cuda else 'CPU'}, sha256 {digest})"

    def train(self, project: Path, out: Path, options: TrainingOptions, on_progress: OnProgress) -> pd.DataFrame:
        """Refused.

        Raises
        ------
        DarknetError
            Always: a CPU build of the original cannot train, and others are not driven yet.
        """
        if self._binary.flavour == "original" and not self._binary.cuda:
            raise DarknetError(
                f"{self._binary.path}: this Darknet (the original, built for CPUs) cannot train: the backward pass of "
                "its region layer is empty, so the weights would only shrink. Train with --engine embedded."
            )
        raise DarknetError(
            f"{self._binary.path}: this version trains with the embedded engine only. Use --engine embedded; the "
            f"project folder {project.name}/ can also be given to Darknet by hand."
        )

    def detect(
        self,
        project: Path,
        weights: Path,
        images: Sequence[str],
        *,
        threshold: float,
        nms: float,
        most: int | None = None,
        on_progress: OnProgress,
    ) -> list[Detection]:
        """Detect with ``detector valid`` in a working directory of its own."""
        cfg = read_cfg(project / CFG)
        self._check_limits(threshold, nms)
        read_weights(weights, cfg)
        for image in images:
            read_image(project / image, cfg.net.height, cfg.net.width)
        if not images:
            return []
        with tempfile.TemporaryDirectory(prefix="cmbtk-") as name:
            folder = Path(name)
            self._lay_out(folder, project, weights, images)
            _run(valid_argv(self._binary.path), folder, len(images), on_progress)
            results = folder / "results" / f"comp4_det_test_{CLASS_NAME}.txt"
            if not results.is_file():
                raise DarknetError(f"{self._binary.path}: ended without its results file. Is the disk full?")
            boxes = parse_valid(results.read_text("latin-1"), results.name)
        # Darknet has thinned the boxes out before it clipped them; doing it again would take clipped ones as well.
        again = nms if nms < _LIMITS[self._binary.flavour][1] else 1.0
        return _select(boxes, images, threshold, again, most, cfg)

    def _check_limits(self, threshold: float, nms: float) -> None:
        least, most = _LIMITS[self._binary.flavour]
        if threshold < least or nms > most:
            raise UsageError(
                f"this Darknet ({self._binary.flavour}) has a least confidence of {least} and a non-maximum "
                f"suppression of {most} built in; {threshold} and {nms} were asked for. Use --engine embedded."
            )

    @staticmethod
    def _lay_out(folder: Path, project: Path, weights: Path, images: Sequence[str]) -> None:
        """Relative and short names only: Darknet's buffers are small, and names go through a shell."""
        (folder / "results").mkdir()
        (folder / "in").mkdir()
        names = []
        for image in images:
            path = Path("in") / Path(image).name
            (folder / path).symlink_to((project / image).absolute())
            names.append(str(path))
        for number in range(_LEAST_IMAGES - len(images)):
            path = Path("in") / f"filler{number}.png"
            (folder / path).symlink_to((project / images[0]).absolute())
            names.append(str(path))
        (folder / "valid.txt").write_text("".join(f"{name}\n" for name in names), "utf-8")
        (folder / "valid.names").write_text(f"{CLASS_NAME}\n", "utf-8")
        (folder / "valid.data").write_text("classes=1\nvalid=valid.txt\nnames=valid.names\nresults=results\n", "utf-8")
        text = (project / CFG).read_text("utf-8")
        (folder / "valid.cfg").write_text(set_net(text, {"batch": 1, "subdivisions": 1}), "utf-8")
        (folder / "valid.weights").symlink_to(weights.absolute())


def _select(
    boxes: dict[str, list[Box]], images: Sequence[str], threshold: float, nms: float, most: int | None, cfg: Cfg
) -> list[Detection]:
    found = []
    for image in images:
        stem = Path(image).stem
        here = boxes.get(stem, [])
        corners = np.array([(box.left, box.top, box.right, box.bottom) for box in here]).reshape(-1, 4)
        confidence = np.array([box.confidence for box in here])
        found += [
            Detection(stem, box) for box in select_boxes(corners, confidence, threshold, nms, cfg.net.width, most)
        ]
    return found


def _run(argv: list[str], folder: Path, total: int, on_progress: OnProgress) -> None:
    """Run Darknet to its end; its progress and complaints come on stderr.

    Raises
    ------
    DarknetError
        If it did not print its last line or could not load an image.
    """
    on_progress(0, total, "loading the network")
    last: list[str] = []
    finished = False
    with (folder / "stdout.log").open("wb") as log, _process(argv, folder, log) as process:
        assert process.stderr is not None
        for raw in process.stderr:
            line = raw.decode("latin-1").strip()
            last = [*last, line][-_KEPT_LINES:]
            if line.isdecimal():
                on_progress(min(int(line), total), total, "")
            finished = finished or line.startswith(_LAST_LINE)
            if "Cannot load image" in line:
                raise DarknetError(f"{argv[0]}: {line}. Run `cmbtk prepare-yolo` for this cell again.")
        code = process.wait()
    if not finished:
        words = "\n  ".join(line for line in last if not line.isdecimal())
        raise DarknetError(f"{argv[0]}: ended early (exit status {code}). Its last words:\n  {words}")
    on_progress(total, total, "")


@contextlib.contextmanager
def _process(argv: list[str], folder: Path, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
