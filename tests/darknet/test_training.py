import shutil
from dataclasses import replace

import numpy as np
import pytest

from cmb_toolkit.darknet.cfg import parse_cfg, read_cfg
from cmb_toolkit.darknet.project import set_net
from cmb_toolkit.darknet.samples import Samples, digest_of_samples
from cmb_toolkit.darknet.training import train_project
from cmb_toolkit.darknet.weights import Weights, initial_weights, read_weights, write_weights
from cmb_toolkit.errors import DarknetError, DataError, MissingError, UsageError
from cmb_toolkit.schema import YOLO_HISTORY


def arrays(weights: Weights) -> list[np.ndarray]:
    return [array for layer in weights.layers for array in layer.arrays()]


def assert_equal(a: Weights, b: Weights) -> None:
    for x, y in zip(arrays(a), arrays(b), strict=True):
        np.testing.assert_array_equal(x, y)


def edit(project, **values) -> None:
    path = project / "yolo.cfg"
    path.write_text(set_net(path.read_text(), values))


class KilledError(Exception):
    pass


def killed_after(iteration: int):
    def on_progress(done: int, total: int, what: str) -> None:
        if done == iteration:
            raise KilledError

    return on_progress


def test_learns_and_is_deterministic(toy_project):
    project = toy_project()
    trained = train_project(project, seed=7, max_batches=60)
    history = trained.history
    assert list(history.columns) == YOLO_HISTORY.names
    assert history["iteration"].tolist() == list(range(1, 61))
    assert history["images"].iloc[-1] == trained.weights.seen == 240
    assert history["loss"].iloc[-10:].mean() < 0.5 * history["loss"].iloc[:5].mean()
    average = history["loss"].iloc[0]
    for loss, expected in zip(history["loss"][1:], history["avg_loss"][1:], strict=True):
        average = 0.9 * average + 0.1 * loss
        assert average == pytest.approx(expected)
    short = [train_project(project, seed=7, max_batches=3).weights for _ in range(2)]
    assert_equal(*short)
    other = train_project(project, seed=8, max_batches=3).weights
    assert not np.array_equal(arrays(other)[-1], arrays(short[0])[-1])


@pytest.mark.parametrize("adam", [0, 1])
def test_killed_and_resumed_ends_with_the_same_weights(toy_project, tmp_path, adam):
    project, scratch = toy_project(), tmp_path / "scratch"
    edit(project, adam=adam, subdivisions=2)
    expected = train_project(project)
    with pytest.raises(KilledError):
        train_project(project, scratch=scratch, checkpoint_every_s=0, on_progress=killed_after(4))
    assert sorted(file.name for file in scratch.glob("yolo_*3.*")) == ["yolo_00000003.npz", "yolo_00000003.weights"]
    seen = []
    resumed = train_project(project, scratch=scratch, on_progress=lambda *report: seen.append(report))
    assert seen[1] == (3, 6, "going on from the checkpoint")
    assert_equal(resumed.weights, expected.weights)
    assert resumed.history["iteration"].tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(resumed.history["loss"], expected.history["loss"])
    assert resumed.history["seconds"].is_monotonic_increasing


def test_rough_numbers_learn_as_well_resume_and_do_not_mix(toy_project, tmp_path):
    project, scratch = toy_project(), tmp_path / "scratch"
    exact, rough = (train_project(project, seed=7, max_batches=60, precision=p) for p in ("f32", "bf16"))
    first = [trained.history["loss"].iloc[:5].mean() for trained in (exact, rough)]
    assert first[0] != first[1]
    assert first[0] == pytest.approx(first[1], rel=0.02)
    assert rough.history["loss"].iloc[-10:].mean() < 0.5 * first[1]
    assert {array.dtype for array in arrays(rough.weights)} == {np.dtype(np.float32)}
    short = train_project(project, seed=7, precision="bf16")
    with pytest.raises(KilledError):
        train_project(
            project, seed=7, precision="bf16", scratch=scratch, checkpoint_every_s=0, on_progress=killed_after(4)
        )
    said = []
    resumed = train_project(
        project, seed=7, precision="bf16", scratch=scratch, on_progress=lambda done, total, what: said.append(what)
    )
    assert "going on from the checkpoint" in said
    assert_equal(resumed.weights, short.weights)
    assert_equal(train_project(project, seed=7, scratch=scratch).weights, train_project(project, seed=7).weights)


def test_checkpoint_of_another_training_or_damaged_is_not_used(toy_project, tmp_path):
    project, scratch = toy_project(), tmp_path / "scratch"
    with pytest.raises(KilledError):
        train_project(project, seed=1, scratch=scratch, checkpoint_every_s=0, on_progress=killed_after(4))
    reports: list[tuple[int, int]] = []

    def train() -> None:
        reports.clear()
        train_project(
            project,
            seed=2,
            max_batches=2,
            scratch=scratch,
            checkpoint_every_s=0,
            on_progress=lambda done, total, what: reports.append((done, total)),
        )

    train()
    assert (1, 2) in reports
    for path in scratch.glob("*.weights"):
        path.write_bytes(path.read_bytes()[:1000])
    train()
    assert (1, 2) in reports


