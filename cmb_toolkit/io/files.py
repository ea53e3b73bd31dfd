"""Small files of text and numbers, read whole: only from regular files, only of a sane size, with one kind of error.

A folder, a pipe or a device in a file's place, a name that is too long, missing rights: each is said in one line, and
nothing waits for a pipe or reads a device for ever.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import DataError, MissingError

__all__ = ["LARGEST", "check_file", "is_file", "load_json", "load_toml", "read_bytes", "read_text"]

LARGEST = 1 << 30
"""Of a text file [byte]; a table of ten million lines is smaller."""


def check_file(path: Path, cure: str, largest: int | None = None) -> int:
    """The size [byte] of a regular file that is there and may be read.

    Parameters
    ----------
    path : Path
    cure : str
        What to do where it cannot be used, as a sentence.
    largest : int, optional
        Its size at most [byte].

    Raises
    ------
    MissingError
        If there is no such file, something else is in its place, or it may not be read.
    DataError
        If it is larger.
    """
    with _said(path, cure):
        facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        what = "a folder" if stat.S_ISDIR(facts.st_mode) else "a pipe or a device"
        raise MissingError(f"{path}: is {what}, not a file. {cure}")
    with _said(path, cure), path.open("rb"):
        pass
    if largest is not None and facts.st_size > largest:
        raise DataError(f"{path}: {facts.st_size:,} bytes; at most {largest:,} are expected. {cure}")
    return facts.st_size


def is_file(path: Path) -> bool:
    """Whether there is a file; False too where there cannot be one, as its name is too long, say."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_bytes(path: Path, cure: str, largest: int = LARGEST) -> bytes:
    """The content of a regular file; see :func:`check_file`.

    Raises
    ------
    MissingError
        As there.
    DataError
        If it is larger than `largest`.
    """
    check_file(path, cure, largest)
    with _said(path, cure):
        return path.read_bytes()


def read_text(path: Path, cure: str, largest: int = LARGEST) -> str:
    """The text of a regular file in UTF-8, line ends as they are; see :func:`read_bytes`.

    Raises
    ------
    MissingError
    DataError
        Also if it is no text in UTF-8.
    """
    content = read_bytes(path, cure, largest)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file in UTF-8 (byte {error.start}). {cure}") from error


def load_json(path: Path, cure: str, largest: int = LARGEST) -> Any:
    """What a JSON file holds; see :func:`read_text`.

    Raises
    ------
    MissingError
    DataError
        Also if it is not JSON, or is nested deeper than can be read.
    """
    text = read_text(path, cure, largest)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a JSON file ({_reason(error)}). {cure}") from error


def load_toml(path: Path, cure: str, largest: int = 1 << 20) -> dict[str, Any]:
    """What a TOML file holds; see :func:`read_text`.

    Raises
    ------
    MissingError
    DataError
        Also if it is not TOML, or is nested deeper than can be read.
    """
    text = read_text(path, cure, largest)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a TOML file ({_reason(error)}). {cure}") from error


def _reason(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else f"{error}"[:200]


@contextmanager
def _said(path: Path, cure: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingError(f"{path}: not found. {cure}") from error
    except OSError as error:
        raise MissingError(f"{path}: cannot be read ({os.strerror(error.errno or 0).lower()}). {cure}") from error
    except ValueError as error:  # a NUL in the name
        raise MissingError(f"{str(path)!r}: cannot be the name of a file. {cure}") from error
