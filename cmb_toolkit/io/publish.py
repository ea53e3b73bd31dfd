"""Outputs appear whole or not at all, and say where they came from.

A step writes to a temporary name beside its target; only when it has finished is the result synced and renamed
into place, and a sidecar ``<stem>.json`` written beside it with step, revision, version and commit of the package,
parameters, sources (sha256), engine, seconds, what the step noted (:meth:`Output.note`) and, of a file, its own sha256.
The sidecar is removed before the target changes and comes back last, so a target that has one is complete.
:meth:`Record.is_current` compares it with what a step is about to do, which makes every step resumable: finished work
is recognised and not redone, changed work is redone whole. Version and commit say who made it and decide nothing.

Temporary names are ``.<process>.tmp.<name>``; a folder that is being replaced is ``.<process>.old.<name>`` for a
moment. What a killed process left under such names is put right by the next run of the same step.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path, PosixPath
from typing import Any

from .. import __version__
from ..aloud import aloud
from ..errors import CmbError, DataError, MissingError, StorageError
from .checkout import commit
from .files import load_json

__all__ = [
    "COMMIT",
    "NotCurrentError",
    "Output",
    "Record",
    "edited",
    "fingerprint",
    "identity",
    "only_asking",
    "publish",
    "read_record",
    "record_of",
    "replacing",
    "sha256",
    "sidecar",
    "storage_error",
    "unchanged",
    "working",
    "write_text",
]

_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_PLACE = {errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EISDIR, errno.ELOOP}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_OF_STORAGE = _FULL | _DENIED | _NO_PLACE | {errno.EFBIG, errno.EIO}
_LARGEST_RECORD = 64 << 20
COMMIT = commit(Path(__file__).parents[2])
"""Of this program's checkout, as it was when the program began; None without one."""
_SOURCE = {"bytes": int, "modified_ns": int, "sha256": str}
_FARTHEST = 1e30
_RECORD = {"step": str, "version": str, "parameters": dict, "sources": list, "engine": str | None}
"""What every step's provenance holds."""
_PARAMETERS = {
    **dict.fromkeys(("resolution", "input", "fold", "mode", "rule"), str | None),
    **dict.fromkeys(("size", "repeat"), int | None),
    "distance_mm": float | int | None,
}
"""What the parameters of some steps hold that others read; null where it was not asked for."""
_ALMOST_NOTHING = 1 << 16
"""A file system with less than this free [byte] is called full where a library does not say why it failed."""


_ASKING: ContextVar[bool] = ContextVar("asking", default=False)


class NotCurrentError(Exception):
    """A step that was only asked would have something to do."""


@contextmanager
def only_asking() -> Iterator[None]:
    """Let steps say whether what they make is current, and make nothing.

    A step that is called in the block returns if all is current, whatever engine it was made with. Else
    :class:`NotCurrentError` is raised where it finds so: at the latest before it would write.
    """
    token = _ASKING.set(True)
    try:
        yield
    finally:
        _ASKING.reset(token)


def _only_if_current(target: Path, *, current: bool = False) -> None:
    if _ASKING.get() and not current:
        raise NotCurrentError(f"{target.name} is not what these settings would make")


