import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from cmb_toolkit.report.figures import OperatingPoint, _mark_rate_steps, draw_froc, draw_losses
from cmb_toolkit.report.style import canvas, headline


@pytest.fixture
def histories():
    n = np.arange(1, 101)
    stage1 = pd.DataFrame({"iteration": n, "loss": 100 / n, "avg_loss": 110 / n, "rate": np.where(n < 60, 1e-3, 1e-4)})
    stage2 = pd.DataFrame({"epoch": n[:20], "loss": 1 / n[:20], "val_loss": 0.2 + np.abs(n[:20] - 9) / 50})
    return stage1, stage2


@pytest.mark.parametrize("which", [(True, True), (True, False), (False, True)])
def test_losses_of_what_was_trained(tmp_path, histories, which):
    stage1, stage2 = (history if wanted else None for history, wanted in zip(histories, which, strict=True))
    image = imread(draw_losses(stage1, stage2, "a cell", tmp_path / "losses.png"))
    assert image.shape[1] == sum(which) * 840


def test_losses_without_validation_or_rate_or_with_zero(tmp_path, histories):
    stage1, stage2 = histories[0].drop(columns="rate").assign(loss=0.0), histories[1].assign(val_loss=np.nan)
    assert draw_losses(stage1, stage2, "a cell", tmp_path / "losses.png").stat().st_size > 10_000


def test_names_are_no_formulas(tmp_path, histories):
    r"""A formula that cannot be read would stop the drawing, one that can would be drawn as something else."""
    assert (
        draw_losses(*histories, r"study $\frac{1$ of $\nothing$ {x}", tmp_path / "losses.png").stat().st_size > 10_000
    )
    with canvas(4, 3) as figure:
        axis = figure.subplots()
        assert not axis.set_title("$x$").get_parse_math()
        assert not figure.suptitle("$x$").get_parse_math()


def curve(fold, stage, scale=1.0):
    alarms = np.linspace(0, 20, 21)
    return pd.DataFrame(
        {"fold": fold, "stage": stage, "sensitivity": scale * (1 - np.exp(-alarms / 4)), "fp_per_subject": alarms}
    )


def test_froc_of_one_fold_and_of_several(tmp_path):
    point = OperatingPoint("probability >= 0.5", 0.8, 2.0, (0.7, 0.9), (1.5, 2.6))
    one = draw_froc(curve("1", "stage1"), {"stage1": [point]}, "centre rule", "HR", tmp_path / "one.png")
    both = pd.concat(
        [curve("1", "stage1"), curve("1", "overall", 0.8), curve("2", "overall"), curve("all", "overall", 0.9)]
    )
    several = draw_froc(both, {"overall": [point]}, "centre rule", "HR", tmp_path / "several.png")
    assert imread(several).shape[1] == 2 * imread(one).shape[1]


def test_froc_without_a_finite_point(tmp_path):
    point = OperatingPoint("nothing", float("nan"), 2.0)
    assert draw_froc(curve("1", "stage1"), {"stage1": [point]}, "rule", "HR", tmp_path / "x.png").is_file()
    assert draw_froc(curve("1", "overall"), {}, "rule", "HR", tmp_path / "y.png").is_file()


USUAL = "HR_swi+cphase-averaged_fold-1: training of the detector"
LONG = "HR+LR_swi+phase+magnitude_fold-scanner-a_repeat-2: training of the detector"


@pytest.mark.parametrize(("text", "is_smaller"), [("short", False), (USUAL, True), (LONG, True)])
def test_a_headline_fits_its_figure(text, is_smaller):
    with canvas(5.6, 4.2) as figure:
        headline(figure, text)
        box = figure.texts[0].get_window_extent()
        assert (figure.texts[0].get_fontsize() < 13) == is_smaller
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width == 5.6 * 150


def test_steps_of_the_rate_are_marked_and_a_rate_that_falls_all_the_time_is_not():
    n = np.arange(1, 101)
    for rate, marks in ((np.where(n < 60, 1e-3, 1e-4), 1), (1e-3 * (1 - n / 100), 0)):
        axis = plt.figure().subplots()
        _mark_rate_steps(axis, pd.DataFrame({"iteration": n, "rate": rate}))
        assert len(axis.lines) == marks
        plt.close("all")
