"""Going on with Adam where its moments are not known: a file of Darknet's weights does not hold them.

Darknet's rule (its code for GPUs; t is the iteration, and d the summed gradient with the decay)::

    m = B1 m + (1 - B1) d
    v = B2 v + (1 - B2) d^2
    w = w + rate * m / (1 - B1^t) / (sqrt(v / (1 - B2^t)) + eps)

It corrects the moments as if all t iterations had gone into them. Where k < t have, a step is too long by the factor::

    sqrt((1 - B2^t) / (1 - B2^k)) * (1 - B1^k) / (1 - B1^t)

which is 3.2 for the first and up to 6.6 after ten, at a late iteration: the training diverges. Nor is there a burn-in,
which counts from the first iteration. A network file can say one thing against both, the rate: divided by that factor,
and with the burn-in counted from where the moments begin, it makes the steps those of a training begun there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

from .layers import Net

__all__ = ["excess", "restarted", "schedule_keys"]

_APART = 0.02
"""How far the steps of a rate may lie apart from what they stand for, as a share of it."""


def excess(net: Net, since: int, iteration: int) -> float:
    """By how much Adam's steps are too long where its moments begin after iteration `since`."""
    parts = iteration - since
    first = (1 - net.b1**parts) / (1 - net.b1**iteration)
    second = (1 - net.b2**parts) / (1 - net.b2**iteration)
    return float(first / second**0.5)


def restarted(net: Net, since: int) -> Net:
    """The schedule of a training whose moments begin anew after an iteration.

    Parameters
    ----------
    net : Net
    since : int
        The last iteration that has not gone into the moments; 0 where all have.

    Returns
    -------
    Net
        With the policy ``steps`` (``constant`` for one iteration), whose rates are those of the schedule divided by
        :func:`excess` and burnt in anew; `net` itself where nothing is to be changed.
    """
    if not net.adam or since == 0 or since >= net.max_batches:
        return net
    steps: list[int] = []
    scales: list[float] = []
    first = held = 0.0
    for iteration, rate in _rates(net, since):
        if not held:
            first = held = rate
        elif abs(rate / held - 1) > _APART:
            steps.append(iteration)
            scales.append(float(f"{rate / held:.8g}"))
            held *= scales[-1]
    policy: Literal["steps", "constant"] = "steps" if steps else "constant"
    return replace(net, learning_rate=first, burn_in=0, policy=policy, steps=tuple(steps), scales=tuple(scales))


def schedule_keys(net: Net) -> Mapping[str, object]:
    """What a network file says of a schedule that :func:`restarted` has made."""
    keys = {"learning_rate": f"{net.learning_rate:.8g}", "burn_in": 0, "policy": net.policy}
    if net.policy == "constant":
        return keys
    listed = {"steps": ",".join(map(str, net.steps)), "scales": ",".join(f"{scale:.8g}" for scale in net.scales)}
    return {**keys, **listed}


def _rates(net: Net, since: int) -> Iterator[tuple[int, float]]:
    """The rates that are wanted; none is 0, which could not be left again by a factor."""
    for iteration in range(since + 1, net.max_batches + 1):
        begun = iteration - since
        rate = net.rate(iteration) / excess(net, since, iteration)
        if begun < net.burn_in:
            rate *= (begun / net.burn_in) ** net.power
        yield iteration, max(rate, 1e-20)
