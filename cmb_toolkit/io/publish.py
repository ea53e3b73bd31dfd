"""Outputs appear whole or not at all, and say where they came from.

A step writes to a temporary name beside its target; only when it has finished is the result synced and renamed
into place, and a sidecar ``<stem>.json`` written beside it with step, version, parameters, sources (sha256),
engine and seconds. The sidecar is removed before the target changes and comes back last, so a target that has one
is complete. :meth:`Record.is_current` compares it with what a step is about to do, which makes every step
resumable: finished work is recognised and not redone, changed work is redone whole.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import MissingError, StorageError

__all__ = ["Record", "publish", "read_record", "sha256", "sidecar", "write_text"]

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True)
class Record:
    """What a step is about to do: everything that decides its output.

    Attributes
    ----------
    step : str
        The command's name, for example ``stage2-crop``.
    parameters : mapping
        Keyword parameters of the step, JSON-able, without paths (they may hold people's names).
    sources : tuple of Path
        Files read; recorded by file name, size and sha256.
    engine : str or None
        What did the heavy work, for example ``keras 3.15.1 (tensorflow 2.21.0)``.
    """

    step: str
    parameters: Mapping[str, Any]
    sources: tuple[Path, ...] = ()
    engine: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def is_current(self, target: Path) -> bool:
        """Whether `target` exists, is complete, and was made by this step from these parameters and sources."""
        if not target.exists():
            return False
        old = read_record(target)
        if old is None or old["step"] != self.step or old["version"] != __version__:
            return False
        if old["parameters"] != json.loads(json.dumps(dict(self.parameters))) or old["engine"] != self.engine:
            return False
        known = {entry["file"]: entry for entry in old["sources"]}
        if len(known) != len(self.sources):
            return False
        return all(
            _unchanged(source, known.get(name)) for name, source in zip(self._names(), self.sources, strict=True)
        )

    def _names(self) -> list[str]:
        """File names of the sources, with their folder where a bare name would not be unique."""
        names = [source.name for source in self.sources]
        return [
            name if names.count(name) == 1 else f"{source.parent.name}/{name}"
            for name, source in zip(names, self.sources, strict=True)
        ]

    def as_json(self, seconds: float) -> dict[str, Any]:
        """The sidecar's content."""
        return {
            "step": self.step,
            "version": __version__,
            "parameters": dict(self.parameters),
            "sources": [_fingerprint(n, s) for n, s in zip(self._names(), self.sources, strict=True)],
            "engine": self.engine,
            **self.extra,
            "seconds": round(seconds, 3),
        }


def sidecar(target: Path) -> Path:
    """The provenance file of an output: ``a/b.nii.gz`` -> ``a/b.json``, folder ``a/b`` -> ``a/b.json``."""
    name = target.name
    for ending in (".nii.gz", *([target.suffix] if target.suffix else [])):
        if name.endswith(ending):
            name = name[: -len(ending)]
            break
    return target.with_name(name + ".json")


def read_record(target: Path) -> dict[str, Any] | None:
    """Read the sidecar of an output; None where there is none or it is not one of ours."""
    try:
        record = json.loads(sidecar(target).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    complete = isinstance(record, dict) and {"step", "version", "parameters", "sources", "engine"} <= record.keys()
    return record if complete else None


@contextmanager
def publish(target: Path, record: Record) -> Iterator[Path]:
    """Give a temporary path to write to; on success move it to `target` and write its provenance.

    Parameters
    ----------
    target : Path
        File or folder to publish. What the block creates at the yielded path decides which.
    record : Record
        What is being done.

    Yields
    ------
    Path
        A path beside `target` with the same ending, not existing yet. For a folder, create it.

    Raises
    ------
    StorageError
        If the disk is full or not writable. Nothing is left behind.
    """
    started = time.monotonic()
    temporary = target.with_name(f".{os.getpid()}.tmp.{target.name}")
    note = target.with_name(f".{os.getpid()}.tmp.{sidecar(target).name}.note")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        yield temporary
        if not temporary.exists():
            raise AssertionError(f"step {record.step} did not write {temporary}")
        _sync(temporary)
        note.write_text(
            json.dumps(record.as_json(time.monotonic() - started), indent=2, sort_keys=True) + "\n", "utf-8"
        )
        _sync(note)
        sidecar(target).unlink(missing_ok=True)
        _replace(temporary, target)
        note.replace(sidecar(target))
        _sync_folder(target.parent)
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise _storage_error(target, error) from error
        raise
    finally:
        _remove(temporary)
        note.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a small text file atomically, without provenance (logs, live histories)."""
    temporary = path.with_name(f".{os.getpid()}.tmp.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise _storage_error(path, error) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _storage_error(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: could not be written ({os.strerror(error.errno or 0).lower()}). "
        "Free some space or choose another output folder, then run the same command again."
    )


def sha256(path: Path) -> str:
    """Hex digest of a file, or of a folder's names and files in order."""
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        if path.is_dir():
            digest.update(str(file.relative_to(path)).encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _fingerprint(name: str, source: Path) -> dict[str, Any]:
    size, modified = _stat(source)
    return {"file": name, "bytes": size, "modified_ns": modified, "sha256": sha256(source)}


def _unchanged(source: Path, known: dict[str, Any] | None) -> bool:
    if known is None:
        return False
    size, modified = _stat(source)
    if size != known["bytes"]:
        return False
    return bool(modified == known["modified_ns"] or sha256(source) == known["sha256"])


def _stat(source: Path) -> tuple[int, int]:
    try:
        files: Iterable[Path] = (p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
        facts = [file.stat() for file in files]
    except FileNotFoundError as error:
        raise MissingError(f"{source}: not found. It is needed by this step; run the step that makes it.") from error
    return sum(f.st_size for f in facts), max((f.st_mtime_ns for f in facts), default=0)


def _replace(temporary: Path, target: Path) -> None:
    if target.is_dir():
        retired = target.with_name(f".{os.getpid()}.old.{target.name}")
        target.replace(retired)
        temporary.replace(target)
        shutil.rmtree(retired)
    else:
        temporary.replace(target)


def _sweep(target: Path) -> None:
    """Remove what killed runs left beside the target; keep what a living process is writing."""
    for path in target.parent.glob(f".*.*.{target.name}"):
        owner = path.name.split(".")[1]
        if owner.isdigit() and not _alive(int(owner)):
            _remove(path)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    for file in [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]:
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
