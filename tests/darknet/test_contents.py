import os
import shutil

import cv2
import numpy as np
import pytest

from cmb_toolkit.darknet.contents import edited, fingerprints, fingerprints_of_project
from cmb_toolkit.darknet.project import write_project

STEMS = ["sub-001_slice-000", "sub-001_slice-001", "sub-002_slice-000", "sub-002_slice-000_r90"]
CFG = "[net]\nwidth=32\nheight=32\n"


@pytest.fixture
def project(tmp_path):
    """Hard links to images that lie elsewhere, as in a study."""
    random = np.random.default_rng(0)
    (tmp_path / "pool").mkdir()
    for stem in STEMS:
        cv2.imwrite(str(tmp_path / "pool" / f"{stem}.png"), random.integers(0, 255, (32, 32, 3)).astype(np.uint8))
        (tmp_path / "pool" / f"{stem}.txt").write_text("0 0.5 0.5 0.2 0.2\n" if "000" in stem else "")
    images = {stem: tmp_path / "pool" / f"{stem}.png" for stem in STEMS}
    folder = tmp_path / "darknet"
    write_project(folder, cfg=CFG, images={stem: images[stem] for stem in STEMS[:2]})
    # as older versions left it
    for stem in STEMS[2:]:
        for ending in (".png", ".txt"):
            os.link(tmp_path / "pool" / f"{stem}{ending}", folder / "slices" / f"{stem}{ending}")
    for name, stems in (("valid.txt", STEMS[2:3]), ("slices.txt", STEMS[:3])):
        (folder / name).write_text("".join(f"slices/{stem}.png\n" for stem in stems))
    return folder


def append(name, text="0 0.1 0.1 0.2 0.2\n"):
    return lambda folder: (folder / name).write_text((folder / name).read_text() + text)


def one_pixel(folder):
    path = str(folder / "slices" / "sub-001_slice-001.png")
    image = cv2.imread(path)
    image[3, 4, 1] ^= 1
    cv2.imwrite(path, image)


def exchange(folder):
    one, other = (folder / "slices" / f"{stem}.txt" for stem in STEMS[:2])
    one.rename(folder / "aside")
    other.rename(one)
    (folder / "aside").rename(other)


CHANGES = {
    "a box more": (append("slices/sub-001_slice-000.txt"), ["the labels of sub-001"]),
    "a box where none was": (append("slices/sub-001_slice-001.txt"), ["the labels of sub-001"]),
    "labels of two slices exchanged": (exchange, ["the labels of sub-001"]),
    "a label removed": (lambda f: (f / "slices/sub-002_slice-000.txt").unlink(), ["the labels of sub-002"]),
    "an image removed": (lambda f: (f / "slices/sub-002_slice-000.png").unlink(), ["the images of sub-002"]),
    "one pixel": (one_pixel, ["the images of sub-001"]),
    "another's image": (
        lambda f: shutil.copy(f / "slices/sub-001_slice-000.png", f / "slices/sub-002_slice-000.png"),
        ["the images of sub-002"],
    ),
    "a line more": (append("train.txt", "slices/sub-002_slice-000.png\n"), ["train.txt"]),
    "other order": (lambda f: (f / "train.txt").write_text("\n".join(reversed((f / "train.txt").read_text().split()))),
                    ["train.txt"]),
    "no validation": (lambda f: (f / "valid.txt").unlink(), ["valid.txt"]),
    "a pipe": (lambda f: ((f / "train.txt").unlink(), os.mkfifo(f / "train.txt")), ["train.txt"]),
    "another list": (append("yolo.data", "train=slices.txt\n"), ["yolo.data"]),
    "garbage": (lambda f: (f / "slices.txt").write_bytes(b"\xff\x00"), ["slices.txt"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_told(project, name):
    change, told = CHANGES[name]
    before = fingerprints_of_project(project)
    change(project)
    assert edited(before, fingerprints_of_project(project)) == told


def test_what_is_no_change_is_not_told(project, tmp_path):
    before = fingerprints_of_project(project)
    (project / "slices" / "sub-009_slice-000.txt").write_text("a file that no list names")
    (project / "yolo.cfg").write_text("the network may be changed: a training is then done anew")
    copied = shutil.copytree(project, tmp_path / "elsewhere")
    for path in copied.rglob("*"):
        os.utime(path, (1, 1))
    assert edited(before, fingerprints_of_project(copied)) == []


def test_many_subjects_are_counted(tmp_path):
    stems = [f"sub-{n:03d}_slice-000" for n in range(9)]
    before = fingerprints(tmp_path, stems)
    for stem in stems:
        (tmp_path / f"{stem}.txt").write_text("")
    (line,) = edited(before, fingerprints(tmp_path, stems))
    assert line == "the labels of sub-000, sub-001, sub-002, sub-003, sub-004 and 4 more subjects"


@pytest.mark.parametrize("noted", [None, [], "x", {}, {"labels": 3}])
def test_without_a_note_nothing_is_told(project, noted):
    assert edited(noted, fingerprints_of_project(project)) == []
