"""The seam: choosing an engine, the binary's commands and text, what it does when things go wrong."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from cmb_toolkit.darknet import binary as binary_module
from cmb_toolkit.darknet.binary import (
    Binary,
    BinaryEngine,
    find_darknet,
    parse_probe,
    parse_valid,
    probe,
    probe_argv,
    valid_argv,
)
from cmb_toolkit.darknet.cfg import parse_cfg, read_cfg
from cmb_toolkit.darknet.embedded import EmbeddedEngine
from cmb_toolkit.darknet.engine import TrainingOptions, choose_engine
from cmb_toolkit.darknet.project import read_list
from cmb_toolkit.darknet.weights import Weights, initial_weights, read_weights, write_weights
from cmb_toolkit.errors import DarknetError, DataError, MissingError, UsageError
from cmb_toolkit.model import Box

DEBIAN = Path("/usr/bin/darknet")
needs_debian = pytest.mark.skipif(not os.access(DEBIAN, os.X_OK), reason="Debian's darknet is not installed")


def silent(done: int, total: int, what: str) -> None:
    pass


def script(path: Path, body: str) -> Path:
    """A program that answers as a Darknet and then does `body`."""
    answer = 'echo "Not an option: __probe__" >&2; exit 0'
    path.write_text(f'#!/bin/sh\nif [ "$1" = __probe__ ]; then {answer}; fi\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# --- choosing ---


def test_auto_is_embedded():
    assert choose_engine("auto").name == "embedded"
    assert choose_engine("embedded").describe().startswith("embedded (keras ")
    with pytest.raises(UsageError, match="engine 'caffe'"):
        choose_engine("caffe")
    with pytest.raises(UsageError, match="Leave one of them out"):
        choose_engine("embedded", Path("darknet"))


def test_where_darknet_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(binary_module, "_CHECKOUT", tmp_path / "none")
    monkeypatch.delenv("CMBTK_DARKNET", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match="no Darknet found"):
        find_darknet()
    on_path = script(tmp_path / "darknet", "")
    assert find_darknet().path == on_path
    checkout = script(tmp_path / "built", "")
    monkeypatch.setattr(binary_module, "_CHECKOUT", checkout)
    assert find_darknet().path == checkout
    named = script(tmp_path / "named", "")
    monkeypatch.setenv("CMBTK_DARKNET", str(named))
    assert find_darknet().path == named
    given = script(tmp_path / "given", "")
    assert find_darknet(given).path == given
    assert choose_engine("auto", given).name == "darknet"
    with pytest.raises(MissingError, match=r"absent: not a program"):
        find_darknet(tmp_path / "absent")
    monkeypatch.setenv("CMBTK_DARKNET", str(tmp_path / "absent"))
    with pytest.raises(MissingError, match=r"absent \(from CMBTK_DARKNET\)"):
        find_darknet()


@pytest.mark.parametrize(
    ("stdout", "stderr", "expected"),
    [
        ("", "Not an option: __probe__\n", ("original", False)),
        (
            " GPU isn't used \n",
            " OpenCV isn't used - data augmentation will be slow \nNot an option: __probe__\n",
            ("alexeyab", False),
        ),
        (" GPU isn't used \n Used AVX \n", " OpenCV version: 4.6.0\nNot an option: __probe__", ("alexeyab", False)),
        ("", " CUDA-version: 13000 (13000), GPU count: 1\nNot an option: __probe__\n", ("alexeyab", True)),
    ],
)
def test_flavours(stdout, stderr, expected):
    assert parse_probe(0, stdout, stderr, "darknet") == expected


@pytest.mark.parametrize(
    ("code", "stderr", "message"),
    [
        (1, "CUDA status Error: file: ./src/dark_cuda.c: func: cuda_set_device() line: 38", "no driver answers"),
        (-6, "darknet: ./src/cuda.c:36: check_error: Assertion `0' failed.", "no driver answers"),
        (127, "error while loading shared libraries: libcuda.so.1: cannot open", "libcuda.so.1 is missing"),
        (0, "usage: something else", "does not answer as a Darknet"),
        (2, "ls: unknown option", "does not answer as a Darknet"),
    ],
)
def test_what_cannot_run_here(code, stderr, message):
    with pytest.raises(DarknetError, match=f"my/darknet: .*{message}"):
        parse_probe(code, "", stderr, "my/darknet")


def test_not_even_a_program(tmp_path):
    path = tmp_path / "darknet"
    path.write_text("not a program")
    path.chmod(0o755)
    with pytest.raises(DarknetError, match=r"does not (run|answer)"):
        probe(path)


@pytest.mark.darknet
@needs_debian
def test_debians_flavour():
    assert probe(DEBIAN) == Binary(DEBIAN, "original", False)
    described = BinaryEngine(find_darknet(DEBIAN)).describe()
    assert described.startswith("darknet (original, CPU, sha256 ")
    assert "/" not in described


# --- commands and text ---


def test_argv():
    assert probe_argv(Path("/opt/darknet")) == ["/opt/darknet", "__probe__"]
    assert valid_argv(Path("/opt/darknet")) == [
        "/opt/darknet", "detector", "valid", "valid.data", "valid.cfg", "valid.weights",
    ]  # fmt: skip


def test_results_file():
    """Corners are one-based pixel edges; a stem may hold blanks."""
    boxes = parse_valid(
        "s 000 0.884791 24.968220 75.165451 39.047184 89.303268\ns1 0.5 1 1 128 30\ns1 0.25 2 2 5 5\n", "r.txt"
    )
    assert boxes == {
        "s 000": [Box(23.968220, 74.165451, 38.047184, 88.303268, 0.884791)],
        "s1": [Box(0, 0, 127, 29, 0.5), Box(1, 1, 4, 4, 0.25)],
    }
    assert parse_valid("", "r.txt") == {}
    for broken in ("s1 0.5 1 1 128", "s1 0.5 1 1 128 3x"):
        with pytest.raises(DarknetError, match=r"r\.txt, line 1"):
            parse_valid(broken, "r.txt")


# --- a Darknet that fails ---


@pytest.fixture
def ready(toy_project, tmp_path):
    """A project and weights for its network."""
    project = toy_project(count=5)
    write_weights(initial_weights(read_cfg(project / "yolo.cfg"), 0), tmp_path / "yolo.weights")
    return project, tmp_path / "yolo.weights"


def detect(engine, ready, *, threshold=0.01, nms=0.45, images=None, on_progress=silent):
    project, weights = ready
    chosen = read_list(project / "slices.txt") if images is None else images
    return engine.detect(project, weights, chosen, threshold=threshold, nms=nms, on_progress=on_progress)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo 'Couldn not do it' >&2; exit 0", r"ended early \(exit status 0\)(.|\n)*Couldn not do it"),
        ("kill -9 $$", r"exit status -9"),
        ("echo 'Cannot load image \"in/x.png\"' >&2; sleep 60", "Cannot load image"),
        ("echo 'Total Detection Time: 1 Seconds' >&2", "without its results file"),
        (
            "echo 's 0.5 1 1' > results/comp4_det_test_microbleed.txt; echo 'Total Detection Time: 1 Seconds' >&2",
            "did not finish",
        ),
    ],
)
def test_failures_of_the_binary_are_noticed(ready, tmp_path, body, message):
    engine = BinaryEngine(find_darknet(script(tmp_path / "darknet", body)))
    with pytest.raises(DarknetError, match=message):
        detect(engine, ready)


def test_binary_sees_short_relative_names_only(ready, tmp_path):
    """And a list of at least four images, the names in which it must find."""
    notes = tmp_path / "notes"
    body = (
        f"cat valid.data valid.txt > {notes}; head -3 valid.cfg >> {notes}; "
        "echo 'sub-001_slice-001 0.9 2 3 12 13' > results/comp4_det_test_microbleed.txt; "
        "echo 'filler0 0.9 2 3 12 13' >> results/comp4_det_test_microbleed.txt; "
        "for f in $(cat valid.txt) valid.weights; do test -s $f || exit 1; done; "
        "printf '4\\nTotal Detection Time: 1 Seconds\\n' >&2; exit 139"
    )
    engine = BinaryEngine(find_darknet(script(tmp_path / "darknet", body)))
    reports = []
    found = detect(
        engine,
        ready,
        images=["slices/sub-001_slice-000.png", "slices/sub-001_slice-001.png"],
        on_progress=lambda *report: reports.append(report[:2]),
    )
    assert [(d.image, d.box) for d in found] == [("sub-001_slice-001", Box(1, 2, 11, 12, 0.9))]
    lines = notes.read_text().splitlines()
    assert lines[:4] == ["classes=1", "valid=valid.txt", "names=valid.names", "results=results"]
    assert lines[4:8] == [
        "in/sub-001_slice-000.png", "in/sub-001_slice-001.png", "in/filler0.png", "in/filler1.png",
    ]  # fmt: skip
    assert reports[-1] == (2, 2)


def test_built_in_limits_of_the_binary(ready):
    engine = BinaryEngine(Binary(Path("darknet"), "original", False))
    with pytest.raises(UsageError, match=r"0\.005.*0\.45.*built in"):
        detect(engine, ready, threshold=0.001)
    with pytest.raises(UsageError, match="built in"):
        detect(engine, ready, nms=0.6)


def test_original_cannot_train(ready, tmp_path):
    for flavour, reason in (("original", "cannot train.*region layer"), ("alexeyab", "embedded engine only")):
        engine = BinaryEngine(Binary(Path("darknet"), flavour, False))
        with pytest.raises(DarknetError, match=reason):
            engine.train(ready[0], tmp_path / "out.weights", TrainingOptions(), silent)
    assert not (tmp_path / "out.weights").exists()


# --- both engines on bad input ---


@pytest.fixture(params=["embedded", "darknet"])
def engine(request, tmp_path):
    if request.param == "embedded":
        return EmbeddedEngine()
    return BinaryEngine(find_darknet(script(tmp_path / "darknet", "echo must not be reached >&2; exit 3")))


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda p, w: (p / "slices/sub-001_slice-002.png").write_bytes(b"x"), DataError, r"slice-002\.png: not a read"),
        (lambda p, w: (p / "slices/sub-001_slice-002.png").unlink(), MissingError, r"slice-002\.png"),
        (lambda p, w: w.write_bytes(w.read_bytes()[:-4]), DataError, r"yolo\.weights: .*cut off"),
        (lambda p, w: w.unlink(), MissingError, r"yolo\.weights"),
        (lambda p, w: (p / "yolo.cfg").unlink(), MissingError, r"yolo\.cfg"),
    ],
)
def test_bad_input_to_detection(engine, ready, spoil, error, message):
    spoil(*ready)
    with pytest.raises(error, match=message):
        detect(engine, ready)


def test_no_images_no_boxes(engine, ready):
    assert detect(engine, ready, images=[]) == []


# --- the embedded engine ---


def test_embedded_trains_and_detects(toy_project, tmp_path):
    project, weights = toy_project(count=13), tmp_path / "yolo.weights"
    cfg_text = (project / "yolo.cfg").read_text()
    (project / "yolo.cfg").write_text(cfg_text.replace("max_batches=6", "max_batches=150"))
    history = EmbeddedEngine().train(project, weights, TrainingOptions(seed=1), silent)
    assert len(history) == 150
    trained = read_weights(weights, read_cfg(project / "yolo.cfg"))
    assert trained.seen == 600
    reports = []
    images = read_list(project / "slices.txt")
    found = EmbeddedEngine().detect(
        project, weights, images, threshold=0.3, nms=0.45, on_progress=lambda *r: reports.append(r[:2])
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
