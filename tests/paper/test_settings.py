"""Settings: what comes with the toolkit is complete, a file of one's own is merged, and nothing unknown is let pass."""

import shlex
from pathlib import Path

import click
import pytest

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.paper.cells import list_cells
from cmb_toolkit.paper.options import words
from cmb_toolkit.paper.settings import NAMES, load_settings, settings_of
from cmb_toolkit.recipe import declared
from cmb_toolkit.stage2.recipe import ClassifierTraining
from cmb_toolkit.stage2.schedule import scheduled
from cmb_toolkit.workflow.jobs import list_jobs


@pytest.fixture
def write(tmp_path):
    """A settings file with this content."""

    def file(text):
        path = tmp_path / "mine.toml"
        path.write_text(text, "utf-8")
        return path

    return file


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_with_the_toolkit_survives_being_written_down(name, tmp_path):
    settings = load_settings(name)
    assert settings_of(settings.as_dict(), tmp_path / "experiment.json") == settings


def test_the_paper_and_its_files_differ_in_network_and_epochs():
    paper, released = load_settings("paper").as_dict(), load_settings("released").as_dict()
    assert paper["prepare-yolo"].pop("cfg") == "yolov2-paper"
    assert released["prepare-yolo"].pop("cfg") == "yolov2-released"
    assert paper["stage2-train"].pop("epochs") == 200
    assert released["stage2-train"].pop("epochs") == 100
    assert paper.pop("seconds") != released.pop("seconds")
    assert paper == released


def test_the_papers_settings_are_the_papers_schedule_whatever_machine():
    given = load_settings("paper").step("stage2-train")
    recipe = scheduled(ClassifierTraining("paper"), lambda: False)
    assert given["schedule"] == "paper"
    for name, value in given.items():
        planned = getattr(recipe, declared(ClassifierTraining)[name].field)
        assert value == (list(planned) if name == "copies" else planned)
    assert load_settings("demo").step("stage2-train")["schedule"] == "paper", "nothing that depends on the machine"


def test_the_times_of_a_base_follow_what_is_asked_for(write):
    paper, released = load_settings("paper").seconds, load_settings("released").seconds
    assert released["stage1-train"] == paper["stage1-train"] / 4, "batch 16 for 64"
    assert released["stage2-train"] == paper["stage2-train"] / 2, "100 epochs for 200"
    shorter = (
        "[prepare-yolo]\nmax-batches = 400\nset = { batch = 32, subdivisions = 4 }\n[stage2-train]\ncopies = [6, 1]\n"
    )
    times = load_settings(write(f'base = "released"\n{shorter}')).seconds
    assert times["stage1-train"] == pytest.approx(paper["stage1-train"] / 100 / 2)
    assert times["stage2-train"] == pytest.approx(paper["stage2-train"] / 2 / 24)
    small = load_settings(
        write('base = "paper"\n[prepare-yolo]\ncfg = "small"\n[stage2-train]\nnetwork = "small"\n')
    ).seconds
    assert 150 < small["stage1-train"] < 450, "windows of a quarter of the image"
    assert small["stage1-detect"] < paper["stage1-detect"] / 10
    assert small["stage2-train"] == pytest.approx(paper["stage2-train"] / 100)
    others = paper.keys() - {"stage1-train", "stage1-detect", "stage2-train"}
    assert {step: small[step] for step in others} == {step: paper[step] for step in others}
    stated = '[prepare-yolo]\ncfg = "small"\n[seconds]\nstage1-train = 7\n'
    assert load_settings(write(f'base = "paper"\n{stated}')).seconds["stage1-train"] == 7


def test_a_network_that_cannot_be_used_is_noticed_with_the_settings(write):
    path = write('base = "paper"\n[prepare-yolo]\ncfg = "own.cfg"\n')
    with pytest.raises(MissingError, match=r"own\.cfg: no such network file"):
        load_settings(path)
    path.with_name("own.cfg").touch()
    with pytest.raises(DataError, match=r"own\.cfg.*\[net\]"):
        load_settings(path)


def test_thresholds_of_the_paper_by_resolution():
    settings = load_settings("paper")
    assert settings.step("stage1-detect", "HR")["threshold"] == 0.01
    assert settings.step("stage1-detect", "LR")["threshold"] == 0.05
    assert settings.step("stage1-detect", "HR+LR")["threshold"] == 0.01
    assert "LR" not in settings.step("stage1-detect", "LR")


def test_a_file_says_what_differs_from_its_base(write):
    settings = load_settings(write('base = "demo"\n[stage2-train]\nepochs = 3\n[cluster.stage1-train]\nthreads = 8\n'))
    demo = load_settings("demo")
    assert settings.step("stage2-train") == demo.step("stage2-train") | {"epochs": 3}
    assert settings.resolutions == demo.resolutions
    assert settings.job("stage1-train")["threads"] == 8
    assert settings.job("stage1-train")["minutes"] == demo.job("stage1-train")["minutes"]
    assert settings.job("evaluate") == demo.job("evaluate")


