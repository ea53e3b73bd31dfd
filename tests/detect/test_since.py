"""Two scans of one person: what is new, unchanged and gone, though the head has moved; and when that cannot be said."""

import numpy as np
import pandas as pd
import pytest
from nibabel.affines import apply_affine
from scipy import ndimage

from cmb_toolkit.detect.since import Earlier, since
from cmb_toolkit.regions.brain import Brain, coarse
from cmb_toolkit.schema import CHANGED, GONE
from cmb_toolkit.simulation.scan import simulate_scan


def movement():
    """From the world of the later scan to that of the earlier: a nod, a turn, and some millimetres."""
    a, b = np.deg2rad([5, 3])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_x @ about_z
    matrix[:3, 3] = 4, -6, 3
    return matrix


def after_moving(volume, affine, order=1):
    to_old = np.linalg.inv(affine) @ movement() @ affine
    return ndimage.affine_transform(volume, to_old[:3, :3], to_old[:3, 3], order=order)


@pytest.fixture(scope="module")
def pair():
    """One head at two times, of which the later has two microbleeds more."""
    first, second = (simulate_scan(7, "tiny", microbleeds=n, difficulty="easy", scanner=s) for n, s in SCANS)
    old = [placed.position for placed in first.microbleeds]
    new = [placed.position for placed in second.microbleeds]
    np.testing.assert_allclose(new[: len(old)], old)
    earlier = coarse(first.magnitude, first.intracranial, first.affine, 3.6)
    magnitude = after_moving(second.magnitude, second.affine)
    mask = after_moving(second.intracranial.astype(np.float32), second.affine) > 0.5
    later = coarse(magnitude, mask, second.affine, 3.6)
    places = apply_affine(np.linalg.inv(movement()), apply_affine(second.affine, new))
    return earlier, apply_affine(first.affine, old), later, places


SCANS = ((4, "scanner-a"), (6, "scanner-b"))


def candidates(places, kept=None, probability=0.9):
    n = len(places)
    table = pd.DataFrame(places, columns=["x_mm", "y_mm", "z_mm"]).assign(id=range(1, n + 1), diameter_mm=3.0)
    table["probability"] = table["score"] = table["confidence"] = np.broadcast_to(probability, n)
    return table.assign(kept=True if kept is None else kept)


def test_new_unchanged_and_gone_are_told_through_a_movement(pair):
    earlier, old, later, places = pair
    lost = len(old) - 1
    then = candidates(old)
    now = candidates(np.delete(places, lost, axis=0))
    found = since(now, later, "m", Earlier(then, earlier, "m"))
    assert (found.doubt, found.note) == ("", "")
    assert found.laid.similarity > 1.1
    assert list(found.table) == CHANGED.names
    assert found.table["change"].tolist() == ["unchanged"] * lost + ["new", "new"]
    assert found.table["earlier_id"].tolist()[:lost] == then["id"].tolist()[:lost]
    assert found.table["earlier_id"][lost:].isna().all()
    assert list(found.gone) == GONE.names
    assert found.gone[["id", "change"]].to_numpy().tolist() == [[lost + 1, "gone"]]
    where = found.gone[["x_mm", "y_mm", "z_mm"]].to_numpy(float)
    assert np.linalg.norm(where - places[lost]) < 1.5
    assert found.numbers() == {"new": 2, "unchanged": lost, "unseen": 0, "gone": 1, "unseen now": 0}


def test_near_misses_of_the_other_scan_and_places_it_does_not_show_are_said(pair):
    earlier, old, later, places = pair
    then = candidates(old, kept=[True, False, True, True], probability=[0.9, 0.3, 0.8, 0.7])
    below = int(np.argmin(places[:, 2]))
    height = apply_affine(np.linalg.inv(earlier.affine), apply_affine(movement(), places[below]))[2]
    cut = round(height) + 2
    moved = earlier.affine.copy()
    moved[:3, 3] = apply_affine(earlier.affine, (0, 0, cut))
    short = Earlier(then, Brain(earlier.image[:, :, cut:], moved), "other")
    kept = np.ones(len(places), bool)
    kept[2] = False
    found = since(candidates(places, kept=kept, probability=0.4), later, "m", short)
    assert "looked at with other" in found.note
    assert found.table["change"][1] == ("new" if below != 1 else "unseen")
    assert found.table["earlier_probability"][1] == 0.3
    assert pd.isna(found.table["change"][2])
    assert found.table["change"][below] in ("unseen", "unchanged")
    (gone,) = found.gone.to_dict("records")
    assert (gone["id"], gone["probability"], gone["probability_now"]) == (3, 0.8, 0.4)


def test_other_brains_and_no_earlier_scan_say_nothing(pair):
    earlier, old, later, places = pair
    now = candidates(places)
    alone = since(now, later, "m", None)
    assert "no earlier scan" in alone.doubt
    assert alone.table["change"].isna().all()
    half = earlier.image.copy()
    half[: half.shape[0] * 2 // 3] = 0
    stranger = simulate_scan(8, "tiny", microbleeds=0, scanner="scanner-a")
    someone = coarse(stranger.magnitude, stranger.intracranial, stranger.affine, 3.6)
    for brain in (Brain(half, earlier.affine), someone):
        other = since(now, later, "m", Earlier(candidates(old), brain, "m"))
        assert "too little alike (0." in other.doubt
        assert other.table["change"].isna().all()
        assert other.gone.empty
    forced = since(now, later, "n", Earlier(candidates(old), someone, "m"), force=True)
    assert forced.doubt == ""
    assert "too little alike" in forced.note
    assert "looked at with m" in forced.note
    assert forced.table["change"].notna().all()


def test_scans_without_findings_have_nothing_new(pair):
    earlier, old, later, _ = pair
    nothing = candidates(np.zeros((0, 3)))
    found = since(nothing, later, "m", Earlier(candidates(old), earlier, "m"))
    assert found.table.empty
    assert found.numbers()["gone"] + found.numbers()["unseen now"] == len(old)
