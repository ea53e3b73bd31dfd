"""The model card: what a model is, what it reached, and what it must not be used for, for people."""

from __future__ import annotations

from ..wording import counted
from .content import OPERATING, Content, Point

__all__ = ["card", "expected"]


def card(content: Content) -> str:
    """Markdown text."""
    learned, look = content.learned, content.look
    first = f"input `{look.images.input}`" if look.images else f"method `{look.method}`"
    stages = "in two stages (Al-masni et al. 2020)"
    if not look.images:
        stages = f"in two stages, as Al-masni et al. 2020 do, with `{look.method}` in the place of their detector"
    maker = ", ".join(word for word in (content.author, content.contact, content.doi) if word) or "not said"
    grids = "\n".join(
        f"- {' x '.join(f'{side:g}' for side in grid.voxel_mm)} mm, {grid.matrix[0]} x {grid.matrix[1]} voxels: "
        f"{grid.scans} scans"
        for grid in content.grids
    )
    points = "\n".join(
        f"| {name} | {OPERATING[name]:g} | {point.threshold:.4g} | {_share(point)} | {_false(point)} | "
        f"{'' if point.control_false_positives is None else f'{point.control_false_positives:.2f}'} |"
        for name, point in ((name, content.points[name]) for name in OPERATING)
    )
    return f"""# {content.name} {content.version}

Finds cerebral microbleeds in susceptibility-weighted MR images, {stages}.
**Research use only. Not a medical device.** The method is claimed by a patent (US 11,481,902 B2).

- Learned from **{learned.kind}** scans: {counted(learned.scans, "scan")} of {counted(learned.persons, "person")} with
  {counted(learned.microbleeds, "microbleed")}.
- Made by: {maker}. Licence of the weights: {content.licence or "not said: ask who made it"}.
- Made with cmb_toolkit {content.toolkit.get("cmb_toolkit", "")}.

## What it reached

On {counted(learned.held_out_persons, "person")} with {counted(learned.held_out_microbleeds, "microbleed")} and
{counted(learned.controls, "control")}, each looked at by networks that had learned nothing of them (trainings:
{learned.folds}); a hit lies within 3 mm. Thresholds were chosen on other persons. 95 % intervals over persons.

| operating point | allowed | threshold | found | false positives a subject | a control |
|---|---|---|---|---|---|
{points}
{_beside_parent(content)}
## For which scans

Phase with magnitude (or SWI), {first}. It learned from these voxels:

{grids}

Scans with other voxels are resampled, with a warning; much larger ones are refused. Other field strengths, echo times
and scanners than those learned from were not looked at.

## Where it fails

Cross-sections of veins, the rim of the brain and air-filled sinuses look like microbleeds; calcifications differ from
them in the sign of the phase alone. Microbleeds that touch a larger bleeding, or siderosis, were not learned.
"""


def _beside_parent(content: Content) -> str:
    """What it learned from readers, and whether that made it better; empty of a model without a parent."""
    parent = content.parent
    if parent is None:
        return ""
    rejected = ", ".join(f"{count} {name}" for name, count in parent.rejected.items()) or "none"
    rows = "\n".join(
        f"| {name} | {100 * found[0]:.0f} % | {100 * found[1]:.0f} % | {_difference(found, 100)} | {false[0]:.2f} | "
        f"{false[1]:.2f} | {_difference(false, 1)} |"
        for name, each in ((name, parent.points[name]) for name in OPERATING if name in parent.points)
        for found, false in [(each.sensitivity, each.false_positives)]
    )
    words = {
        "better": "It is better than its parent",
        "worse": "**It is worse than its parent: do not use it in its place**",
        "not told apart": "It is not told apart from its parent",
    }
    microbleeds = counted(parent.microbleeds, "microbleed")
    return f"""
## Beside its parent

Made from {parent.name} (sha256 {parent.sha256[:16]}) and what readers said of {counted(parent.scans, "more scan")}:
{microbleeds}, of them {parent.added} added by readers; findings that are none: {rejected}.
{words[parent.verdict]}, at the point balanced on the same {counted(parent.subjects, "held-out scan")}, each at its own
threshold. Differences with 95 % intervals over persons.

| operating point | parent found | found | difference | parent's false positives | false positives | difference |
|---|---|---|---|---|---|---|
{rows}
"""


def _difference(rate: tuple[float, float, float, float, float], scale: int) -> str:
    value, low, high = (scale * x for x in rate[2:])
    digits = 0 if scale == 100 else 2
    return f"{value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


def expected(point: Point) -> str:
    """What an operating point reached, in one sentence."""
    if point.sensitivity is None or point.false_positives is None:
        return "What it finds was not measured on held-out persons."
    control = point.control_false_positives
    healthy = "" if control is None else f", {control:.2f} a healthy control"
    found, false = _share(point), _false(point)
    return f"On held-out persons it found {found} of the microbleeds at {false} false positives a subject{healthy}."


def _share(point: Point) -> str:
    if point.sensitivity is None:
        return "n/a"
    value, low, high = (100 * share for share in point.sensitivity)
    return f"{value:.0f} % ({low:.0f} to {high:.0f})"


def _false(point: Point) -> str:
    if point.false_positives is None:
        return "n/a"
    value, low, high = point.false_positives
    return f"{value:.2f} ({low:.2f} to {high:.2f})"
