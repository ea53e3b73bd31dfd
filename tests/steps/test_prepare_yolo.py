import json
import shutil
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.darknet.cfg import read_cfg
from cmb_toolkit.darknet.labels import labels_from_text
from cmb_toolkit.darknet.project import check_project, read_list
from cmb_toolkit.darknet.recipe import Preparing
from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.imaging.frame import apply, make_frame, to_image
from cmb_toolkit.io.nifti import read_volume
from cmb_toolkit.io.publish import read_record, sidecar
from cmb_toolkit.io.tables import write_tsv
from cmb_toolkit.model import INPUTS
from cmb_toolkit.slices import split_stem
from cmb_toolkit.stage1.augment import VARIANTS
from cmb_toolkit.steps.prepare_yolo import prepare_yolo
from cmb_toolkit.steps.stage1_train import stage1_train
from cmb_toolkit.study.cell import read_setup
from cmb_toolkit.study.geometry import read_geometry
from cmb_toolkit.study.images import images_of_subjects
from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.made_from import changed_in_cell, edited_in_project, project_digest
from cmb_toolkit.study.truth import truth_table

SIZE = 64
SHAPES = {"sub-001": (58, 72, 9), "sub-002": (64, 60, 8), "sub-003": (40, 44, 9), "sub-004": (58, 72, 7)}
ROLES = {"sub-001": "train", "sub-002": "train", "sub-003": "validation", "sub-004": "test"}
MARKS = {
    "sub-001": [(20, 30, 2), (35, 40, 2), (30, 22, 6)],
    "sub-002": [(30, 25, 4)],
    "sub-003": [(20, 15, 4)],
    "sub-004": [(30, 20, 3)],
}


def write_volume(path, data, axes="LPS"):
    """On a file grid that is not canonical, as scanners write."""
    affine = nib.affines.from_matvec(np.diag([0.5, 0.5, 2.0]), -np.array(data.shape) * (0.25, 0.25, 1))
    canonical = nib.Nifti1Image(data, affine)
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(axes))
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(canonical.as_reoriented(turn), path)


def add_subject(study, subject, shape, marks, seed):
    rng = np.random.default_rng(seed)
    i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
    centre = [(n - 1) / 2 for n in shape[:2]]
    mask = ((i - centre[0]) / (0.45 * shape[0])) ** 2 + ((j - centre[1]) / (0.45 * shape[1])) ** 2 + 0 * k < 1
    mask[:, :, -1] = False  # no brain on the last slice
    swi = (100 + 5 * rng.random(shape)).astype(np.float32) * mask
    phase = (0.1 * rng.standard_normal(shape)).astype(np.float32) * mask
    for mark in marks:
        swi[mark] = 10
        phase[mark] = 3
    write_volume(study.swi(subject), swi)
    write_volume(study.phase(subject), phase)
    write_volume(study.magnitude(subject), swi * 2)
    write_volume(study.mask(subject), mask.astype(np.uint8))


def write_tables(study, roles=ROLES, marks=MARKS, resolutions=None):
    resolutions = resolutions or dict.fromkeys(roles, "tiny")
    rows = [(s, resolutions[s], "A", "patient") for s in roles]
    write_tsv(pd.DataFrame(rows, columns=["participant_id", "resolution", "scanner", "group"]), study.participants)
    rows = [(s, *mark, 0.0, 0.0, 0.0) for s, points in marks.items() for mark in points]
    names = ["participant_id", "i", "j", "k", "x_mm", "y_mm", "z_mm"]
    write_tsv(pd.DataFrame(rows, columns=names), study.microbleeds)
    rows = [(1, s, role) for s, role in roles.items()]
    write_tsv(pd.DataFrame(rows, columns=["fold", "participant_id", "role"]), study.folds)


@pytest.fixture(scope="module")
def preprocessed(tmp_path_factory):
    made = Study.create(tmp_path_factory.mktemp("template") / "study", "test")
    for seed, (subject, shape) in enumerate(SHAPES.items()):
        add_subject(made, subject, shape, MARKS[subject], seed)
    write_tables(made)
    return made.root


@pytest.fixture
def study(preprocessed, tmp_path):
    return Study(Path(shutil.copytree(preprocessed, tmp_path / "study")))


