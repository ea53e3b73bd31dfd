"""The network file of a cell: one that is shipped, or somebody's own, for its images and its schedule."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import DataError, MissingError, UsageError
from ..io.files import is_file, read_text
from .cfg import parse_cfg
from .project import set_net

__all__ = ["CFGS", "network_path", "network_text"]

_CFG_FOLDER = Path(__file__).parents[1] / "cfg"
CFGS = ("small", "medium", "yolov2-short", "yolov2-paper", "yolov2-released")
"""Network files that are shipped."""


def network_path(cfg: str | Path) -> Path:
    """The file of a network that is shipped, or somebody's own.

    Raises
    ------
    MissingError
        If there is none.
    """
    path = _CFG_FOLDER / f"{cfg}.cfg" if cfg in CFGS else Path(cfg)
    if not is_file(path):
        raise MissingError(f"{cfg}: no such network file, and not one of {', '.join(CFGS)}.")
    return path


def network_text(
    cfg: str | Path, *, size: int, max_batches: int | None = None, net: Mapping[str, object] | None = None
) -> str:
    """Text of the network file with the image size, the shortened schedule and the other keys set.

    Parameters
    ----------
    cfg, size, max_batches, net
        One of :data:`CFGS` or a Darknet network file; side of its images [px]; training iterations, to which the
        schedule is scaled; and other keys of its [net].

    Raises
    ------
    MissingError, DataError, UsageError
        If there is no such file, or it is no network that can be trained on these images.
    """
    path = network_path(cfg)
    text = read_text(path, "Give a Darknet .cfg file.", 1 << 20)
    values: dict[str, object] = {"width": size, "height": size}
    old = parse_cfg(text, str(path)).net
    if max_batches is not None:
        share = max_batches / old.max_batches if old.max_batches else 1.0
        values["max_batches"] = max_batches
        if old.steps:
            values["steps"] = ",".join(str(max(1, round(step * share))) for step in old.steps)
        if old.burn_in:
            values["burn_in"] = round(old.burn_in * share)
    text = set_net(text, values | dict(net or {}))
    parsed = parse_cfg(text, str(path))
    if parsed.region.classes != 1:
        raise DataError(f"{path}: classes={parsed.region.classes} in [region]; microbleeds are one class.")
    if parsed.net.batch < 2:
        raise DataError(f"{path}: batch={parsed.net.batch}; Darknet trains with 2 images or more. Set a larger batch.")
    if (parsed.net.width, parsed.net.height) != (size, size):
        raise UsageError("set the image's size with --size, not as width and height of the network.")
    return text
