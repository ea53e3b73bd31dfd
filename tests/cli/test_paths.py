"""Paths are printed alike: from the working directory where they lie below it, else absolute."""

import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import COMMANDS, cli
from cmb_toolkit.cli.options import Place
from cmb_toolkit.paths import from_here


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_path_is_written_from_here(here):
    assert from_here(here / "a" / "b") == from_here(Path("a/b")) == from_here(Path("../here/a/b")) == Path("a/b")
    assert from_here(here) == from_here(Path()) == from_here(Path("a/..")) == Path()
    assert from_here(Path("../other/x.nii")) == here.parent / "other" / "x.nii"
    assert from_here(Path("..")) == here.parent


def test_no_link_is_followed_but_on_the_way_back(here):
    far = here.parent / "far" / "away"
    far.mkdir(parents=True)
    (here / "link").symlink_to(far)
    (here / "scan.nii").symlink_to(far / "annexed")
    assert from_here(here / "link" / "x") == Path("link/x")
    assert from_here(Path("scan.nii")) == Path("scan.nii")
    assert from_here(Path("link/../x")) == far.parent / "x"


def test_every_command_takes_its_paths_so():
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        every = command.commands.values() if isinstance(command, click.Group) else [command]
        for parameter in (parameter for each in every for parameter in each.params):
            assert isinstance(parameter.type, Place) or not isinstance(parameter.type, click.Path), (name, parameter)


@pytest.mark.parametrize("place", ["below", "above", "in it"])
def test_what_is_printed(evaluated_study, monkeypatch, place):
    root = evaluated_study.root
    cell = evaluated_study.cell("slab", "swi+cphase-averaged", "1").folder
    where = {"below": root.parent, "above": root.parent / "x", "in it": cell}[place]
    where.mkdir(exist_ok=True)
    monkeypatch.chdir(where)
    study = {"below": "study", "above": str(root), "in it": str(root)}[place]
    for spelling in (root, os.path.relpath(root)):
        said = CliRunner().invoke(cli, ["tables", str(spelling)]).stdout
        assert said.splitlines()[-1] == f"Tables: {study}/tables"
    for spelling in (cell, os.path.relpath(cell)):
        said = CliRunner().invoke(cli, ["evaluate", str(spelling), "--false-pictures", "0"]).stdout
        assert said.splitlines()[-2:] == [
            f"Numbers and pictures: {study}/cells/{cell.name}/evaluation",
            f"Next: cmbtk tables {study}",
        ]
    shown = CliRunner().invoke(cli, ["stage2-crop", os.path.relpath(root)])
    assert str(shown.exception).startswith(f"{study}: not a cell of a study")
