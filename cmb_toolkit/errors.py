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
