"""``cmbtk``: a group of flat commands, each in a module of its own that is imported only when it is called."""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import signal
import sys
import warnings
from pathlib import Path

import click

from .. import __version__
from ..aloud import VARIABLE, aloud
from ..detectors import DETECTORS, finders
from ..errors import CmbError, DataError, MissingError
from ..names import visible
from .log import Log
from .streams import be_quiet, broken_stream, close_streams, listen, open_streams, say, speak

COMMANDS: dict[str, tuple[str, str, str]] = {
    # name: (section, module, one line)
    "simulate": ("Data", "simulate", "Make scans with known microbleeds: where a newcomer starts."),
    "import": ("Data", "import_", "Make a study from scans and marks you have."),
    "add-simulated": ("Data", "add_simulated", "Add simulated subjects to a study, to learn from."),
    "check": ("Data", "check", "Look at a study or volumes and say what is wrong."),
    "preprocess": ("Data", "preprocess", "Brain mask, phase, SWI: from raw volumes to clean ones."),
    "swi": ("Data", "swi", "The same for one scan, without a study."),
    "split": ("Data", "split", "Divide the subjects into folds for cross-validation."),
    "prepare-yolo": (
        "Stage 1: candidates",
        "prepare_yolo",
        "Write a fold's images, labels and Darknet project.",
    ),
    "stage1-train": ("Stage 1: candidates", "stage1_train", "Train the YOLOv2 detector of a fold."),
    "stage1-detect": ("Stage 1: candidates", "stage1_detect", "Find candidates on every slice."),
    **{command: ("Stage 1: candidates", "find", DETECTORS[method].words) for command, method in finders().items()},
    "stage2-crop": ("Stage 2: false positives out", "stage2_crop", "Cut SWI and phase patches around the candidates."),
    "stage2-train": ("Stage 2: false positives out", "stage2_train", "Train the 3D-CNN of a fold."),
    "stage2-classify": (
        "Stage 2: false positives out",
        "stage2_classify",
        "Say whether each candidate is a microbleed.",
    ),
    "train": ("A model for new scans", "train", "Cross-validation and a model of all patients, in one command."),
    "model": ("A model for new scans", "model", "Make, show, verify, test and pack a model."),
    "detect": ("A model for new scans", "detect", "Look for microbleeds in new scans: label maps, tables, reports."),
    "bids": ("A model for new scans", "bids", "The same for a BIDS folder, as a BIDS app."),
    "review": ("A model for new scans", "review", "Hand findings to readers, and read what comes back."),
    "evaluate": ("Results", "evaluate", "Hold the findings of a fold against the truth."),
    "export": ("Results", "export", "Write findings for other programs: label maps, lists of points."),
    "tables": ("Results", "tables", "Print the results of a study beside the paper's."),
    "figures": ("Results", "figures", "Draw loss curves, sensitivity against false positives, montages."),
    "compare": ("Results", "compare", "Hold two cells against each other on the same test subjects."),
    "experiment": ("Results", "experiment", "Do the paper's whole experiment on a study, and report it."),
    "doctor": ("Help", "doctor", "Show what is installed and which engine would be used."),
}

_NEW_BEFORE_COLLECTING = 10_000
"""So many new objects before Python looks for rubbish among them; 700 of its own accord."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports a command's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"cmb_toolkit.cli.{COMMANDS[cmd_name][1]}")
        command: click.Command = module.command if cmd_name not in finders() else module.command_of(cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, (section, _, line) in COMMANDS.items():
            sections.setdefault(section, []).append((name, line))
        width = max(map(len, COMMANDS))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), line) for name, line in rows])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="cmbtk")
@click.option(
    "-v", "--verbose", is_flag=True, help="Also say what is read and written, what is done already, and when."
)
@click.option("-q", "--quiet", is_flag=True, help="Say errors and the last result alone.")
def cli(verbose: bool, quiet: bool) -> None:
    """Find cerebral microbleeds in susceptibility-weighted MR images.

    Stage 1 (YOLOv2) marks candidates on each slice, stage 2 (a 3D-CNN on SWI and phase patches) throws out the false
    ones; the method is that of Al-masni et al. 2020. Research use only, not a medical device.

    \b
    A first look, on simulated scans:
      cmbtk simulate demo --resolution slab --subjects 24 --seed 1
      cmbtk preprocess demo
      cmbtk split demo --folds 5

    `cmbtk COMMAND --help` explains each step and ends in an example. What a command that writes into a study prints is
    kept in the study's logs.
    """
    if verbose and quiet:
        raise click.UsageError("--verbose and --quiet cannot both be.")
    if verbose:
        os.environ[VARIABLE] = "1"
    if quiet:
        be_quiet()


_ENDS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and a scheduler's or the system's request to end: obeyed alike, what was begun is tidied up."""


