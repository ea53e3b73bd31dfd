"""The page on the house says what the contracts hold."""

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