def test_diverging_training_stops_and_keeps_the_checkpoint(toy_project, tmp_path):
    project, scratch = toy_project(), tmp_path / "scratch"
    edit(project, adam=0, learning_rate="1e6", burn_in=0, max_batches=20)
    with pytest.raises(DarknetError, match=r"diverged.*learning_rate"):
        train_project(project)
    edit(project, learning_rate="0.001", policy="steps", steps="4", scales="1e6")
    with pytest.raises(DarknetError, match=r"last good checkpoint is kept: .*yolo_0+\d\.weights"):
        train_project(project, scratch=scratch, checkpoint_every_s=0)
    for path in scratch.glob("*.weights"):
        assert read_weights(path, read_cfg(project / "yolo.cfg")).is_finite()


def test_starting_weights(toy_project, tmp_path):
    project = toy_project()
    edit(project, learning_rate=0, burn_in=0, adam=0)
    cfg = read_cfg(project / "yolo.cfg")
    start = initial_weights(cfg, 99)
    write_weights(Weights(start.layers[:2]), tmp_path / "backbone")
    part = train_project(project, seed=1, max_batches=1, weights=tmp_path / "backbone")
    np.testing.assert_array_equal(part.weights.layers[1].weights, start.layers[1].weights)
    np.testing.assert_array_equal(part.weights.layers[2].weights, initial_weights(cfg, 1).layers[2].weights)


def test_other_sizes_while_training(toy_project):
    """random=1: batches of other sizes through the same weights."""
    project = toy_project()
    path = project / "yolo.cfg"
    path.write_text(path.read_text().replace("[region]", "[region]\nrandom=1"))
    trained = train_project(project, max_batches=2)
    assert trained.weights.is_finite()


def test_batches_do_not_depend_on_the_cache(toy_project):
    project = toy_project()
    cfg = read_cfg(project / "yolo.cfg")
    net = replace(cfg.net, flip=True, exposure=1.5)
    cfg = replace(cfg, net=net)
    images = sorted((project / "slices").glob("*.png"))
    cached, read = Samples(cfg, images), Samples(cfg, images, cache_bytes=0)
    for iteration, batch in enumerate(cached.batches(3, 6, seed=5), 3):
        again = read.batch(iteration, seed=5)
        np.testing.assert_array_equal(batch[0], again[0])
        np.testing.assert_array_equal(batch[1], again[1])
    first = cached.batch(1, 5)
    assert not np.array_equal(first[0], cached.batch(2, 5)[0])
    assert not np.array_equal(first[0], cached.batch(1, 6)[0])
    assert first[0].shape == (4, 64, 64, 3)
    assert first[1].shape == (4, 2, 5)


def test_identity_of_a_training_set(toy_project):
    project = toy_project()
    images = sorted((project / "slices").glob("*.png"))
    first = digest_of_samples(images)
    assert digest_of_samples(images) == first
    assert digest_of_samples(images[1:]) != first
    images[2].with_suffix(".txt").write_text("0 0.5 0.5 0.2 0.2\n")
    assert digest_of_samples(images) != first
    images[0].unlink()
    with pytest.raises(MissingError, match=r"slice-000\.png: not found"):
        digest_of_samples(images)


def test_images_are_rgb_and_drawn_with_replacement(toy_project):
    project = toy_project(count=2)
    cfg = read_cfg(project / "yolo.cfg")
    samples = Samples(cfg, sorted((project / "slices").glob("*.png")))
    batches = [samples.batch(n, 0)[0] for n in range(1, 6)]
    red, green, blue = np.concatenate(batches).reshape(-1, 3).mean(axis=0)
    assert red < blue * 0.95  # the file's first channel is blue, and the darkest is red
    assert green > blue
    assert any(len({image.tobytes() for image in batch}) == 1 for batch in batches)


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda p: (p / "slices/sub-001_slice-001.txt").unlink(), MissingError, r"slice-001\.txt: not found"),
        (lambda p: (p / "slices/sub-001_slice-001.txt").write_text("0 .5 .5 .1"), DataError, r"slice-001\.txt, line 1"),
        (lambda p: (p / "slices/sub-001_slice-002.png").unlink(), MissingError, r"slice-002\.png: not found"),
        (lambda p: (p / "slices/sub-001_slice-002.png").write_bytes(b"no"), DataError, r"slice-002\.png: not a read"),
        (lambda p: (p / "slices/sub-001_slice-002.png").write_bytes(b""), DataError, r"slice-002\.png: not a read"),
        (lambda p: edit(p, width=128, height=128), DataError, r"64x64 pixels.*takes 128x128"),
        (lambda p: edit(p, max_batches=0), UsageError, "max_batches=0"),
        (lambda p: (p / "train.txt").write_text(""), DataError, r"train\.txt: is empty"),
        (lambda p: (p / "train.txt").unlink(), MissingError, r"train\.txt"),
        (lambda p: (p / "yolo.cfg").unlink(), MissingError, r"yolo\.cfg"),
        (shutil.rmtree, MissingError, r"yolo\.cfg"),
    ],
)
def test_bad_projects(toy_project, spoil, error, message):
    project = toy_project()
    spoil(project)
    with pytest.raises(error, match=message):
        train_project(project)


def test_too_many_boxes(toy_project):
    project = toy_project()
    path = project / "yolo.cfg"
    path.write_text(path.read_text().replace("[region]", "[region]\nmax=1"))
    with pytest.raises(DataError, match=r"slice-002\.txt: 2 boxes, but the cfg allows max=1"):
        train_project(project)


def test_more_than_one_class(toy_project, toy_cfg):
    two = toy_cfg.replace("classes=1", "classes=2").replace("filters=12\nsize=1", "filters=14\nsize=1")
    assert parse_cfg(two).region.classes == 2
    with pytest.raises(DataError, match="classes=2; there is one class"):
        train_project(toy_project(two))
