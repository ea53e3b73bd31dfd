"""What can happen to the content of a file, whatever is in it: bytes, lines, cells, and what stands in its place."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

__all__ = [
    "ODD",
    "bytes_damaged",
    "gzip_damaged",
    "json_damaged",
    "one_of",
    "place_damaged",
    "text_damaged",
    "unprivileged",
]

T = TypeVar("T")
Random = np.random.Generator

ODD: tuple[str, ...] = (
    "", "n/a", "nan", "NaN", "NA", "null", "None", "inf", "-inf", "1e300", "-1e300", "1e-320", "-1", "-0", "0", "1.5",
    "2147483648", "99999999999999999999", "9" * 400, "1e400", "abc", "12,0", "0x10", "１２", "1_000", "+5", " 5", "5 ",
    "True", "False", "--", "-x", "#", "/", "..", "../../x", "/etc/passwd", "a b", "$(touch x)", "`touch x`",
    "; touch x", "'", '"', '"5"', "\\", "\\n", "%s", "{}", "<b>", "$x^", "é", "e\u0301", "\u202e", "\ufeff", "\x00",
    "\x1b[31m", "a" * 300, "a" * 100_000, "=1+1", "sub-", "sub-001", "1;2", "1:2", "[", "]", "\r",
)  # fmt: skip
"""Values that a reader of a cell, a key or an option may meet."""


def one_of(random: Random, things: tuple[T, ...] | list[T]) -> T:
    """One of some things."""
    return things[int(random.integers(len(things)))]


# -- bytes ------------------------------------------------------------------------------------------------------


def bytes_damaged(content: bytes, random: Random, *, within: int | None = None) -> tuple[bytes, str]:  # noqa: PLR0911
    """A content with some of its bytes (of the first `within`) changed, lost or added, and what was done."""
    if not content:
        return random.bytes(20), "20 bytes where there were none"
    size = min(len(content), within or len(content))
    kind = one_of(random, ["flip", "flip", "flip", "cut", "cut", "block", "grow", "lose", "twice"])
    whole = bytearray(content)
    at = int(random.integers(size))
    if kind == "flip":
        places = random.integers(size, size=int(random.integers(1, 9)))
        for place in places:
            whole[place] ^= int(random.integers(1, 256))
        return bytes(whole), f"bytes {sorted(map(int, places))} changed"
    if kind == "cut":
        return content[:at], f"cut after {at} of {len(content)} bytes"
    length = int(random.integers(1, 64))
    if kind == "block":
        value = int(one_of(random, [0, 255, 32, 10]))
        whole[at : at + length] = bytes([value]) * len(whole[at : at + length])
        return bytes(whole), f"{length} bytes from {at} are {value}"
    if kind == "grow":
        return content + random.bytes(length), f"{length} bytes added"
    if kind == "lose":
        return content[:at] + content[at + length :], f"{length} bytes from {at} lost"
    return content + content, "the content twice"


def gzip_damaged(content: bytes, random: Random) -> tuple[bytes, str]:  # noqa: PLR0911 (one way of damage each)
    """A content as a gzip file that is not whole, or is none, and what was done."""
    packed = gzip.compress(content, 1, mtime=0)
    kind = one_of(random, ["bytes", "bytes", "bytes", "checksum", "size", "cut", "raw", "twice", "zlib", "tail"])
    if kind == "bytes":
        return bytes_damaged(packed, random)
    whole = bytearray(packed)
    if kind in ("checksum", "size"):
        place = int(random.integers(-8, -4) if kind == "checksum" else random.integers(-4, 0))
        whole[place] ^= int(random.integers(1, 256))
        return bytes(whole), f"its {kind} at the end is another"
    if kind == "cut":
        length = int(random.integers(1, 16))
        return packed[:-length], f"the last {length} bytes lost"
    if kind == "raw":
        return content, "not compressed at all"
    if kind == "twice":
        return gzip.compress(packed, 1, mtime=0), "compressed twice"
    if kind == "zlib":
        return zlib.compress(content), "a zlib stream, no gzip file"
    return packed + random.bytes(int(random.integers(1, 600))), "something follows its end"


# -- text -------------------------------------------------------------------------------------------------------


def text_damaged(text: str, random: Random) -> tuple[bytes, str]:
    """A text with lines lost, doubled or exchanged, or in another coding, and what was done."""
    lines = text.split("\n")
    at = int(random.integers(len(lines)))
    kind = one_of(
        random, ["lose", "double", "swap", "crlf", "bom", "utf16", "latin", "nul", "long", "join", "split", "deep"]
    )
    if kind == "lose":
        del lines[at]
    elif kind == "double":
        lines.insert(at, lines[at])
    elif kind == "swap":
        other = int(random.integers(len(lines)))
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == "crlf":
        return "\r\n".join(lines).encode(), "Windows line ends"
    elif kind == "bom":
        return b"\xef\xbb\xbf" + text.encode(), "a byte order mark"
    elif kind == "utf16":
        return text.encode("utf-16"), "in UTF-16"
    elif kind == "latin":
        lines[at] += "\xe9\xff"
        return "\n".join(lines).encode("latin-1", "replace"), f"line {at + 1} in Latin-1"
    elif kind == "nul":
        lines[at] = lines[at][: len(lines[at]) // 2] + "\0" + lines[at][len(lines[at]) // 2 :]
    elif kind == "long":
        lines[at] += one_of(random, ["x", "9", "\t", " ", ",", "("]) * 200_000
    elif kind == "join":
        lines[at : at + 2] = ["".join(lines[at : at + 2])]
    elif kind == "split":
        middle = len(lines[at]) // 2
        lines[at : at + 1] = [lines[at][:middle], lines[at][middle:]]
    else:
        lines[at] = one_of(random, ["[", "{", "(", '"', "'''", "a."]) * 50_000
    return "\n".join(lines).encode(), f"line {at + 1}: {kind}"


def json_damaged(text: str, random: Random) -> tuple[bytes, str]:
    """A JSON text in which one value is another, is lost, or which is no JSON at all, and what was done."""
    kind = one_of(random, ["value"] * 8 + ["lose"] * 3 + ["bytes", "bytes", "text"])
    if kind == "bytes":
        return bytes_damaged(text.encode(), random)
    if kind == "text":
        return text_damaged(text, random)
    content = json.loads(text)
    places = list(_places(content))
    if not places or random.random() < 0.05:
        value = one_of(random, _VALUES)
        return _json(value), f"all of it is {_shown(value)}"
    holder, key, path = one_of(random, places)
    if kind == "lose":
        del holder[key]
        return _json(content), f"{path} lost"
    value = one_of(random, [*_VALUES, one_of(random, ODD)])
    holder[key] = value
    return _json(content), f"{path} is {_shown(value)}"


_DEEP = "\0deep\0"
_VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e300, 10**400, float("nan"), float("inf"), "", "x", [], {}, [[]], [None], [1, 2],
    ["x"], {"x": None}, {"file": "x"}, [{}], _DEEP,
]  # fmt: skip


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=1).replace(json.dumps(_DEEP), "[" * 20_000 + "]" * 20_000).encode()


def _shown(value: Any) -> str:
    text = repr(value) if not (isinstance(value, int) and abs(value) > 1 << 200) else "a huge number"
    return "nested 20,000 deep" if value == _DEEP else text[:60]


def _places(content: Any, path: str = "") -> Iterator[tuple[Any, Any, str]]:
    """Every value of a JSON content: what holds it, its key there, and its path."""
    items: Any = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in list(items):
        here = f"{path}.{key}" if path else str(key)
        yield content, key, here
        if isinstance(value, dict | list):
            yield from _places(value, here)


# -- what stands in a file's place ------------------------------------------------------------------------------


def place_damaged(path: Path, random: Random) -> tuple[str, Callable[[], Any]]:
    """Put something else in the place of a file; what it is, and under which rights it must be read."""
    kind = one_of(random, ["lost", "folder", "empty", "rights", "loop", "pipe", "endless", "proc", "dangling"])
    content = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "rights":
        path.write_bytes(content)
        path.chmod(0)
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "proc":
        path.symlink_to("/proc/self/mem")
    elif kind == "dangling":
        path.symlink_to("nowhere")
    return f"in its place: {kind}", unprivileged if kind == "rights" else nothing


@contextmanager
def nothing() -> Iterator[None]:
    """Nothing is different."""
    yield


@contextmanager
def unprivileged() -> Iterator[None]:
    """Rights count, also where the administrator runs this."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
