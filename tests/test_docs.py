"""The documentation: its links lead somewhere, and the commands that it shows are ones that cmbtk takes."""

import re
import shlex
from pathlib import Path

import click
import pytest

from cmb_toolkit.cli.main import cli
from cmb_toolkit.paper.settings import load_settings

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("data/*.md"), *ROOT.glob("docs/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_and_files_are_there(page):
    text = page.read_text("utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    lost = [link for link in links if link and "://" not in link and not (page.parent / link).exists()]
    files = re.findall(r"`([\w./*-]+/[\w*-]+\.(?:py|sh|cfg|toml))`", text)
    lost += [name for name in files if not (any(ROOT.glob(name)) or any((ROOT / "cmb_toolkit").glob(name)))]
    assert not lost
    assert not re.search(r"^(<{7}|={7}|>{7})", text, re.MULTILINE), "left of a merge"


SHOWN = [
    pytest.param(line, id=f"{name}: {line[:60]}")
    for page, name in zip(PAGES, NAMES, strict=True)
    for line in re.findall(r"^(?: {4})?(cmbtk .*)", page.read_text("utf-8"), re.MULTILINE)
]
"""Lines of code that begin with cmbtk."""


def test_readme_has_every_command():
    table = (ROOT / "README.md").read_text("utf-8").partition("## What it does")[2].partition("## More")[0]
    assert set(re.findall(r"`([a-z0-9-]+)[^`]*`", table)) >= set(cli.list_commands(click.Context(cli)))


SETTINGS = [
    pytest.param(text, id=name)
    for page, name in zip(PAGES, NAMES, strict=True)
    for text in re.findall(r"^```toml\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
]


@pytest.mark.parametrize("text", SETTINGS)
def test_settings_are_taken(text, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    load_settings(path)


def test_settings_of_the_benchmarks_are_taken():
    for path in ROOT.glob("benchmarks/*.toml"):
        load_settings(path)


@pytest.mark.parametrize("line", SHOWN)
def test_commands_are_taken(line):
    words = shlex.split(line, comments=True)[1:]
    context = click.Context(cli, info_name="cmbtk")
    command = cli
    while isinstance(command, click.Group):
        name = words.pop(0)
        command = command.get_command(context, name)
        assert command is not None, name
    command.make_context(name, words)
