"""A trained model as one thing."""

import json

import pytest

from cmb_toolkit.errors import MissingError
from cmb_toolkit.io.publish import Record, publish
from cmb_toolkit.purpose import Purpose
from cmb_toolkit.study.model import read_model


@pytest.fixture
def cell(classified_study):
    return classified_study.cell("slab", "swi+cphase-averaged", "1")


def written(target, step, **noted):
    with publish(target, Record(step, {})) as path:
        path.note(**noted)
        path.write_bytes(b"weights")


def test_a_model_is_what_a_cell_learned_and_from_whom(classified_study, cell, tmp_path):
    study = classified_study
    purpose = Purpose(input="swi+cphase-averaged", size=128, pixel_mm=(0.9, 0.9), slice_mm=(2.0, 2.0))
    written(cell.weights, "stage1-train", trained_for=purpose.as_json())
    learners = {"train": {"subjects": ["sub-008"]}, "validation": {"subjects": ["sub-009"]}}
    written(cell.cnn, "stage2-train", trained_for=Purpose(size=16, scale="fixed").as_json(), **learners)
    for subject, sign in (("sub-008", 1), ("sub-009", -1)):
        with publish(study.subject(subject), Record("preprocess", {"unwrap": "path", "phase_sign": sign})) as folder:
            folder.mkdir()
    model = read_model(study, cell)
    assert (model.setup.method, model.setup.input, model.setup.size) == ("yolo", "swi+cphase-averaged", 128)
    assert model.detector.trained_for == purpose
    assert model.classifier.trained_for.size == 16
    assert {stage: each.value for stage, each in model.thresholds.items()} == {"stage1": 0.05, "stage2": 0.5}
    assert model.persons == {"sub-008", "sub-009"}
    assert model.preprocessing == {"unwrap": "path"}, "what differs from scan to scan is no part of the model"
    said = json.dumps(model.as_json())
    assert str(tmp_path) not in said
    assert json.loads(said)["trained_for"]["detector"]["pixel_mm"] == [0.9, 0.9]


def test_a_cell_that_has_not_learned_is_no_model(classified_study, cell):
    with pytest.raises(MissingError, match="Run `cmbtk stage1-train"):
        read_model(classified_study, cell)


def test_weights_of_which_nothing_is_noted_are_known_as_such(classified_study, cell):
    cell.weights.write_bytes(b"from elsewhere")
    model = read_model(classified_study, cell)
    assert model.detector.trained_for is None
    assert model.unknown
