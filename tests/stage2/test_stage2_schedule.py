import pytest

from cmb_toolkit.device import on_gpu
from cmb_toolkit.errors import UsageError
from cmb_toolkit.stage2.recipe import ClassifierTraining, Scheduled
from cmb_toolkit.stage2.schedule import duration, scheduled


def never():
    raise AssertionError("nothing depends on the machine here")


@pytest.mark.parametrize(
    ("name", "network", "gpu", "trained", "epochs"),
    [
        ("auto", None, lambda: False, "small", 20),
        ("auto", None, lambda: True, "paper", 15),
        ("auto", "channel", never, "channel", 15),
        ("short", None, never, "paper", 15),
        ("short", "small", never, "small", 20),
    ],
)
def test_the_short_schedule_fits_the_machine(name, network, gpu, trained, epochs):
    recipe = scheduled(ClassifierTraining(name, network), gpu)
    assert recipe.network == trained
    assert (recipe.epochs, recipe.copies, recipe.augmentation) == (epochs, (6, 1), "drawn")
    small = trained == "small"
    assert (recipe.warm_up, recipe.learning_rate, recipe.decay) == (
        (0, 1e-3, "none") if small else (100, 5e-4, "cosine")
    )


def test_the_papers_schedule_is_the_papers_on_any_machine():
    assert scheduled(ClassifierTraining("paper"), never) == Scheduled("paper", warm_up=100)
    assert (Scheduled().network, Scheduled().epochs, Scheduled().copies) == ("paper", 200, (24, 24))


def test_what_is_asked_for_wins():
    asked = {
        "epochs": 3,
        "copies": (2, 2),
        "augmentation": "none",
        "warm_up": 7,
        "learning_rate": 0.01,
        "decay": "none",
    }
    for name in ("short", "paper"):
        recipe = scheduled(ClassifierTraining(name, "paper", **asked), never)
        assert recipe == Scheduled(name, **asked)
    with pytest.raises(UsageError, match="--schedule long: expected one of auto, short, paper"):
        ClassifierTraining("long")


def test_how_long_it_takes_on_two_cores():
    """For 2,000 patches, 300 of microbleeds, of some 25 training subjects."""

    def minutes(schedule, network):
        recipe = scheduled(ClassifierTraining(schedule, network), never)
        shown = recipe.epochs * (300 * recipe.copies[0] + 1700 * recipe.copies[1])
        return duration(network, shown, recipe.epochs * 500, "CPU", 2) / 60

    assert minutes("short", "small") < 4
    assert minutes("short", "paper") < 40
    assert minutes("paper", "paper") > 60 * 24 * 4


def test_no_gpu_is_seen_where_none_is_or_none_may_be_used(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert not on_gpu(tmp_path)
    (tmp_path / "nvidia0").touch()
    assert not on_gpu(tmp_path) or on_gpu(), "a driver alone is none: the backend is asked"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert not on_gpu(tmp_path)
