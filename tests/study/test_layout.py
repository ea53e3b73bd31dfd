"""The study folder: one place that knows every path, and never writes into a foreign folder."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.slices import is_copy, slice_stem, split_stem
from cmb_toolkit.study.layout import Study

subjects = st.from_regex(r"sub-[0-9A-Za-z]{1,12}", fullmatch=True)


@given(subjects, st.integers(0, 5000), st.sampled_from(["", "rot90", "flip-lr"]))
def test_stems_are_read_back(subject, k, variant):
    stem = slice_stem(subject, k, variant)
    assert "." not in stem, "Darknet cuts names at the first dot"
    assert split_stem(stem) == (subject, k)
    assert is_copy(stem) == bool(variant)


def test_stems_sort_by_slice():
    stems = [slice_stem("sub-1", k) for k in range(120)]
    assert sorted(stems) == stems


@pytest.mark.parametrize("stem", ["", "sub-1", "sub-1_slice-", "sub-1_slice-12", "sub_1_slice-012", "x_slice-012"])
def test_other_stems_are_refused(stem):
    with pytest.raises(DataError, match="expected a name like sub-001_slice-034"):
        split_stem(stem)


def test_create_then_open(tmp_path):
    study = Study.create(tmp_path / "new" / "study", 'a "quoted" name')
    assert Study.open(study.root).name == 'a "quoted" name'
    settings = study.settings.read_bytes()
    Study.create(study.root, "another name")
    assert study.settings.read_bytes() == settings, "an existing study keeps its settings"


def test_a_foreign_folder_is_never_written_to(tmp_path):
    (tmp_path / "thesis.docx").write_text("")
    with pytest.raises(UsageError, match="not a study folder"):
        Study.create(tmp_path, "x")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError):
        Study.create(tmp_path / "file", "x")


def test_open_what_is_no_study(tmp_path):
    with pytest.raises(MissingError, match=r"no study\.toml") as caught:
        Study.open(tmp_path / "nowhere")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("text", ["name = ", "\x00", "name = 'a'\nname = 'b'\n"])
def test_broken_settings_are_bad_data(tmp_path, text):
    study = Study.create(tmp_path / "s", "x")
    study.settings.write_text(text)
    with pytest.raises(DataError, match=r"study\.toml"):
        _ = study.name


def test_a_cell_is_found_by_its_folder(tmp_path, monkeypatch):
    study = Study.create(tmp_path / "s", "x")
    assert study.cell("HR", "swi", "1", repeat=2).name == "HR_swi_fold-1_repeat-2"
    cell = study.cell("HR", "swi+cphase-averaged", "1")
    assert cell.name == "HR_swi+cphase-averaged_fold-1"
    cell.folder.mkdir(parents=True)
    found_study, found = Study.of_cell(cell.folder)
    assert found_study.root == study.root
    assert found == cell
    monkeypatch.chdir(cell.folder)
    assert Study.of_cell(type(tmp_path)("."))[1].name == cell.name
    monkeypatch.chdir(cell.folder.parent)
    assert Study.of_cell(type(tmp_path)(cell.name))[1].name == cell.name


def test_what_is_no_cell(tmp_path):
    study = Study.create(tmp_path / "s", "x")
    (study.root / "cells").mkdir()
    for folder in (study.root, study.root / "cells", study.root / "cells" / "HR_swi_fold-1"):
        with pytest.raises(MissingError, match="not a cell of a study"):
            Study.of_cell(folder)
    stray = tmp_path / "cells" / "HR_swi_fold-1"
    stray.mkdir(parents=True)
    with pytest.raises(MissingError, match="not a study folder"):
        Study.of_cell(stray)


def test_every_path_lies_in_the_study(tmp_path):
    study = Study(tmp_path / "s")
    cell = study.cell("LR", "swi", "2")
    paths = [
        study.participants, study.microbleeds, study.folds, study.description, study.scans, study.tables, study.figures,
        study.magnitude("sub-1"), study.phase("sub-1"), study.swi("sub-1"), study.mask("sub-1"), study.slices("swi"),
        study.log("c", "s"), cell.folder, cell.scratch, cell.project, cell.weights, cell.yolo_history, cell.detections,
        cell.candidates, cell.patches, cell.cnn, cell.cnn_history, cell.findings, cell.metrics, cell.figures,
    ]  # fmt: skip
    assert len(set(paths)) == len(paths)
    assert all(study.root in path.parents for path in paths)


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "sub-../../x", "sub-1/..", "$(touch x)", "-x", "1" * 300])
def test_no_name_leads_out_of_a_study(tmp_path, name):
    study = Study.create(tmp_path / "s", "x")
    for build in (
        study.subject, study.magnitude, study.phase, study.swi, study.minip, study.mask,
        study.simulated, study.simulated_truth, study.cell_named, study.slices,
        lambda name: study.phase_step(name, "wrapped"),
        lambda name: study.found("frst", name),
        lambda name: study.found(name, "sub-1"),
        lambda name: study.subject_slices("swi", name),
        lambda name: study.log(name, "split"),
        lambda name: study.cell(name, "swi", "1"),
        lambda name: study.cell("HR", name, "1"),
        lambda name: study.cell("HR", "swi", name),
        lambda name: slice_stem(name, 1),
        lambda name: split_stem(f"{name}_slice-001"),
    ):  # fmt: skip
        with pytest.raises(DataError, match="expected"):
            build(name)


def test_cells_are_listed_without_what_other_programs_left(tmp_path):
    study = Study.create(tmp_path / "s", "x")
    assert study.cells() == []
    for name in ("LR_swi_fold-2", "HR_swi_fold-1", ".ipynb_checkpoints", "a copy"):
        (study.root / "cells" / name).mkdir(parents=True)
    (study.root / "cells" / "notes.txt").touch()
    assert [cell.name for cell in study.cells()] == ["HR_swi_fold-1", "LR_swi_fold-2"]
