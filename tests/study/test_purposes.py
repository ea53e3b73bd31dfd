"""What networks were trained for: noted beside them, found again, held against what they are given."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.darknet.cfg import parse_cfg
from cmb_toolkit.darknet.project import CFG, set_net
from cmb_toolkit.errors import DataError
from cmb_toolkit.imaging.settled_sign import settled_sign
from cmb_toolkit.imaging.sign import SinusEvidence, VeinEvidence
from cmb_toolkit.io.publish import Record, publish, sidecar
from cmb_toolkit.purpose import Purpose
from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.made_from import patches_digest, project_digest
from cmb_toolkit.study.purposes import check_classifier, check_detector, of_images, trained_classifier, trained_detector

NETWORK = """[net]
width=32
height=32
channels=3
batch=2
max_batches=2
[convolutional]
filters=6
size=1
stride=1
activation=linear
[region]
anchors=2.5,2.5
num=1
classes=1
softmax=1
"""
ROLES = {"train": ["sub-001", "sub-002"], "validation": ["sub-003"], "test": ["sub-004"], "control": []}
MADE = {"resolution": "HR", "input": "swi+cphase", "fold": "1", "size": 32, "mode": "crop", "scale": "paper"}


def make_study(root: Path, spacing=(0.5, 0.5, 2.0), shape=(32, 30, 4), odd=None):
    """Volumes and their records; `odd` is the spacing of the test subject."""
    study = Study.create(root, root.name)
    for subject in sorted({name for names in ROLES.values() for name in names}):
        here = odd if odd and subject == "sub-004" else spacing
        with publish(study.subject(subject), Record("preprocess", {"swi_polarity": "paramagnetic", "files": {}})) as it:
            it.mkdir()
            volume = nib.Nifti1Image(np.zeros(shape, np.float32), np.diag([*here, 1.0]))
            nib.save(volume, it / study.swi(subject).name)
    return study


def make_cell(study, *, cfg=NETWORK, fold="1", roles=ROLES, **changed):
    made = {**MADE, "background": "black", "fold": fold, "roles": roles, "slices_sha256": study.name, **changed}
    cell = study.cell("HR", made["input"], fold)
    with publish(cell.project, Record("prepare-yolo", made)) as folder:
        folder.mkdir()
        (folder / CFG).write_text(set_net(cfg, {"width": made["size"], "height": made["size"]}))
    return cell


def train(study, cell, content=b"weights", *, noted=True):
    """Weights as a training leaves them; those of older versions have nothing noted of what they are for."""
    record = Record("stage1-train", {"project": project_digest(cell)}, (cell.project / CFG,))
    with publish(cell.weights, record) as path:
        path.write_bytes(content)
        if noted:
            path.note(trained_for=trained_detector(study, cell).as_json())
    return cell.weights


def check(study, cell, weights, subjects=("sub-003", "sub-004")):
    return check_detector(study, cell, weights, list(subjects))


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path / "study")


def test_what_a_cell_trains_for(study):
    assert trained_detector(study, make_cell(study)) == Purpose(
        network=parse_cfg(NETWORK).fingerprint,
        input="swi+cphase",
        channels=3,
        size=32,
        mode="crop",
        scale="paper",
        background="black",
        phase="paramagnetic positive",
        swi="paramagnetic",
        pixel_mm=(0.5, 0.5),
        slice_mm=(2.0, 2.0),
    )


def test_resized_planes_have_larger_pixels_and_images_without_phase_no_sign(study):
    cell = make_cell(study, input="swi", mode="resize", size=64)
    made = trained_detector(study, cell)
    assert made.pixel_mm == (0.2344, 0.25)
    assert (made.phase, made.background) == (None, None)


def test_a_cells_own_weights_fit_it(study):
    cell = make_cell(study)
    assert check(study, cell, train(study, cell)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"input": "swi+phase"}, "input: trained with swi\\+cphase, given swi\\+phase"),
        ({"input": "swi"}, "input: trained with swi\\+cphase, given swi"),
        ({"size": 64}, "side of the image or patch: trained with 32, given 64"),
        ({"mode": "resize", "size": 32}, "planes become images by: trained with crop, given resize"),
        ({"scale": "fixed"}, "scale of grey values: trained with paper, given fixed"),
        ({"background": "white"}, "background of the phase: trained with black, given white"),
        ({"cfg": NETWORK.replace("2.5,2.5", "1.5,1.5")}, "layers and anchors of the network"),
    ],
)
@pytest.mark.parametrize("place", ["its cell", "copied with its record", "copied alone"])
def test_what_contradicts_is_refused(tmp_path, changed, said, place):
    study = make_study(tmp_path / "study", shape=(28, 24, 4))
    weights = train(study, make_cell(study))
    other = make_cell(study, fold="none", **changed)
    if place != "its cell":
        copied = shutil.copy(weights, tmp_path / "mine.weights")
        if place == "copied with its record":
            shutil.copy(sidecar(weights), tmp_path / "mine.json")
        weights = Path(copied)
    with pytest.raises(DataError, match=rf"weights: was trained for something else\..*{said}"):
        check(study, other, weights)


def test_what_the_swi_darkens_is_no_matter_of_taste(study):
    weights = train(study, make_cell(study))
    elsewhere = make_study(study.root.with_name("calcified"))
    for subject in ("sub-003", "sub-004"):
        path = sidecar(elsewhere.subject(subject))
        path.write_text(path.read_text().replace('"paramagnetic"', '"diamagnetic"'))
    with pytest.raises(DataError, match="what the SWI darkens: trained with paramagnetic, given diamagnetic"):
        check(elsewhere, make_cell(elsewhere), weights)


def test_a_phase_that_looks_reversed_is_warned_of(study):
    weights = train(study, make_cell(study))
    path = sidecar(study.subject("sub-004"))
    settled = settled_sign(
        1,
        in_table=False,
        veins=VeinEvidence(1000, 40, -1.0),
        sinuses=SinusEvidence(),
    )
    path.write_text(json.dumps({**json.loads(path.read_text()), "found": {"warnings": [settled.warning]}}))
    (line,) = check(study, make_cell(study), weights)
    assert line.startswith("sub-004: the phase sign looks wrong, as `cmbtk preprocess` said")


def test_other_voxels_are_warned_of_and_whose_they_are(study, tmp_path):
    weights = train(study, make_cell(study))
    finer = make_study(tmp_path / "finer", spacing=(0.5, 0.5, 2.3), odd=(0.3, 0.5, 3.0))
    assert check(finer, make_cell(finer), weights) == [
        "sub-004: 0.3 to 0.5 mm per pixel, trained with 0.5: more than 20% apart",
        "sub-004: 3 mm from slice to slice, trained with 2: more than 20% apart",
    ]
    coarser = make_study(tmp_path / "coarser", spacing=(0.9, 0.9, 2.0))
    (line,) = check(coarser, make_cell(coarser), weights)
    assert line == "all 2 subjects: 0.9 mm per pixel, trained with 0.5: more than 20% apart"


def test_subjects_of_one_project_may_be_cropped_and_resized(tmp_path):
    """What `auto` decides subject by subject is no contradiction to the cell's own weights."""
    study = make_study(tmp_path / "study")
    small = nib.Nifti1Image(np.zeros((16, 16, 4), np.float32), np.diag([1.0, 1.0, 2.0, 1.0]))
    nib.save(small, study.swi("sub-004"))
    cell = make_cell(study, mode="auto")
    assert of_images(study, cell, ["sub-004"])["sub-004"].mode == "resize"
    assert check(study, cell, train(study, cell)) == []