@dataclass(frozen=True)
class Record:
    """What a step is about to do: everything that decides its output.

    Attributes
    ----------
    step : str
        The command's name, for example ``stage2-crop``.
    parameters : mapping
        Keyword parameters of the step, JSON-able, without paths (they may hold people's names).
    sources : tuple of Path, or mapping of str to Path
        Files read; recorded by file name, size and sha256. A mapping says under what they are recorded instead of their
        names: those of scans and of tables that somebody brings may be people's.
    engine : str or None
        What did the heavy work, for example ``keras 3.15.1 (tensorflow 2.21.0)``.
    revision : int
        Of the step: one more whenever the same parameters and sources give another output than before.
    """

    step: str
    parameters: Mapping[str, Any]
    sources: tuple[Path, ...] | Mapping[str, Path] = ()
    engine: str | None = None
    revision: int = 1

    def is_current(self, target: Path) -> bool:
        """Whether `target` exists, is complete, and was made by this revision of the step from these parameters and
        sources.

        Of a folder no file may have been deleted since; files that others put into it do not matter.
        """
        current = self._is_current(target)
        aloud(f"{target}: {'is current' if current else f'is to be made by {self.step}'}")
        _only_if_current(target, current=current)
        return current

    def _is_current(self, target: Path) -> bool:
        if not target.exists():
            return False
        old = read_record(target)
        if old is None or old["step"] != self.step or _revision(old) != self.revision:
            return False
        other_engine = old["engine"] != self.engine and not _ASKING.get()
        if other_engine or old["parameters"] != json.loads(json.dumps(dict(self.parameters))):
            return False
        named = self._named()
        if [entry.get("role", entry.get("file")) for entry in old["sources"]] != [name for name, _ in named]:
            return False
        if target.is_dir() and len(_files(target)) < old.get("files", 0):
            return False
        return all(unchanged(source, entry) for (_, source), entry in zip(named, old["sources"], strict=True))

    def _named(self) -> list[tuple[str, Path]]:
        """The sources by role, or by file name, with their folder where a bare name would not be unique."""
        if isinstance(self.sources, Mapping):
            return list(self.sources.items())
        names = [source.name for source in self.sources]
        return [
            (name if names.count(name) == 1 else f"{source.parent.name}/{name}", source)
            for name, source in zip(names, self.sources, strict=True)
        ]

    def identity(self, sources: Iterable[Mapping[str, Any]]) -> str:
        """What :func:`identity` says of an output that was made so.

        Parameters
        ----------
        sources : iterable of mapping
            Their fingerprints, in order.
        """
        return _identity(self.revision, self.parameters, sources)

    def as_json(self, seconds: float, noted: Mapping[str, Any]) -> dict[str, Any]:
        """The sidecar's content."""
        called = "role" if isinstance(self.sources, Mapping) else "file"
        named = self._named()
        facts = {source: fingerprint(source) for source in dict.fromkeys(source for _, source in named)}
        return {
            "step": self.step,
            "revision": self.revision,
            "version": __version__,
            "commit": COMMIT,
            "parameters": dict(self.parameters),
            "sources": [{called: name, **facts[source]} for name, source in named],
            "engine": self.engine,
            **noted,
            "seconds": round(seconds, 3),
        }


class Output(PosixPath):
    """Where a step writes to, and what it notes of what it made."""

    noted: dict[str, Any]

    def note(self, **facts: Any) -> None:
        """Add JSON-able facts to the provenance: they describe the output and do not decide whether it is current."""
        self.noted |= facts


def sidecar(target: Path) -> Path:
    """The provenance file of an output: ``a/b.nii.gz`` -> ``a/b.json``, folder ``a/b`` -> ``a/b.json``.

    A target that is JSON itself keeps its name: ``a/b.json`` -> ``a/b.provenance.json``.
    """
    name = target.name
    if target.suffix == ".json":
        return target.with_name(f"{target.stem}.provenance.json")
    for ending in (".nii.gz", *([target.suffix] if target.suffix else [])):
        if name.endswith(ending):
            name = name[: -len(ending)]
            break
    return target.with_name(name + ".json")


def read_record(target: Path) -> dict[str, Any] | None:
    """Read the sidecar of an output; None where there is none or it is not one of ours."""
    try:
        record = load_json(sidecar(target), "", _LARGEST_RECORD)
    except (MissingError, DataError):
        return None
    return record if _is_record(record) else None


def record_of(target: Path) -> dict[str, Any]:
    """Read the sidecar of a finished output.

    Raises
    ------
    MissingError
        If there is none, or none of ours.
    """
    record = read_record(target)
    if record is None:
        raise MissingError(f"{target}: not complete: its record {sidecar(target).name} is missing. Make it again.")
    return record


def identity(target: Path, missing: str) -> str:
    """Digest of what an output was made from, the same after it was made again.

    Parameters
    ----------
    target : Path
    missing : str
        What to say where it is not there or not complete.

    Raises
    ------
    MissingError
    """
    record = read_record(target)
    if record is None or not target.exists():
        raise MissingError(missing)
    return _identity(_revision(record), record["parameters"], record["sources"])


def _identity(revision: Any, parameters: Mapping[str, Any], sources: Iterable[Mapping[str, Any]]) -> str:
    # versions stood here before revisions did, and 0.1.0 in all of them: what was trained then stays known
    made_from = [f"0.{revision}.0", dict(parameters), [source["sha256"] for source in sources]]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def _revision(record: Mapping[str, Any]) -> Any:
    """Of the step that wrote a record; 1 of all that were written before there were any."""
    return record.get("revision", 1)


