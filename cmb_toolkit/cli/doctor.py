"""``cmbtk doctor``."""

from __future__ import annotations

from pathlib import Path

import click

from .options import Place


@click.command()
@click.option("--darknet", type=Place(), help="Look at this Darknet binary.")
@click.pass_context
def command(ctx: click.Context, darknet: Path | None) -> None:
    """Show what is installed, what this machine has, and which engine would train and detect.

    Looks at the versions of the packages, at processors, memory, disk and GPU, and for a Darknet binary (--darknet,
    the variable CMBTK_DARKNET, the checkout's own build, PATH). Nothing is changed. The exit code is 3 where something
    that is needed is missing. Its output belongs into every report of a problem.

    \b
    Example:
      cmbtk doctor
    """
    from ..errors import MissingError
    from ..steps.doctor import examine

    colours = {"ok": None, "note": "yellow", "problem": "red"}
    findings = examine(darknet)
    width = max(len(finding.topic) for finding in findings)
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            click.secho(f"{section.capitalize()}", bold=True)
        mark = {"ok": " ", "note": "!", "problem": "X"}[finding.state]
        click.secho(f"{mark} {finding.topic:<{width}}  {finding.found}", fg=colours[finding.state])
        if finding.advice:
            click.echo(f"  {'':<{width}}  {finding.advice}")
    if any(finding.state == "problem" for finding in findings):
        ctx.exit(MissingError.exit_code)
