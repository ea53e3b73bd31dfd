"""Documents: settings in TOML, labels in Excel, provenance and results in JSON, sidecars of scanners."""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from cmb_toolkit.evaluation.results import CellResult
from cmb_toolkit.io.bids import echo_time_ms, read_acquisition
from cmb_toolkit.io.publish import Record
from cmb_toolkit.io.sheets import read_sheet
from cmb_toolkit.paper.settings import Settings, load_settings
from cmb_toolkit.steps.stage2_crop import stage2_crop
from cmb_toolkit.study.cell import read_setup
from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.lineage import check_cell
from cmb_toolkit.study.results import read_result

from .damage import ODD, bytes_damaged, json_damaged, nothing, one_of, place_damaged, text_damaged
from .kind import Kind, Mutant
from .study import CELL, copied, make_study

__all__ = ["KINDS", "member_damaged"]

Random = np.random.Generator


def _make_nothing(folder: Path) -> None:
    """The mutants need no files."""


# -- settings ---------------------------------------------------------------------------------------------------

_SETTINGS = """base = "demo"
seed = 3
[resolutions]
HR = "slab"
[experiment]
input = "swi"
fold = "1"
scanner = ""
tables = [4, 5]
repeats = 1
[split]
folds = 5
validation = 0.2
[preprocess]
bet-fraction = 0.5
[prepare-yolo]
size = 448
cfg = "small"
max-batches = 400
set = { batch = "16" }
[stage1-detect]
threshold = "auto"
most-false = 40
nms = 0.45
[frst]
radius = [1, 1.5]
[stage2-train]
epochs = 20
copies = [6, 1]
learning-rate = 0.001
class-weight = "ratio"
[evaluate]
distance-mm = 3
[seconds]
split = 2
[cluster]
minutes = 60
"""

_TOML = (
    "inf", "-inf", "nan", "1e300", "9" * 25, "0", "-1", "1.5", "true", '""', '"x"', "[]", "[1]", "[inf]", "{}",
    "{ a = 1 }", "{ batch = 1e300 }", '{ batch = "inf" }', '{ batch = "99999999999" }', '{ width = "32" }',
    '{ "" = "" }', "100000", "1000000000", "1979-05-27", '"' + "a" * 300 + '"', '"../../x"', '"$(touch x)"',
    "'\\u0000'", "[" * 5000, "0x7fffffffffff",
    "[nan, nan]", "[1e300, 1]", "[10000000000, 10000000000]", '"/dev/zero"', '"/"', '"."', "", '"auto"', '"none"',
)  # fmt: skip


def _mutate_settings(random: Random, originals: Path, folder: Path) -> Mutant:
    path, rights = folder / "mine.toml", nothing
    lines = _SETTINGS.split("\n")
    content = _SETTINGS.encode()
    kind = one_of(random, ["value"] * 8 + ["key", "lose", "text", "bytes", "place"])
    at = one_of(random, [n for n, line in enumerate(lines) if "=" in line])
    key, _, value = lines[at].partition(" = ")
    if kind == "value":
        lines[at] = f"{key} = {one_of(random, _TOML)}"
        content, what = "\n".join(lines).encode(), lines[at][:60]
    elif kind == "key":
        lines[at] = f"{json.dumps(one_of(random, ODD))} = {value}"
        content, what = "\n".join(lines).encode("utf-8", "replace"), lines[at][:60]
    elif kind == "lose":
        what = f"without {lines.pop(at)}"
        content = "\n".join(lines).encode()
    elif kind == "text":
        content, what = text_damaged(_SETTINGS, random)
    elif kind == "bytes":
        content, what = bytes_damaged(content, random)
    path.write_bytes(content)
    if kind == "place":
        what, rights = place_damaged(path, random)

    def read() -> Settings:
        with rights():
            return load_settings(path)

    def wrong(settings: Settings) -> str:
        try:
            json.dumps(settings.as_dict(), allow_nan=False)
        except ValueError:
            return "a number that is not finite"
        if settings.step("prepare-yolo")["size"] > 1 << 13:
            return "an image too large for any network"
        return _unsane(settings.as_dict())

    return Mutant(what, read, path, wrong)


