"""What commands say that wrote candidates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..detectors import DETECTORS, finders
from .quoting import quoted

__all__ = ["say_candidates"]


def say_candidates(record: Mapping[str, Any], table: Path) -> None:
    """Threshold, numbers by role, the table and the next command, from the record of the candidates."""
    used, subjects = record["threshold"], record["subjects"]
    click.echo(f"Threshold   {used['value']:.4g} ({used['chosen']})")
    for role, count in record["candidates"].items():
        if subjects[role]:
            click.echo(f"Candidates  {role}: {count} in {subjects[role]} subjects, {count / subjects[role]:.1f} each")
    click.echo(f"Table       {table}")
    method = finders().get(record["step"])
    follows = "evaluate" if method and DETECTORS[method].alone else "stage2-crop"
    click.echo(f"Next: cmbtk {follows} {quoted(table.parent)}")
