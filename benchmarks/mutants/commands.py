"""Whole commands, as a shell runs them: a damaged file somewhere in a study, or an option that no one should give."""

from __future__ import annotations

import importlib.readers  # noqa: F401 (what a process without rights could not import any more)
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmb_toolkit.errors import CmbError

from .damage import ODD, bytes_damaged, json_damaged, nothing, one_of, place_damaged, text_damaged
from .kind import Kind, Mutant
from .study import CELL, copied, make_study

__all__ = ["KINDS"]

Random = np.random.Generator

_HERE = f"study/cells/{CELL}"
_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("check", "study", "--jobs", "1"),
    ("split", "study", "--folds", "2"),
    ("preprocess", "study", "--subject", "sub-001", "--brain-mask", "none", "--jobs", "1"),
    ("swi", "source/sub-001_mag.nii.gz", "source/sub-001_phase.nii.gz", "-o", "one", "--brain-mask", "none"),
    ("import", "table", "source/files.tsv", "-o", "new", "--marks", "source/marks.tsv"),
    ("prepare-yolo", "study", "--fold", "1", "--size", "64", "--mode", "resize", "--no-augment",
     "--cfg",      "study/net.cfg", "--jobs", "1"),
    ("frst", "study", "--fold", "1", "--size", "64", "--mode", "resize", "--threshold", "0.5", "--jobs", "1"),
    ("stage2-crop", _HERE, "--jobs", "1"),
    ("evaluate", _HERE, "--false-pictures", "1"),
    ("tables", "study"),
    ("compare", _HERE, _HERE),
    ("figures", "study"),
    ("experiment", "plan", "study", "--settings", "demo", "-j", "1"),
    ("stage1-train", _HERE, "--engine", "binary"),
    ("stage1-detect", _HERE, "--engine", "binary", "--weights", "study/net.cfg"),
)  # fmt: skip

_READ: dict[str, str] = {
    "check": r"study/(participants|microbleeds|folds)\.tsv|source/.*\.nii\.gz|study/study\.toml",
    "split": r"study/(participants|microbleeds)\.(tsv|json)|study/study\.toml",
    "preprocess": r"study/participants\.(tsv|json)|source/sub-001.*",
    "swi": r"source/sub-001.*",
    "import": r"source/.*",
    "prepare-yolo": r"study/(participants|microbleeds|folds)\.tsv|study/net\.cfg|study/sub-00[1-3]/.*",
    "frst": r"study/(participants|microbleeds|folds)\.tsv|study/sub-00[1-3]/.*",
    "stage2-crop": r"study/(participants|microbleeds)\.tsv|study/cells/[^/]*/[^/]*\.(tsv|json)|study/sub-00[1-3]/.*",
    "evaluate": r"study/(participants|microbleeds)\.tsv|study/cells/[^/]*/[^/]*\.(tsv|json)|study/sub-00[1-3]/.*",
    "tables": r"study/cells/.*/evaluation/.*(tsv|json)|study/study\.toml",
    "compare": r"study/cells/.*/evaluation/.*(tsv|json)",
    "figures": r"study/cells/.*(tsv|json)|study/study\.toml",
    "experiment": r"study/(participants|folds|microbleeds)\.(tsv|json)|study/study\.toml",
    "stage1-train": r"study/cells/[^/]*/darknet/.*(txt|data|names|cfg|png)|study/cells/[^/]*/darknet\.json",
    "stage1-detect": r"study/cells/[^/]*/darknet/.*(txt|data|names|cfg|png)|study/cells/[^/]*/darknet\.json",
}
"""Files that a command reads, of those in the folder."""

_VALUES = (
    *ODD[:-10], "100000", "1000000000", "1e9", "1e-300", "0.5", "2", "-5", "nan", "inf", "/dev/null",
    "/proc/x", "/proc/self", "/dev/full", "x/" * 200, "study", "study/study.toml", "none", "auto", "all",
)  # fmt: skip


