"""The errors a user can meet. Each names the file, what was found, what was expected and what to do.

The command line prints the message alone and exits with the class's ``exit_code``; a traceback reaching a
user is a bug.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


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
        self.subjects: list[str] = []

    def add(self, error: CmbError | str, subject: str = "") -> None:
        """Note a problem, and whose it is; plain text is bad data."""
        self.found.append(DataError(error) if isinstance(error, str) else error)
        self.subjects.append(subject)

    @contextmanager
    def of(self, subject: str) -> Iterator[None]:
        """Note what goes wrong inside as this subject's, and go on; but a disk that is full is nobody's in particular.

        Parameters
        ----------
        subject : str
        """
        try:
            yield
        except StorageError:
            raise
        except CmbError as error:
            self.add(error, subject)

    def extend(self, other: Problems) -> None:
        """Note the problems that were gathered elsewhere."""
        for error, subject in zip(other.found, other.subjects, strict=True):
            self.add(error, subject)

    def raise_if_any(self, hint: str = "") -> None:
        """Raise what was gathered as one error, with a hint as its last line.

        Beyond the first of them only the subjects are named, each of them.

        Raises
        ------
        CmbError
            Of the kind that all problems are (a missing file, wrong usage), or else bad data.
        """
        if not self.found:
            return
        lines = [
            f"{name}: {error}" if name else str(error) for name, error in zip(self.subjects, self.found, strict=True)
        ]
        if len(lines) > self.most_shown:
            more = list(dict.fromkeys(name for name in self.subjects[self.most_shown :] if name))
            whose = f", of {', '.join(more)}" if more else ""
            lines[self.most_shown :] = [f"... and {len(lines) - self.most_shown} more problems like these{whose}."]
        kinds = {type(error) for error in self.found}
        kind = kinds.pop() if len(kinds) == 1 else DataError
        raise kind("\n".join([*lines, hint] if hint else lines))
