"""The layout in which the paper's authors gave away their data: volumes in Data, one Excel sheet a subject in Label."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import MissingError, Problems
from ..names import natural_order, nfc
from .workbook import EXCEL

__all__ = ["AuthorsFiles", "find_authors_files"]

_KIND = re.compile(r"(?<![a-z])(swi|phase|pha|magnitude|mag|mask)(?![a-z])", re.IGNORECASE)
_NO_NAME = re.compile(r"(?<![a-z])(swi|phase|pha|magnitude|mag|mask|brain|images?)(?![a-z])", re.IGNORECASE)
_MINIP = re.compile(r"(?<![a-z])m(in)?ip(?![a-z])", re.IGNORECASE)
_AROUND = " -_.()"
"""What may be left around a subject's name where a word was taken out."""
_LABEL_WORD = re.compile(
    r"(?<![a-z])(cmbs?(?!\d)|microbleeds?|labels?|lesions?|marks?|rois?|seg(mentation)?)(?![a-z])", re.IGNORECASE
)
_TABLES = (".xls", ".xlsb", ".ods", ".fods", ".csv", ".tsv", ".mat", ".numbers", ".fcsv", ".roi")
"""Endings of files that may hold labels and cannot be read; of .txt, .json and NIfTI files the name decides."""
_KIND_NAMES = {"pha": "phase", "mag": "magnitude"}


@dataclass(frozen=True)
class AuthorsFiles:
    """What lies in the authors' layout.

    Attributes
    ----------
    volumes : dict
        Subject, in natural order -> kind (magnitude, phase, swi, mask) -> file.
    sheets : dict
        Subject -> label file.
    left_out : int
        NIfTI files of no known kind.
    unread : list of Path
        Files outside Label that may hold labels.
    """

    volumes: dict[str, dict[str, Path]]
    sheets: dict[str, Path]
    left_out: int
    unread: list[Path]


def find_authors_files(folder: Path) -> AuthorsFiles:
    """Find and recognise the files of the authors' layout.

    A volume is magnitude, phase, swi or mask if the word ``mag(nitude)``, ``pha(se)``, ``swi`` or ``mask`` stands in
    its name, or else in the nearest folder's; SWI beside one of the others is the sequence's name. What is left of
    the name and the folders between it and Data is the subject: that part which is the name of a label file, or, for
    a subject without one, the part in the same place.

    Parameters
    ----------
    folder : Path
        Holds the folders Data and Label.

    Raises
    ------
    MissingError, DataError
        If the layout is another, or files are not clearly one subject's one volume.
    """
    data, label = (_subfolder(folder, names) for names in (("data",), ("label", "labels")))
    problems = Problems()
    sheets = _sheets(label, problems)
    by_name = {name.casefold(): name for name in sheets}
    volumes: dict[str, dict[str, Path]] = {}
    files = [p for p in sorted(data.rglob("*")) if p.name.lower().endswith((".nii", ".nii.gz")) and p.name[0] != "."]
    recognised = [(path, kinds, _name_parts(data, path)) for path in files if (kinds := _kinds(data, path))]
    places = Counter(n for _, _, parts in recognised for n, part in enumerate(parts) if part.casefold() in by_name)
    place = places.most_common(1)[0][0] if places else 0
    for path, kinds, parts in recognised:
        labelled = [by_name[part.casefold()] for part in parts if part.casefold() in by_name]
        if len(kinds) > 1 or len(set(labelled)) > 1 or not parts:
            what = " and ".join(kinds) if len(kinds) > 1 else "no one subject" if parts else "nobody"
            problems.add(
                f"{path}: its name speaks of {what}. Name it after one subject and one of swi, phase, magnitude, or "
                "write a table of files for `cmbtk import table`."
            )
            continue
        name = labelled[0] if labelled else parts[min(place, len(parts) - 1)]
        of_subject = volumes.setdefault(name, {})
        if kinds[0] in of_subject:
            problems.add(
                f"{path}: a second {kinds[0]} volume of {name}; found {of_subject[kinds[0]]} as well. Keep one, or "
                "write a table of files for `cmbtk import table`."
            )
        of_subject[kinds[0]] = path
    if not files:
        raise MissingError(f"{data}: holds no .nii or .nii.gz file. Convert the scans to NIfTI first.")
    if not recognised:
        raise MissingError(
            f"{data}: {len(files)} NIfTI files, but no file or folder name holds swi, pha(se) or mag(nitude) "
            f"(the first is {files[0].relative_to(data)}). Rename them, or use `cmbtk import table`."
        )
    for name, found in volumes.items():
        lacking = [kind for kind in ("magnitude", "phase") if kind not in found]
        if "swi" in found and "magnitude" in lacking:
            lacking.remove("magnitude")  # preprocessing can do without
        if lacking:
            listed = ", ".join(f"{kind} {path.relative_to(data)}" for kind, path in found.items())
            problems.add(
                MissingError(
                    f"{data}: subject {name} has no {' and no '.join(lacking)} volume; found {listed}. Files are "
                    "recognised by swi, pha(se) or mag(nitude) in their or their folder's name."
                )
            )
    for name in sheets.keys() - volumes.keys():
        problems.add(
            f"{sheets[name]}: labels of {name}, but there is no volume of that name under {data}. Give both the same "
            "name, or remove the label file."
        )
    problems.raise_if_any()
    taken = {*sheets.values(), *(path for found in volumes.values() for path in found.values())}
    unread = [path for path in _beside(folder, label) if path not in taken and _may_be_labels(path, path.stem)]
    return AuthorsFiles(
        {name: volumes[name] for name in sorted(volumes, key=natural_order)},
        sheets,
        len(files) - len(recognised),
        unread,
    )


