"""The cells of the paper's tables, counted as the paper has them."""

from collections import Counter
from dataclasses import replace

import pytest

from cmb_toolkit.errors import DataError
from cmb_toolkit.model import INPUTS
from cmb_toolkit.paper.cells import list_cells
from cmb_toolkit.paper.settings import load_settings
from cmb_toolkit.workflow.jobs import job_table, list_jobs

FOLDS = ["1", "2", "3", "4", "5"]


def of(settings, people, folds=FOLDS):
    cells, notes = list_cells(settings, people, folds)
    return {cell.name: cell for cell in cells}, notes


@pytest.fixture
def paper():
    return load_settings("paper")


def test_the_papers_experiment(paper, participants):
    people = participants("HR", "LR")
    cells, notes = of(paper, people)
    assert notes == []
    by_table = {table: [name for name, cell in cells.items() if table in cell.tables] for table in paper.tables}
    best = "swi+cphase-averaged"
    assert by_table[2] == [f"HR_{name}_fold-1" for name in INPUTS]
    assert set(by_table[3]) == {f"{name}_{best}_fold-1" for name in ("HR", "LR", "HR+LR")}
    assert set(by_table[4]) == set(by_table[7]) == {f"{name}_{best}_fold-{n}" for name in ("HR", "LR") for n in FOLDS}
    assert by_table[5] == [f"HR_{best}_fold-{n}" for n in FOLDS]
    assert by_table[6] == [f"LR_{best}_fold-{n}" for n in FOLDS]
    assert by_table[8] == [f"{name}_{best}_fold-scanner-A" for name in ("HR", "LR")]
    assert by_table[9] == [f"{name}_frst_fold-{n}" for name in ("HR", "LR") for n in FOLDS]

    jobs = list_jobs(paper, list(cells.values()), people["participant_id"].tolist(), own_folds=False)
    assert Counter(job.step for job in jobs) == {
        "preprocess": 1, "split": 1, "prepare-yolo": 17, "stage1-train": 17, "stage1-detect": 17, "frst": 10,
        "stage2-crop": 22, "stage2-train": 22, "stage2-classify": 22, "evaluate": 27,
    }  # fmt: skip
    assert len({(job.step, job.cell) for job in jobs}) == len(jobs)
    assert len({record for job in jobs for record in job.records}) == sum(len(job.records) for job in jobs)


def test_stage_2_runs_where_a_table_needs_it(paper, participants):
    cells, _ = of(paper, participants("HR", "LR"))
    assert cells["HR_swi_fold-1"].steps == ("prepare-yolo", "stage1-train", "stage1-detect", "evaluate")
    assert cells["HR+LR_swi+cphase-averaged_fold-1"].stages == 1
    assert "stage2-train" in cells["HR_swi+cphase-averaged_fold-1"].steps
    assert cells["LR_frst_fold-3"].steps == ("frst", "stage2-crop", "stage2-train", "stage2-classify", "evaluate")
    only, _ = of(replace(paper, tables=(4,)), participants("HR", "LR"))
    assert {cell.stages for cell in only.values()} == {1}


def test_repeats_are_trained_with_seeds_of_their_own_on_the_same_slices(paper, participants):
    people = participants("HR", "LR")
    settings = replace(paper, tables=(5, 9), repeats=3)
    cells, _ = of(settings, people)
    once, _ = of(replace(settings, repeats=1), people)
    assert list(cells)[: len(once)] == list(once)
    assert len(cells) == 3 * len(once)
    jobs = list_jobs(settings, list(cells.values()), people["participant_id"].tolist(), own_folds=False)
    options = {(job.step, job.cell): " ".join(job.options) for job in jobs}
    first = "HR_swi+cphase-averaged_fold-2"
    third = f"{first}_repeat-3"
    assert options["prepare-yolo", third] == options["prepare-yolo", first].replace("averaged", "averaged --repeat 3")
    assert "--seed 1" in options["stage1-train", first]
    for step in ("stage1-train", "stage2-crop", "stage2-train"):
        assert options[step, third] == options[step, first].replace("--seed 1", "--seed 3")
    assert "--repeat 2" in options["frst", "LR_frst_fold-1_repeat-2"]
    assert "--seed 1" in options["split", "study"]


def test_a_method_that_learns_learns_otherwise_in_a_repeat(paper, participants):
    people = participants("HR")
    settings = replace(paper, tables=(9,), rivals=("heatmap", "frst"), rival_folds="first", repeats=2)
    cells, _ = of(settings, people)
    jobs = list_jobs(settings, list(cells.values()), people["participant_id"].tolist(), own_folds=False)
    said = {job.cell: " ".join(job.options) for job in jobs if job.step in ("heatmap", "frst")}
    assert "--seed 1" in said["HR_heatmap_fold-1"]
    assert "--seed 2" in said["HR_heatmap_fold-1_repeat-2"]
    assert "--seed" not in said["HR_frst_fold-1"]


def test_rivals_have_all_folds_or_the_first_and_the_papers_own_has_all(paper, participants):
    people = participants("HR")
    settings = replace(paper, tables=(9,), rivals=("frst", "dou", "kuijf"), rival_folds="first")
    cells, _ = of(settings, people)
    assert [name for name in cells if "frst" not in name] == ["HR_dou_fold-1", "HR_kuijf_fold-1"]
    assert sum("frst" in name for name in cells) == len(FOLDS)
    assert cells["HR_kuijf_fold-1"].stages == 1, "no second stage belongs to it"
    every, _ = of(replace(settings, rival_folds="all"), people)
    assert len(every) == 3 * len(FOLDS)


