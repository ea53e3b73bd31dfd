"""Looks at a training: when, what is kept of them, and what a kill at any moment changes (nothing)."""

import numpy as np
import pytest

from cmb_toolkit.darknet.cfg import parse_cfg, read_cfg
from cmb_toolkit.darknet.embedded import EmbeddedEngine
from cmb_toolkit.darknet.images import Images, in_memory
from cmb_toolkit.darknet.project import set_net
from cmb_toolkit.darknet.training import train_project
from cmb_toolkit.darknet.watching import Judgement, Watch
from cmb_toolkit.darknet.weights import Weights, initial_weights, read_weights, write_weights
from cmb_toolkit.errors import DataError


def arrays(weights: Weights) -> list[np.ndarray]:
    return [array for layer in weights.layers for array in layer.arrays()]


def same(a: Weights, b: Weights) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(arrays(a), arrays(b), strict=True))


def named(*names: str) -> Images:
    return in_memory(names, np.zeros((len(names), 64, 64, 3), np.uint8))


def looks(watch: Watch) -> list[tuple[int, bool]]:
    return [(row["iteration"], row["best"]) for row in watch.rows]


def scripted(ranks):
    """A judge that ranks one look after the other as it is told; None is no rank, an error is raised."""
    left = list(ranks)

    def judge(found) -> Judgement:
        rank = left.pop(0)
        if isinstance(rank, Exception):
            raise rank
        return Judgement([{"found": len(found)}], rank if rank is None else (rank, -0.5), f"rank {rank}")

    return judge


@pytest.fixture
def watched(toy_cfg, tmp_path):
    """A function that goes through a training of 8 iterations without training, and is told how good each look is."""
    cfg = parse_cfg(set_net(toy_cfg, {"max_batches": 8}))

    def go(ranks, first=0, start=None, folder=tmp_path / "scratch", last=8, **options):
        if folder is not None:
            folder.mkdir(exist_ok=True)
        watch = Watch(named("a", "b"), scripted(ranks), **{"points": 4, **options})
        start = first if start is None else start
        watch.begin(folder, cfg, first, start)
        for iteration in range(start, last + 1):
            if watch.due(iteration):
                weights = initial_weights(cfg, iteration)
                watch.look(iteration, Weights(weights.layers, iteration * cfg.net.batch), lambda images: [None] * 3)
        return watch

    def of(iteration):
        return initial_weights(cfg, iteration)

    go.of, go.cfg = of, cfg
    return go


@pytest.mark.parametrize("folder", [True, False])
def test_the_best_look_is_kept_and_of_equals_the_later(watched, tmp_path, folder):
    scratch = tmp_path / "scratch" if folder else None
    watch = watched([1, 3, 3, 2], folder=scratch)
    assert looks(watch) == [(2, True), (4, True), (6, True), (8, False)]
    assert watch.best.iteration == 6
    assert same(watch.chosen(watched.of(8)), watched.of(6))
    assert watch.chosen(watched.of(8)).seen == 6 * 4
    if folder:
        assert sorted(path.name for path in scratch.iterdir()) == ["best_00000006.weights", "watch.jsonl"]


def test_the_last_weights_where_they_are_asked_for_or_nothing_was_ranked(watched):
    assert same(watched([1, 3, 3, 2], select="last").chosen(watched.of(8)), watched.of(8))
    assert same(watched([None] * 4).chosen(watched.of(8)), watched.of(8))


@pytest.mark.parametrize(
    ("points", "first", "at"),
    [(4, 0, [2, 4, 6, 8]), (3, 0, [3, 5, 8]), (50, 0, list(range(1, 9))), (1, 0, [8]), (2, 4, [6, 8])],
)
def test_looks_are_at_equal_distances_and_the_last_is_the_end(watched, points, first, at):
    watch = watched([1] * 8, first=first, points=points)
    assert [look.iteration for look in watch.looks] == at


def test_a_point_that_was_passed_is_looked_at_once(watched):
    watch = watched([1, 2], last=0)
    assert not watch.due(1)
    assert watch.due(5)
    watch.look(5, watched.of(5), lambda images: [])
    assert not watch.due(5)
    assert watch.due(6)


def test_what_goes_wrong_in_a_look_stops_nothing(watched):
    watch = watched([1, DataError("no such image"), None, 0])
    assert looks(watch) == [(2, True), (6, False), (8, False)]
    assert watch.best.iteration == 2
    failing = watched([DataError("no such image")], last=2)
    assert failing.said == "not looked at: no such image"