LISTED = {"negatives": 1.0, "augment": True, "label_reach": 0}
"""As the paper has it; the default network draws its images anew, and wants other slices."""


def prepare(study, jobs=1, **options):
    return prepare_yolo(study.root, Preparing(**{"fold": "1", "size": SIZE, **LISTED, **options}), jobs=jobs)


def stems(cell, name):
    return [Path(line).stem for line in read_list(cell / "darknet" / name)]


def image(cell, stem):
    return cv2.imread(str(cell / "darknet" / "slices" / f"{stem}.png"), cv2.IMREAD_COLOR_RGB)


def looked_at(cell):
    """What a network of the cell is shown: images by stem."""
    study, files = Study.of_cell(cell)
    setup = read_setup(files)
    subjects = sorted(subject for names in setup.roles.values() for subject in names)
    images = images_of_subjects(study, setup, {s: read_geometry(study, s, size=setup.size) for s in subjects})
    return dict(zip(images.names, np.concatenate([*images.make()]), strict=True))


def boxes(cell, stem):
    path = cell / "darknet" / "slices" / f"{stem}.txt"
    return labels_from_text(path.read_text(), SIZE, str(path))


def test_a_whole_project(study):
    cell = prepare(study)
    assert cell == study.root / "cells" / "tiny_swi+cphase-averaged_fold-1"
    check_project(cell / "darknet")
    train = stems(cell, "train.txt")
    assert {path.stem for path in (cell / "darknet" / "slices").iterdir()} == set(train)
    assert read_record(cell / "darknet")["images"] == {"train": 48, "valid": 9, "slices": 33}
    assert {split_stem(stem)[0] for stem in train} == {"sub-001", "sub-002"}
    # eight copies of each slice with a microbleed, and of as many without
    positive = {("sub-001", 2), ("sub-001", 6), ("sub-002", 4)}
    chosen = {split_stem(stem) for stem in train}
    assert positive < chosen
    assert len(chosen) == 6
    assert len(train) == 48
    for subject, k in chosen - positive:
        assert all(abs(k - mark[2]) >= 2 for mark in MARKS[subject])
        assert k < SHAPES[subject][2] - 1  # the last slice holds no brain
    setup = read_setup(study.cell_named(cell.name))
    assert (setup.resolution, setup.method, setup.fold, setup.size) == ("tiny", "yolo", "1", SIZE)
    assert read_record(cell / "darknet")["parameters"]["cfg"] == "small"
    assert str(study.root) not in (cell / "darknet.json").read_text()


@pytest.mark.parametrize(("name", "darkest"), [("swi", 0), ("swi+cphase", 0), ("swi+cphase", 1)])
def test_every_label_stands_on_its_microbleed(study, name, darkest):
    """Crop, pad and resize, and all eight copies: the microbleed is the darkest spot inside its box."""
    write_tables(study, roles=dict.fromkeys(ROLES, "train"))
    cell = prepare(study, input=name)
    checked = 0
    for stem in stems(cell, "train.txt"):
        subject, k = split_stem(stem)
        marks = [mark for mark in MARKS[subject] if mark[2] == k]
        found = boxes(cell, stem)
        assert len(found) == len(marks)
        picture = image(cell, stem)[:, :, darkest].astype(int)
        for left, top, right, bottom in found:
            column, row = (left + right) / 2, (top + bottom) / 2
            area = picture[round(top) : round(bottom), round(left) : round(right)]
            spot = np.argwhere(area == area[area > 0].min() if subject == "sub-003" else area == area.min())
            place = spot.mean(axis=0) + 0.5 + (round(top), round(left))
            if subject != "sub-003":
                assert area.size == 400
                assert np.allclose(place, (row, column), atol=0.01)
            else:
                assert np.allclose(place, (row, column), atol=2)  # stretched: the minimum is within one voxel
            checked += 1
    assert checked == 8 * 6


def test_swi_is_red_and_complement_green(study):
    cell = prepare(study, input="swi+cphase")
    picture = image(cell, "sub-001_slice-002")
    frame = make_frame(SHAPES["sub-001"][:2], SIZE)
    column, row = to_image(frame, MARKS["sub-001"][0][:2]).astype(int)
    assert picture[row, column, 0] < picture[row + 3, column, 0] - 150
    assert picture[row, column, 1] < picture[row + 3, column, 1] - 100
    assert not picture[:, :, 2].any()
    assert not picture[0, 0].any()  # outside the brain both channels are black


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_of_table_2(study, name):
    cell = prepare(study, input=name, augment=False)
    assert cell.name == f"tiny_{name}_fold-1"
    check_project(cell / "darknet")


