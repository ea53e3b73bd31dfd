"""What a command that writes into a study prints is kept there: ``logs/<cell or study>/<command>-<n>.log``.

A log has no name of a scan's file and no path but those within the study (:mod:`cmb_toolkit.study.nameless`), as paths
may hold people's names. What `cmbtk experiment` has done is logged by it, in the same folders.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from .. import __version__
from ..paths import from_here

__all__ = ["READ_ONLY", "Log"]

READ_ONLY = ("bids", "check", "compare", "detect", "doctor", "model", "swi")
"""Commands that write into no study; all others do."""

_PLANS = ("plan", "status")
_EVERY_S = 5.0
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ELSEWHERE = re.compile(r"(?<![^\s('\"`=:<])(?:/|\.{1,2}/)[^\s,:;'\"`)]+")
_FILE = re.compile(r"[^\s'\"`<>/]+\.(?:nii(?:\.gz)?|hdr|img|mgz|dcm|xlsx?|ods|csv|fcsv|mrk\.json)(?!\w)")


class Log:
    """What one run of a command says.

    Parameters
    ----------
    words : sequence of str
        Of its command line, after ``cmbtk``.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = list(words)
        self._began = self._kept = time.monotonic()
        self._lines = [" ".join(["cmbtk", f"{__version__}:", *words])]
        self._rest = ""
        self._file: Path | None = None
        names = [word for word in words if not word.startswith("-")]
        help_only = {"-h", "--help", "--version"} & set(words)
        wanted = names and names[0] not in READ_ONLY and not help_only and "CMBTK_LOG_OF" not in os.environ
        self._command = names[0] if wanted and not (names[0] == "experiment" and set(names[1:2]) & set(_PLANS)) else ""

    def heard(self, text: str) -> None:
        """Something was printed."""
        if self._command:
            *lines, self._rest = (self._rest + text).split("\n")
            self._lines += lines
            if time.monotonic() - self._kept > _EVERY_S:
                self._keep()

    def end(self, code: int) -> None:
        """The command has ended with this exit code."""
        if self._command:
            self._lines += [
                *filter(None, [self._rest]),
                f"exit code {code} after {time.monotonic() - self._began:.0f} s",
            ]
            self._rest = ""
            self._keep()

    def _keep(self) -> None:
        """Write what was said since the last time; what cannot be written does not stop the command."""
        self._kept = time.monotonic()
        place = self._place()
        if place is None:
            return
        root, cell = place
        said, self._lines = self._lines, []
        with suppress(OSError):
            if self._file is None:
                self._file = _next(root / "logs" / (cell or "study"), self._command)
            text = "".join(f"{line}\n" for line in self._nameless(root, said))
            with self._file.open("a", encoding="utf-8") as file:
                file.write(text)

    def _place(self) -> tuple[Path, str] | None:
        """The study that is written into, and its cell where the command is given one."""
        for word in self._words:
            path = Path(word)
            with suppress(OSError, ValueError):
                if (path / "study.toml").is_file():
                    return path, ""
                whole = path.absolute()
                if whole.parent.name == "cells" and (whole.parents[1] / "study.toml").is_file():
                    return whole.parents[1], whole.name
        return None

    def _nameless(self, root: Path, said: Sequence[str]) -> list[str]:
        """What was said as it may be kept."""
        from ..study.nameless import keeper

        keep, whole = keeper(root), str(root.absolute())
        spelled = {str(root), whole, str(from_here(root))} - {"."}
        paths = _spellings({each for each in spelled if "/" in each}, after=r"(?=[/\s:,)'\"`]|$)")
        words = _spellings(spelled, after="(?=/)")  # else it may be any word
        given = [
            word for word in self._words if _is_path(word) and not f"{Path(word).absolute()}/".startswith(f"{whole}/")
        ]
        others = _spellings({name for word in given for name in (word, str(Path(word).absolute()), Path(word).name)})
        lines = []
        for line in said:
            text = words.sub("STUDY", paths.sub("STUDY", _ESCAPES.sub("", line).rstrip("\r")))
            text = _ELSEWHERE.sub("<path>", keep(others.sub("<path>", text)))
            lines.append(_FILE.sub("<file>", text))
        return lines


def _spellings(words: Collection[str], after: str = r"(?!\w)") -> re.Pattern[str]:
    """What finds any of these words where it stands alone, the longest first; nothing where there are none."""
    longest = sorted(filter(None, words), key=len, reverse=True)
    return re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, longest)) or '(?!)'}){after}")


def _is_path(word: str) -> bool:
    try:
        return "/" in word or (not word.startswith("-") and Path(word).exists())
    except (OSError, ValueError):
        return True


def _next(folder: Path, command: str) -> Path:
    """A file of its own, that nobody else has taken.

    Raises
    ------
    OSError
    """
    folder.mkdir(parents=True, exist_ok=True)
    taken = [path.stem.rpartition("-")[2] for path in folder.glob(f"{command}-*.log")]
    number = max((int(text) for text in taken if text.isdigit()), default=0)
    while True:
        number += 1
        path = folder / f"{command}-{number:03d}.log"
        with suppress(FileExistsError):
            path.touch(exist_ok=False)
            return path
