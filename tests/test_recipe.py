"""A step's options are declared once."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.recipes import recipe_options
from cmb_toolkit.darknet.recipe import Decided, DetectorTraining
from cmb_toolkit.errors import UsageError
from cmb_toolkit.evaluation.recipe import Evaluating, Folding
from cmb_toolkit.imaging.recipe import Preprocessing
from cmb_toolkit.methods.frst import Frst
from cmb_toolkit.names import FOLD
from cmb_toolkit.recipe import Recipe, declared, option
from cmb_toolkit.stage2.recipe import Cropping, Scheduled


@dataclass(frozen=True)
class Toy(Recipe):
    """Every kind of field."""

    count: int = option(3, "How many.", least=1)
    share: float = option(0.5, "What part.", above=0, most=1)
    reach_mm: float = option(2.0, "How far.", unit="mm", above=0)
    kind: str = option("plain", "Which.", choices=("plain", "fancy"))
    twice: bool = option(False, "Do it again.", silent=True)
    base: int = option(1, "From where.", choices=(1, 0))
    sign: Literal[1, -1, "auto"] = option(1, "Which way.", name="turn")
    limit: float | Literal["auto", "none"] | None = option(None, "Where it ends.", above=0, below=1, otherwise="auto")
    mirror: bool | None = option(None, "Turn it round.", otherwise="as it comes")
    pair: tuple[int, int] | None = option(None, "So many.", least=1, metavar="A B", otherwise="by --kind")
    radii: tuple[float, ...] = option((1.0, 2.0), "How wide.", name="radius", unit="mm", above=0)
    fold: str = option("1", "Of whom.", names=FOLD)
    file: Path | None = option(None, "From where.", metavar="FILE")
    keys: Mapping[str, str] = option(dict, "What else.", name="set", metavar="KEY=VALUE")


@dataclass(frozen=True)
class Narrower(Toy):
    """What is said of a field holds for those of subclasses."""

    pair: tuple[int, int] = (3, 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"count": 0}, "--count 0: expected a whole number from 1."),
        ({"count": 1.5}, "--count 1.5: expected a whole number from 1."),
        ({"count": True}, "--count True: expected a whole number from 1."),
        ({"share": 0}, "--share 0: expected a number above 0 to 1."),
        ({"share": float("nan")}, "--share nan: expected a number above 0 to 1."),
        ({"reach_mm": -1.0}, "--reach-mm -1.0: expected a number above 0 mm."),
        ({"kind": "x"}, "--kind x: expected one of plain, fancy."),
        ({"twice": 1}, "--twice 1: expected true or false."),
        ({"base": 2}, "--base 2: expected one of 1, 0."),
        ({"sign": True}, "--turn True: expected one of +1, -1, auto."),
        ({"sign": "+1"}, "--turn +1: expected one of +1, -1, auto."),
        ({"limit": 1}, "--limit 1: expected a number above 0 and below 1, auto or none."),
        ({"limit": "some"}, "--limit some: expected a number above 0 and below 1, auto or none."),
        ({"mirror": "no"}, "--mirror no: expected true or false."),
        ({"pair": (1, 0)}, "--pair (1, 0): expected two whole numbers from 1."),
        ({"pair": (1, 2, 3)}, "--pair (1, 2, 3): expected two whole numbers from 1."),
        ({"radii": (1.0, 0.0)}, "--radius (1.0, 0.0): expected a list of numbers above 0 mm."),
        ({"radii": ()}, "--radius (): expected a list of numbers above 0 mm."),
        ({"fold": "../1"}, f"--fold ../1: expected {FOLD.expected}, 64 characters at most."),
        ({"file": ""}, "--file : expected a file."),
        ({"keys": "a=1"}, "--set a=1: expected a table of texts or numbers."),
    ],
)
def test_a_value_out_of_its_bounds_is_refused(wrong, message):
    with pytest.raises(UsageError) as caught:
        Toy(**wrong)
    assert str(caught.value) == message


def test_a_subclass_may_narrow_a_field():
    assert Toy().pair is None
    assert Narrower().pair == (3, 3)
    for wrong in (None, (0, 1)):
        with pytest.raises(UsageError, match="--pair"):
            Narrower(pair=wrong)


def test_a_settings_file_writes_lists_and_words():
    takes = {name: each.takes for name, each in declared(Toy).items()}
    assert takes["turn"]("+1")
    assert not takes["turn"](1)
    assert takes["pair"]([1, 2])
    assert not takes["pair"]([1, "2"])
    assert takes["limit"]("auto")
    assert takes["set"]({"batch": 16})
    assert declared(Toy)["limit"].expected('"') == 'a number above 0 and below 1, "auto" or "none"'


def test_the_command_line_has_its_names_defaults_and_sentences():
    @click.command()
    @recipe_options(Toy)
    def command(**asked):
        click.echo(asdict(Toy(**asked)))

    run = CliRunner().invoke
    assert run(command, []).output.strip() == str(asdict(Toy()))
    given = [
        "--count",
        "5",
        "--share",
        "1",
        "--reach-mm",
        "0.5",
        "--kind",
        "fancy",
        "--twice",
        "--base",
        "0",
        "--turn",
        "-1",
    ]
    given += ["--limit", "none", "--no-mirror", "--pair", "1", "2", "--radius", "3", "--radius", "4", "--fold", "a"]
    given += ["--file", "x", "--set", "b=2", "--set", "a= 1"]
    asked = Toy(
        5, 1.0, 0.5, "fancy", True, 0, -1, "none", False, (1, 2), (3.0, 4.0), "a", Path("x"), {"b": "2", "a": "1"}
    )
    assert run(command, given).output.strip() == str(asdict(asked))
    for wrong in (["--turn", "1"], ["--limit", "most"], ["--pair", "0", "1"], ["--count", "0"], ["--set", "x"]):
        assert run(command, wrong).exit_code == 2
    page = run(command, ["--help"]).output
    for name, said in ((name, each.said) for name, each in declared(Toy).items()):
        assert f"--{name}" in page
        assert said.help.rstrip(".") in page
    assert "[mm]" in page
    for default in (
        "[default: +1]",
        "[default: (auto)]",
        "[default: (by --kind)]",
        "[default: 1.0, 2.0; x>0]",
    ):
        assert default in " ".join(page.split())


def test_provenance_holds_what_was_asked_for_and_no_path():
    plain = asdict(Toy())
    del plain["twice"], plain["file"]
    assert Toy(file=Path("x")).parameters() == plain
    assert Toy(twice=True).parameters() == {**plain, "twice": True}


@pytest.mark.parametrize(
    ("recipe", "names"),
    [
        (Folding(), "folds validation seed"),
        (
            Preprocessing(),
            "unwrap highpass brain_mask bet_fraction bet_gradient swi_power swi_polarity swi_scaling minip_slices "
            "phase_range phase_is_filtered phase_sign fix_ge_phase echo phase_volume output_type save_steps",
        ),
        (
            Decided("1"),
            "fold resolutions input size mode cfg max_batches net scale background anchors negatives augment "
            "label_reach seed",
        ),
        (DetectorTraining(), "seed watch select checkpoint_every_s engine"),
        (Frst(), "radii_mm strictness spread presmooth_mm least_gradient margin_mm"),
        (Cropping(), "network rule distance_mm scale shrink_from jitter seed"),
        (
            Scheduled(),
            "schedule network epochs batch learning_rate class_weights augmentation copies select patience seed "
            "warm_up decay",
        ),
        (Evaluating(), "rule distance_mm count link_mm roles most_false"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Recipe) else "",
)
def test_studies_that_are_there_stay_current(recipe, names):
    """A name more in the provenance has the step done again in every study: what is new is silent by default."""
    assert set(recipe.parameters()) == set(names.split())
