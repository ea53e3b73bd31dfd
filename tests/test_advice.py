"""Advice can be followed: commands and options that any message of the package names are ones that cmbtk takes."""

import ast
import re
import shlex
from functools import cache
from pathlib import Path

import click
import pytest

from cmb_toolkit.cli.main import cli

PACKAGE = Path(__file__).parents[1] / "cmb_toolkit"
HOLE = "{}"
"""Stands for what a message fills in."""

QUOTED = re.compile(r"`(cmbtk[^`]*)`|^(?: *|Next: )(cmbtk .*)$", re.MULTILINE)
OPTION = re.compile(r"(?<![\w`=-])--[a-z][a-z0-9-]*")


def module_of(path):
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


TREES = {module_of(path): ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
NODES = {module: list(ast.walk(tree)) for module, tree in TREES.items()}


@cache
def imported(module):
    """Modules of the package that a module imports, at its top, within a function, or as a registry's line says."""
    return frozenset(_imported(module))


def _imported(module):
    package = module if (PACKAGE.parent / module.replace(".", "/")).is_dir() else module.rpartition(".")[0]
    for node in NODES[module]:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join(
                [*package.split(".")[: len(package.split(".")) - node.level + 1], *filter(None, [node.module])]
            )
            yield from (name for name in (base, *(f"{base}.{alias.name}" for alias in node.names)) if name in TREES)
        elif isinstance(node, ast.Constant) and re.fullmatch(r"cmb_toolkit\.[\w.]+:\w+", str(node.value)):
            yield str(node.value).partition(":")[0]  # a line of a registry


def reached(module):
    """A module and all that it imports, directly or not."""
    found, left = set(), [module]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += imported(name)
    return found


def commands(group, path=()):
    """Every command that is no group, by the words that call it."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(cli))
REACHED = {words: reached(command.callback.__module__) for words, command in COMMANDS.items()}


def options(command):
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


def quotes(text):
    """Commands in backquotes, and those on a line of their own, as the examples of the help are."""
    return [inline or line for inline, line in QUOTED.findall(text)]


def described(module):
    """The strings that describe code to its readers. Those of commands are their help, and messages too."""
    for node in NODES[module]:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            told = module.startswith("cmb_toolkit.cli.") and isinstance(node, ast.FunctionDef)
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and not told:
                yield first.value


def texts(module):
    """Messages of a module with their lines; what is filled in is a hole. Words of command lines are no messages."""
    inside = {id(part) for node in NODES[module] if isinstance(node, ast.JoinedStr) for part in node.values}
    inside |= {id(node) for node in described(module)}
    for node in NODES[module]:
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else HOLE for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


def called(words):
    """The commands that words may call, `{}` and a group standing for each of several; and what follows."""
    for length in range(len(words), 0, -1):
        found = [
            command
            for path, command in COMMANDS.items()
            if len(path) >= length and all(a in (b, HOLE) for a, b in zip(words[:length], path, strict=False))
        ]
        if found:
            return found, words[length:]
    return [], words


def wrong_quotes(text):
    """Quoted commands that there are not, or with options that they have not."""
    for quote in quotes(text):
        words = shlex.split(quote, comments=True)[1:]
        if not words or words[0] in ("COMMAND", "--help", "--version"):
            continue
        found, rest = called(words)
        if not found:
            yield f"`{quote}`: no such command"
            continue
        named = [word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"]
        every = any if words[0] == HOLE else all  # one of all that there are, or each of those that are meant
        lacking = [name for name in named if not every(name in options(command) for command in found)]
        if lacking:
            yield f"`{quote}`: has no {lacking[0]}"
        elif HOLE not in quote and len(found) == 1:
            try:
                found[0].make_context(words[0], [word for word in rest if word != "--help"])
            except click.MissingParameter:
                pass
            except click.BadOptionUsage as error:  # only the option is named, not its value
                if "requires an argument" not in error.message:
                    yield f"`{quote}`: {error.message}"
            except click.UsageError as error:
                yield f"`{quote}`: {error.message}"


def wrong_options(module, text):
    """Options beside the quotes that no command has which is quoted with them, or can come to say this."""
    quoted = [command for quote in quotes(text) for command in called(shlex.split(quote)[1:])[0]]
    own = [COMMANDS[words] for words, modules in REACHED.items() if module in modules]
    if module.startswith("cmb_toolkit.cli."):
        own = [command for command in (cli, *COMMANDS.values()) if command.callback.__module__ == module] or own
    for name in OPTION.findall(QUOTED.sub("", text)):
        if not any(name in options(command) for command in (*own, *quoted)):
            yield f"{name}: is no option of a command that can say so"


@pytest.mark.parametrize("module", sorted(TREES))
def test_advice_can_be_followed(module):
    wrong = []
    for line, text in texts(module):
        if " " not in text or re.match(r"nvidia-smi|--[\w-]+=", text):  # of another program's command line
            continue
        wrong += [f"line {line}: {problem}" for problem in (*wrong_quotes(text), *wrong_options(module, text))]
    assert not wrong


def test_what_the_test_would_find():
    assert (
        list(wrong_quotes("Run `cmbtk import table --label-base 1`, `cmbtk swi`, `cmbtk import` or `cmbtk {}`.")) == []
    )
    assert list(wrong_quotes("Run `cmbtk import table --keep-names`.")) != []
    assert list(wrong_quotes("Run `cmbtk import authors --label-axes mirror`.")) != []
    assert list(wrong_quotes("Run `cmbtk import {} --keep-names`.")) != [], "one of them has no such option"
    assert list(wrong_quotes("Run `cmbtk guess`.")) != []
    assert list(wrong_options("cmb_toolkit.checks.marks", "look at them (--pictures)")) == []
    assert list(wrong_options("cmb_toolkit.checks.marks", "try --label-guess")) != []