def test_options(study):
    cell = prepare(study, augment=False, negatives=0, label_reach=1)
    assert stems(cell, "train.txt") == [
        *[f"sub-001_slice-00{k}" for k in (1, 2, 3, 5, 6, 7)],
        *[f"sub-002_slice-00{k}" for k in (3, 4, 5)],
    ]
    assert len(boxes(cell, "sub-001_slice-001")) == 2
    cell = prepare(study, augment=False, negatives=0)
    assert "sub-001_slice-001" not in stems(cell, "train.txt")
    assert not list(study.slices("swi+cphase-averaged").glob("*_augmented"))


def test_a_network_that_draws_its_images_gets_every_slice_once(study):
    cell = prepare_yolo(study.root, Preparing("1", size=SIZE, cfg="small"))
    assert stems(cell, "train.txt") == [
        *[f"sub-001_slice-00{k}" for k in (1, 2, 3, 5, 6, 7)],
        *[f"sub-002_slice-00{k}" for k in (0, 1, 3, 4, 5)],  # 2 and 6 are too near, 7 holds no brain
    ]
    parameters = read_record(cell / "darknet")["parameters"]
    assert (parameters["negatives"], parameters["augment"], parameters["label_reach"]) == ("all", False, 1)
    listed = prepare_yolo(study.root, Preparing("1", size=SIZE, cfg="yolov2-paper"))
    parameters = read_record(listed / "darknet")["parameters"]
    assert (parameters["negatives"], parameters["augment"], parameters["label_reach"]) == (1.0, True, 0)


def test_copies_are_those_of_the_paper(study):
    cell = prepare(study, negatives=0)
    names = [stem.split("_")[2:] for stem in stems(cell, "train.txt") if stem.startswith("sub-002")]
    assert [n[0] if n else VARIANTS[0] for n in names] == list(VARIANTS)


@pytest.mark.parametrize("options", [{"input": "swi+phase+magnitude"}, {"background": "white", "scale": "slice"}])
def test_what_is_looked_at_is_what_was_learned_from(study, options):
    """To the last bit, whether it lies in a file or not; and nothing is written of whom nothing is learned from."""
    cell = prepare(study, **options, negatives="all", augment=False)
    seen = looked_at(cell)
    for stem in stems(cell, "train.txt"):
        np.testing.assert_array_equal(seen[stem], image(cell, stem))
    pool = next(study.slices(name) for name in INPUTS if study.slices(name).exists())
    assert {path.name for path in pool.iterdir() if path.is_dir()} == {"sub-001", "sub-002"}
    for k in range(SHAPES["sub-001"][2]):  # also those that are not listed
        path = pool / "sub-001" / f"sub-001_slice-{k:03d}.png"
        np.testing.assert_array_equal(seen[path.stem], cv2.imread(str(path), cv2.IMREAD_COLOR_RGB))


def test_a_project_is_known_by_all_volumes_whoever_wrote_the_slices_of_whom(study):
    """As studies of older versions have slices of everybody, which count as the same."""
    cell = prepare(study)
    made = project_digest(study.cell_named(cell.name))
    volumes = read_record(cell / "darknet")["volumes"]
    assert [v["subject"] for v in volumes] == [s for s in sorted(SHAPES) for _ in range(3)]
    write_tables(study, roles={"sub-003": "train", "sub-004": "train", "sub-001": "test", "sub-002": "test"})
    prepare(study)
    write_tables(study)
    shutil.rmtree(cell)
    assert prepare(study) == cell
    assert project_digest(study.cell_named(cell.name)) == made
    assert read_record(cell / "darknet")["volumes"] == volumes


def test_other_volumes_of_a_subject_that_is_only_looked_at_are_noticed(study):
    cell = prepare(study)
    files = study.cell_named(cell.name)
    made = project_digest(files)
    assert changed_in_cell(study, files) == []
    add_subject(study, "sub-004", SHAPES["sub-004"], MARKS["sub-004"], seed=99)
    (line,) = changed_in_cell(study, files)
    assert line.startswith("the preprocessed volumes of sub-004 changed since `cmbtk prepare-yolo`")
    prepare(study)
    assert changed_in_cell(study, files) == []
    assert project_digest(files) != made


