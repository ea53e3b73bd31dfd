"""A model's files: read from a folder or a zip, checked before any of it is used, and written.

Nothing of a model is run: networks are numbers for layers that the toolkit builds by itself, and a zip may hold nothing
but the files that a model has, stored and not packed, so that its size is what it says.
"""

from __future__ import annotations

import json
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import DataError, MissingError
from ..io.files import check_file, load_json
from ..io.publish import sha256
from .content import CLASSIFIER, DETECTOR, LAYERS, NETWORK, Content, parse

__all__ = ["CARD", "MODEL", "SAMPLE", "Bundle", "opened", "pack", "verify", "write"]

MODEL, CARD = "model.json", "MODEL_CARD.md"
SAMPLE = tuple(f"sample/{name}" for name in ("magnitude.nii.gz", "phase.nii.gz", "expected.tsv"))

_LARGEST = {
    MODEL: 64 << 20,
    CARD: 1 << 20,
    LAYERS: 1 << 20,
    DETECTOR: 2 << 30,
    NETWORK: 512 << 20,
    CLASSIFIER: 160 << 20,
    **dict.fromkeys(SAMPLE, 64 << 20),
}
"""What a model may hold, and how large each may be [byte]."""

_AGAIN = "A model is made by `cmbtk train`, or `cmbtk model make`; check the path, or get it again."


@dataclass(frozen=True)
class Bundle:
    """A model that was opened.

    Attributes
    ----------
    folder : Path
        Where its files lie while it is open.
    content : Content
    """

    folder: Path
    content: Content

    @property
    def weights(self) -> Path:
        return self.folder / DETECTOR

    @property
    def cfg(self) -> Path:
        return self.folder / LAYERS

    @property
    def network(self) -> Path:
        """Of a method that looks at clean scans."""
        return self.folder / NETWORK

    @property
    def classifier(self) -> Path | None:
        """None of a model of stage 1 alone."""
        path = self.folder / CLASSIFIER
        return path if CLASSIFIER in self.content.files else None

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.content.name} {self.content.version}".strip()


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """Open a model; of a zip, its files lie in a temporary folder meanwhile.

    Raises
    ------
    MissingError
        If there is none.
    DataError
        If it is no model, one of an unknown schema, or holds what no model holds.
    """
    if path.is_dir():
        yield _read(path, path)
        return
    check_file(path, _AGAIN)
    with tempfile.TemporaryDirectory(prefix="cmbtk-") as folder:
        _unpack(path, Path(folder))
        yield _read(Path(folder), path)


def _read(folder: Path, called: Path) -> Bundle:
    if not (folder / MODEL).is_file():
        raise MissingError(f"{called}: is no model (no {MODEL} in it). {_AGAIN}")
    content = parse(load_json(folder / MODEL, _AGAIN, _LARGEST[MODEL]), f"{called}: {MODEL}")
    foreign = sorted(set(content.files) - set(_LARGEST))
    if foreign:
        raise DataError(f"{called}: lists {foreign[0][:80]!r}, which no model holds. {_AGAIN}")
    for name in content.files:
        check_file(folder / name, _AGAIN, _LARGEST[name])
    return Bundle(folder, content)


def verify(bundle: Bundle, called: Path) -> int:
    """Compare every file with the checksum that the model gives for it.

    Returns
    -------
    int
        How many files were compared.

    Raises
    ------
    DataError
        If one differs.
    """
    for name, noted in bundle.content.files.items():
        if sha256(bundle.folder / name) != noted.get("sha256"):
            raise DataError(f"{called}: {name} is not the file that the model was made with. {_AGAIN}")
    return len(bundle.content.files)


def write(folder: Path, content: Content, files: Mapping[str, Path | str]) -> None:
    """Write a model into an empty folder: copies of files, or texts, and what it says of them.

    Parameters
    ----------
    folder : Path
    content : Content
        Its `files` are filled in here.
    files : mapping
        Name -> the file to copy, or its text.
    """
    for name, source in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, str):
            target.write_text(source, "utf-8")
        else:
            shutil.copyfile(source, target)
    facts = {name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in sorted(files)}
    text = json.dumps(replace(content, files=facts).as_json(), indent=2, sort_keys=True)
    (folder / MODEL).write_text(text + "\n", "utf-8")


def pack(bundle: Bundle, target: Path) -> None:
    """Write a model as one file, a zip whose members are stored: weights do not become smaller."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in (MODEL, *sorted(bundle.content.files)):
            member = zipfile.ZipInfo(name)  # without this machine's times: the same model is the same file
            member.external_attr = 0o644 << 16
            with (bundle.folder / name).open("rb") as source, archive.open(member, "w", force_zip64=True) as out:
                shutil.copyfileobj(source, out, 1 << 20)


def _unpack(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            foreign = _foreign(members)
            for member in [] if foreign else members:
                target = folder / member.filename
                target.parent.mkdir(exist_ok=True)
                with archive.open(member) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: is neither a model's folder nor its zip ({str(error)[:100]}). {_AGAIN}") from error
    if foreign:
        raise DataError(f"{path}: holds {foreign[:80]!r}, or in a way, as no model does. {_AGAIN}")


def _foreign(members: Sequence[zipfile.ZipInfo]) -> str:
    """A member that no model has; empty where all are a model's."""
    names = [member.filename for member in members]
    for member in members:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if (
            member.filename not in _LARGEST
            or names.count(member.filename) > 1
            or kind not in (0, stat.S_IFREG)
            or member.compress_type != zipfile.ZIP_STORED
            or member.file_size != member.compress_size
            or member.file_size > _LARGEST[member.filename]
        ):
            return member.filename or "a file without a name"
    return ""