def _sheets(label: Path, problems: Problems) -> dict[str, Path]:
    """Subject -> label file. One that cannot be read is a problem: nobody may count as unmarked for it."""
    sheets: dict[str, Path] = {}
    by_name: dict[str, str] = {}
    for path in sorted(label.rglob("*")):
        if path.suffix.lower() in EXCEL and path.is_file() and not path.name.startswith((".", "~$")):
            name = nfc(re.sub(r"[-_ ]labels?$", "", path.stem, flags=re.IGNORECASE)).strip(_AROUND)
            known = by_name.setdefault(name.casefold(), name)
            if known in sheets:
                problems.add(f"{path}: a second label file named {name}; found {sheets[known]} as well. Keep one.")
            sheets[known] = path
        elif _may_be_labels(path, "label"):
            problems.add(
                f"{path}: only .xlsx can be read of labels. Open it in a spreadsheet program and save it as .xlsx, one "
                f"file a subject, or move it out of {label.name}."
            )
    return sheets


def _beside(folder: Path, label: Path) -> Iterator[Path]:
    """Files beside the volumes, and in other folders that are named after labels."""
    for place in sorted(folder.iterdir()):
        if place == label:
            continue
        if place.is_dir() and (place.name.lower() == "data" or _LABEL_WORD.search(place.name)):
            yield from sorted(place.rglob("*"))
        else:
            yield place


def _may_be_labels(path: Path, named: str) -> bool:
    """Whether a file may hold labels, by its ending and, where many kinds of file end so, by a name."""
    ending = path.suffix.lower()
    if path.name.startswith((".", "~$")) or not path.is_file():
        return False
    if ending in (".txt", ".json", ".xml", ".nii", ".gz"):
        return _LABEL_WORD.search(named) is not None
    return ending in (*_TABLES, *EXCEL)


def _subfolder(folder: Path, names: Sequence[str]) -> Path:
    if not folder.is_dir():
        raise MissingError(f"{folder}: no such folder. Give the folder that holds Data and Label.")
    found = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name.lower() in names]
    if not found:
        here = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
        raise MissingError(
            f"{folder}: no folder {names[0].capitalize()} in it; found {here}. The authors' layout is Data (volumes) "
            "and Label (one Excel file a subject); for any other use `cmbtk import table`."
        )
    return found[0]


def _kinds(data: Path, path: Path) -> list[str]:
    """What a volume is by its name or else by its nearest folder's: one kind, several where it is not clear."""
    if _MINIP.search(path.name):
        return []
    for part in [_stem(path), *reversed(path.relative_to(data).parts[:-1])]:
        kinds = {_KIND_NAMES.get(word.lower(), word.lower()) for word in _KIND.findall(part)}
        if "mask" in kinds:
            return ["mask"]
        if len(kinds) > 1:
            kinds.discard("swi")  # then it names the sequence: SWI_mag, SWI_phase
        if kinds:
            return sorted(kinds)
    return []


def _name_parts(data: Path, path: Path) -> list[str]:
    """Folders and stem of a volume without the words that say its kind: one of them is the subject."""
    parts = [*path.relative_to(data).parts[:-1], _stem(path)]
    return [name for part in parts if (name := _NO_NAME.sub("", nfc(part)).strip(_AROUND))]


def _stem(path: Path) -> str:
    return re.sub(r"\.nii(\.gz)?$", "", path.name, flags=re.IGNORECASE)