def test_volumes_are_not_read_again_to_be_known(study, monkeypatch):
    prepare(study)

    def never(path):
        raise AssertionError(path)

    monkeypatch.setattr("cmb_toolkit.steps.prepare_yolo.fingerprint", never)
    prepare(study)


def modified(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_unchanged_work_is_not_redone(study):
    cell = prepare(study)
    before = modified(study.root)
    assert prepare(study) == cell
    assert modified(study.root) == before


def test_only_the_changed_subject_is_redone(study):
    cell = prepare(study)
    before = modified(study.slices("swi+cphase-averaged"))
    project = modified(cell)
    add_subject(study, "sub-002", SHAPES["sub-002"], MARKS["sub-002"], seed=99)
    prepare(study)
    after = modified(study.slices("swi+cphase-averaged"))
    changed = {
        path.parent.name if path.suffix != ".json" else path.stem for path in after if after[path] != before[path]
    }
    assert changed == {"sub-002", "sub-002_augmented"}
    assert modified(cell) != project
    stem = "sub-002_slice-004"
    assert (cell / "darknet" / "slices" / f"{stem}.png").samefile(
        study.slices("swi+cphase-averaged") / "sub-002" / f"{stem}.png"
    )


def test_deleted_slices_come_back_without_touching_the_project(study):
    cell = prepare(study)
    before = modified(cell)
    (study.slices("swi+cphase-averaged") / "sub-001.json").unlink()
    prepare(study)
    assert modified(cell) == before


def test_changed_size_redoes_the_slices(study):
    prepare(study)
    cell = prepare(study, size=96)
    check_project(cell / "darknet")
    assert image(cell, "sub-001_slice-002").shape == (96, 96, 3)
    assert read_cfg(cell / "darknet" / "yolo.cfg").net.width == 96


def test_folds_share_slices(study):
    first = prepare(study)
    folds = pd.read_csv(study.folds, sep="\t")
    other = folds.assign(fold=2, role=["test", "train", "train", "validation"])
    write_tsv(pd.concat([folds, other]), study.folds)
    second = prepare(study, fold="2")
    one, two = (cell / "darknet" / "slices" / "sub-002_slice-004_rot090.png" for cell in (first, second))
    assert one.samefile(two)
    assert {split_stem(stem)[0] for stem in stems(second, "train.txt")} == {"sub-002", "sub-003"}


def test_results_do_not_depend_on_jobs_or_on_other_subjects(study):
    one = prepare(study)
    lists = {name: stems(one, name) for name in ("train.txt",)}
    pictures = {stem: image(one, stem) for stem in lists["train.txt"]}
    for file in (study.root / "slices", study.root / "cells"):
        file.rename(file.with_name(f"old-{file.name}"))
    two = prepare(study, jobs=2)
    assert {name: stems(two, name) for name in lists} == lists
    assert all(np.array_equal(image(two, stem), picture) for stem, picture in pictures.items())
    seeds = {tuple(stems(prepare(study, seed=seed, augment=False), "train.txt")) for seed in range(5)}
    assert len(seeds) > 1


def test_network_keys(study):
    cell = prepare(study, cfg="yolov2-paper", max_batches=4000, net={"batch": "32", "subdivisions": "16"})
    net = read_cfg(cell / "darknet" / "yolo.cfg").net
    assert (net.max_batches, net.steps, net.burn_in) == (4000, (1000, 3000), 100)
    assert (net.batch, net.subdivisions, net.width, net.height) == (32, 16, SIZE, SIZE)
    cell = prepare(study, cfg="yolov2-paper", max_batches=4000, net={"steps": "7,8"})
    assert read_cfg(cell / "darknet" / "yolo.cfg").net.steps == (7, 8)


def test_ones_own_network_file(study, tmp_path):
    text = (Path(prepare(study)) / "darknet" / "yolo.cfg").read_text()
    own = tmp_path / "mine.cfg"
    own.write_bytes(text.replace("\n", "\r\n").encode())
    cell = prepare(study, cfg=str(own))
    assert (cell / "darknet" / "yolo.cfg").read_text() == text
    assert read_record(cell / "darknet")["parameters"]["cfg"] == "mine.cfg"


def test_a_fold_without_training_subjects_can_only_detect(study):
    write_tables(study, roles=dict.fromkeys(ROLES, "test"))
    cell = prepare(study)
    assert not (cell / "darknet" / "train.txt").exists()
    check_project(cell / "darknet", training=False)


def test_without_folds_all_subjects_are_detected_on(study):
    study.folds.unlink()
    participants = pd.read_csv(study.participants, sep="\t")
    participants.loc[0, "group"] = "control"
    write_tsv(participants, study.participants)
    cell = prepare(study, fold="none")
    assert cell.name == "tiny_swi+cphase-averaged_fold-none"
    roles = read_setup(study.cell_named(cell.name)).roles
    assert roles == {"train": (), "validation": (), "test": ("sub-002", "sub-003", "sub-004"), "control": ("sub-001",)}
    assert len(looked_at(cell)) == sum(shape[2] for shape in SHAPES.values())
    result = run(study.root, "--fold", "none", "--size", SIZE, "--jobs", 1)
    assert "only detect" in result.output
    assert "stage1-detect" in result.output
    with pytest.raises(MissingError, match=r"folds.tsv: not found. Run `cmbtk split` on this study first\."):
        prepare(study, fold="1")


def test_truth_table(study):
    table = truth_table(study, ["sub-001", "sub-003"], size=SIZE)
    assert table["participant_id"].tolist() == ["sub-001"] * 3 + ["sub-003"]
    frame = read_geometry(study, "sub-003", size=SIZE).frame
    assert frame.mode == "resize"
    column, row = to_image(frame, MARKS["sub-003"][0][:2])
    last = table.iloc[-1]
    assert np.allclose(
        last[["left", "top", "right", "bottom"]].to_numpy(float), [column - 10, row - 10, column + 10, row + 10]
    )


def test_geometry_is_canonical(study):
    geometry = read_geometry(study, "sub-002", size=SIZE)
    assert geometry.shape == SHAPES["sub-002"]
    wanted = nib.affines.from_matvec(np.diag([0.5, 0.5, 2.0]), -np.array(SHAPES["sub-002"]) * (0.25, 0.25, 1))
    assert np.allclose(geometry.affine, wanted)
    table = truth_table(study, [], size=SIZE)
    assert table.empty
    assert "left" in table


# bad input


def test_several_resolutions_need_a_choice(study):
    resolutions = {"sub-001": "HR", "sub-002": "HR", "sub-003": "LR", "sub-004": "HR"}
    write_tables(study, resolutions=resolutions)
    with pytest.raises(UsageError, match="HR, LR"):
        prepare(study)
    with pytest.raises(UsageError, match="7T"):
        prepare(study, resolutions=("7T",))
    cell = prepare(study, resolutions=("HR",))
    assert {split_stem(stem)[0] for stem in looked_at(cell)} == {"sub-001", "sub-002", "sub-004"}


def test_one_detector_for_two_resolutions(study):
    """Each subject comes to the image as it would alone: one is cropped, one resized."""
    write_tables(study, resolutions={"sub-001": "HR", "sub-002": "HR", "sub-003": "LR", "sub-004": "HR"})
    cell = prepare(study, resolutions=("HR", "LR", "HR"))
    assert cell.name == "HR+LR_swi+cphase-averaged_fold-1"
    assert {split_stem(stem)[0] for stem in looked_at(cell)} == set(ROLES)
    assert read_setup(Study.of_cell(cell)[1]).resolutions == ("HR", "LR")
    both = looked_at(cell)["sub-003_slice-004"]
    alone = prepare(study, resolutions=("LR",), fold="none")
    assert (looked_at(alone)["sub-003_slice-004"] == both).all()

    write_tables(study, resolutions={"sub-001": "HR", "sub-002": "HR+LR", "sub-003": "LR", "sub-004": "HR"})
    with pytest.raises(UsageError, match="would be called like the resolution HR\\+LR"):
        prepare(study, resolutions=("HR", "LR"))


@pytest.mark.parametrize(
    ("marks", "says"),
    [
        ([(20, 30, 9)], "sub-001 is no voxel"),
        ([(-1, 30, 2)], "no voxel"),
        ([(20.5, 30, 2)], r"\(20.5, 30, 2\)"),
    ],
)
def test_marks_outside_the_volume(study, marks, says):
    write_tables(study, marks={**MARKS, "sub-001": marks})
    with pytest.raises(DataError, match=says):
        prepare(study)
    assert not (study.root / "cells").exists()


def test_a_mark_that_the_crop_would_lose(study):
    write_tables(study, marks={**MARKS, "sub-001": [(20, 1, 2)]})
    with pytest.raises(DataError, match="--mode resize"):
        prepare(study, size=32, mode="crop")


def test_a_mark_of_a_subject_that_is_not_there(study):
    write_tables(study, marks={**MARKS, "sub-009": [(20, 1, 2)]})
    with pytest.raises(DataError, match="sub-009"):
        prepare(study)


def test_nothing_to_train_on(study):
    write_tables(study, marks={"sub-003": MARKS["sub-003"]})
    with pytest.raises(DataError, match="nothing to train on"):
        prepare(study)


def test_a_subject_without_a_role(study):
    folds = pd.read_csv(study.folds, sep="\t")
    write_tsv(folds[folds["participant_id"] != "sub-002"], study.folds)
    with pytest.raises(DataError, match=r"no role for sub-002.*split"):
        prepare(study)


def test_not_preprocessed(study):
    study.phase("sub-002").unlink()
    with pytest.raises(MissingError, match="preprocess") as caught:
        prepare(study)
    assert study.phase("sub-002").name in str(caught.value)
    assert not (study.root / "cells").exists()
    prepare(study, input="swi")


def test_darknets_magic_words_in_a_name(study):
    add_subject(study, "sub-raw5", SHAPES["sub-001"], [], 5)
    write_tables(study, roles={**ROLES, "sub-raw5": "train"})
    with pytest.raises(DataError, match=r"sub-raw5.*'raw'"):
        prepare(study)
    assert not (study.root / "cells").exists()


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"fold": "7"}, DataError, "no fold '7'"),
        ({"input": "phase"}, UsageError, "swi\\+phase"),
        ({"size": 100}, DataError, "multiples"),
        ({"cfg": "nothing"}, MissingError, "yolov2-paper"),
        ({"net": {"width": "96", "height": "96"}}, UsageError, "--size"),
        ({"net": {"learning_speed": "1"}}, DataError, "learning_speed"),
        ({"net": {"batch": "1"}}, DataError, "batch=1"),
        ({"negatives": -1.0}, UsageError, "negatives"),
    ],
)
def test_wrong_options(study, options, error, says):
    with pytest.raises(error, match=says):
        prepare(study, **options)
    assert not (study.root / "cells").exists() or not list((study.root / "cells").iterdir())


