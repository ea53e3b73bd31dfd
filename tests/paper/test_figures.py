import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from cmb_toolkit.paper.curves import draw_scanners, draw_thresholds
from cmb_toolkit.paper.pictures import (
    BOX_COLOURS,
    Box,
    Profile,
    Scene,
    draw_channels,
    draw_healthy,
    draw_masks,
    draw_outcomes,
)

SPACING = (0.5, 0.8)


def pixels(path):
    return mpl.image.imread(path)[..., :3]


def amount(path, colour, tolerance=0.08):
    """How many pixels have this colour."""
    return int((np.abs(pixels(path) - mpl.colors.to_rgb(colour)).max(axis=-1) < tolerance).sum())


def edges(where):
    """First and last row, first and last column of an area; letters of the same colour are too small to count."""
    lines = (np.flatnonzero(where.sum(axis=axis) > 0.2 * where.sum(axis=axis).max()) for axis in (1, 0))
    return [(int(line[0]), int(line[-1])) for line in lines]


def plane(shape=(80, 60)):
    """Grey, with a bright corner at the patient's right and anterior: the picture's upper left."""
    values = np.full(shape, 100.0, np.float32)
    values[-20:, -15:] = 200
    return values


def scene(*boxes, **more):
    return Scene(plane(), SPACING, (0, 200), boxes, "sub-001", **more)


def test_slices_are_seen_as_radiologists_do(tmp_path):
    image = pixels(draw_masks({"HR": [scene()]}, tmp_path / "m.png"))
    (top, bottom), (left, right) = edges((np.abs(image - 0.5) < 0.03).all(axis=-1))
    inside = np.argwhere((image[top : bottom + 1, left : right + 1] > 0.99).all(axis=-1))
    assert len(inside) > 100
    assert inside[:, 0].mean() < (bottom - top) / 2  # anterior is on top
    assert inside[:, 1].mean() < (right - left) / 2  # the patient's right is on the left
    assert (bottom - top) / (right - left) == pytest.approx(60 * 0.8 / (80 * 0.5), rel=0.05)


def test_boxes_lie_where_their_voxels_are(tmp_path):
    box = Box(20, 45, 12, 10, "stage1")
    image = pixels(draw_outcomes({"HR": {"true positives": [scene(box)]}}, tmp_path / "o.png"))
    yellow = np.argwhere((np.abs(image - mpl.colors.to_rgb(BOX_COLOURS["stage1"])).max(axis=-1)) < 0.08)
    (top, bottom), (left, right) = edges((np.abs(image - 100 / 200) < 0.03).all(axis=-1))
    row, column = (yellow.min(axis=0) + yellow.max(axis=0)) / 2
    assert (column - left) / (right - left) == pytest.approx((80 - 20.5) / 80, abs=0.02)
    assert (row - top) / (bottom - top) == pytest.approx((60 - 45.5) / 60, abs=0.02)
    height, width = yellow.max(axis=0) - yellow.min(axis=0)
    assert height / width == pytest.approx(10 * 0.8 / (12 * 0.5), rel=0.1)


def test_a_window_shows_the_surroundings_of_its_centre(tmp_path):
    whole = draw_outcomes({"HR": {"all": [scene(Box(40, 30, 8, 5, "truth"))]}}, tmp_path / "a.png")
    near = draw_outcomes(
        {"HR": {"all": [scene(Box(40, 30, 8, 5, "truth"), centre=(40, 30), field_mm=10)]}}, tmp_path / "b.png"
    )
    assert amount(near, BOX_COLOURS["truth"]) > 2 * amount(whole, BOX_COLOURS["truth"])


def test_masks_are_contours(tmp_path):
    mask = np.zeros((80, 60), bool)
    mask[20:50, 15:40] = True
    without = draw_masks({"HR": [scene()], "LR": [scene()]}, tmp_path / "a.png")
    with_one = draw_masks({"HR": [scene(mask=mask)], "LR": [scene()]}, tmp_path / "b.png")
    assert amount(with_one, "white", 0.02) > amount(without, "white", 0.02) + 200


def test_candidates_of_healthy_subjects_before_and_after(tmp_path):
    before = scene(Box(20, 30, 6, 6, "stage1"), Box(50, 30, 6, 6, "stage1"))
    path = draw_healthy({"HR": ([before], [scene(Box(20, 30, 6, 6, "kept"))])}, tmp_path / "h.png")
    seen, kept = amount(path, BOX_COLOURS["stage1"]), amount(path, BOX_COLOURS["kept"])
    assert kept > 50
    assert seen == pytest.approx(2 * kept, rel=0.25)


def test_channels_have_their_lines(tmp_path):
    mm = np.linspace(-15, 15, 61)
    dark, bright = 0.6 - 0.5 * np.exp(-(mm**2) / 4), 0.5 + 0.4 * np.exp(-(mm**2) / 4)
    profiles = [
        Profile(mm, {"SWI": dark, "phase": bright, "magnitude": dark + 0.1}, "by themselves"),
        Profile(mm, {"SWI": dark, "1 - phase": 1 - bright}, "complement"),
    ]
    path = draw_channels([scene(Box(40, 30, 8, 5, "truth"))] * 3, profiles, tmp_path / "c.png")
    for colour in ("#D55E00", "#0072B2", "#009E73"):
        assert amount(path, colour) > 300
    assert amount(path, BOX_COLOURS["truth"]) > 150


def curves():
    threshold = np.array([np.inf, 0.9, 0.5, 0.1, 0.01])
    parts = [
        pd.DataFrame(
            {
                "resolution": name,
                "fold": fold,
                "threshold": threshold,
                "sensitivity": [0, 0.3, 0.6, 0.8, 0.9],
                "fp_per_subject": [0, 1, 5, 20, 60],
            }
        )
        for name in ("HR", "LR")
        for fold in "12"
    ]
    return pd.concat(parts, ignore_index=True)


def test_thresholds_have_a_line_for_every_fold_and_a_dot_for_the_choice(tmp_path):
    chosen = {("HR", "1"): 0.1}
    path = draw_thresholds(curves(), chosen, "by the paper rule", tmp_path / "t.png")
    for colour in ("#0072B2", "#D55E00"):
        assert amount(path, colour) > 2000
    assert amount(path, "#009E73") == 0  # there is no third fold
    bare = draw_thresholds(curves(), {}, "by the paper rule", tmp_path / "u.png")
    assert amount(path, "#0072B2") > amount(bare, "#0072B2")


def test_scanners_have_their_subjects(tmp_path):
    rng = np.random.default_rng(0)
    subjects = pd.DataFrame(
        {
            "resolution": ["HR"] * 30 + ["LR"] * 30,
            "scanner": ["a", "b"] * 30,
            "sensitivity": [*rng.uniform(0.5, 1, 59), np.nan],
            "fp_per_subject": rng.integers(0, 60, 60),
        }
    )
    overall = {(name, scanner): (0.8, 20.0) for name in ("HR", "LR") for scanner in "ab"}
    path = draw_scanners(subjects, overall, "by the paper rule", tmp_path / "s.png")
    for colour in ("#0072B2", "#D55E00"):
        assert amount(path, colour, 0.2) > 1000


def test_equal_figures_are_equal_files(tmp_path):
    for name in ("a", "b"):
        draw_thresholds(curves(), {}, "", tmp_path / f"{name}.png")
        draw_masks({"HR": [scene()]}, tmp_path / f"{name}2.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a2.png").read_bytes() == (tmp_path / "b2.png").read_bytes()