def test_files_are_looked_for_beside_the_settings(write):
    path = write('base = "paper"\n[prepare-yolo]\ncfg = "own.cfg"\n[stage1-train.LR]\nweights = "not-there"\n')
    path.with_name("own.cfg").write_bytes((Path(__file__).parents[2] / "cfg" / "small.cfg").read_bytes())
    settings = load_settings(path)
    assert settings.step("prepare-yolo")["cfg"] == str(path.with_name("own.cfg"))
    assert settings.step("stage1-train", "LR")["weights"] == "not-there"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sede = 1", "sede is not known; did you mean seed"),
        ("[stage1-trian]\nengine = 'auto'", "stage1-trian is not known; did you mean stage1-train"),
        ("[stage2-train]\nepoch = 3", r"\[stage2-train\] epoch is not known; did you mean epochs"),
        ("[stage2-train]\nzzz = 3", r"\[stage2-train\] zzz is not known; known are schedule, network, epochs"),
        ("[stage1-detect.hr]\nthreshold = 0.1", r"\[stage1-detect\] hr is not known; did you mean"),
        ("[stage1-detect]\nLR = 0.1", r"\[stage1-detect\] LR must be a table, \[stage1-detect.LR\]"),
        (
            "[stage1-detect.LR]\nthreshold = 1.5",
            r"\[stage1-detect.LR\] threshold = 1.5 must be a number above 0 and",
        ),
        ("[split]\nfolds = 1", "folds = 1 must be a whole number from 2"),
        ("[split]\nfolds = true", "folds = True must be a whole number"),
        ("[split.LR]\nfolds = 3", "LR is not known"),
        ("[stage2-train]\ncopies = [1, 0]", "must be two whole numbers"),
        ("[stage2-train]\nclass-weight = 'most'", 'must be a number above 0, "ratio" or "none"'),
        ("[experiment]\ntables = [1]", "whole numbers from 2 to 9"),
        ("[experiment]\ninput = 'flair'", 'one of "swi"'),
        ("seed = -1", "seed = -1 must be a whole number from 0"),
        ("split = 3", r"split must be a table, \[split\]"),
        ("seed = ", "not a TOML file"),
        ("[resolutions]\nHR = '$(touch x)'", r"HR = '\$\(touch x\)' must be letters, digits, \+ and -"),
        ("[experiment]\nfold = '../../x'", "fold = '../../x' must be letters"),
        ("[experiment]\nscanner = '`touch x`'", "scanner = '`touch x`' must be letters"),
        ('[cluster]\npartition = "a\'; touch x"', "partition = .* must be letters"),
        ("[cluster.frst]\naccount = '-x'", "account = '-x' must be letters"),
        ('"a\\u001b[31m" = 1', r"'a\\x1b\[31m' is not known"),
        ("base = 'papers'", 'base = "papers" is not known'),
    ],
)
def test_what_cannot_be_is_refused_by_name(write, text, says):
    path = write(text if text.startswith("base") else f'base = "paper"\n{text}')
    with pytest.raises(DataError, match=says) as error:
        load_settings(path)
    assert str(path) in str(error.value)


def test_without_a_base_everything_must_be_there(write):
    with pytest.raises(DataError, match=r"lacks \[resolutions\]"):
        load_settings(write("seed = 1"))
    with pytest.raises(DataError, match="lacks seed"):
        load_settings(write("[resolutions]\nHR = 'HR'\n[experiment]\ninput = 'swi'"))


def test_no_such_settings():
    with pytest.raises(MissingError, match="not one of paper, released, demo"):
        load_settings("papers")


def test_words_of_every_kind():
    options = {"brain-mask": "none", "echo": 2, "phase-is-filtered": True}
    assert words("preprocess", options) == ["--brain-mask", "none", "--echo", "2", "--phase-is-filtered"]
    assert words("prepare-yolo", {"set": {"b": 2, "a": "x y"}}) == ["--set", "a=x y", "--set", "b=2"]
    assert words("stage2-train", {"copies": [6, 1]}) == ["--copies", "6", "1"]
    assert words("frst", {"radius": [1, 2.5]}) == ["--radius", "1", "--radius", "2.5"]
    assert words("prepare-yolo", {"no-augment": False}) == []


def test_radii_reach_their_command():
    command = cli.get_command(click.Context(cli), "frst")
    asked = command.make_context("frst", ["study", "--fold", "1", *words("frst", {"radius": [1, 2.5]})])
    assert asked.params["radii_mm"] == (1, 2.5)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_takes_its_words(name, participants):
    """Each job of the whole experiment is parsed by the command that it calls."""
    settings = load_settings(name)
    people = participants(*settings.resolutions.values())
    cells, _ = list_cells(settings, people, ["1", "2"])
    for job in list_jobs(settings, cells, people["participant_id"].tolist(), own_folds=False):
        command = cli.get_command(click.Context(cli), job.step)
        command.make_context(job.step, ["place", *shlex.split(shlex.join(job.options))])


def test_a_fixed_threshold_leaves_out_what_goes_with_a_chosen_one(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "demo"\n[stage2-classify]\nthreshold = 0.5\n', "utf-8")
    assert load_settings("demo").step("stage2-classify") == {"threshold": "validation", "by": "auto", "most-false": 2}
    assert load_settings(path).step("stage2-classify") == {"threshold": 0.5, "by": "auto"}