def test_a_slice_that_was_deleted_is_made_again(study):
    prepare(study)
    label = study.slices("swi+cphase-averaged") / "sub-001" / "sub-001_slice-002.txt"
    before = label.read_bytes()
    label.unlink()
    prepare(study, negatives=0)
    assert label.read_bytes() == before


def test_a_killed_run_leaves_nothing_half_written(study, monkeypatch):
    import cmb_toolkit.steps.prepare_yolo as module

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "check_project", die)
        with pytest.raises(KeyboardInterrupt):
            prepare(study)
    cell = study.cell("tiny", "swi+cphase-averaged", "1")
    assert not cell.project.exists()
    assert not list(cell.folder.iterdir())
    check_project(prepare(study) / "darknet")


# command line


def run(*arguments):
    return CliRunner().invoke(cli, ["prepare-yolo", *map(str, arguments)])


def test_command(study):
    listed = ("--augment", "--negatives", 1, "--label-reach", 0)
    options = ("--fold", 1, "--size", SIZE, "--jobs", 1, "--set", "batch=4", "--max-batches", 12)
    result = run(study.root, *options, *listed)
    assert result.exit_code == 0, result.output
    for part in ("2 train (4 microbleeds)", "48 images", "3 slices with microbleeds, 3 without", "33 slices"):
        assert part in result.output
    cell = study.root / "cells" / "tiny_swi+cphase-averaged_fold-1"
    assert f"cmbtk stage1-train {cell}" in result.output
    net = read_cfg(cell / "darknet" / "yolo.cfg").net
    assert (net.batch, net.max_batches) == (4, 12)
    assert json.loads((cell / "darknet.json").read_text())["parameters"]["net"] == {"batch": "4"}


