"""A Darknet project folder: the network and all that a training needs, in the one layout all Darknets read alike.

::

    darknet/
      yolo.cfg  yolo.data  yolo.names      LF only: Debian's Darknet does not strip carriage returns
      train.txt                            image list: relative paths, to be read with the folder as working directory
      slices/sub-001_slice-034.png + .txt  labels beside the images
      backup/  results/                    where Darknet writes weights and detections; it does not make them itself

What a network only looks at is made of the volumes when it does (:mod:`cmb_toolkit.study.images`). Projects of older
versions hold these images as well, and list them in ``valid.txt`` and ``slices.txt``.

Darknet's exit codes say nothing and its readers do not complain: a missing image becomes a black one, a missing label
a negative. So :func:`check_project` looks at everything that could go wrong silently.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import DataError, MissingError, Problems
from ..io.files import check_file, read_text
from ..names import shown
from ..wording import counted
from .cfg import parse_cfg
from .labels import labels_from_text

__all__ = [
    "CFG",
    "CLASS_NAME",
    "DATA",
    "NAMES",
    "SLICES",
    "TRAIN_LIST",
    "VALID_LIST",
    "check_project",
    "check_stem",
    "read_list",
    "set_net",
    "write_project",
]

CFG, DATA, NAMES = "yolo.cfg", "yolo.data", "yolo.names"
TRAIN_LIST, VALID_LIST = "train.txt", "valid.txt"
SLICES = "slices"
CLASS_NAME = "microbleed"

_NET = re.compile(r"^\s*\[(net|network)\]\s*$")
_SECTION = re.compile(r"^\s*\[")
_PATH = re.compile(r"[A-Za-z0-9._/+-]+")
# Debian's Darknet replaces the first of these anywhere in an image's path to find its label
_MAGIC = ("images", "JPEGImages", "raw", ".jpg", ".JPG", ".JPEG")
_LARGEST_LABEL = 1 << 20
_LONGEST_PATH = 200  # Darknet's buffers hold 256 bytes, some messages need part of them
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x00IEND\xaeB`\x82"


def set_net(text: str, values: Mapping[str, object]) -> str:
    """Set keys of the ``[net]`` section of a network file; the rest stays as it is, with LF line ends.

    Parameters
    ----------
    text : str
        The network file, LF or CRLF.
    values : mapping
        Key to value; an existing line is replaced, a new one added at the section's end.

    Raises
    ------
    DataError
        If there is no ``[net]`` section.
    """
    lines = text.lstrip("\ufeff").replace("\r\n", "\n").rstrip("\n").split("\n")
    start = next((n for n, line in enumerate(lines) if _NET.match(line)), None)
    if start is None:
        raise DataError("the network file has no [net] section. Give a Darknet .cfg file.")
    end = next((n for n in range(start + 1, len(lines)) if _SECTION.match(lines[n])), len(lines))
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip()[0] in "#;"):
        end -= 1  # blank lines and comments before the next section belong to it
    left = {key: str(value) for key, value in values.items()}
    section = []
    for line in lines[start + 1 : end]:
        key = line.split("=")[0].strip()
        if key in values and line.lstrip()[:1] not in "#;":
            if key in left:
                section.append(f"{key}={left.pop(key)}")
            continue  # a key's second line would be read by nobody
        section.append(line)
    section += [f"{key}={value}" for key, value in left.items()]
    return "\n".join([*lines[: start + 1], *section, *lines[end:]]) + "\n"


def write_project(
    folder: Path,
    *,
    cfg: str,
    images: Mapping[str, Path],
) -> None:
    """Write a project into a new folder.

    Parameters
    ----------
    folder : Path
        Created here.
    cfg : str
        Text of the network file.
    images : mapping of stem to Path
        What to train on, in the order of the list: PNG files with their label ``.txt`` beside them. They are
        hard-linked, or copied where the file system cannot. Without any the project can only detect; an empty list is
        not written, as Darknet dies of one.

    Raises
    ------
    MissingError
        If an image or label is not there.
    """
    for part in (SLICES, "backup", "results"):
        (folder / part).mkdir(parents=True)
    for stem, image in images.items():
        for source in (image, image.with_suffix(".txt")):
            _link(source, folder / SLICES / f"{stem}{source.suffix}")
    if images:
        _write(folder / TRAIN_LIST, [f"{SLICES}/{stem}.png" for stem in images])
    _write(folder / CFG, cfg.replace("\r\n", "\n").rstrip("\n").split("\n"))
    _write(folder / NAMES, [CLASS_NAME])
    _write(
        folder / DATA,
        [
            "classes=1",
            *([f"train={TRAIN_LIST}"] if images else []),
            f"names={NAMES}",
            "backup=backup",
            "results=results",
        ],
    )


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8", newline="\n")


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError as error:
        raise MissingError(
            f"{source}: not found. Remove the folder {source.parent} and run `cmbtk prepare-yolo` again."
        ) from error
    except OSError as error:  # other file system, no hard links, or too many of them
        if error.errno == errno.ENOSPC:
            raise
        shutil.copyfile(source, target)


def read_list(path: Path) -> list[str]:
    """The paths of an image list, as written.

    Raises
    ------
    MissingError, DataError
        If the list is not there, is empty, or has carriage returns, blank lines or blanks around a path: some Darknet
        crashes on each.
    """
    text = _read(path)
    lines = text.removesuffix("\n").split("\n") if text else []
    if not lines:
        raise DataError(f"{path}: is empty; Darknet needs at least one image. {_AGAIN}")
    for number, line in enumerate(lines, 1):
        if not line or line != line.strip():
            found = "a blank line" if not line.strip() else f"blanks around {shown(line.strip())}"
            raise DataError(f"{path}, line {number}: {found}; expected one path and nothing else. {_AGAIN}")
    return lines


_AGAIN = "Write the project again with `cmbtk prepare-yolo`."


def _read(path: Path) -> str:
    text = read_text(path, _AGAIN)
    if "\r" in text:
        raise DataError(f"{path}: has Windows line ends (CR LF); Debian's Darknet needs LF alone. {_AGAIN}")
    return text


def check_stem(stem: str) -> None:
    """Refuse an image name that some Darknet would take for something else.

    Raises
    ------
    DataError
        If the stem holds a dot, one of Darknet's magic words, or a character beyond letters, digits, ``_``, ``+``
        and ``-``.
    """
    _check_path(f"{SLICES}/{stem}.png", f"image {stem}")


def _check_path(path: str, where: str) -> None:
    problem = None
    if not path.endswith(".png"):
        problem = "does not end in .png (lower case)"
    elif path.startswith("/") or ".." in path.split("/"):
        problem = "is not a path relative to the project folder"
    elif not _PATH.fullmatch(path):
        problem = "has characters other than letters, digits and . _ + - /"
    elif len(path) > _LONGEST_PATH:
        problem = f"is longer than {_LONGEST_PATH} characters"
    elif "." in path.removesuffix(".png"):
        problem = "has a second dot; Darknet cuts names there"
    else:
        word = next((word for word in _MAGIC if word in path), None)
        if word:
            problem = f"holds {word!r}, which Darknet replaces to find the label"
    if problem:
        raise DataError(f"{where}: {shown(path)} {problem}. Rename the subject (sub-001, say) and run the steps again.")


def check_project(folder: Path, *, training: bool = True) -> None:
    """Look at everything in a project that Darknet would get wrong without saying so.

    Parameters
    ----------
    folder : Path
    training : bool
        Whether the project must be fit for training, not only for detection.

    Raises
    ------
    MissingError
        If a file, an image or a label is not there.
    DataError
        If the network file, the list, an image or a label is not what it must be; the message names the file. All
        images and labels are looked at first.
    """
    cfg = parse_cfg(_read(folder / CFG), str(folder / CFG))
    size = cfg.net.width
    if cfg.net.height != size:
        raise DataError(f"{folder / CFG}: {size} x {cfg.net.height} px; the images are square. {_AGAIN}")
    if training and cfg.net.batch < 2:
        raise DataError(f"{folder / CFG}: batch={cfg.net.batch}; Darknet trains with 2 or more. Set a larger batch.")
    classes = cfg.region.classes
    data = _check_data(folder, training)
    _check_names(folder / data["names"], classes)
    problems = Problems()
    stems: set[str] = set()
    for number, path in enumerate(read_list(folder / data["train"]) if training else [], 1):
        where = f"{folder / data['train']}, line {number}"
        _check_path(path, where)
        stem = Path(path).stem
        if stem in stems:
            raise DataError(f"{where}: {stem} stands twice. {_AGAIN}")
        stems.add(stem)
        with problems.of(""):  # one damaged image does not hide the others
            _check_image(folder / path, where, size)
            label = (folder / path).with_suffix(".txt")
            text = read_text(label, f"It belongs beside the image of {where}. {_AGAIN}", _LARGEST_LABEL)
            labels_from_text(text, size, str(label), classes)
    problems.raise_if_any()


def _check_data(folder: Path, training: bool) -> dict[str, str]:
    data: dict[str, str] = {}
    for number, line in enumerate(_read(folder / DATA).split("\n"), 1):
        if not line or line[0] in "#;":
            continue
        key, sign, value = line.partition("=")
        if not sign or any(c.isspace() for c in line.strip()):
            raise DataError(f"{folder / DATA}, line {number}: {shown(line)} is not key=value without blanks. {_AGAIN}")
        if not _PATH.fullmatch(value) or value.startswith("/") or ".." in value or len(value) > _LONGEST_PATH:
            raise DataError(
                f"{folder / DATA}, line {number}: {shown(value)} is no path inside the project folder. {_AGAIN}"
            )
        data[key] = value
    if training and "train" not in data:
        raise DataError(
            f"{folder / DATA}: no training list; this fold has no subject to train on, so it can only detect. "
            "Choose another fold, or make folds with `cmbtk split`."
        )
    for key in ("names", "backup", "results"):
        if key not in data:
            raise DataError(f"{folder / DATA}: no line {key}=... . {_AGAIN}")
    for key in ("backup", "results"):
        if not (folder / data[key]).is_dir():
            raise MissingError(f"{folder / data[key]}: folder not found; Darknet writes there. {_AGAIN}")
    return data


def _check_names(path: Path, classes: int) -> None:
    names = _read(path).removesuffix("\n").split("\n")
    if len(names) != classes or not all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in names):
        raise DataError(
            f"{path}: found {shown(' '.join(names))}; expected {counted(classes, 'name')}, as classes= "
            f"of {CFG} says, one a line, of letters, digits, _ and -. {_AGAIN}"
        )


def _check_image(path: Path, where: str, size: int) -> None:
    """An 8-bit grey or RGB PNG of the network's size, whole to its last chunk; the pixels are not decoded."""
    length = check_file(path, f"It is the image of {where}. {_AGAIN}")
    head = end = b""
    if length > len(_PNG_END) + 26:
        with path.open("rb") as stream:
            head = stream.read(26)
            stream.seek(-len(_PNG_END), os.SEEK_END)
            end = stream.read()
    if head[:8] != _PNG or end != _PNG_END:
        raise DataError(f"{path}: not a whole PNG file; Darknet would see a black image. {_AGAIN}")
    width, height, bits, colour = struct.unpack(">IIBB", head[16:26])
    if (width, height) != (size, size):
        raise DataError(f"{path}: {width} x {height} px, but the network takes {size} x {size}. {_AGAIN}")
    if bits != 8 or colour not in (0, 2):
        raise DataError(f"{path}: not an 8-bit grey or RGB image. {_AGAIN}")
