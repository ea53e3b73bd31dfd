"""Snakemake's events as lines of JSON on stdout, for the process that supervises it.

Snakemake finds logger plugins by the names of packages on its path, so that this one lies in a folder of its own.
"""

from __future__ import annotations

import json
from logging import LogRecord
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent


class LogHandler(LogHandlerBase):
    """One line an event."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: LogRecord) -> None:
        """Write what concerns a job, and errors of the workflow itself."""
        said = self._said(record)
        if said:
            print(json.dumps(said), flush=True)

    def _said(self, record: LogRecord) -> dict[str, Any] | None:
        event = getattr(record, "event", None)
        fields = vars(record)
        if event is LogEvent.JOB_INFO:  # it is started; in a dry run: it would be
            return {
                "event": "started",
                "id": fields["jobid"],
                "rule": fields["rule_name"],
                "cell": dict(fields["wildcards"]).get("cell", ""),
                "reason": str(fields["reason"]),
            }
        if event is LogEvent.JOB_ERROR:
            return {"event": "failed", "id": fields["jobid"]}
        if event is LogEvent.JOB_FINISHED:
            return {"event": "finished", "id": fields["job_id"]}
        if event is LogEvent.ERROR or record.levelname in ("ERROR", "CRITICAL"):
            return {"event": "error", "text": record.getMessage()}
        return None
