"""How long jobs took, and how long those to come will take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .jobs import Job, uses_gpu

__all__ = ["expected", "total"]


def expected(
    job: Job, paces: Mapping[Job, float], amounts: Mapping[str, float], stated: Mapping[str, float]
) -> float | None:
    """How long a job will take [s]: its like in the same resolution, else in any, else what the settings say.

    Parameters
    ----------
    job : Job
    paces : mapping
        Jobs that were done -> seconds they took per amount of work.
    amounts : mapping
        Step -> its amount of work (:func:`cmb_toolkit.paper.work.work`); 1 where nothing is said.
    stated : mapping
        Step -> seconds by the settings.

    Returns
    -------
    float or None
        None where nothing is known.
    """
    like = {other: pace for other, pace in paces.items() if other.step == job.step}
    nearest = [pace for other, pace in like.items() if _resolution(other) == _resolution(job)]
    for group in (nearest, list(like.values())):
        if group:
            return sum(group) / len(group) * amounts.get(job.step, 1.0)
    return float(stated[job.step]) if job.step in stated else None


def _resolution(job: Job) -> str:
    return job.cell.partition("_")[0]


def total(seconds: Mapping[Job, float | None], at_once: int, gpus: int) -> float | None:
    """Seconds for all of these jobs, so many at once, of which those for a GPU have only so many; None if unknown."""
    if None in seconds.values():
        return None
    by_step: Sequence[tuple[str, float]] = [(job.step, value) for job, value in seconds.items() if value is not None]
    whole = sum(value for _, value in by_step) / at_once
    on_gpu = sum(value for step, value in by_step if uses_gpu(step)) / gpus if gpus else 0.0
    longest = max((value for _, value in by_step), default=0.0)
    return max(whole, on_gpu, longest)