def test_names_of_the_study_and_options_of_the_paper(paper, participants):
    """HR and LR have other names in the study; what the settings say for LR goes to its cells alone."""
    people = participants("slab", "slab-lr")
    settings = replace(paper, resolutions={"HR": "slab", "LR": "slab-lr"})
    cells, _ = of(settings, people)
    jobs = list_jobs(settings, list(cells.values()), people["participant_id"].tolist(), own_folds=True)
    assert all(job.step != "split" for job in jobs)
    options = {(job.step, job.cell): job.options for job in jobs}
    both = "slab+slab-lr_swi+cphase-averaged_fold-1"
    assert options["prepare-yolo", both][:6] == ("--fold", "1", "--resolution", "slab", "--resolution", "slab-lr")
    threshold = {name: options["stage1-detect", name][-1] for name in cells if "frst" not in name}
    assert {value for name, value in threshold.items() if name.startswith("slab-lr_")} == {"0.05"}
    assert {value for name, value in threshold.items() if not name.startswith("slab-lr_")} == {"0.01"}


def test_what_a_study_does_not_have_is_left_out_and_said(paper, participants):
    cells, notes = of(paper, participants("LR", scanners=("A",)))
    assert notes == [
        "no HR patients: left out of all tables",
        "all LR patients are of one scanner: left out of Table 8",
    ]
    assert {table for cell in cells.values() for table in cell.tables} == {3, 4, 6, 7, 9}
    with pytest.raises(DataError, match="no patient of the resolutions HR, LR in the study; found 7T"):
        of(paper, participants("7T"))
    with pytest.raises(DataError, match="fold 1 of Tables 2 and 3 is none of a, b"):
        of(paper, participants("HR"), ["a", "b"])


def test_the_scanner_that_is_trained_on_can_be_chosen(paper, participants):
    people = participants("HR", scanners=("Skyra 3T", "Verio"))
    chosen, _ = of(replace(paper, scanner="Verio", tables=(8,)), people)
    assert list(chosen) == ["HR_swi+cphase-averaged_fold-scanner-Verio"]
    most, _ = of(replace(paper, tables=(8,)), people)
    assert list(most) == ["HR_swi+cphase-averaged_fold-scanner-Skyra-3T"]
    with pytest.raises(DataError, match="'Trio' is none of Skyra 3T, Verio"):
        of(replace(paper, scanner="Trio", tables=(8,)), people)


def test_folds_by_scanner_are_asked_for_where_table_8_needs_them(paper, participants):
    people = participants("HR")
    for tables, asked in (((8,), True), ((4,), False)):
        settings = replace(paper, tables=tables)
        cells, _ = list_cells(settings, people, FOLDS)
        jobs = list_jobs(settings, cells, people["participant_id"].tolist(), own_folds=False)
        split = next(job for job in jobs if job.step == "split")
        assert ("--by-scanner" in split.options) == asked
        assert split.options[split.options.index("--seed") :][:2] == ("--seed", "1")


def test_a_changed_setting_changes_the_options_of_what_it_touches_alone(paper, participants):
    people = participants("HR", "LR")
    cells, _ = list_cells(paper, people, FOLDS)

    def options(settings):
        jobs = list_jobs(settings, cells, people["participant_id"].tolist(), own_folds=False)
        return {(job.step, job.cell): job.options for job in jobs}

    changed = paper.as_dict()["stage2-train"] | {"HR": {"epochs": 50}}
    other = options(replace(paper, options={**paper.options, "stage2-train": changed}))
    differ = {key for key, words in options(paper).items() if other[key] != words}
    assert {step for step, _ in differ} == {"stage2-train"}
    assert {cell for _, cell in differ} == {cell.name for cell in cells if cell.data == "HR" and cell.stages == 2}


def test_the_table_for_snakemake_has_options_word_by_word(paper, participants, monkeypatch):
    people = participants("HR")
    settings = replace(paper, options={**paper.options, "prepare-yolo": {"cfg": "/my nets/a.cfg"}})
    cells, _ = list_cells(settings, people, FOLDS)
    jobs = list_jobs(settings, cells, people["participant_id"].tolist(), own_folds=False)
    table = job_table(settings, cells, jobs, people["participant_id"].tolist(), "0a1b")
    said = table["options"]["HR_swi_fold-1"]["prepare-yolo"]
    assert said[said.index("--cfg") + 1] == "/my nets/a.cfg"
    assert {name for names in table["made by"].values() for name in names} == {cell.name for cell in cells}
    assert len(table["subjects"]) == 7
    changed = {"stage1-detect": 3, "evaluate": 2}
    assert table["revisions"] == changed, "that of a step which never changed is no reason to look at it again"
    monkeypatch.setattr("cmb_toolkit.steps.stage2_train.REVISION", 2)
    table = job_table(settings, cells, jobs, people["participant_id"].tolist(), "0a1b")
    assert table["revisions"] == changed | {"stage2-train": 2}