def test_command_errors(study, tmp_path):
    assert isinstance(run(study.root, "--fold", 3).exception, DataError)
    assert isinstance(run(tmp_path, "--fold", 1).exception, MissingError)
    result = run(study.root, "--fold", 1, "--set", "batch")
    assert result.exit_code == 2
    assert "KEY=VALUE" in result.output
    assert run(study.root).exit_code == 2


def test_help_ends_in_an_example():
    result = run("--help")
    assert result.exit_code == 0
    assert "Example:" in result.output


def test_anchors_from_the_labels_of_the_training_subjects(study):
    own = prepare(study)
    assert (
        read_cfg(own / "darknet" / "yolo.cfg").region.anchors
        == read_cfg(Path(__file__).parents[2] / "cfg" / "small.cfg").region.anchors
    )
    assert "anchors" not in read_record(own / "darknet").get("extra", {})
    cell = prepare(study, anchors="labels")
    record = read_record(cell / "darknet")
    cfg = read_cfg(cell / "darknet" / "yolo.cfg")
    expected = 20 / cfg.stride
    assert record["parameters"]["anchors"] == "labels"
    assert record["anchors"]["values"][-1] == pytest.approx([expected, expected], rel=0.02)
    assert cfg.region.anchors == tuple(map(tuple, record["anchors"]["values"]))
    assert record["anchors"]["mean_iou"] > 0.95


