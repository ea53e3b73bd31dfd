"""How much there is to compute in the steps whose settings decide how long they take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..classifiers import CLASSIFIERS
from ..darknet.cfg import parse_cfg
from ..darknet.network_file import network_text

__all__ = ["work"]


def work(options: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Amounts of work, each step's in a unit of its own: only ratios mean something.

    Parameters
    ----------
    options : mapping
        Step -> options, complete.

    Returns
    -------
    dict
        ``stage1-train``: images times the network's operations for one; ``stage1-detect``: these operations;
        ``stage2-train``: epochs times copies times the network's operations for a patch.

    Raises
    ------
    MissingError, DataError, UsageError
        If the network file is not there, or cannot be used.
    """
    first, second = options["prepare-yolo"], options["stage2-train"]
    name, size = first["cfg"], first["size"]
    text = network_text(name, size=size, max_batches=first.get("max-batches"), net=first.get("set"))
    cfg = parse_cfg(text, name)
    return {
        "stage1-train": float(cfg.net.max_batches * cfg.net.batch * cfg.training_flops),
        "stage1-detect": float(cfg.flops),
        # of the candidates, next to all are false: the second number of copies is theirs
        "stage2-train": second["epochs"] * second["copies"][1] * CLASSIFIERS[second["network"]].work,
    }
