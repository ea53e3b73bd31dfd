"""Paths of a study's table lead to the scan that was meant, or to an error: behind links, and after the study moved."""

from __future__ import annotations

import re
import shutil

import nibabel as nib
import numpy as np
import pytest

from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.io.publish import sidecar
from cmb_toolkit.sources.table import Table
from cmb_toolkit.steps.check import check_study
from cmb_toolkit.steps.import_ import import_
from cmb_toolkit.study.cohort import read_participants
from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.places import located, relative
from cmb_toolkit.study.scan import check_files, scan_of


def scans(folder, seed=0):
    """Two scans and their table."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    lines = ["participant_id\tmagnitude\tphase"]
    for name in ("a", "b"):
        for kind in ("mag", "pha"):
            image = nib.Nifti1Image(rng.integers(0, 4096, (6, 8, 4)).astype(np.int16), np.diag([0.5, 0.5, 2, 1]))
            nib.save(image, folder / f"{name}_{kind}.nii")  # of one size, with one header
        lines.append(f"{name}\t{name}_mag.nii\t{name}_pha.nii")
    table = folder / "scans.tsv"
    table.write_text("\n".join(lines) + "\n")
    return table


def imported(table, out):
    return Study(import_(Table(), table, out, on_progress=lambda *_: None))


def magnitudes(study):
    return [located(study, path).resolve() for path in read_participants(study)["magnitude"]]


@pytest.fixture
def linked(tmp_path):
    """Scans in ``in``; ``deep/er/disk`` and a link ``scratch`` to it that lies less deep."""
    table = scans(tmp_path / "in")
    (tmp_path / "deep" / "er" / "disk").mkdir(parents=True)
    (tmp_path / "scratch").symlink_to(tmp_path / "deep" / "er" / "disk")
    return table


@pytest.mark.parametrize("first", ["scratch", "deep/er/disk"])
@pytest.mark.parametrize("later", ["scratch", "deep/er/disk"])
def test_a_study_is_the_same_through_a_link_and_without(tmp_path, linked, first, later):
    imported(linked, tmp_path / first / "study")
    study = Study.open(tmp_path / later / "study")
    assert magnitudes(study) == [tmp_path / "in" / "a_mag.nii", tmp_path / "in" / "b_mag.nii"]


def test_a_study_that_is_a_link_itself(tmp_path):
    table = scans(tmp_path / "in")
    (tmp_path / "x" / "y" / "real").mkdir(parents=True)
    (tmp_path / "study").symlink_to(tmp_path / "x" / "y" / "real")
    for folder in (imported(table, tmp_path / "study").root, tmp_path / "x" / "y" / "real"):
        assert magnitudes(Study.open(folder)) == [tmp_path / "in" / "a_mag.nii", tmp_path / "in" / "b_mag.nii"]


def test_never_to_another_scan_that_lies_where_the_text_of_the_path_leads(tmp_path, linked, monkeypatch):
    """``scratch/../in`` and ``deep/er/disk/../in`` both exist, with files of the same names."""
    scans(tmp_path / "deep" / "er" / "in", seed=1)
    assert magnitudes(imported(linked, tmp_path / "scratch" / "study"))[0] == tmp_path / "in" / "a_mag.nii"
    monkeypatch.chdir(tmp_path / "scratch")
    assert magnitudes(Study.open(tmp_path / "deep/er/disk/study"))[0] == tmp_path / "in" / "a_mag.nii"


def test_scans_behind_a_link_that_is_turned_to_others_later(tmp_path):
    table = scans(tmp_path / "v1")
    scans(tmp_path / "v2", seed=1)
    (tmp_path / "current").symlink_to(tmp_path / "v1")
    study = imported(tmp_path / "current" / table.name, tmp_path / "study")
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to(tmp_path / "v2")
    assert magnitudes(study)[0] == tmp_path / "v1" / "a_mag.nii"


def test_a_file_that_is_a_link_keeps_its_name_and_what_lies_beside_it(tmp_path):
    (tmp_path / "named").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "MD5").write_bytes(b"1")
    (tmp_path / "named" / "mag.nii").symlink_to(tmp_path / "store" / "MD5")
    assert relative(tmp_path / "study", tmp_path / "named" / "mag.nii") == "../named/mag.nii"


def test_steps_up_behind_a_link_are_taken_as_the_disk_takes_them(tmp_path, linked):
    scans(tmp_path / "deep" / "er" / "in", seed=1)
    path = tmp_path / "scratch" / ".." / "in" / "a_mag.nii"
    assert (tmp_path / relative(tmp_path, path)).resolve() == path.resolve() == tmp_path / "deep/er/in/a_mag.nii"


# -- moved studies ----------------------------------------------------------------------------------------------


def test_a_study_that_moved_together_with_its_scans(tmp_path):
    imported(scans(tmp_path / "one" / "in"), tmp_path / "one" / "study")
    (tmp_path / "one").rename(tmp_path / "two")
    assert magnitudes(Study.open(tmp_path / "two" / "study"))[0] == tmp_path / "two" / "in" / "a_mag.nii"


def test_a_study_that_moved_to_where_its_paths_lead_to_other_scans(tmp_path):
    study = imported(scans(tmp_path / "one" / "in"), tmp_path / "one" / "study")
    scans(tmp_path / "two" / "in", seed=1)
    shutil.move(study.root, tmp_path / "two" / "study")
    moved = Study.open(tmp_path / "two" / "study")
    with pytest.raises(
        DataError, match=r"a_mag\.nii: is not the file .*, line 2 meant by \.\./in/a_mag\.nii: .* moved"
    ):
        magnitudes(moved)
    table = moved.participants.read_text().replace("../in/", f"{tmp_path}/one/in/")
    moved.participants.write_text(table)  # as the message says
    assert magnitudes(moved)[0] == tmp_path / "one" / "in" / "a_mag.nii"
    moved.participants.write_text(table.replace(f"{tmp_path}/one/in/", "../../one/in/"))
    assert magnitudes(moved)[0] == tmp_path / "one" / "in" / "a_mag.nii"


def test_a_study_that_moved_away_from_its_scans_says_what_to_edit(tmp_path):
    study = imported(scans(tmp_path / "one" / "in"), tmp_path / "one" / "study")
    shutil.move(study.root, tmp_path / "two" / "study")
    moved = Study.open(tmp_path / "two" / "study")
    second = read_participants(moved).iloc[1]
    said = (
        rf"two/in/b_mag\.nii: the magnitude of {second.name} was not found\. It is named in {moved.participants}, line "
        "3, column magnitude: if the scans or the study were moved, write there where the file is now"
    )
    with pytest.raises(MissingError, match=said):
        check_files(scan_of(moved, second))
    report = check_study(moved.root, on_progress=lambda *_: None)
    assert [problem.missing for problem in report.errors] == [True] * 4
    assert re.search(said, report.errors[2].message)


def test_a_study_that_moved_and_left_a_link(tmp_path):
    study = imported(scans(tmp_path / "in"), tmp_path / "study")
    (tmp_path / "a" / "b").mkdir(parents=True)
    shutil.move(study.root, tmp_path / "a" / "b" / "study")
    (tmp_path / "study").symlink_to(tmp_path / "a" / "b" / "study")
    assert magnitudes(Study.open(tmp_path / "study"))[0] == tmp_path / "in" / "a_mag.nii"
    there = Study.open(tmp_path / "a" / "b" / "study")
    with pytest.raises(MissingError, match=r"a_mag\.nii: the magnitude of sub-a was not found"):
        check_files(scan_of(there, read_participants(there).iloc[0]))


def test_a_scan_that_was_exported_again_at_its_place_is_taken(tmp_path):
    study = imported(scans(tmp_path / "in"), tmp_path / "study")
    shutil.rmtree(tmp_path / "in")
    scans(tmp_path / "in", seed=1)
    assert magnitudes(study)[0] == tmp_path / "in" / "a_mag.nii"


# -- tables written by hand -------------------------------------------------------------------------------------


def by_hand(root, path):
    root.mkdir()
    study = Study(root)
    study.participants.write_text(
        f"participant_id\tresolution\tscanner\tgroup\tmagnitude\nsub-a\tHR\tx\tpatient\t{path}\n"
    )
    return study


def test_a_path_written_by_hand_that_may_mean_two_files(tmp_path, linked):
    scans(tmp_path / "deep" / "er" / "in", seed=1)
    study = by_hand(tmp_path / "scratch" / "study", "../../in/a_mag.nii")
    with pytest.raises(DataError, match=r"may mean .*deep/er/.*in/a_mag\.nii or .*/in/a_mag\.nii, for a symbolic link"):
        magnitudes(study)
    shutil.rmtree(tmp_path / "deep" / "er" / "in")
    assert magnitudes(study) == [tmp_path / "in" / "a_mag.nii"]


def test_a_link_inside_a_path_written_by_hand(tmp_path, linked):
    scans(tmp_path / "deep" / "er" / "in", seed=1)
    study = by_hand(tmp_path / "study", "../scratch/../in/a_mag.nii")
    with pytest.raises(DataError, match="may mean"):
        magnitudes(study)


# -- what is noted ----------------------------------------------------------------------------------------------


def test_what_is_noted_of_the_scans_names_nothing(tmp_path):
    study = imported(scans(tmp_path / "LeeKim"), tmp_path / "study")
    assert "LeeKim" in study.participants.read_text()
    note = sidecar(study.participants).read_text()
    assert "places" in note
    assert "LeeKim" not in note
    assert "a_mag" not in note


def test_scans_of_one_size_with_the_same_head_and_tail_are_told_apart(tmp_path):
    table = scans(tmp_path / "one" / "in")
    study = imported(table, tmp_path / "one" / "study")
    content = (tmp_path / "one" / "in" / "a_mag.nii").read_bytes()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    middle = len(content) // 2
    other = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    (tmp_path / "two" / "in" / "a_mag.nii").write_bytes(other)
    with pytest.raises(DataError, match="the study was moved"):
        magnitudes(Study.open(tmp_path / "two" / "study"))
    assert magnitudes(study)