def test_grey_values_scaled_in_another_way(study):
    """The same phase has the same green in every subject and slice, whatever else is in it."""
    cell = prepare(study, input="swi+phase", scale="fixed")
    subject = "sub-001"
    phase, mask = (read_volume(place(subject)).data for place in (study.phase, study.mask))
    frame = read_geometry(study, subject, size=SIZE, mode="auto").frame
    expected = apply(frame, np.where(mask > 0, np.clip(phase / (2 * np.pi) + 0.5, 0, 1), 0).astype(np.float32))
    k = phase.shape[2] // 2
    seen = image(cell, f"{subject}_slice-{k:03d}")[..., 1]
    np.testing.assert_allclose(seen, expected[k] * 255, atol=0.51)
    assert read_record(cell / "darknet")["parameters"]["scale"] == "fixed"
    with pytest.raises(UsageError, match="zscore"):
        prepare(study, scale="zscore")


def test_the_literal_background_of_the_complement(study):
    """The paper's 1 - phase of a masked phase: white outside the brain."""
    cells = [prepare(study, input="swi+cphase", background=background) for background in ("black", "white")]
    assert read_record(cells[-1] / "darknet")["parameters"]["background"] == "white"
    subject = "sub-001"
    mask = read_volume(study.mask(subject)).data
    frame = read_geometry(study, subject, size=SIZE, mode="auto").frame
    k = mask.shape[2] // 2
    outside = apply(frame, mask)[k] == 0
    assert (image(cells[-1], f"{subject}_slice-{k:03d}")[..., 1][outside] == 255).all()
    with pytest.raises(UsageError, match=r"grey.*black, white"):
        prepare(study, background="grey")


# --- one bad subject, and edits by hand


def test_one_bad_subject_stops_nobody_and_no_project_lacks_it(study):
    study.swi("sub-002").write_bytes(b"no scan")
    study.mask("sub-004").unlink()
    write_tables(study, marks={**MARKS, "sub-003": [(20, 15, 99)]})
    with pytest.raises(DataError) as caught:
        prepare(study, augment=False)
    lines = str(caught.value).splitlines()
    assert sorted(line[:8] for line in lines[:-1]) == ["sub-002:", "sub-003:", "sub-004:"]
    assert "project of fold 1 was not written: it must lack nobody" in lines[-1]
    assert "slices of other subjects are kept" in lines[-1]
    folder = study.slices("swi+cphase-averaged")
    assert [path.name for path in sorted(folder.glob("sub-*")) if path.is_dir()] == ["sub-001"]
    assert not (study.root / "cells").exists()
    made = (folder / "sub-001").stat().st_mtime_ns
    for seed, subject in enumerate(SHAPES):
        if subject in ("sub-002", "sub-004"):
            add_subject(study, subject, SHAPES[subject], MARKS[subject], seed)
    write_tables(study)
    cell = prepare(study, augment=False)
    assert {split_stem(stem)[0] for stem in looked_at(cell)} == set(SHAPES)
    assert (folder / "sub-001").stat().st_mtime_ns == made


