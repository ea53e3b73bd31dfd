"""Finding boxes with a Darknet binary, whose results must account for every image.

It works in a folder of its own with short relative names: its buffers are small, and names go through a shell. There
the images are written as files: of those that are only looked at nobody else wants any.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from ..errors import DarknetError
from ..io.publish import working
from ..model import OnProgress
from .cfg import Cfg, read_cfg
from .find import Binary
from .images import Images, encoded
from .output import Found, parse_test, parse_valid
from .project import CFG, CLASS_NAME, set_net
from .run import PATIENCE_S, run_darknet

__all__ = ["find_boxes", "json_argv", "valid_argv"]

_LEAST_IMAGES = 4
"""The original's ``valid`` runs four threads, even over fewer images."""

_LETTERS = [f"{code}_{size}.png" for code in range(32, 127) for size in range(8)]
_PICTURE = "predictions.jpg"
_BOX = re.compile(r"\S+: \d+%")
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
"""For the C library: Darknet asks for every image's memory anew, and most of its time went into clearing its pages."""

_UNREADABLE = re.compile(r'Cannot load image "?in/')


def valid_argv(binary: Path) -> list[str]:
    """``detector valid`` on the files of :func:`find_boxes`."""
    return [str(binary), "detector", "valid", "detect.data", "detect.cfg", "detect.weights"]


def json_argv(binary: Path, threshold: float) -> list[str]:
    """``detector test`` on the paths that it reads from stdin."""
    words = [str(binary), "detector", "test", "detect.data", "detect.cfg", "detect.weights"]
    return [*words, "-thresh", f"{threshold:.6f}", "-dont_show", "-out", "found.json"]


