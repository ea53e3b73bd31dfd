"""How long to train the second stage: the paper's schedule, and a short one that a CPU can do.

The paper's is what a recipe is by itself, 200 epochs of 24 copies of every patch: days on a CPU. The short one shows
the few microbleeds more often than the many others, in the symmetries that keep the slice axis (docs/stage2.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ..errors import UsageError
from .training import WARM_UP, Recipe

__all__ = ["SCHEDULES", "duration", "scheduled"]

SCHEDULES: tuple[str, ...] = ("auto", "short", "paper")
"""``auto``: the short one; on a CPU of the small network, on a GPU of the paper's."""

_SHORT: dict[str, Any] = {"epochs": 15, "copies": (6, 1), "augmentation": "drawn"}
_RATE: dict[str, Any] = {"learning_rate": 5e-4, "decay": "cosine"}
_SHORT_OF = {"small": {"epochs": 20}, "paper": _RATE, "channel": _RATE}
"""The short schedule, and what differs for a network: the large ones learn in fewer epochs, with every seed at this
rate (docs/stage2.md)."""

_A_SECOND: dict[Literal["CPU", "GPU"], dict[str, float]] = {
    "CPU": {"small": 500.0, "paper": 12.0},
    "GPU": {"small": 5000.0, "paper": 700.0},
}
"""Patches trained on in a second by a core of a CPU and by a GPU (an H100). The paper's network stands for its like."""


def scheduled(name: str, network: str | None, gpu: Callable[[], bool], **asked: Any) -> tuple[str, Recipe]:
    """The network and the recipe of a schedule.

    Parameters
    ----------
    name : str
        One of :data:`SCHEDULES`.
    network : str or None
        One of :data:`cmb_toolkit.stage2.networks.NETWORKS`; None for the schedule's.
    gpu : callable
        Whether there is a GPU to train on; asked only where that decides.
    **asked
        Of the recipe, over what the schedule says; None leaves it that. The warm-up is the network's.

    Raises
    ------
    UsageError
        If there is no such schedule, or the recipe cannot be.
    """
    if name not in SCHEDULES:
        raise UsageError(f"schedule {name!r} is not known; choose one of {', '.join(SCHEDULES)}.")
    if network is None:
        network = "small" if name == "auto" and not gpu() else "paper"
    short = _SHORT | _SHORT_OF.get(network, {})
    said = {option: value for option, value in asked.items() if value is not None}
    return network, Recipe(**{"warm_up": WARM_UP.get(network, 0), **({} if name == "paper" else short), **said})


def duration(network: str, shown: int, validated: int, device: Literal["CPU", "GPU"], cores: int) -> float:
    """Roughly how long a training takes [s], by what processors of today do in a second.

    Parameters
    ----------
    network : str
    shown, validated : int
        Patches trained on and validated on in all epochs; the latter are three times as fast.
    device : {"CPU", "GPU"}
    cores : int
        Of the CPU.
    """
    rates = _A_SECOND[device]
    rate = rates.get(network, rates["paper"]) * (cores if device == "CPU" else 1)
    return (shown + validated / 3) / rate