def edit_label(path, in_place):
    text = path.read_text() + "0 0.1 0.1 0.1 0.1\n"
    if not in_place:  # as most editors save
        path.unlink()
    path.write_text(text)


@pytest.mark.parametrize("in_place", [True, False])
def test_labels_edited_in_a_project_are_noticed(study, in_place):
    cell = prepare(study, augment=False)
    files = study.cell_named(cell.name)
    assert edited_in_project(files) == []
    edit_label(files.project / "slices" / "sub-001_slice-002.txt", in_place)
    assert edited_in_project(files) == ["the labels of sub-001"]
    with pytest.raises(DataError, match=r"the labels of sub-001 changed since `cmbtk prepare-yolo`.*microbleeds\.tsv"):
        prepare(study, augment=False)
    with pytest.raises(DataError, match=r"darknet: the labels of sub-001 changed since `cmbtk prepare-yolo` wrote"):
        stage1_train(cell)
    # another cell takes the same slices: an edit in place has reached these
    if in_place:
        with pytest.raises(DataError, match=r"sub-001: .*slices/swi\+cphase-averaged/sub-001: the labels of sub-001"):
            prepare(study, augment=False, seed=1)
        shutil.rmtree(study.slices("swi+cphase-averaged") / "sub-001")
    shutil.rmtree(files.project)
    prepare(study, augment=False)
    assert edited_in_project(files) == []


def test_turned_copies_edited_in_place_are_noticed(study):
    prepare(study)
    turned = study.slices("swi+cphase-averaged") / "sub-002_augmented"
    edit_label(next(turned.glob("*.txt")), in_place=True)
    with pytest.raises(DataError, match="sub-002_augmented: the labels of sub-002 changed"):
        prepare(study)


def test_marks_corrected_in_the_table_replace_what_was_edited(study):
    """What the message says to do."""
    cell = prepare(study, augment=False)
    edit_label(cell / "darknet" / "slices" / "sub-001_slice-002.txt", in_place=True)
    write_tables(study, marks={**MARKS, "sub-001": [(20, 30, 3)]})
    prepare(study, augment=False)
    assert edited_in_project(study.cell_named(cell.name)) == []
    assert len(boxes(cell, "sub-001_slice-003")) == 1
    assert "sub-001_slice-002" not in stems(cell, "train.txt")


def test_marks_corrected_after_the_labels_were_made_are_noticed(study):
    cell = study.cell_named(prepare(study, augment=False).name)
    assert changed_in_cell(study, cell) == []
    write_tables(study, marks={**MARKS, "sub-004": []})
    assert changed_in_cell(study, cell) == [], "nothing is learned from a test subject"
    write_tables(study, marks={**MARKS, "sub-001": MARKS["sub-001"][:2], "sub-003": []})
    (line,) = changed_in_cell(study, cell)
    assert line.startswith(f"microbleeds.tsv has other marks of sub-001, sub-003 than the labels of {cell.name} were")
    prepare(study, augment=False)
    assert changed_in_cell(study, cell) == []


def test_projects_of_older_versions_go_on(study):
    cell = study.cell_named(prepare(study, augment=False).name)
    record = json.loads(sidecar(cell.project).read_text())
    del record["contents"]
    sidecar(cell.project).write_text(json.dumps(record))
    edit_label(cell.project / "slices" / "sub-001_slice-002.txt", in_place=False)
    assert edited_in_project(cell) == []
    prepare(study, augment=False)


def test_the_command_lists_every_subject_that_failed(study, cmbtk):
    study.swi("sub-001").write_bytes(b"no scan")
    study.swi("sub-004").write_bytes(b"no scan")
    said = cmbtk("prepare-yolo", study.root, "--fold", "1", "--size", SIZE, "--jobs", "1", code=5)
    assert "Error: sub-001: " in said
    assert "\nsub-004: " in said
