import shutil

import pytest
from click.testing import CliRunner
from matplotlib.image import imread

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.evaluation.recipe import Evaluating, Showing
from cmb_toolkit.steps.evaluate import evaluate
from cmb_toolkit.steps.figures import figures


@pytest.fixture
def cells(two_fold_study):
    return [two_fold_study.cell("slab", "swi+cphase-averaged", fold) for fold in "12"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_everything_that_is_there_is_drawn(evaluated_study, write_history):
    write_history(evaluated_study.cell("slab", "swi+cphase-averaged", "1"))
    folder = figures(evaluated_study.root)
    assert names(folder) == [
        "froc_slab_swi+cphase-averaged_centre.png",
        "losses_slab_swi+cphase-averaged_fold-1.png",
        "montage_slab_swi+cphase-averaged_fold-1.png",
        "montage_slab_swi+cphase-averaged_fold-2.png",
    ]
    for path in folder.iterdir():
        image = imread(path)[..., :3]
        assert min(image.shape[:2]) > 300
        assert image.std() > 0.05


def test_losses_before_evaluation_and_again_after_a_change(two_fold_study, cells, write_history):
    write_history(cells[1])
    cells[1].cnn_history.unlink()
    folder = figures(two_fold_study.root)
    assert names(folder) == ["losses_slab_swi+cphase-averaged_fold-2.png"]
    note = folder.with_suffix(".json")
    before = note.stat().st_mtime_ns
    figures(two_fold_study.root)
    assert note.stat().st_mtime_ns == before
    write_history(cells[0])
    assert len(names(figures(two_fold_study.root))) == 2


def test_stage_1_alone_has_one_panel(evaluated_study):
    alone, other = (evaluated_study.cell("slab", "swi+cphase-averaged", fold) for fold in "12")
    alone.findings.unlink()
    evaluate(alone.folder, Evaluating(most_false=0))

    def width():
        return imread(
            figures(evaluated_study.root, Showing("paper")) / "froc_slab_swi+cphase-averaged_paper.png"
        ).shape[1]

    aside = other.evaluation.rename(evaluated_study.root / "aside")
    one = width()
    aside.rename(other.evaluation)
    assert width() == 2 * one


def test_nothing_to_draw(two_fold_study, tmp_path):
    with pytest.raises(MissingError, match="nothing to draw yet"):
        figures(two_fold_study.root)
    with pytest.raises(MissingError, match="not a study folder"):
        figures(tmp_path)
    with pytest.raises(UsageError, match="--rule touch"):
        figures(two_fold_study.root, Showing("touch"))


def test_the_command_prints_paths(evaluated_study):
    shutil.rmtree(evaluated_study.cell("slab", "swi+cphase-averaged", "2").evaluation)
    result = CliRunner().invoke(cli, ["figures", str(evaluated_study.root)])
    assert result.exit_code == 0, result.output
    assert [line.rsplit("/", 1)[1] for line in result.output.splitlines() if line.endswith(".png")] == [
        "froc_slab_swi+cphase-averaged_centre.png",
        "montage_slab_swi+cphase-averaged_fold-1.png",
    ]


def test_different_distances_do_not_meet_in_one_figure(two_fold_study, cells, without_pictures):
    evaluate(cells[0].folder, Evaluating(most_false=0))
    evaluate(cells[1].folder, Evaluating(most_false=0, distance_mm=5))
    with pytest.raises(DataError, match="under different rules"):
        figures(two_fold_study.root)
    assert not two_fold_study.figures.exists()
