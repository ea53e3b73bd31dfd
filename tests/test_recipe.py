"""A step's options are declared once."""

from dataclasses import asdict, dataclass

import click
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.recipes import recipe_options
from cmb_toolkit.errors import UsageError
from cmb_toolkit.recipe import Recipe, declared, option


@dataclass(frozen=True)
class Toy(Recipe):
    """Every kind of field."""

    count: int = option(3, "How many.", least=1)
    share: float = option(0.5, "What part.", above=0, most=1)
    reach_mm: float = option(2.0, "How far.", unit="mm", above=0)
    kind: str = option("plain", "Which.", choices=("plain", "fancy"))
    twice: bool = option(False, "Do it again.")


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
    assert run(command, given).output.strip() == str(asdict(Toy(5, 1.0, 0.5, "fancy", True)))
    page = run(command, ["--help"]).output
    for name, (_, said) in declared(Toy).items():
        assert f"--{name}" in page
        assert said.help in page
    assert "[mm]" in page
