"""What was found of one scan, as files say it: a summary for programs and a page for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from .. import __version__
from ..bundle.card import expected
from ..bundle.files import Bundle
from ..imaging.swi import minip
from ..io.publish import COMMIT
from ..report.scan.content import Changes, ScanPage, Shown
from ..report.scan.grid import slice_numbers
from ..report.scan.regions import Placement, by_group, pattern, unsure
from .recipe import Detecting
from .scan import Looked

__all__ = ["page_of", "summary_of"]

_NEAR_MISSES = 5
_MINIP_MM = 10.0


def summary_of(name: str, looked: Looked, bundle: Bundle, recipe: Detecting) -> dict[str, Any]:
    """Numbers and words, JSON-able."""
    table, content = looked.table, bundle.content
    kept = table[table["kept"]]
    best = table[~table["kept"]]["score"]
    regions = {"regions": _regions(looked, kept)} if looked.located else {}
    return {
        "subject": name,
        "model": bundle.title,
        "learned_from": content.learned.kind,
        "operating": recipe.operating,
        "threshold": content.points[recipe.operating].threshold,
        "learned_from_this_scan": looked.learned_from,
        "range": looked.fit.light,
        "reasons": list(looked.fit.reasons),
        "findings": len(kept),
        "findings_expected": _number(kept["probability"].sum() if content.calibration else np.nan),
        "candidates": len(table),
        "best_rejected_score": _number(best.max() if len(best) else np.nan),
        "voxel_mm": [round(side, 4) for side in looked.own.zooms],
        "shape": list(looked.own.shape),
        "looked_at_voxel_mm": [round(side, 4) for side in looked.on.spacing],
        "resampled": looked.on.resampled,
        "brain_ml": looked.on.cleaned.brain_ml,
        "brain_mask": looked.on.cleaned.brain_mask,
        "phase_unit": looked.on.cleaned.phase_unit,
        "phase_sign": looked.on.cleaned.phase_sign,
        "warnings": list(looked.warnings),
        "acquisition": dict(looked.acquisition),
        **regions,
        **({"since": _since(looked)} if looked.since else {}),
    }


def _since(looked: Looked) -> dict[str, Any]:
    """What has changed; only how many."""
    changed = looked.since
    assert changed is not None
    laid = {"similarity": _number(changed.laid.similarity)} if changed.laid else {}
    return {**laid, "doubt": changed.doubt} if changed.doubt else {**laid, **changed.numbers(), "note": changed.note}


def _regions(looked: Looked, kept: pd.DataFrame) -> dict[str, Any]:
    """Where the findings lie; only how many and the pattern."""
    where = looked.located
    assert where is not None
    laid = {"similarity": _number(where.laid.similarity)} if where.laid else {}
    if where.doubt:
        return {**laid, "doubt": where.doubt}
    return {**laid, **by_group(kept), "pattern": pattern(kept), "unsure": unsure(kept)}


def page_of(
    summary: Mapping[str, Any],
    looked: Looked,
    bundle: Bundle,
    recipe: Detecting,
    inputs: Mapping[str, str],
    engine: str,
) -> ScanPage:
    """The page on a scan.

    Parameters
    ----------
    summary : mapping
        From :func:`summary_of`.
    looked, bundle, recipe
    inputs : mapping
        Role of each file -> its sha256.
    engine : str
        What computed.
    """
    content, table, cleaned = bundle.content, looked.table, looked.on.cleaned
    learned = content.learned
    shape, voxel = looked.own.shape, looked.own.zooms
    facts = [("Voxels", f"{_times(shape)} of {_times(f'{side:.3g}' for side in voxel)} mm")]
    if looked.on.resampled:
        facts.append(("Looked at with", f"{_times(f'{side:.3g}' for side in looked.on.spacing)} mm"))
    known: Mapping[str, Any] = next(iter(looked.acquisition.values()), {})
    facts += [(words, str(known[name])) for name, words in _FACTS.items() if name in known]
    return ScanPage(
        subject=str(summary["subject"]),
        model=bundle.title,
        trained_on=f"{learned.kind} scans" + ("" if learned.kind == "simulated" else f" of {learned.persons} persons"),
        light=looked.fit.light,
        reasons=looked.fit.reasons,
        operating=recipe.operating,
        expected=expected(content.points[recipe.operating]),
        facts=tuple(facts),
        lesions=table[table["kept"]].reset_index(drop=True),
        rejected=table[~table["kept"]].head(_NEAR_MISSES).reset_index(drop=True),
        candidates=len(table),
        quality=(
            ("Phase", f"{cleaned.phase_unit}; shown with paramagnetic bright"),
            ("Sign of the phase in the file", cleaned.phase_sign),
            ("Brain mask", f"{cleaned.brain_mask}, {cleaned.brain_ml:.0f} ml"),
        ),
        warnings=looked.warnings,
        provenance=(
            ("cmb_toolkit", f"{__version__} {COMMIT or ''}".strip()),
            ("Computed with", engine),
            ("Threshold", f"score >= {summary['threshold']:.4g} ({recipe.operating})"),
            ("Model", _digest(bundle)),
            *((f"sha256 of the {role}", digest) for role, digest in inputs.items()),
        ),
        shown=Shown(
            looked.on.affine,
            cleaned.volumes["swi"],
            cleaned.volumes["phase"],
            minip(cleaned.volumes["swi"], max(1, round(_MINIP_MM / looked.on.spacing[2])), cleaned.mask),
            cleaned.mask,
            slice_numbers(looked.on.affine, cleaned.mask.shape, looked.own.file_affine, looked.slice_axis),
            looked.on.head,
        ),
        placement=_placement(looked),
        changes=_changes(looked),
    )


def _changes(looked: Looked) -> Changes | None:
    changed = looked.since
    if changed is None:
        return None
    similarity = changed.laid.similarity if changed.laid else np.nan
    return Changes(changed.doubt, changed.note, similarity, changed.numbers(), changed.gone)


def _placement(looked: Looked) -> Placement | None:
    where = looked.located
    if where is None:
        return None
    laid = where.laid
    return Placement(where.doubt, laid.similarity, laid.matrix) if laid else Placement(where.doubt)


_FACTS = {
    "Manufacturer": "Scanner",
    "MagneticFieldStrength": "Field strength [T]",
    "EchoTime": "Echo time [s]",
    "RepetitionTime": "Repetition time [s]",
    "FlipAngle": "Flip angle [degrees]",
}


def _digest(bundle: Bundle) -> str:
    files = bundle.content.files
    return "; ".join(f"{name} {facts['sha256'][:16]}" for name, facts in files.items() if "." in name)


def _number(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _times(values: Any) -> str:
    return " x ".join(map(str, values))
