"""Going on with Adam from a file that does not hold its moments: Darknet's rule, written out, with and without."""

from dataclasses import replace

import numpy as np
import pytest

from cmb_toolkit.darknet import gpu as gpu_module
from cmb_toolkit.darknet.cfg import parse_cfg
from cmb_toolkit.darknet.engine import TrainingOptions
from cmb_toolkit.darknet.layers import Net
from cmb_toolkit.darknet.project import set_net
from cmb_toolkit.darknet.restart import excess, restarted, schedule_keys
from cmb_toolkit.darknet.weights import initial_weights, write_weights
from cmb_toolkit.errors import DarknetError

PAPER = Net(
    448, 448, adam=True, learning_rate=0.001, burn_in=100, max_batches=3000, policy="steps", steps=(1100, 1600),
    scales=(0.3, 0.1),
)  # fmt: skip


def darknets_adam(gradients, rates, since):
    """Weights after each step of Darknet's GPU code, whose t is the iteration; moments of zero, as after a start."""
    b1, b2, eps = 0.9, 0.999, 1e-6
    w = m = v = np.zeros(gradients.shape[1])
    path = []
    for t, (d, rate) in enumerate(zip(gradients, rates, strict=True), since + 1):
        m, v = b1 * m + (1 - b1) * d, b2 * v + (1 - b2) * d**2
        w = w + rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        path.append(w)
    return np.array(path)


def rates(net, since, count):
    return [net.rate(iteration) for iteration in range(since + 1, since + count + 1)]


@pytest.mark.parametrize(("since", "first", "after_ten"), [(169, 1.25, 2.65), (2000, 2.94, 6.08), (20000, 3.16, 6.53)])
def test_what_happens_without(since, first, after_ten):
    """The first step moves every weight by more than the full rate, the tenth by up to six and a half times it."""
    net = replace(PAPER, policy="constant", max_batches=30000)
    path = darknets_adam(np.full((10, 1), 3.0), rates(net, since, 10), since)
    steps = np.diff(path, axis=0, prepend=0)[:, 0] / net.learning_rate
    assert steps[0] == pytest.approx(first, rel=0.01)
    assert steps[-1] == pytest.approx(after_ten, rel=0.01)
    assert steps == pytest.approx([excess(net, since, since + k) for k in range(1, 11)], rel=1e-4)
    fresh = np.diff(darknets_adam(np.full((10, 1), 3.0), rates(net, 0, 10), 0), axis=0, prepend=0)[:, 0]
    assert fresh.max() < 1e-4 * net.learning_rate, "a fresh training is burnt in"


@pytest.mark.parametrize("since", [1, 169, 1000, 2000])
def test_the_steps_are_those_of_a_training_begun_there(since):
    """With the rates of the schedule, burnt in anew, and moments that count from there."""
    count = 400
    random = np.random.default_rng(since)
    gradients = random.normal(0.3, 1, (count, 50)) * np.geomspace(0.1, 10, 50)
    anew = [
        PAPER.rate(since + k) * min(1, k / PAPER.burn_in) ** PAPER.power for k in range(1, count + 1)
    ]  # the schedule's own burn-in counts as well where it was not over
    wanted = np.diff(darknets_adam(gradients, anew, 0), axis=0, prepend=0)
    found = np.diff(darknets_adam(gradients, rates(restarted(PAPER, since), since, count), since), axis=0, prepend=0)
    assert found == pytest.approx(wanted, rel=0.03, abs=1e-12)
    assert np.abs(found[0]).max() < 1e-6 * PAPER.learning_rate


def test_the_schedule_goes_on_where_it_was_to_be():
    going_on = restarted(PAPER, 169)
    for iteration in (1000, 1099, 1100, 1599, 1600, 2999):
        below = excess(PAPER, 169, iteration)
        assert going_on.rate(iteration) == pytest.approx(PAPER.rate(iteration) / below, rel=0.03)
    assert 1 <= excess(PAPER, 169, 2999) < 1.01
    assert len(going_on.steps) < 300


