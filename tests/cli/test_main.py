"""The command line as a whole: every help is light, complete and ends in an example; errors become exit codes."""

import re
import signal
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from cmb_toolkit import __version__
from cmb_toolkit.cli import main as module
from cmb_toolkit.cli.main import COMMANDS, cli
from cmb_toolkit.errors import CmbError, DarknetError, DataError, MissingError, StorageError, UsageError

HEAVY = ("tensorflow", "keras", "cv2", "scipy", "pandas", "numpy", "nibabel", "skimage", "matplotlib")


def commands():
    """Every command that does something, with the words that call it."""
    found = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        if isinstance(command, click.Group):
            context = click.Context(command)
            found += [((name, sub), command.get_command(context, sub)) for sub in command.list_commands(context)]
        found.append(((name,), command))
    return found


def test_no_help_imports_anything_heavy():
    """One process asks for every help in turn; what slows a help down is what it imports."""
    calls = [[], *[[*words] for words, _ in commands()]]
    script = f"""
import sys
from cmb_toolkit.cli.main import cli
for words in {calls!r}:
    try:
        cli.main([*words, "--help"], prog_name="cmbtk")
    except SystemExit as end:
        assert end.code == 0, words
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    assert not heavy, f"cmbtk {{' '.join(words)}} --help imports {{heavy}}"
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_overview_names_every_command_once():
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    for name, (section, _, line) in COMMANDS.items():
        assert len(re.findall(rf"^  {re.escape(name)} ", result.output, flags=re.MULTILINE)) == 1
        assert f"{section}:" in result.output
        assert line.split()[0] in result.output


@pytest.mark.parametrize("words", [words for words, _ in commands()], ids=" ".join)
def test_every_help_explains_and_ends_in_an_example(words):
    result = CliRunner().invoke(cli, [*words, "--help"], terminal_width=110)
    assert result.exit_code == 0, result.output
    text = re.split(r"^(?:Options|Commands):", result.output, flags=re.MULTILINE)[0].rstrip()
    example = re.split(r"Examples?:\n", text)
    assert len(example) == 2, f"no example:\n{text}"
    lines = [line.strip() for line in example[1].splitlines()]
    assert any(line.startswith(f"cmbtk {' '.join(words)}") for line in lines), lines
    assert len(example[0].split()) > 25, "too short to explain anything"


@pytest.mark.parametrize("words", [words for words, _ in commands()], ids=" ".join)
def test_examples_use_options_that_exist(words):
    """Every line of an example is parsed by the command that it calls, without being run."""
    result = CliRunner().invoke(cli, [*words, "--help"], terminal_width=110)
    text = re.split(r"^(?:Options|Commands):", result.output, flags=re.MULTILINE)[0]
    for line in re.split(r"Examples?:\n", text)[1].splitlines():
        if not line.strip().startswith("cmbtk "):
            continue
        called = line.split()[1:]
        command = cli.get_command(click.Context(cli), called.pop(0))
        if isinstance(command, click.Group):
            command = command.get_command(click.Context(command), called.pop(0))
        command.make_context("cmbtk", called)


@pytest.mark.parametrize(("words", "command"), commands(), ids=[" ".join(words) for words, _ in commands()])
def test_every_option_is_explained(words, command):
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.is_flag:
            assert parameter.help, f"{parameter.name} has no help"
            told = parameter.show_default or "default" in parameter.help or parameter.to_info_dict()["default"] is None
            assert told, f"{parameter.name} hides its default"
        elif isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} has no help"


def test_version():
    result = CliRunner().invoke(cli, ["--version"])
    assert __version__ in result.output


def test_no_command_shows_the_help():
    result = CliRunner().invoke(cli, [])
    assert "Usage: cmbtk" in result.output.replace("Usage: cli", "Usage: cmbtk")


# -- errors and exit codes --------------------------------------------------------------------------------------


@click.command()
@click.argument("kind")
def _raise(kind):
    errors = {
        "plain": CmbError("scan.nii: broken"),
        "storage": StorageError("scan.nii: disk full"),
        "usage": UsageError("scan.nii: not so"),
        "missing": MissingError("scan.nii: not found"),
        "darknet": DarknetError("scan.nii: darknet died"),
        "data": DataError("scan.nii: bad"),
        "interrupt": KeyboardInterrupt(),
        "bug": ZeroDivisionError("oh"),
        "package": ModuleNotFoundError("No module named 'nibabel.nifti1'", name="nibabel.nifti1"),
        "memory": MemoryError(),
        "orders": DataError("a\x1b[31m\u202e.tsv: bad"),
        "nested": RecursionError("maximum recursion depth exceeded"),
        "full": OSError(28, "No space left on device", "a/b.tsv"),
        "handles": OSError(24, "Too many open files"),
        "rights": PermissionError(13, "Permission denied", "a/b.tsv"),
        "long": OSError(36, "File name too long", "x" * 300),
        "click": click.BadParameter("too big"),
    }
    if kind == "exit":
        click.get_current_context().exit(5)
    if kind in errors:
        raise errors[kind]


@pytest.fixture
def run_main(monkeypatch, capsys):
    """Run main() on a command that raises, and return exit code and what was printed to stderr."""
    monkeypatch.setattr(module.LazyGroup, "get_command", lambda self, ctx, name: _raise if name == "raise" else None)

    def run(kind):
        monkeypatch.setattr(sys, "argv", ["cmbtk", "raise", kind])
        with pytest.raises(SystemExit) as end:
            module.main()
        return end.value.code, capsys.readouterr().err

    heard = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    yield run
    for number, handler in heard.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        ("fine", 0, ""),
        ("plain", 1, "Error: scan.nii: broken\n"),
        ("storage", 1, "Error: scan.nii: disk full\n"),
        ("usage", 2, "Error: scan.nii: not so\n"),
        ("missing", 3, "Error: scan.nii: not found\n"),
        ("darknet", 4, "Error: scan.nii: darknet died\n"),
        ("data", 5, "Error: scan.nii: bad\n"),
        ("exit", 5, ""),
        ("interrupt", 130, "\nInterrupted. Run the same command again to go on.\n"),
    ],
)
def test_errors_become_one_message_and_a_code(run_main, kind, code, message):
    assert run_main(kind) == (code, message)


def test_usage_of_click(run_main):
    code, message = run_main("click")
    assert code == 2
    assert "too big" in message


@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        ("memory", 1, "not enough memory"),
        ("nested", 5, "nested deeper than can be read"),
        ("full", 3, "a/b.tsv: no space left on device. Free some space"),
        ("handles", 1, "too many open files"),
        ("rights", 3, "a/b.tsv: permission denied. Check the path"),
        ("package", 3, "the package nibabel, which cmbtk needs, is not installed"),
        ("long", 3, "x: file name too long"),
        ("orders", 5, r"a\x1b[31m\u202e.tsv: bad"),
    ],
)
def test_what_no_reader_has_said_in_its_own_words(run_main, monkeypatch, kind, code, says):
    monkeypatch.delenv("CMBTK_DEBUG", raising=False)
    found, message = run_main(kind)
    assert found == code
    assert says in message
    assert "bug" not in message


def test_a_bug_is_one_message_too(run_main, monkeypatch):
    monkeypatch.delenv("CMBTK_DEBUG", raising=False)
    code, message = run_main("bug")
    assert code == 1
    assert "unexpected ZeroDivisionError: oh" in message
    assert "CMBTK_DEBUG=1" in message
    assert "Traceback" not in message


def test_a_bug_with_its_traceback(monkeypatch):
    monkeypatch.setattr(module.LazyGroup, "get_command", lambda self, ctx, name: _raise)
    monkeypatch.setenv("CMBTK_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["cmbtk", "raise", "bug"])
    with pytest.raises(ZeroDivisionError):
        module.main()


@pytest.mark.parametrize("arguments", [["nonsense"], ["split"], ["split", "x", "--folds", "many"], ["--nonsense"]])
def test_wrong_usage_is_2(arguments):
    assert CliRunner().invoke(cli, arguments).exit_code == 2


def test_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "cmb_toolkit", "split", "/nowhere"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "Error: /nowhere: not a study folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_request_to_end_is_obeyed_like_ctrl_c():
    """As a scheduler sends it at a job's time limit: what was begun is tidied up, and the exit code is 130."""
    script = """
import os, signal, sys, time
from cmb_toolkit.cli import main as module

def work(**_):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    finally:
        print("tidied up", flush=True)

module.cli.main = work
module.main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (130, "tidied up\n")
    assert "Interrupted. Run the same command again" in done.stderr


def test_jobs_is_the_same_option_everywhere():
    context = click.Context(cli)
    commands = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    found = {name: param for name, command in commands.items() for param in command.params if param.name == "jobs"}
    assert set(found) == {
        "simulate",
        "check",
        "preprocess",
        "prepare-yolo",
        "frst",
        "heatmap",
        "dou",
        "kuijf",
        "liu",
        "chen",
        "wang",
        "hong",
        "stage2-crop",
        "train",
        "detect",
        "bids",
    }
    assert len({(*param.opts, param.help) for param in found.values()}) == 1