def _is_record(content: Any) -> bool:
    """Whether a JSON content is provenance: what steps read of it is there, and of its type."""
    if not isinstance(content, dict) or not content.keys() >= _RECORD.keys():
        return False
    if not all(isinstance(content[name], kind) for name, kind in _RECORD.items()):
        return False
    parameters, threshold = content["parameters"], content.get("threshold", {"value": 0.0})
    roles = parameters.get("roles", {})
    named = roles if isinstance(roles, dict) else {"": roles}
    return (
        _are_sources(content["sources"])
        and _are_sources(content.get("volumes", []))
        and _has(parameters, _PARAMETERS)
        and all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in named.values())
        and isinstance(content.get("files", 0), int)
        and isinstance(_revision(content), int)
        and isinstance(threshold, dict)
        and _has(threshold, {"value": float | int}, needed=True)
    )


def _are_sources(content: Any) -> bool:
    return isinstance(content, list) and all(
        isinstance(each, dict) and _has(each, _SOURCE, needed=True) for each in content
    )


def _has(content: Mapping[str, Any], kinds: Mapping[str, Any], *, needed: bool = False) -> bool:
    """Whether values that are known are of their kinds, numbers finite."""
    for name, kind in kinds.items():
        if name not in content:
            if needed:
                return False
            continue
        value = content[name]
        if not isinstance(value, kind) or (isinstance(value, int | float) and not abs(value) < _FARTHEST):
            return False
    return True


def edited(target: Path) -> bool:
    """Whether somebody else has written what lies at `target`: it has no record, or not the content that its record
    notes (as ``content``, a sha256)."""
    record = read_record(target)
    return record is None or record.get("content", sha256(target)) != sha256(target)


@contextmanager
def publish(target: Path, record: Record) -> Iterator[Output]:
    """Give a temporary path to write to; on success move it to `target` and write its provenance.

    Parameters
    ----------
    target : Path
        File or folder to publish. What the block creates at the yielded path decides which.
    record : Record
        What is being done.

    Yields
    ------
    Output
        A path beside `target` with the same ending, not existing yet. For a folder, create it. What there is to say of
        the output beyond `record` is noted on it.

    Raises
    ------
    StorageError
        If the disk is full or not writable. Nothing is left behind.
    """
    _only_if_current(target)
    started = time.monotonic()
    temporary = Output(_temporary(target))
    temporary.noted = {}
    note = _temporary(sidecar(target))
    _make_folder(target.parent)
    try:
        _sweep(target)
        _sweep(sidecar(target))
        yield temporary
        if not temporary.exists():
            raise AssertionError(f"step {record.step} did not write {temporary}")
        _sync(temporary)
        content = record.as_json(time.monotonic() - started, temporary.noted)
        if temporary.is_dir():
            content["files"] = len(_files(temporary))
        else:
            content["sha256"] = sha256(temporary)
        note.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")
        _sync(note)
        sidecar(target).unlink(missing_ok=True)
        _replace(temporary, target)
        note.replace(sidecar(target))
        _sync_folder(target.parent)
        aloud(f"{target}: made by {record.step} in {time.monotonic() - started:.2f} s")
    except CmbError:
        raise
    except Exception as error:
        if (code := _storage_code(error, target.parent)) is not None:
            raise storage_error(target, code) from error
        raise
    finally:
        _remove(temporary)
        _remove(note)