def test_nothing_is_changed_where_nothing_is_missing():
    assert restarted(PAPER, 0) is PAPER
    plain = replace(PAPER, adam=False)
    assert restarted(plain, 500) is plain
    assert restarted(PAPER, 3000) is PAPER
    (rate,) = rates(restarted(PAPER, 2999), 2999, 1)
    assert 0 < rate < 1e-6


@pytest.mark.parametrize("since", [3, 2998, 2999])
def test_a_network_file_says_it(toy_cfg, since):
    text = toy_cfg.replace("max_batches=6", "max_batches=3000").replace("policy=constant", "policy=constant\nscales=7")
    net = restarted(parse_cfg(text).net, since)
    said = parse_cfg(set_net(text, schedule_keys(net))).net
    assert rates(said, since, 3000 - since) == pytest.approx(rates(net, since, 3000 - since), rel=1e-5)
    # Darknet multiplies in single precision
    rate = np.float32(said.learning_rate)
    for scale in said.scales if said.policy == "steps" else ():
        rate *= np.float32(scale)
    assert rate == pytest.approx(net.rate(3000), rel=1e-4)


def test_darknet_is_told(fake, toy_project, toy_cfg, tmp_path, monkeypatch):
    """Of weights of an earlier training, and of a snapshot of its own; the history tells the rates that were used."""
    monkeypatch.setattr(gpu_module, "_FOLDER", tmp_path)
    project = toy_project(cfg=toy_cfg.replace("max_batches=6", "max_batches=16"))
    net = parse_cfg((project / "yolo.cfg").read_text()).net
    write_weights(replace(initial_weights(parse_cfg(toy_cfg), 1), seen=9 * net.batch), tmp_path / "given.weights")

    def options(folder: str) -> TrainingOptions:
        return TrainingOptions(
            weights=tmp_path / "given.weights", count_on=True, scratch=tmp_path / folder, checkpoint_every_s=1e-9
        )

    def told(folder: str) -> Net:
        return parse_cfg((tmp_path / folder / "darknet" / "yolo.cfg").read_text()).net

    out = tmp_path / "out.weights"
    history = fake("cuda").train(project, out, options("whole"), lambda *report: None)
    assert history["rate"].tolist() == pytest.approx(rates(restarted(net, 9), 9, 7), rel=1e-6)
    assert rates(told("whole"), 9, 7) == pytest.approx(history["rate"].tolist(), rel=1e-6)
    with pytest.raises(DarknetError):
        fake("cuda die_at=13").train(project, out, options("killed"), lambda *report: None)
    history = fake("cuda").train(project, out, options("killed"), lambda *report: None)
    assert rates(told("killed"), 12, 4) == pytest.approx(rates(restarted(net, 12), 12, 4), rel=1e-6)
    assert history["rate"].tolist()[-4:] == pytest.approx(rates(restarted(net, 12), 12, 4), rel=1e-6)


def test_moments_begun_on_the_way_are_known_to_be_so(toy_project, toy_cfg, tmp_path):
    """Stopped again and gone on from its own checkpoint, a training ends with the same weights as without the stop."""
    from cmb_toolkit.darknet.training import train_project

    project = toy_project(cfg=toy_cfg.replace("max_batches=6", "max_batches=14"))
    first = initial_weights(parse_cfg(toy_cfg), 1)
    given = tmp_path / "given.weights"
    write_weights(replace(first, seen=4 * 4), given)

    def stop(done: int, total: int, what: str) -> None:
        if done == 10:
            raise KeyboardInterrupt

    options = {"seed": 3, "weights": given, "count_on": True, "checkpoint_every_s": 0.0}
    with pytest.raises(KeyboardInterrupt):
        train_project(project, scratch=tmp_path / "a", on_progress=stop, **options)
    stopped = train_project(project, scratch=tmp_path / "a", **options)
    whole = train_project(project, scratch=tmp_path / "b", **options)
    assert stopped.history["rate"].tolist() == whole.history["rate"].tolist()
    expected = rates(restarted(parse_cfg((project / "yolo.cfg").read_text()).net, 4), 4, 10)
    assert whole.history["rate"].tolist() == pytest.approx(expected, rel=1e-6)
    for one, other in zip(stopped.weights.layers, whole.weights.layers, strict=True):
        np.testing.assert_array_equal(one.weights, other.weights)
