"""Inputs damaged on purpose: what is done to a file of each kind, who reads it, and what may come of it.

``benchmarks/mutations.py`` runs many of them, ``tests/test_mutations.py`` a few. A mutant is made from a seed, its
kind's name and a number alone, so that each can be had again by itself.
"""

from __future__ import annotations

from . import arrays, commands, documents, networks, tables, volumes
from .guard import FAULTS, OUTCOMES, Outcome, run
from .kind import Kind, Mutant

__all__ = ["FAULTS", "KINDS", "OUTCOMES", "Kind", "Mutant", "Outcome", "run"]

KINDS: tuple[Kind, ...] = (
    *volumes.KINDS,
    *networks.KINDS,
    *tables.KINDS,
    *documents.KINDS,
    *arrays.KINDS,
    *commands.KINDS,
)
"""Every kind, in the order of the table."""
