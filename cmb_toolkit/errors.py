"""The errors a user can meet. Each names the file, what was found, what was expected and what to do.

The command line prints the message alone and exits with the class's ``exit_code``; a traceback reaching a
user is a bug.
"""

from __future__ import annotations


class CmbError(Exception):
    """Base of every error raised on purpose; also used for failures outside anybody's input."""

    exit_code = 1


class StorageError(CmbError):
    """The disk is full or cannot be written."""


class UsageError(CmbError, ValueError):
    """The command or function was called with arguments that do not go together."""

    exit_code = 2


class MissingError(CmbError, FileNotFoundError):
    """A file, folder or tool that the step needs is not there."""

    exit_code = 3

    def __str__(self) -> str:  # FileNotFoundError would print an errno
        return str(self.args[0]) if self.args else ""


class DarknetError(CmbError, RuntimeError):
    """Darknet did not do what it was asked to do."""

    exit_code = 4


class DataError(CmbError, ValueError):
    """A file was read, but its content cannot be right."""

    exit_code = 5


class Problems:
    """What is wrong with an input of many parts, gathered so that one run shows all of it."""

    most_shown = 20

    def __init__(self) -> None:
        self.found: list[CmbError] = []

    def add(self, error: CmbError | str) -> None:
        """Note a problem; plain text is bad data."""
        self.found.append(DataError(error) if isinstance(error, str) else error)

    def raise_if_any(self, hint: str = "") -> None:
        """Raise what was gathered as one error, with a hint as its last line.

        Raises
        ------
        MissingError
            If every problem is a missing file.
        DataError
            If any is another.
        """
        if not self.found:
            return
        lines = [str(error) for error in self.found[: self.most_shown]]
        if len(self.found) > self.most_shown:
            lines.append(f"... and {len(self.found) - self.most_shown} more problems like these.")
        missing = all(isinstance(error, MissingError) for error in self.found)
        raise (MissingError if missing else DataError)("\n".join([*lines, hint] if hint else lines))