def _interrupt(_signal: int, _frame: object) -> None:
    _ignore_ends()  # a second Ctrl-C would only interrupt the tidying up
    raise KeyboardInterrupt


def _ignore_ends() -> None:
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)


def _listen_to_ends() -> None:
    for number in _ENDS:
        if signal.getsignal(number) != signal.SIG_IGN:  # who was started with `&` is deaf to Ctrl-C
            signal.signal(number, _interrupt)


def _hush() -> None:
    """Libraries' advice to programmers, with paths of their own files, is none to users; workers are hushed as well."""
    if not sys.warnoptions and not os.environ.get("CMBTK_DEBUG"):
        warnings.simplefilter("ignore")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")


def _said(error: Exception) -> str:
    """What an error says; without names of scans where it goes into a log that lies in their study."""
    study = os.environ.get("CMBTK_LOG_OF")
    if study is None:
        return str(error)
    from ..study.nameless import kept_text

    return kept_text(Path(study), str(error))


def main() -> None:
    """Run the command line: errors become one message and the documented exit code."""
    # what is imported for a command is no rubbish, and a twentieth of its time would go into looking whether it is
    gc.set_threshold(_NEW_BEFORE_COLLECTING)
    open_streams()
    _listen_to_ends()
    _hush()
    log = Log(sys.argv[1:])
    listen(log.heard)
    try:
        code, message = _run()
    except BaseException:
        speak()  # else its traceback, which was asked for, would be held back
        raise
    _ignore_ends()  # nothing is left that could be stopped
    speak()
    if message:
        say(visible(message))
    log.end(code)
    aloud(f"ended with exit code {code}")
    sys.exit(close_streams(code))


def _run() -> tuple[int, str]:
    """Exit code, and what is left to be said."""
    try:
        code = cli.main(standalone_mode=False)
        return (code if isinstance(code, int) else 0), ""
    except click.ClickException as error:
        return 2, _usage(error)
    except (KeyboardInterrupt, click.Abort):
        return 130, "Interrupted. Run the same command again to go on."
    except CmbError as error:
        return error.exit_code, f"Error: {_said(error)}"
    except (Exception, SystemExit) as error:  # click ends by itself where its pipe is broken
        if (broken := broken_stream()) is not None:
            return broken[0], ""
        if isinstance(error, SystemExit) or os.environ.get("CMBTK_DEBUG"):
            raise
        # the last line of defence: one line for people, the traceback on request
        code, message = _unforeseen(error)
        return code, f"Error: {message}"


def _usage(error: click.ClickException) -> str:
    """How the command is called, and what was wrong with how it was."""
    text = io.StringIO()
    error.show(text)
    return text.getvalue().rstrip("\n")


def _unforeseen(error: Exception) -> tuple[int, str]:
    """The exit code, and what to say of an error that nobody has said in words of his own."""
    if isinstance(error, MemoryError):
        return 1, "this machine has not enough memory for it. Close other programs, or ask for less."
    if isinstance(error, RecursionError):
        return DataError.exit_code, "an input is nested deeper than can be read. Write it again, flat."
    if isinstance(error, OSError) and error.filename is not None and error.errno is not None:
        said = CmbError(f"{os.fsdecode(error.filename)}: {os.strerror(error.errno).lower()}")
        cure = (
            "Free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Check the path and its permissions"
        )
        return MissingError.exit_code, f"{_said(said)}. {cure}, then run the same command again."
    if isinstance(error, OSError) and error.errno is not None:
        return 1, f"the system refused: {os.strerror(error.errno).lower()}. Run the same command again."
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("cmb_toolkit"):
        return MissingError.exit_code, (
            f"the package {error.name.partition('.')[0]}, which cmbtk needs, is not installed for {sys.executable}. "
            "Install the dependencies again: `make setup` in the toolkit's folder."
        )
    return 1, (
        f"unexpected {type(error).__name__}: {_said(error)}\n"
        "This is a bug in cmb_toolkit. Run again with CMBTK_DEBUG=1 for the traceback and report it."
    )