def _mutate(random: Random, originals: Path, folder: Path) -> Mutant:
    base = copied(originals, folder / "all")
    words = list(one_of(random, list(_COMMANDS)))
    rights, what = nothing, ""
    kind = one_of(random, ["file", "file", "file", "option", "option", "argument"])
    if kind == "file":
        files = sorted(str(p.relative_to(base)) for p in base.rglob("*") if p.is_file())
        path = base / one_of(random, [name for name in files if re.fullmatch(_READ[words[0]], name)])
        what, rights = _damage(path, random)
        what = f"{path.relative_to(base)}: {what}"
    elif kind == "option":
        words, what = _odd_option(words, random)
    else:
        places = [n for n, word in enumerate(words) if "/" in word or word == "study"]
        at = one_of(random, places)
        words[at] = one_of(random, list(_VALUES))
        what = f"argument {words[at][:40]!r}"
    words = [word.replace("\0", "") for word in words]  # which no shell passes

    def read() -> None:
        os.chdir(base)
        said = os.open("said", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        with rights():
            _run(words, said)

    return Mutant(f"cmbtk {' '.join(word[:40] for word in words)}: {what}", read)


def _damage(path: Path, random: Random) -> tuple[str, Callable[[], Any]]:
    """Damage one file of a study, whatever kind it is of."""
    if random.random() < 0.3:
        return place_damaged(path, random)
    content = path.read_bytes()
    text = path.suffix in (".tsv", ".json", ".toml", ".cfg", ".txt", ".data", ".names")
    if path.suffix == ".json":
        content, what = json_damaged(content.decode(), random)
    elif path.suffix == ".tsv" and random.random() < 0.7:
        rows = [line.split("\t") for line in content.decode().rstrip("\n").split("\n")]
        row, column = int(random.integers(len(rows))), int(random.integers(len(rows[0])))
        rows[row][column] = one_of(random, ODD)
        what = f"line {row + 1}, {rows[0][column][:30]}: {rows[row][column][:40]!r}"
        content = "".join("\t".join(cells) + "\n" for cells in rows).encode("utf-8", "replace")
    elif text and random.random() < 0.5:
        content, what = text_damaged(content.decode(), random)
    else:
        content, what = bytes_damaged(content, random)
    path.unlink()
    path.write_bytes(content)
    return what, nothing


def _odd_option(words: list[str], random: Random) -> tuple[list[str], str]:
    """One of the command's options with a value that is none."""
    import click

    from cmb_toolkit.cli.main import cli

    command: click.Command = cli
    context = click.Context(cli)
    for word in words[:2]:
        if isinstance(command, click.Group):
            command = command.get_command(context, word) or command
    options = [p for p in command.params if isinstance(p, click.Option) and not p.is_eager]
    option = one_of(random, options)
    name = option.opts[-1]
    added = [name, *(one_of(random, list(_VALUES)) for _ in range(0 if option.is_flag else option.nargs))]
    return [*words, *added], " ".join(word[:40] for word in added)


_BAD_DATA = 5
_NOBODYS = ("could not be written", "more memory than", "not enough memory")
"""With these a command may leave with 1: what is wrong is no one's input."""


class _SaidError(CmbError):
    """What a command said on leaving with another code than 0."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.exit_code = code


def _run(words: Sequence[str], said: int) -> None:
    """Run a command in this process, as `cmbtk` would, and let it say what it says into a file.

    Raises
    ------
    CmbError
        If it left with a code; AssertionError if what it said is not what a command says.
    """
    from cmb_toolkit.cli.main import main

    sys.argv = ["cmbtk", *words]
    for stream in (1, 2):
        os.dup2(said, stream)
    sys.stdout, sys.stderr = (open(n, "w", closefd=False, encoding="utf-8") for n in (1, 2))  # noqa: SIM115
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    sys.stdout.flush()
    sys.stderr.flush()
    os.lseek(said, 0, os.SEEK_SET)
    text = os.read(said, 1 << 20).decode("utf-8", "replace")
    for wrong in ("Traceback", "This is a bug", "RuntimeWarning"):
        if wrong in text:
            raise AssertionError(text[max(0, text.index(wrong) - 600) : text.index(wrong) + 300])
    if any(not (character.isprintable() or character in "\n\r\t") for character in text):
        raise AssertionError(f"characters that a terminal would obey: {text[-300:]!r}")
    if code:
        if not text.strip():
            raise AssertionError(f"exit code {code} without a word")
        raise _SaidError(_BAD_DATA if code == 1 and any(word in text for word in _NOBODYS) else code, text)


KINDS = (Kind("commands", make_study, _mutate, share=3.0, together=1),)
