"""The embedded engine behind the seam."""

from pathlib import Path

import numpy as np

from cmb_toolkit.darknet.cfg import parse_cfg, read_cfg
from cmb_toolkit.darknet.embedded import EmbeddedEngine
from cmb_toolkit.darknet.engine import TrainingOptions
from cmb_toolkit.darknet.project import read_list
from cmb_toolkit.darknet.weights import Weights, initial_weights, read_weights, write_weights


def silent(done: int, total: int, what: str) -> None:
    pass


def test_embedded_trains_and_detects(toy_project, pictures, tmp_path):
    project, weights = toy_project(count=13), tmp_path / "yolo.weights"
    cfg_text = (project / "yolo.cfg").read_text()
    (project / "yolo.cfg").write_text(cfg_text.replace("max_batches=6", "max_batches=150"))
    history = EmbeddedEngine().train(project, weights, TrainingOptions(seed=1), silent)
    assert len(history) == 150
    trained = read_weights(weights, read_cfg(project / "yolo.cfg"))
    assert trained.seen == 600
    reports = []
    images = read_list(project / "train.txt")
    found = EmbeddedEngine().detect(
        project, weights, pictures(project), threshold=0.3, nms=0.45, on_progress=lambda *r: reports.append(r[:2])
    )
    assert reports == [(0, 13), (8, 13), (13, 13)]
    order = [Path(image).stem for image in images]
    assert [order.index(d.image) for d in found] == sorted(order.index(d.image) for d in found)
    hits = wanted = 0
    for image in images:
        label = (project / image).with_suffix(".txt").read_text().splitlines()
        here = [d.box for d in found if d.image == Path(image).stem]
        assert [box.confidence for box in here] == sorted((box.confidence for box in here), reverse=True)
        for line in label:
            x, y = (float(value) * 64 for value in line.split()[1:3])
            wanted += 1
            hits += any(np.hypot(box.centre[0] - x, box.centre[1] - y) < 4 for box in here)
    assert hits >= 0.8 * wanted  # it has seen these images


def test_embedded_begins_with_given_weights(toy_project, tmp_path):
    project = toy_project()
    cfg = parse_cfg((project / "yolo.cfg").read_text())
    write_weights(Weights(initial_weights(cfg, 42).layers[:1]), tmp_path / "backbone")
    options = TrainingOptions(seed=1, weights=tmp_path / "backbone")
    frozen = (project / "yolo.cfg").read_text().replace("learning_rate=0.01", "learning_rate=0")
    (project / "yolo.cfg").write_text(frozen.replace("max_batches=6", "max_batches=1"))
    EmbeddedEngine().train(project, tmp_path / "out.weights", options, silent)
    out = read_weights(tmp_path / "out.weights", cfg)
    np.testing.assert_array_equal(out.layers[0].weights, initial_weights(cfg, 42).layers[0].weights)
    np.testing.assert_array_equal(out.layers[1].weights, initial_weights(cfg, 1).layers[1].weights)
