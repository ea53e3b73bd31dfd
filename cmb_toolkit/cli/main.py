"""``cmbtk``: a group of flat commands, each in a module of its own that is imported only when it is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

import click

from .. import __version__
from ..errors import CmbError

COMMANDS: dict[str, tuple[str, str, str]] = {
    # name: (section, module, one line)
    "simulate": ("Data", "simulate", "Make scans with known microbleeds: where a newcomer starts."),
    "import": ("Data", "import_", "Make a study from scans and marks you have."),
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
    "frst": ("Stage 1: candidates", "frst", "Find candidates without a detector: what is round and dark."),
    "stage2-crop": ("Stage 2: false positives out", "stage2_crop", "Cut SWI and phase patches around the candidates."),
    "stage2-train": ("Stage 2: false positives out", "stage2_train", "Train the 3D-CNN of a fold."),
    "stage2-classify": (
        "Stage 2: false positives out",
        "stage2_classify",
        "Say whether each candidate is a microbleed.",
    ),
    "evaluate": ("Results", "evaluate", "Hold the findings of a fold against the truth."),
    "tables": ("Results", "tables", "Print the results of a study beside the paper's."),
    "figures": ("Results", "figures", "Draw loss curves, sensitivity against false positives, montages."),
    "compare": ("Results", "compare", "Hold two cells against each other on the same test subjects."),
    "experiment": ("Results", "experiment", "Do the paper's whole experiment on a study, and report it."),
    "doctor": ("Help", "doctor", "Show what is installed and which engine would be used."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports a command's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"cmb_toolkit.cli.{COMMANDS[cmd_name][1]}")
        command: click.Command = module.command
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
def cli() -> None:
    """Find cerebral microbleeds in susceptibility-weighted MR images.

    Stage 1 (YOLOv2) marks candidates on each slice, stage 2 (a 3D-CNN on SWI and phase patches) throws out the false
    ones; the method is that of Al-masni et al. 2020. Research use only, not a medical device.

    \b
    A first look, on simulated scans:
      cmbtk simulate demo --resolution slab --subjects 24 --seed 1
      cmbtk preprocess demo
      cmbtk split demo --folds 5

    `cmbtk COMMAND --help` explains each step and ends in an example.
    """


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _said(error: Exception) -> str:
    """What an error says; without names of scans where it goes into a log that lies in their study."""
    study = os.environ.get("CMBTK_LOG_OF")
    if study is None:
        return str(error)
    from ..steps.nameless import kept_text

    return kept_text(Path(study), str(error))


def main() -> None:
    """Run the command line: errors become one message and the documented exit code."""
    # a scheduler's or the system's request to end is obeyed like Ctrl-C: what was begun is tidied up
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. Run the same command again to go on.", err=True)
        sys.exit(130)
    except CmbError as error:
        click.echo(f"Error: {_said(error)}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:  # the last line of defence: one line for people, the traceback on request
        if os.environ.get("CMBTK_DEBUG"):
            raise
        message, code = _unforeseen(error)
        click.echo(f"Error: {message}", err=True)
        sys.exit(code)


def _unforeseen(error: Exception) -> tuple[str, int]:
    """What to say of an error that nobody has said in words of his own, and the exit code."""
    if isinstance(error, MemoryError):
        return "this machine has not enough memory for it. Close other programs, or ask for less.", 1
    if isinstance(error, OSError) and error.filename is not None and error.errno is not None:
        said = CmbError(f"{os.fsdecode(error.filename)}: {os.strerror(error.errno).lower()}")
        return f"{_said(said)}. Check the path and its permissions.", 3
    return (
        f"unexpected {type(error).__name__}: {_said(error)}\n"
        "This is a bug in cmb_toolkit. Run again with CMBTK_DEBUG=1 for the traceback and report it."
    ), 1
