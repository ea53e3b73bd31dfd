"""What the record of a preprocessed scan says of where it came from."""

from __future__ import annotations

from dataclasses import dataclass

from ..io.publish import read_record
from .layout import Study

__all__ = ["ScanRecord", "read_scan_record"]


@dataclass(frozen=True)
class ScanRecord:
    """The origin of a scan.

    Attributes
    ----------
    simulated : bool
    echo_time_ms : float or None
        None where it is not known.
    digests : frozenset of str
        SHA-256 of the files that its phase came from; no name of theirs.
    """

    simulated: bool
    echo_time_ms: float | None
    digests: frozenset[str]


def read_scan_record(study: Study, subject: str) -> ScanRecord:
    """The origin of a subject's scan; of scans without a record nothing is known but their simulated truth."""
    record = read_record(study.subject(subject)) or {}
    makers = {facts.get("Manufacturer") for facts in record.get("acquisition", {}).values()}
    return ScanRecord(
        simulated=study.simulated_truth(subject).is_file() or "simulated" in makers,
        echo_time_ms=record.get("parameters", {}).get("echo_time_ms"),
        digests=frozenset(
            source["sha256"] for source in record.get("sources", []) if source.get("role") in ("phase", "real")
        ),
    )
