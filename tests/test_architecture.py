"""The page on the house says what the contracts hold; verbs are short."""

import ast
import configparser
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_floors_on_the_page_are_those_of_the_contract():
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / "setup.cfg")
    layers = contracts["importlinter:contract:floors"]["layers"].split("\n")
    held = [sorted(re.findall(r"cmb_toolkit\.(\w+)", line)) for line in layers if line.strip()]
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    shown = [sorted(re.findall(r"`(\w+)`", row)) for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)]
    assert shown == held


MOST_LINES = 80


def test_verbs_and_commands_are_short():
    """From the first line of a function to its last, its docstring not counted."""
    long = []
    for path in sorted((ROOT / "cmb_toolkit").glob("*/*.py")):
        if path.parent.name not in ("steps", "cli"):
            continue
        for each in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(each, ast.FunctionDef):
                told = each.body[0] if ast.get_docstring(each) is not None else None
                docstring = told.end_lineno - told.lineno + 1 if told else 0
                lines = each.end_lineno - each.lineno + 1 - docstring
                if lines > MOST_LINES:
                    long.append(f"{path.name}: {each.name} has {lines} lines")
    assert not long