def test_gone_on_with_it_knows_what_was_best(watched, tmp_path):
    watched([5, 3], last=5)
    watch = watched([4, 6], start=5)
    assert looks(watch) == [(2, True), (4, False), (6, False), (8, True)]
    watch = watched([1, 1], start=4)  # from an older checkpoint: what came later never was
    assert looks(watch) == [(2, False), (4, False), (6, True), (8, True)]


def test_a_best_file_that_is_lost_is_not_chosen(watched, tmp_path):
    watched([5, 3], last=4)
    path = tmp_path / "scratch" / "best_00000002.weights"
    path.write_bytes(path.read_bytes()[:-4])
    watch = watched([1, 0], start=4)
    assert watch.best.iteration == 6
    assert same(watch.chosen(watched.of(8)), watched.of(6))
    (tmp_path / "scratch" / "watch.jsonl").write_text('{"iteration": 2, "rows"')
    assert looks(watched([3, 1, 2], start=4)) == [(4, True), (6, False), (8, False)]


class KilledError(Exception):
    pass


def hashed(found) -> Judgement:
    """Another rank for other boxes, to the last bit."""
    total = sum(one.box.confidence * (1 + one.box.left) for one in found)
    return Judgement([{"boxes": len(found), "total": total}], (float(str(total)[-3:]),))


def test_killed_at_any_moment_ends_with_the_same_best_weights(toy_project, pictures, tmp_path):
    """In the middle of an iteration, before a look, in one, and in the one after the last iteration."""
    project, scratch = toy_project(), tmp_path / "scratch"
    images = pictures(project)
    expected = Watch(images, hashed, points=3, threshold=1e-6)
    weights = train_project(project, watch=expected).weights
    assert [look.iteration for look in expected.looks] == [2, 4, 6]

    def kill(done: int, what: str):
        def on_progress(at: int, total: int, said: str) -> None:
            if (at, said.split(maxsplit=1)[0]) == (done, what):
                raise KilledError

        return on_progress

    def judge(found) -> Judgement:
        raise KilledError

    for on_progress, judged in ((kill(4, "looking"), hashed), (kill(5, "loss"), hashed), (kill(9, ""), judge)):
        with pytest.raises(KilledError):
            train_project(
                project, scratch=scratch, on_progress=on_progress,
                watch=Watch(images, judged, points=3, threshold=1e-6),
            )  # fmt: skip
    watch = Watch(images, hashed, points=3, threshold=1e-6)
    reports = []
    resumed = train_project(project, scratch=scratch, watch=watch, on_progress=lambda *report: reports.append(report))
    assert (6, 6, "going on from the checkpoint") in reports
    assert same(resumed.weights, weights)
    assert resumed.weights.seen == weights.seen == expected.best.iteration * 4
    assert watch.looks == expected.looks


def test_another_watch_is_another_training():
    def judge(found): ...

    one = Watch(named("a"), judge, identity="marks").identity
    others = [
        Watch(named("b"), judge, identity="marks"),
        Watch(named("a"), judge),
        Watch(named("a"), judge, points=3, identity="marks"),
    ]
    assert one not in {other.identity for other in others}
    assert Watch(named("a"), judge, select="last", identity="marks").identity == one, "it is chosen at the end"


def test_the_network_in_training_finds_what_its_weights_find(toy_project, pictures, tmp_path):
    """Looking costs no accuracy, and changes nothing of the training."""
    project = toy_project()
    images = pictures(project)
    seen = []
    watch = Watch(images, lambda found: Judgement([], (float(seen.append(found) is None),)), points=2, threshold=0.01)
    watched = train_project(project, watch=watch)
    assert same(watched.weights, train_project(project).weights)
    write_weights(watched.weights, tmp_path / "end.weights")
    assert read_weights(tmp_path / "end.weights", read_cfg(project / "yolo.cfg")).seen == 24
    found = EmbeddedEngine().detect(
        project, tmp_path / "end.weights", images, threshold=0.01, nms=0.45, most=200, on_progress=lambda *report: None
    )
    assert len(found) == len(seen[1]) > 20
    for one, other in zip(found, seen[1], strict=True):
        assert one.image == other.image
        assert one.box.confidence == pytest.approx(other.box.confidence, abs=1e-4)
