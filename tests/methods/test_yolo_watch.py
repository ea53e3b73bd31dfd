"""Who is looked at while stage 1 trains, what is said of it, and when its weights are not kept."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from cmb_toolkit.darknet.watching import Judgement, Look
from cmb_toolkit.errors import DarknetError
from cmb_toolkit.methods.yolo_watch import Watching, _sample, _Scan


def scans(*numbers, microbleeds=5, resolution="HR", slices=10):
    return [_Scan(f"sub-{n:03d}", slices, microbleeds, resolution) for n in numbers]


@pytest.mark.parametrize(
    ("most", "microbleeds", "count"),
    [(100, 5, 3), (29, 5, 2), (10, 12, 1), (3, 12, 1), (3, 5, 2), (3, 1, 3)],
)
def test_whole_subjects_as_many_of_either_role_and_ten_microbleeds(most, microbleeds, count):
    validation = scans(5, 6, 7, microbleeds=microbleeds)
    sample = _sample(validation, scans(1, 2, 3, 4, microbleeds=microbleeds), most)
    assert sample["validation"] == ["sub-005", "sub-006", "sub-007"][:count]
    least = 4 if microbleeds == 1 else count
    assert sample["train"] == ["sub-001", "sub-002", "sub-003", "sub-004"][:least]


def test_training_subjects_of_the_same_resolution():
    validation = [*scans(5, resolution="LR"), *scans(6)]
    train = [*scans(1), *scans(2, resolution="LR"), *scans(3)]
    assert _sample(validation, train, 100)["train"] == ["sub-002", "sub-001"]
    assert _sample([], train, 20) == {"validation": [], "train": ["sub-001", "sub-002"]}


def seen(train, validation, chance=0.01, iteration=100):
    """A watch that found so many of 20 microbleeds at 50 and 100 false positives."""
    rows = [
        {"role": role, "subjects": 1, "slices": 9, "microbleeds": 20, "found_20": 0, "found_50": n, "found_100": n}
        for role, n in (("validation", validation), ("train", train))
    ]
    watch = SimpleNamespace(rows=[{"iteration": iteration, **row, "best": True} for row in rows])
    watch.best = Look(iteration, Judgement(rows, (1.0,)))
    return Watching(watch, [], "best", {}, [chance] * 20)


def cfg(images):
    return SimpleNamespace(net=SimpleNamespace(max_batches=100, batch=images // 100))


CELL = SimpleNamespace(name="a_cell", live_loss="loss.png")


def test_a_training_that_found_no_more_than_chance_is_refused():
    with pytest.raises(
        DarknetError, match=r"a_cell: the detector found 0 of 20 .*learned nothing.*--seed.*--max-batches"
    ):
        seen(0, 0).verdict(CELL, cfg(2000))
    with pytest.raises(DarknetError, match="found 11 of 20"):
        seen(11, 20, chance=0.5).verdict(CELL, cfg(2000))
    (line,) = seen(0, 0).verdict(CELL, cfg(400))
    assert "trained on too little to tell (400 images)" in line


def test_what_is_said_of_a_training_that_learned():
    assert seen(20, 19).verdict(CELL, cfg(2000)) == []
    (line,) = seen(9, 9).verdict(CELL, cfg(2000))
    assert "found only 9 of 20" in line
    (line,) = seen(20, 12).verdict(CELL, cfg(2000))
    assert "100 % of the microbleeds of subjects it was trained on and 60 % of validation" in line
    assert "by heart" in line
    assert Watching().verdict(CELL, cfg(2000)) == []
    assert isinstance(Watching().table, pd.DataFrame)
    json.dumps(seen(20, 12).as_json(cfg(2000)))