def _unsane(content: Any) -> str:
    """The first number that no setting can have."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list | tuple):
        return next((problem for each in content if (problem := _unsane(each))), "")
    huge = isinstance(content, int | float) and not abs(content) <= 1e12
    return f"{content!r:.40} was taken" if huge else ""


# -- labels in Excel --------------------------------------------------------------------------------------------

_LABELS = ((5, 100, 120), (7, 90, 131), (9, 33, 44), (9, 50, 61))


def _book(rows: list[list[Any]]) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.create_sheet("labels", 0)
    for row in rows:
        sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _mutate_xlsx(random: Random, originals: Path, folder: Path) -> Mutant:
    path, rights = folder / "01.xlsx", nothing
    rows: list[list[Any]] = [["slice", "x", "y"], *map(list, _LABELS)]
    kind = one_of(random, ["cell"] * 6 + ["row", "bytes", "bytes", "bytes", "member", "member", "place"])
    same = kind in ("bytes", "member")
    content = _book(rows)
    expected = [tuple(row) for row in rows[1:]]
    if kind == "cell":
        row, column = int(random.integers(len(rows))), int(random.integers(3))
        value: Any = one_of(random, [*ODD[:60], 5, 5.0, 5.5, 1e300, -1, True, "=1+1", "=A1", "#REF!", None, 10**12])
        if isinstance(value, str):
            value = "".join(c for c in value if c.isprintable())
        rows[row][column] = value
        try:
            content = _book(rows)
        except Exception:  # what no book can hold is written as text
            rows[row][column] = value = "x"
            content = _book(rows)
        what = f"row {row + 1}, column {column + 1}: {value!r:.50}"
        expected = [tuple(row) for row in rows[1:]]
    elif kind == "row":
        at = int(random.integers(len(rows)))
        rows.insert(at, one_of(random, [[1], [1, 2], [1, 2, 3, 4], ["note"], [], [None, None, 3], [[1] * 500][0]]))
        content, what = _book(rows), f"another row {at + 1}: {str(rows[at])[:40]}"
        expected = []
    elif kind == "bytes":
        content, what = bytes_damaged(content, random)
    elif kind == "member":
        content, what = member_damaged(content, random)
    path.write_bytes(content)
    if kind == "place":
        what, rights = place_damaged(path, random)

    def read() -> Any:
        with rights():
            return read_sheet(path)

    def wrong(table: Any) -> str:
        found = [tuple(row) for row in table[["slice", "x", "y"]].to_numpy().tolist()]
        if same:
            return "" if found == list(_LABELS) else "other labels than the file had before it was damaged"
        if expected and not _alike(found, expected):
            return f"{found} was read of {expected}"[:300]
        return ""

    return Mutant(what, read, path, wrong)


def _alike(found: list[tuple[int, ...]], expected: list[tuple[Any, ...]]) -> bool:
    """Whether whole numbers were read as they stand in the sheet; empty rows may be passed over."""
    given = [row for row in expected if any(value not in (None, "") for value in row)]
    if len(found) != len(given):
        return False
    for one, other in zip(found, given, strict=True):
        for read, stands in zip(one, other, strict=True):
            try:
                same = not isinstance(stands, bool) and float(stands) == read
            except (TypeError, ValueError):
                same = False
            if not same:
                return False
    return True


def member_damaged(content: bytes, random: Random) -> tuple[bytes, str]:
    """A zip file with one of its members changed, lost, huge or stored under another name."""
    source = zipfile.ZipFile(io.BytesIO(content))
    chosen = one_of(random, source.namelist())
    change = one_of(random, ["lost", "bytes", "empty", "bomb", "deep", "entity", "name"])
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            inside = source.read(name)
            if name != chosen:
                target.writestr(name, inside)
            elif change == "bytes":
                target.writestr(name, bytes_damaged(inside, random)[0])
            elif change == "empty":
                target.writestr(name, b"")
            elif change == "bomb":
                target.writestr(name, inside + b" " * (200 << 20))
            elif change == "deep":
                target.writestr(name, b"<a>" * 100_000)
            elif change == "entity":
                target.writestr(name, b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]><x>&a;</x>')
            elif change == "name":
                target.writestr("../" + name, inside)
    return stream.getvalue(), f"{chosen}: {change}"


# -- provenance -------------------------------------------------------------------------------------------------


def _mutate_record(random: Random, originals: Path, folder: Path) -> Mutant:
    base = copied(originals, folder / "all")
    study = Study.open(base / "study")
    cell = study.cell_named(CELL)
    targets = [study.participants, study.microbleeds, study.folds, cell.project, cell.candidates, cell.findings]
    target = one_of(random, [*targets, cell.patches, cell.evaluation])
    path = target.with_name(f"{target.stem}.json")
    content, what = json_damaged(path.read_text(), random)
    path.unlink()
    path.write_bytes(content)
    rights = nothing
    if random.random() < 0.15:
        what, rights = place_damaged(path, random)
    reader = one_of(random, ["current", "parameters", "leaks", "crop"])

    def read() -> Any:
        with rights():
            if reader == "current":
                return Record("x", {}, (study.participants,)).is_current(target)
            if reader == "parameters":
                return read_setup(cell)
            if reader == "leaks":
                return check_cell(study, cell, ["sub-001"])
        return stage2_crop(cell.folder)

    def wrong(found: Any) -> str:
        if reader == "parameters":
            roles = found.roles
            fits = all(isinstance(names, tuple) and all(isinstance(n, str) for n in names) for names in roles.values())
            return "" if fits else f"roles {str(roles)[:80]}"
        return ""

    return Mutant(f"{path.name}, {reader}: {what}", read, None, wrong)


def _mutate_metrics(random: Random, originals: Path, folder: Path) -> Mutant:
    base = copied(originals, folder / "all")
    cell = Study.open(base / "study").cell_named(CELL)
    content, what = json_damaged(cell.metrics.read_text(), random)
    cell.metrics.unlink()
    cell.metrics.write_bytes(content)
    rights = nothing
    if random.random() < 0.1:
        what, rights = place_damaged(cell.metrics, random)

    def read() -> CellResult:
        with rights():
            return read_result(cell)

    def wrong(result: CellResult) -> str:
        for stage in result.stages:
            if not all(isinstance(n, int) and n >= 0 for n in vars(stage.counts).values()):
                return f"counts {stage.counts}"
        names = (result.cell, result.resolution, result.input, result.fold)
        return "" if all(isinstance(name, str) for name in names) else f"names {names}"

    return Mutant(what, read, cell.metrics, wrong)


# -- sidecars of scanners ---------------------------------------------------------------------------------------

_SIDECAR = json.dumps({
    "Manufacturer": "GE", "MagneticFieldStrength": 3, "EchoTime": [0.02, 0.03], "ImageType": ["ORIGINAL", "P"],
    "FlipAngle": 15, "PatientName": "x", "SliceThickness": 2.0,
})  # fmt: skip


def _mutate_sidecar(random: Random, originals: Path, folder: Path) -> Mutant:
    path, rights = folder / "scan.json", nothing
    content, what = json_damaged(_SIDECAR, random)
    path.write_bytes(content)
    if random.random() < 0.15:
        what, rights = place_damaged(path, random)

    def read() -> Any:
        with rights():
            found = read_acquisition(path)
        return found, echo_time_ms(found, 1)

    def wrong(read_: Any) -> str:
        found, time = read_
        if "PatientName" in found:
            return "a name was taken over"
        if time is not None and not (math.isfinite(time) and time > 0):
            return f"an echo time of {time}"
        try:
            json.dumps(found, allow_nan=False)
        except ValueError:
            return "a number that is not finite"
        return ""

    return Mutant(what, read, path, wrong)


KINDS = (
    Kind("settings", _make_nothing, _mutate_settings, share=3.0),
    Kind("xlsx", _make_nothing, _mutate_xlsx, share=2.5),
    Kind("records", make_study, _mutate_record, share=2.5),
    Kind("metrics", make_study, _mutate_metrics, share=1.0),
    Kind("sidecars", _make_nothing, _mutate_sidecar, share=1.5),
)