def test_weights_of_nobody_are_taken_with_a_warning(study, tmp_path):
    cell = make_cell(study)
    foreign = tmp_path / "downloaded.weights"
    foreign.write_bytes(b"other")
    (line,) = check(study, cell, foreign)
    assert line.startswith("downloaded.weights: not known what it was trained for")
    weights = train(study, cell)
    sidecar(weights).unlink()
    assert "not known" in check(study, cell, weights)[0]


def test_a_record_of_other_weights_says_nothing(study):
    cell = make_cell(study)
    weights = train(study, cell)
    weights.write_bytes(b"put here by hand")
    assert "not known" in check(study, cell, weights)[0]


@pytest.mark.parametrize("damaged", ["x", {"size": "448"}, [], {"colour": "red"}])
def test_a_damaged_note_is_none(study, damaged):
    cell = make_cell(study)
    weights = train(study, cell)
    record = json.loads(sidecar(weights).read_text())
    project = record["parameters"].pop("project")
    sidecar(weights).write_text(json.dumps({**record, "trained_for": damaged}))
    assert "not known" in check(study, cell, weights)[0]
    record["parameters"]["project"] = project
    sidecar(weights).write_text(json.dumps({**record, "trained_for": damaged}))
    assert check(study, cell, weights) == [], "its project says it"