@contextmanager
def _storing(path: Path) -> Iterator[None]:
    """Say of a disk that is full or not writable that it is."""
    try:
        yield
    except OSError as error:
        if (code := _storage_code(error, path.parent)) is not None:
            raise storage_error(path, code) from error
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write a file to, which then replaces `path`: whole, and without provenance (logs, live
    histories, checkpoints).

    Raises
    ------
    StorageError
        If the disk is full or not writable; the old file stays.
    """
    _only_if_current(path)
    temporary = _temporary(path)
    _make_folder(path.parent)
    try:
        with _storing(path):
            _sweep(path)
            yield temporary
            _sync(temporary)
            temporary.replace(path)
    finally:
        _remove(temporary)


@contextmanager
def working(path: Path) -> Iterator[Path]:
    """Give a folder beside `path` to work in, which is gone afterwards; those of killed processes go first.

    Raises
    ------
    StorageError
        If the disk is full or not writable.
    """
    temporary = _temporary(path)
    _make_folder(path.parent)
    try:
        with _storing(path):
            _sweep(path)
            temporary.mkdir()
            yield temporary
    finally:
        _remove(temporary)


def write_text(path: Path, text: str) -> None:
    """Replace a small text file, as :func:`replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8")


def _temporary(target: Path) -> Path:
    return target.with_name(f".{os.getpid()}.tmp.{target.name}")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error.errno) from error


def _storage_code(error: Exception, folder: Path) -> int | None:
    """The error number of why the disk made a write fail, or None if it did not.

    numpy and HDF5 report a short write without an error number, so that a full file system is looked for as well.
    An input that may not be read is no matter of storage and is left to who reads it.
    """
    if isinstance(error, OSError) and error.errno is not None:
        denied = error.errno in {errno.EACCES, errno.EPERM} and isinstance(error.filename, str | bytes | os.PathLike)
        if denied and folder.absolute() not in Path(os.fsdecode(error.filename)).absolute().parents:
            return None
        return error.errno if error.errno in _OF_STORAGE else None
    try:
        full = shutil.disk_usage(folder).free < _ALMOST_NOTHING
    except OSError:
        return None
    return errno.ENOSPC if full else None


def storage_error(path: Path, code: int | None) -> StorageError:
    """What to say of an output that could not be written.

    Parameters
    ----------
    path : Path
    code : int or None
        The system's error number.
    """
    if code in _FULL:
        cure = "Free some space or choose another output folder"
    elif code in _DENIED:
        cure = "Nothing may be written there: change its permissions or choose another output folder"
    elif code == errno.EFBIG:
        cure = "No file there may be so large: raise the limit or choose another output folder"
    else:
        cure = "Choose another output folder"
    reason = os.strerror(code).lower() if code else "the system does not say why"
    return StorageError(f"{path}: could not be written ({reason}). {cure}, then run the same command again.")


def sha256(path: Path) -> str:
    """Hex digest of a file, or of a folder's names and files in order."""
    digest = hashlib.sha256()
    for file in _files(path):
        if path.is_dir():
            digest.update(str(file.relative_to(path)).encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def fingerprint(source: Path) -> dict[str, Any]:
    """Size, time and sha256 of a file, as records have them."""
    size, modified = _stat(source)
    return {"bytes": size, "modified_ns": modified, "sha256": sha256(source)}


def unchanged(source: Path, known: Mapping[str, Any]) -> bool:
    """Whether a file is still what its fingerprint says; it is read only where size is the same and time is not."""
    size, modified = _stat(source)
    if size != known["bytes"]:
        return False
    return bool(modified == known["modified_ns"] or sha256(source) == known["sha256"])


def _files(path: Path) -> list[Path]:
    """The file itself, or all files in a folder, in order."""
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _stat(source: Path) -> tuple[int, int]:
    try:
        facts = [file.stat() for file in _files(source)]
    except FileNotFoundError as error:
        raise MissingError(f"{source}: not found. It is needed by this step; run the step that makes it.") from error
    return sum(f.st_size for f in facts), max((f.st_mtime_ns for f in facts), default=0)


def _replace(temporary: Path, target: Path) -> None:
    if target.is_symlink() and temporary.is_dir():
        target.unlink()
    if target.exists() and not target.is_symlink() and (target.is_dir() or temporary.is_dir()):
        retired = target.with_name(f".{os.getpid()}.old.{target.name}")
        _remove(retired)
        target.replace(retired)
        temporary.replace(target)
        _remove(retired)
    else:
        temporary.replace(target)


def _sweep(target: Path) -> None:
    """Put right what killed runs left beside the target; keep what another living process is writing.

    A folder is replaced in two renames; a run killed between them leaves the old one aside, which is put back.
    """
    for path in target.parent.glob(f".*.*.{glob.escape(target.name)}"):
        _, owner, role, name = path.name.split(".", 3)
        if name != target.name or role not in {"tmp", "old"} or not owner.isdigit():
            continue
        if int(owner) != os.getpid() and _alive(int(owner)):
            continue
        if role == "old" and not target.exists():
            path.replace(target)
        else:
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
    """Remove a file or folder if it can be removed: tidying up must not hide the error that made it needful."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    for file in _files(path):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
