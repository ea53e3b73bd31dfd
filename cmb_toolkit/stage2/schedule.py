"""How long to train the second stage: the paper's schedule, and a short one that a CPU can do.

The paper's is what a recipe is by itself, 200 epochs of 24 copies of every patch: days on a CPU. The short one shows
the few microbleeds more often than the many others, in the symmetries that keep the slice axis (docs/stage2.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from .recipe import ClassifierTraining, Scheduled

__all__ = ["duration", "scheduled"]

_WARM_UP = {"paper": 100, "channel": 100}
"""Steps of warm-up of the networks that need one; the others have none."""

_SHORT: dict[str, Any] = {"epochs": 15, "copies": (6, 1), "augmentation": "drawn"}
_RATE: dict[str, Any] = {"learning_rate": 5e-4, "decay": "cosine"}
_SHORT_OF = {"small": {"epochs": 20}, "paper": _RATE, "channel": _RATE}
"""The short schedule, and what differs for a network: the large ones learn in fewer epochs, with every seed at this
rate (docs/stage2.md)."""

_A_SECOND: dict[Literal["CPU", "GPU"], dict[str, float]] = {
    "CPU": {"small": 200.0, "paper": 12.0, "dou": 250.0, "chen": 80.0, "liu": 40.0},
    "GPU": {"small": 5000.0, "paper": 700.0},
}
"""Patches trained on in a second by a core of a CPU and by a GPU (an H100). The paper's network stands for its like."""


def scheduled(asked: ClassifierTraining, gpu: Callable[[], bool]) -> Scheduled:
    """The training that is asked for, with what is left open taken from its schedule; the warm-up is the network's.

    ``auto`` is the short schedule; on a CPU of the small network, on a GPU of the paper's: `gpu` says whether there is
    one, and is asked only where that decides.
    """
    network = asked.network or ("small" if asked.schedule == "auto" and not gpu() else "paper")
    short = {} if asked.schedule == "paper" else _SHORT | _SHORT_OF.get(network, {})
    said = {name: value for name, value in vars(asked).items() if value is not None}
    return Scheduled(**{"warm_up": _WARM_UP.get(network, 0), **short, **said, "network": network})


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
