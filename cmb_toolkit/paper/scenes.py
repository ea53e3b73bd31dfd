"""Slices for the paper's figures 2, 3, 5 and 6: which ones, and their volumes, masks and boxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import CmbError
from ..imaging.normalise import complement, minmax
from ..imaging.recipe import Mode
from ..io.nifti import Volume, read_mask, read_volume
from ..io.tables import read_tsv
from ..model import BOX_SIZE, IMAGE_SIZE
from ..stage1.composite import average_slices
from ..study.cell import read_setup
from ..study.cohort import read_microbleeds, read_participants
from ..study.geometry import read_geometry
from ..study.layout import Cell, Study
from ..study.places import located
from ..wording import counted
from .pictures import Box, Profile, Scene

__all__ = ["Scenes"]

_FIELD_MM = 40.0
"""Side of a window on a slice [mm]."""

_PROFILE_MM = 15.0
"""Half the length of a profile [mm]."""


@dataclass(frozen=True)
class _Place:
    """A voxel of a subject."""

    subject: str
    i: float
    j: float
    k: int


class Scenes:
    """Slices of one study, its volumes read once each.

    Parameters
    ----------
    study : Study
    size, mode
        Side of the network image [px] and how planes become images, for the size of a microbleed's box.
    """

    def __init__(self, study: Study, size: int = IMAGE_SIZE, mode: Mode = "auto") -> None:
        self._study = study
        self._size, self._mode = size, mode
        self._people = read_participants(study)
        self._marks = read_microbleeds(study)
        self._volume = lru_cache(maxsize=6)(read_volume)
        self._mask = lru_cache(maxsize=2)(self._read_mask)

    def masks(self, resolution: str, most: int = 5) -> list[Scene]:
        """Whole slices with the contour of the brain mask, each of another subject; as the scanner gave them."""
        scenes = []
        marked = self._marks.groupby(["participant_id", "k"]).size().sort_values(ascending=False, kind="stable")
        chosen = marked.reset_index().drop_duplicates("participant_id").sort_values("participant_id")
        for subject, k in self._spread(chosen, resolution, most):
            volume = self._unmasked(subject)
            boxes = [self._truth(row) for row in self._marks_on(subject, k)]
            scenes.append(self._scene(volume, k, boxes, subject, mask=self._mask(subject)[:, :, k]))
        return scenes

    def channels(self, place: tuple[str, float, float, int]) -> tuple[list[Scene], list[Profile]]:
        """Magnitude, phase and SWI of the slice of one mark, and profiles through the mark."""
        at = _Place(*place)
        mask = self._mask(at.subject)
        box = Box(at.i, at.j, *self._box_voxels(at.subject), "truth")
        names = {"magnitude": self._study.magnitude, "phase": self._study.phase, "SWI": self._study.swi}
        scenes, values = [], {}
        for name, path in names.items():
            if not path(at.subject).is_file():
                continue
            volume = self._volume(path(at.subject))
            scenes.append(self._scene(volume, at.k, [box], name, window=(2, 99.8) if name == "phase" else (0.5, 99.8)))
            values[name] = minmax(volume.data, mask)
        dark = complement(values["phase"], mask)
        averaged = {"SWI": values["SWI"], "1 - phase": dark}
        around = slice(max(at.k - 1, 0), at.k + 2)
        profiles = [
            self._profile(values, at, "channels by themselves"),
            self._profile({"SWI": values["SWI"], "1 - phase": dark}, at, "phase complemented"),
            self._profile(
                {
                    name: _restack(average_slices(_stack(volume[:, :, around])), volume.shape, at.k)
                    for name, volume in averaged.items()
                },
                at,
                "averaged over three slices",
            ),
        ]
        return scenes, profiles

    def outcomes(self, cells: Sequence[Cell], rule: str, most: int = 4) -> dict[str, list[Scene]]:
        """Windows on microbleeds that stage 1 found and missed, and on its false positives, of the cells' tests."""
        found, missed, false = [], [], []
        for cell in cells:
            candidates = read_tsv(cell.evaluation / "candidates.tsv", ["candidate_id", "role", f"{rule}_stage1"])
            candidates = candidates[candidates["role"] == "test"]
            marks = read_tsv(cell.evaluation / "microbleeds.tsv", ["participant_id", f"{rule}_stage1"])
            hits = marks.merge(
                candidates, left_on=f"{rule}_stage1", right_on="candidate_id", suffixes=("", "_candidate")
            )
            found.append(hits.assign(cell=cell.name))
            tested = read_setup(cell).roles["test"]
            lost = marks[f"{rule}_stage1"].isna() & marks["participant_id"].isin(tested)
            missed.append(marks[lost].assign(cell=cell.name))
            false.append(candidates[candidates[f"{rule}_stage1"] == "fp"].assign(cell=cell.name))
        rows = {}
        for name, tables in (("true positives", found), ("false positives", false), ("false negatives", missed)):
            table = pd.concat(tables, ignore_index=True)
            if "confidence" in table:
                table = table.sort_values("confidence", ascending=False, kind="stable")
            rows[name] = [self._outcome(row, name) for row in _each_subject_first(table).head(most).to_dict("records")]
        return rows

    def healthy(self, cell: Cell, most: int = 3) -> tuple[list[Scene], list[Scene]]:
        """Slices of controls with all candidates of stage 1, and the same with those that stage 2 kept."""
        table = read_tsv(cell.evaluation / "candidates.tsv", ["participant_id", "role", "k"])
        table = table[table["role"] == "control"]
        if "kept" not in table:
            table = table.assign(kept=False)
        slices = table.groupby(["participant_id", "k"]).agg(kept=("kept", "sum"), seen=("kept", "size"))
        order = slices.sort_values(["kept", "seen"], ascending=False, kind="stable").reset_index()
        before, after = [], []
        for line in _each_subject_first(order).head(most).to_dict("records"):
            subject, k = line["participant_id"], int(line["k"])
            volume = self._volume(self._study.swi(subject))
            here = table[(table["participant_id"] == subject) & (table["k"] == k)].to_dict("records")
            boxes = [self._candidate(row, "stage1") for row in here]
            left = [self._candidate(row, "kept") for row in here if row["kept"]]
            before.append(self._scene(volume, k, boxes, f"{subject}, {counted(len(boxes), 'candidate')}"))
            after.append(self._scene(volume, k, left, f"{len(left)} left"))
        return before, after

    def _outcome(self, row: Mapping[Any, Any], name: str) -> Scene:
        """A window on one candidate or mark, with the boxes that belong to it."""
        subject, k = str(row["participant_id"]), int(row["k"])
        boxes = [self._truth(mark) for mark in self._marks_on(subject, k)]
        title = subject
        if name == "true positives":
            k = int(row["k_candidate"])
            moved = {axis: row[f"{axis}_candidate"] for axis in ("left", "top", "right", "bottom")}
            boxes = [self._candidate({**row, **moved, "i": row["i_candidate"], "j": row["j_candidate"]}, "stage1")]
            boxes.append(self._truth(row))
        elif name == "false positives":
            boxes.append(self._candidate(row, "stage1"))
        if "confidence" in row:
            title += f", {row['confidence']:.2f}"
        volume = self._volume(self._study.swi(subject))
        return self._scene(volume, k, boxes, title, centre=(float(row["i"]), float(row["j"])))

    def _scene(
        self,
        volume: Volume,
        k: int,
        boxes: Iterable[Box],
        title: str,
        *,
        mask: NDArray[np.bool_] | None = None,
        centre: tuple[float, float] | None = None,
        window: tuple[float, float] = (0.5, 99.8),
    ) -> Scene:
        plane = np.ascontiguousarray(volume.data[:, :, k])
        inside = volume.data[volume.data != 0]
        low, high = np.percentile(inside, window) if inside.size else (0.0, 1.0)
        grey = (float(min(low, 0)), float(high))
        return Scene(plane, volume.zooms[:2], grey, tuple(boxes), title, mask, centre, _FIELD_MM)

    def _profile(self, values: Mapping[str, NDArray[np.float32]], at: _Place, title: str) -> Profile:
        """Values along i, from the left to the right of the picture: from high i to low i."""
        spacing = self._volume(self._study.swi(at.subject)).zooms[0]
        i, j = round(at.i), round(at.j)
        reach = round(_PROFILE_MM / spacing)
        first, last = max(i - reach, 0), min(i + reach, next(iter(values.values())).shape[0] - 1)
        line = np.arange(last, first - 1, -1)
        along = {name: volume[line, j, at.k].astype(float) for name, volume in values.items()}
        return Profile((i - line) * spacing, along, title)

    def _candidate(self, row: Mapping[Any, Any], kind: str) -> Box:
        frame = read_geometry(self._study, str(row["participant_id"]), size=self._size, mode=self._mode).frame
        width = (row["right"] - row["left"]) / frame.scale_column
        return Box(float(row["i"]), float(row["j"]), width, (row["bottom"] - row["top"]) / frame.scale_row, kind)

    def _truth(self, row: Mapping[Any, Any]) -> Box:
        return Box(float(row["i"]), float(row["j"]), *self._box_voxels(str(row["participant_id"])), "truth")

    def _box_voxels(self, subject: str) -> tuple[float, float]:
        frame = read_geometry(self._study, subject, size=self._size, mode=self._mode).frame
        return BOX_SIZE / frame.scale_column, BOX_SIZE / frame.scale_row

    def _marks_on(self, subject: str, k: int) -> list[dict[Any, Any]]:
        here = (self._marks["participant_id"] == subject) & (self._marks["k"] == k)
        return self._marks[here].to_dict("records")

    def _spread(self, table: pd.DataFrame, resolution: str, most: int) -> list[tuple[str, int]]:
        """At most so many subjects of a resolution that are preprocessed, from the first to the last."""
        people = self._people[self._people["resolution"] == resolution].index
        mine = table[table["participant_id"].isin(people)]
        ready = [
            (str(subject), int(k))
            for subject, k in zip(mine["participant_id"], mine["k"], strict=True)
            if self._study.swi(subject).is_file() and self._study.mask(subject).is_file()
        ]
        if len(ready) <= most:
            return ready
        return [ready[n] for n in np.linspace(0, len(ready) - 1, most).round().astype(int)]

    def _unmasked(self, subject: str) -> Volume:
        """The subject's magnitude as it was before the mask was applied; the cleaned SWI where that is gone."""
        clean = self._volume(self._study.swi(subject))
        for name in ("magnitude", "swi"):
            path = self._people.get(name, pd.Series(dtype=str)).get(subject)
            if isinstance(path, str):
                try:
                    raw = self._volume(located(self._study, path))
                except CmbError:
                    continue
                if raw.shape == clean.shape:
                    return raw
        return clean

    def _read_mask(self, subject: str) -> NDArray[np.bool_]:
        return read_mask(self._study.mask(subject), self._volume(self._study.swi(subject)))


def _stack(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(volume.transpose(2, 0, 1))


def _restack(images: NDArray[np.float32], shape: tuple[int, ...], k: int) -> NDArray[np.float32]:
    """A volume that is empty but for the middle of the slices averaged."""
    volume = np.zeros(shape, np.float32)
    volume[:, :, k] = images[min(1, k)]
    return volume


def _each_subject_first(table: pd.DataFrame) -> pd.DataFrame:
    """Rows in turn: the first of every subject, then the second, and so on."""
    turn = table.groupby("participant_id").cumcount()
    return table.iloc[np.argsort(turn.to_numpy(), kind="stable")]