def find_boxes(  # noqa: PLR0913 (what Engine.detect takes, with a binary)
    binary: Binary,
    project: Path,
    weights: Path,
    images: Images,
    *,
    threshold: float,
    nms: float,
    patience_s: float = PATIENCE_S,
    scratch: Path | None = None,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Mapping[str, list[Found]]:
    """Run a Darknet once over some images; any number of classes, images that are not square.

    Parameters
    ----------
    binary, project, weights, images, threshold, nms, scratch, on_progress
        As for :meth:`cmb_toolkit.darknet.engine.Engine.detect`; `nms` is one that the binary has built in.
    patience_s : float

    Returns
    -------
    mapping
        Boxes by image stem; an entry for every image.

    Raises
    ------
    DarknetError
        If an image is not accounted for, or the results are not whole.
    """
    cfg = read_cfg(project / CFG)
    with tempfile.TemporaryDirectory(prefix="cmbtk-") if scratch is None else working(scratch) as name:
        folder = Path(name)
        on_progress(0, len(images.names), "writing the images")
        places = _lay_out_detection(folder, project, weights, images, cfg)
        on_progress(0, len(images.names), "loading the network")
        if binary.flavour == "alexeyab" and nms == 0.45:
            return _test(binary, folder, places, threshold, cfg, patience_s, on_progress)
        return _valid(binary, folder, places, cfg, patience_s, on_progress)


def _lay_out_detection(folder: Path, project: Path, weights: Path, images: Images, cfg: Cfg) -> dict[str, str]:
    """Short relative names for everything; the place in the folder of every image stem.

    ``detector test`` draws its boxes, with letters, into a picture that nobody looks at. That would take longer than to
    find them. So the letters are the smallest that it can draw, and the picture cannot be written.
    """
    (folder / "results").mkdir()
    (folder / "in").mkdir()
    places = {name: f"in/{name}.png" for name in images.names}
    with ThreadPoolExecutor() as pool:
        for some, block in images.blocks(cfg):
            for name, content in zip(some, pool.map(encoded, block), strict=True):
                (folder / places[name]).write_bytes(content)
    classes = cfg.region.classes
    names = [CLASS_NAME] if classes == 1 else [f"class{n}" for n in range(classes)]
    (folder / "detect.names").write_text("".join(f"{name}\n" for name in names), "utf-8")
    data = f"classes={classes}\nvalid=images.txt\nnames=detect.names\nresults=results\n"
    (folder / "detect.data").write_text(data, "utf-8")
    text = (project / CFG).read_text("utf-8")
    (folder / "detect.cfg").write_text(set_net(text, {"batch": 1, "subdivisions": 1}), "utf-8")
    (folder / "detect.weights").symlink_to(weights.absolute())
    (folder / _PICTURE).mkdir()
    letters = folder / "data" / "labels"
    letters.mkdir(parents=True)
    # it lays them side by side with an overlap that grows to 4 px with their size
    (letters / "blank").write_bytes(cv2.imencode(".png", np.zeros((1, 4, 3), np.uint8))[1].tobytes())
    for name in _LETTERS:
        (letters / name).symlink_to("blank")
    return places


def _test(
    binary: Binary,
    folder: Path,
    places: dict[str, str],
    threshold: float,
    cfg: Cfg,
    patience_s: float,
    on_progress: OnProgress,
) -> dict[str, list[Found]]:
    """``detector test``: boxes are not clipped, and come with six decimals."""
    (folder / "images.txt").write_text("".join(f"{place}\n" for place in places.values()), "utf-8")
    done = boxes = 0
    # a little below: its file is rounded, and a box at the threshold belongs in
    argv = json_argv(binary.path, max(threshold - 1e-6, 0.0))
    images = folder / "images.txt"
    with run_darknet(argv, folder, stdin=images, patience_s=patience_s, environment=_KEEP_MEMORY) as darknet:
        for line in darknet.lines():
            _check_loaded(binary, line)
            boxes += _BOX.match(line) is not None
            if "Predicted in" in line:
                done += 1
                on_progress(min(done, len(places)), len(places), f"{boxes} boxes")
    results = folder / "found.json"
    text = results.read_text("latin-1") if results.is_file() else ""
    try:
        frames = parse_test(text, cfg.net.width, cfg.net.height, results.name)
    except DarknetError as error:
        raise _ended_early(binary, darknet.code, darknet.last_words(), str(error)) from error
    if [name for name, _ in frames] != list(places.values()):
        raise DarknetError(
            f"{binary.path}: its results are of {len(frames)} images, not of the {len(places)} it was given. "
            "Use --engine embedded."
        )
    return {Path(name).stem: boxes for name, boxes in frames}


def _valid(
    binary: Binary, folder: Path, places: dict[str, str], cfg: Cfg, patience_s: float, on_progress: OnProgress
) -> dict[str, list[Found]]:
    """``detector valid``: boxes are clipped, and those at the right or lower border lose up to a pixel."""
    listed = [*places.values()]
    for number in range(_LEAST_IMAGES - len(listed)):
        filler = f"in/filler{number}.png"
        (folder / filler).symlink_to(Path(listed[0]).name)
        listed.append(filler)
    (folder / "images.txt").write_text("".join(f"{place}\n" for place in listed), "utf-8")
    finished = False
    with run_darknet(valid_argv(binary.path), folder, patience_s=patience_s) as darknet:
        for line in darknet.lines():
            _check_loaded(binary, line)
            if line.isdecimal():
                on_progress(min(int(line), len(places)), len(places), "")
            finished = finished or "Total Detection Time" in line
    if not finished:
        raise _ended_early(binary, darknet.code, darknet.last_words(), "it did not print its last line")
    found: dict[str, list[Found]] = {stem: [] for stem in places}
    names = (folder / "detect.names").read_text("utf-8").split()
    for label, name in enumerate(names):
        results = folder / "results" / f"comp4_det_test_{name}.txt"
        if not results.is_file():
            raise DarknetError(f"{binary.path}: ended without its results file {results.name}. Is the disk full?")
        for stem, boxes in parse_valid(results.read_text("latin-1"), results.name).items():
            if stem in found:
                found[stem] += [Found(label, box) for box in boxes]
            elif not stem.startswith("filler"):
                raise DarknetError(f"{binary.path}: found boxes on {stem}, which it was not given.")
    return found


def _check_loaded(binary: Binary, line: str) -> None:
    if _UNREADABLE.search(line):  # others are letters to draw with, which nobody looks at
        raise DarknetError(f"{binary.path}: {line}. Run `cmbtk prepare-yolo` for this cell again.")


def _ended_early(binary: Binary, code: int | None, last_words: str, what: str) -> DarknetError:
    telling = "\n".join(line for line in last_words.splitlines() if f"Failed to write image {_PICTURE}" not in line)
    return DarknetError(f"{binary.path}: ended early (exit status {code}): {what}. Its last words:\n{telling}")
