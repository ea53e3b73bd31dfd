from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread
from matplotlib.text import Text

from cmb_toolkit.evaluation.results import Threshold
from cmb_toolkit.evaluation.rules import rule_named
from cmb_toolkit.evaluation.rules.centre import Centre
from cmb_toolkit.report import lesions
from cmb_toolkit.report.lesions import FIELD_MM, Lesion, View, choose_lesions, crop, draw_lesion, draw_montage
from cmb_toolkit.report.style import KINDS

SPACING = (0.5, 1.0)
IN_FORCE = {"stage1": Threshold(0.05, "given"), "stage2": Threshold(0.5, "on the validation subjects")}


def lesion(kind, n=0, *, box=(20.0, 20.0), truth=(0.0, 0.0)):
    place = (30.0, 25.0, 5)
    return Lesion(kind, f"{kind}_{n}", "sub-001", place, box, truth, 0.5, 0.7)


def view(one):
    volume = np.random.default_rng(0).random((60, 50, 10), dtype=np.float32)
    return View(one, crop(volume, one.place, SPACING), crop(volume, one.place, SPACING), SPACING, ((0, 1), (-1, 1)))


def test_a_crop_is_radiological_with_anterior_on_top():
    i, j, k = np.indices((80, 60, 10)).astype(np.float32)
    place = (40.0, 30.0, 5)
    for values, axis, growing in ((i, 2, False), (j, 1, False), (k, 0, True)):
        cut = crop(values, place, SPACING)
        steps = np.diff(cut, axis=axis)
        assert np.unique(steps).tolist() == [1.0 if growing else -1.0]
        assert cut[1, cut.shape[1] // 2, cut.shape[2] // 2] == values[40, 30, 5]
    assert cut.shape == (3, 2 * FIELD_MM / 2 / 1.0 + 1, 2 * FIELD_MM / 2 / 0.5 + 1)


@pytest.mark.parametrize("place", [(0.0, 0.0, 0), (59.4, 49.4, 9), (3.0, 48.0, 0), (-200.0, 10.0, 5)])
def test_a_crop_beyond_the_volume_is_empty_there(place):
    volume = np.arange(60 * 50 * 10, dtype=np.float32).reshape(60, 50, 10) + 1
    cut = crop(volume, place, SPACING)
    assert cut.shape == (3, 33, 65)
    rows, columns = round(place[1]) - (np.arange(33) - 16), round(place[0]) - (np.arange(65) - 32)
    for n, r, c in ((1, 16, 32), (0, 0, 0), (2, 32, 64), (1, 20, 40)):
        i, j, k = columns[c], rows[r], place[2] + n - 1
        if 0 <= i < 60 and 0 <= j < 50 and 0 <= k < 10:
            assert cut[n, r, c] == volume[i, j, k]
        else:
            assert np.isnan(cut[n, r, c])


def tables():
    rows = [
        ("c1", "sub-001", 10.0, 10.0, 2, 0.9, 0.8, "tp", "tp"),
        ("c2", "sub-001", 20.4, 20.0, 3, 0.3, 0.1, "tp", None),
        ("c3", "sub-002", 30.0, 30.0, 4, 0.8, 0.6, "fp", "fp"),
        ("c4", "sub-002", 31.0, 10.0, 4, 0.2, 0.9, "fp", "fp"),
        ("c5", "sub-002", 11.0, 10.0, 4, 0.95, 0.2, "fp", None),
        ("c6", "sub-001", 10.0, 10.0, 3, 0.7, 0.7, "duplicate", "duplicate"),
    ]
    columns = ["candidate_id", "participant_id", "i", "j", "k", "confidence", "probability"]
    found = pd.DataFrame(rows, columns=[*columns, "centre_stage1", "centre_overall"]).assign(width=20.0, height=18.0)
    marks = [
        ("sub-001", 10, 11, 2, "c1", "c1"),
        ("sub-001", 20, 20, 3, "c2", None),
        ("sub-003", 5, 5, 1, None, None),
    ]
    return found, pd.DataFrame(marks, columns=["participant_id", "i", "j", "k", "centre_stage1", "centre_overall"])


def test_every_microbleed_is_chosen_and_the_most_convincing_false_ones():
    chosen, false = choose_lesions(*tables(), "centre", most_false=1)
    assert [one.name for one in chosen] == [
        "found_sub-001_microbleed-01",
        "missed_sub-001_microbleed-02",
        "missed_sub-003_microbleed-01",
        "false_c4",
    ]
    assert false == 2
    found, lost, unseen, wrong = chosen
    assert found.place == (10, 10, 2)
    assert found.truth == (0, 1)
    assert found.box == wrong.box == (20, 18)
    assert lost.scores == ["confidence 0.30", "probability 0.10"]
    assert [one.lost for one in chosen] == [
        "",
        "lost by stage 2: probability 0.10",
        "lost by stage 1: no candidate",
        "",
    ]
    assert lost.truth == pytest.approx((-0.4, 0))
    assert unseen.place == (5, 5, 1)
    assert unseen.box is None
    assert wrong.truth is None


def test_stage_1_alone_is_chosen_by_confidence():
    found, marks = tables()
    chosen, false = choose_lesions(
        found.drop(columns=["centre_overall", "probability"]),
        marks.drop(columns="centre_overall"),
        "centre",
        most_false=2,
    )
    assert false == 3
    assert [one.name for one in chosen if one.kind == "false"] == ["false_c5", "false_c3"]
    assert [one.kind for one in chosen][:3] == ["found", "found", "missed"]
    assert chosen[0].scores == ["confidence 0.90"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_of_every_kind(tmp_path, kind):
    one = lesion(kind, box=None if kind == "missed" else (20, 20), truth=None if kind == "false" else (2, -1))
    rule = rule_named("paper" if kind == "missed" else "centre")
    image = imread(draw_lesion(view(one), rule, IN_FORCE, tmp_path / "x.png"))[..., :3]
    assert 0.3 < (image.mean(axis=2) < 0.9).mean() < 0.95


def test_equal_pictures_are_equal_files(tmp_path):
    first, again = (draw_lesion(view(lesion("found")), Centre(), IN_FORCE, tmp_path / f"{n}.png") for n in range(2))
    assert first.read_bytes() == again.read_bytes()


def test_the_marks_lie_where_the_candidate_and_the_microbleed_are(tmp_path):
    """The dark spot is at the truth: the yellow circle surrounds it, the green box is off by what the candidate is."""
    volume = np.full((80, 80, 3), 0.8, np.float32)
    volume[40, 46, 1] = 0  # the microbleed: 6 voxels anterior of the candidate
    one = Lesion("found", "x", "sub-001", (40.0, 40.0, 1), (8.0, 8.0), (0.0, 6.0))
    cut = crop(volume, one.place, (0.5, 0.5))
    shown = View(one, cut, cut, (0.5, 0.5), ((0, 1), (0, 1)))
    image = imread(draw_lesion(shown, Centre(1.5), {}, tmp_path / "x.png"))[..., :3]
    height, width, _ = image.shape
    middle = image[height // 9 : height // 2, width // 3 + 10 : 2 * width // 3]  # the SWI of the candidate's slice
    red, green, blue = middle[..., 0], middle[..., 1], middle[..., 2]
    yellow = np.argwhere((red > 0.8) & (green > 0.75) & (blue < 0.5)).mean(axis=0)
    box = np.argwhere((red < 0.2) & (green > 0.5) & (blue > 0.3)).mean(axis=0)
    spot = np.argwhere(middle.max(axis=2) < 0.1)
    spot = spot[(np.abs(spot - yellow).max(axis=1) < 20)].mean(axis=0)
    assert np.abs(yellow - spot).max() < 2
    assert box[0] - spot[0] > 10
    assert abs(box[1] - spot[1]) < 2


@pytest.mark.parametrize(("found", "missed", "false"), [(1, 0, 9), (0, 0, 0)])
def test_a_montage_of_any_number(tmp_path, found, missed, false):
    views = [
        view(lesion(kind, n)) for kind, count in zip(KINDS, (found, missed, false), strict=True) for n in range(count)
    ]
    totals = {"found": found, "missed": missed, "false": false}
    out = draw_montage(views, Centre(), IN_FORCE, totals, "a cell", tmp_path / "montage.png")
    assert imread(out).shape[0] > 200


def drawn(monkeypatch):
    """The figure that is saved."""
    kept = []
    save = lesions.save
    monkeypatch.setattr(lesions, "save", lambda figure, path: kept.append(figure) or save(figure, path))
    return kept


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_text()]


def test_a_montage_says_what_is_to_be_known(tmp_path, monkeypatch):
    kept = drawn(monkeypatch)
    views = [view(lesion("found")), view(lesion("missed", box=None)), view(lesion("missed", 1))]
    draw_montage(views, Centre(), IN_FORCE, {"found": 1, "missed": 2, "false": 0}, "a cell", tmp_path / "m.png")
    said = "\n".join(text.get_text() for text in texts(kept[0]))
    for words in (
        "thresholds: confidence 0.05 in stage 1 (given), probability 0.5 in stage 2 (on the validation subjects)",
        "sub-001\nslice 5, confidence 0.50\nprobability 0.70",
        "lost by stage 1: no candidate",
        "lost by stage 2: probability 0.70",
        "10 mm",
        "1 microbleed found",
    ):
        assert words in said
    assert said.count("R\n") == said.count("L\n") == 3
    widths = {axis.get_xlim() for axis in kept[0].findobj(Axes) if axis.images}
    assert len(widths) == 1, "a bar makes no tile wider"


@pytest.mark.parametrize("length", [7, 64])
def test_no_title_is_cut_however_long_a_name_is(tmp_path, monkeypatch, length):
    kept = drawn(monkeypatch)
    views = [view(replace(lesion(kind, n), subject="x" * length)) for kind in KINDS for n in range(3)]
    totals = dict.fromkeys(KINDS, 3)
    draw_montage(views, Centre(), IN_FORCE, totals, "y" * 2 * length, tmp_path / "m.png")
    draw_lesion(views[3], Centre(), IN_FORCE, tmp_path / "l.png")
    for figure in kept:
        page = figure.bbox
        for text in texts(figure):
            box = text.get_window_extent()
            assert box.x0 >= 0, text
            assert box.x1 <= page.width, text
            assert box.y0 >= 0, text
            assert box.y1 <= page.height, text
    tiles = [axis.title.get_window_extent() for axis in kept[0].findobj(Axes) if axis.title.get_text()]
    for left, right in pairwise(tiles):
        assert left.x1 < right.x0 or right.x0 < left.x0