def test_trainings_of_older_versions_are_known_by_their_project(study):
    cell = make_cell(study)
    weights = train(study, cell, noted=False)
    assert check(study, cell, weights) == []
    other = make_cell(study, fold="none", input="swi+phase")
    with pytest.raises(DataError, match=r"input: trained with swi\+cphase"):
        check(study, other, weights)
    elsewhere = make_study(study.root.with_name("elsewhere"), spacing=(1.0, 1.0, 2.0))
    assert "1 mm per pixel" in check(elsewhere, make_cell(elsewhere), weights)[0]
    make_cell(study, scale="fixed")  # the project was made again, and nobody knows the former one
    assert "not known" in check(study, cell, weights)[0]


def test_a_project_trains_without_the_volumes_that_it_was_made_from(study):
    cell = make_cell(study)
    for subject in ("sub-001", "sub-002"):
        shutil.rmtree(study.subject(subject))
    made = trained_detector(study, cell)
    assert (made.input, made.pixel_mm, made.mode) == ("swi+cphase", None, None)
    assert "not known of what it was trained for: mm per pixel" in check(study, cell, train(study, cell))[0]


def test_detection_refuses_on_the_command_line(study):
    weights = train(study, make_cell(study))
    other = make_cell(study, fold="none", input="swi+phase", roles={**ROLES, "validation": []})
    run = CliRunner().invoke(cli, ["stage1-detect", str(other.folder), "--weights", str(weights)])
    assert run.exit_code == 1  # the runner has no main() around it
    assert isinstance(run.exception, DataError)
    assert not other.candidates.exists()


# --- stage 2


def make_patches(study, cell, **changed):
    made = {"scale": "fixed", "size": 16, "roles": ROLES, **changed}
    with publish(cell.patches, Record("stage2-crop", made)) as folder:
        folder.mkdir()


def train_classifier(study, cell, *, noted=True):
    with publish(cell.cnn, Record("stage2-train", {"patches": patches_digest(cell)})) as path:
        if noted:
            path.note(trained_for=trained_classifier(study, cell).as_json())
        path.write_bytes(b"network")


@pytest.mark.parametrize("noted", [True, False])
def test_a_second_stage_fits_the_patches_it_was_trained_on(study, noted):
    cell = make_cell(study)
    make_patches(study, cell)
    train_classifier(study, cell, noted=noted)
    assert check_classifier(study, cell, ["sub-003", "sub-004"]) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"scale": "paper"}, "scale of grey values: trained with fixed, given paper"),
     ({"size": 24}, "side of the image or patch: trained with 16, given 24")],
)  # fmt: skip
def test_patches_of_another_kind_are_refused(study, changed, said):
    cell = make_cell(study)
    make_patches(study, cell)
    train_classifier(study, cell)
    make_patches(study, cell, **changed)
    with pytest.raises(DataError, match=rf"cnn\.keras: was trained for something else\. {said}"):
        check_classifier(study, cell, ["sub-004"])


def test_a_second_stage_from_elsewhere(study, tmp_path):
    """Copied with its record it is known; without, or from an older version, it is not."""
    cell = make_cell(study)
    make_patches(study, cell)
    train_classifier(study, cell)
    elsewhere = make_study(tmp_path / "elsewhere", spacing=(0.8, 0.8, 2.0))
    other = make_cell(elsewhere)
    make_patches(elsewhere, other, seed=1)
    for path in (cell.cnn, sidecar(cell.cnn)):
        shutil.copy(path, other.folder)
    lines = check_classifier(elsewhere, other, ["sub-004"])
    assert "0.8 mm per pixel, trained with 0.5" in lines[0]
    assert lines[1] == "cnn.keras was trained on other patches than the cell holds now"
    sidecar(other.cnn).unlink()
    assert "cnn.keras: not known what it was trained for" in check_classifier(elsewhere, other, ["sub-004"])[0]
