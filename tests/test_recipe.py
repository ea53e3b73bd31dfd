"""A step's options are declared once."""

from dataclasses import asdict, dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.recipes import recipe_options
from cmb_toolkit.errors import UsageError
from cmb_toolkit.names import RESOLUTION
from cmb_toolkit.recipe import Recipe, declared, option


@dataclass(frozen=True)
class Toy(Recipe):
    """Every kind of field."""

    count: int = option(3, "How many.", least=1)
    share: float = option(0.5, "What part.", above=0, most=1)
    reach_mm: float = option(2.0, "How far.", unit="mm", above=0)
    kind: str = option("plain", "Which.", choices=("plain", "fancy"))
    twice: bool = option(False, "Do it again.", silent=True)
    base: int = option(1, "From where.", choices=(1, 0))
    label: str | None = option(None, "Called how.", names=RESOLUTION)
    key: Path | None = option(None, "Written where.", file=True)


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
        ({"label": "a b"}, f"--label a b: expected {RESOLUTION.expected}, 64 characters at most."),
        ({"key": "x"}, "--key x: expected a path."),
    ],
)
def test_a_value_out_of_its_bounds_is_refused(wrong, message):
    with pytest.raises(UsageError) as caught:
        Toy(**wrong)
    assert str(caught.value) == message


def test_the_command_line_has_its_names_defaults_and_sentences():
    @click.command()
    @recipe_options(Toy)
    def command(**asked):
        click.echo(asdict(Toy(**asked)))

    run = CliRunner().invoke
    assert run(command, []).output.strip() == str(asdict(Toy()))
    given = ["--count", "5", "--share", "1", "--reach-mm", "0.5", "--kind", "fancy", "--twice"]
    given += ["--base", "0", "--label", "7T", "--key", "x.tsv"]
    asked = Toy(5, 1.0, 0.5, "fancy", True, 0, "7T", Path("x.tsv"))
    assert run(command, given).output.strip() == str(asdict(asked))
    page = run(command, ["--help"]).output
    for name, (_, said) in declared(Toy).items():
        assert f"--{name}" in page
        assert said.help in page
    assert "[mm]" in page


def test_provenance_holds_what_was_asked_for_and_no_path():
    plain = {"count": 3, "share": 0.5, "reach_mm": 2.0, "kind": "plain", "base": 1, "label": None}
    assert Toy(key=Path("x")).parameters() == plain
    assert Toy(twice=True).parameters() == {**plain, "twice": True}
