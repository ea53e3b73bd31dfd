"""Signed distances [mm] to simple bodies, negative inside: the bricks of the procedural head.

Every function takes coordinates as three arrays ``(x, y, z)`` and is exact or, for superellipsoids, accurate near
the surface, which is where it matters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .signal import Array

__all__ = ["Point", "Points", "capsule_chain", "partial_volume", "rotated_about_z", "smooth_minimum", "superellipsoid"]

Point = tuple[float, float, float]
Points = Sequence[Array]


def superellipsoid(
    points: Points, centre: Point, semi_axes: Point, *, negative_side: Point | None = None, power: float = 2.0
) -> Array:
    """Distance to a superellipsoid, approximated to first order round its surface.

    Parameters
    ----------
    negative_side : 3 floats, optional
        Semi-axes on the negative side of the centre, for lopsided bodies.
    power : float
        2 for an ellipsoid, more for a boxier body.
    """
    ratios = []
    inverse = []
    for a in range(3):
        offset = points[a] - np.float32(centre[a])
        if negative_side is None:
            scale: Array = np.float32(1 / semi_axes[a])  # type: ignore[assignment]
        else:
            scale = np.where(offset > 0, np.float32(1 / semi_axes[a]), np.float32(1 / negative_side[a]))
        ratios.append(np.abs(offset) * scale)
        inverse.append(scale)
    if power == 2.0:
        level = np.sqrt(sum(r * r for r in ratios)) + np.float32(1e-6)
        slope = np.sqrt(sum((r * s) ** 2 for r, s in zip(ratios, inverse, strict=True))) / level
    else:
        level = sum(r**power for r in ratios) ** np.float32(1 / power) + np.float32(1e-6)
        gradient = sum((r ** (power - 1) * s) ** 2 for r, s in zip(ratios, inverse, strict=True))
        slope = np.sqrt(gradient) * level ** (1 - power)
    distance: Array = ((level - 1) / (slope + np.float32(1e-6))).astype(np.float32)
    return distance


def capsule_chain(points: Points, nodes: Sequence[Point], radii: Sequence[float]) -> Array:
    """Distance to a chain of round cones through `nodes` whose radius goes from one of `radii` to the next."""
    legs = zip(nodes[:-1], nodes[1:], radii[:-1], radii[1:], strict=True)
    distance: Array = np.minimum.reduce([_round_cone(points, *leg) for leg in legs])
    return distance


def _round_cone(points: Points, start: Point, end: Point, start_radius: float, end_radius: float) -> Array:
    a = np.asarray(start, np.float32)
    d = np.asarray(end, np.float32) - a
    offsets = [points[n] - a[n] for n in range(3)]
    along = np.clip(sum(o * c for o, c in zip(offsets, d, strict=True)) / (d @ d), 0, 1)
    square = sum((o - along * c) ** 2 for o, c in zip(offsets, d, strict=True))
    distance: Array = np.sqrt(square) - (np.float32(start_radius) + np.float32(end_radius - start_radius) * along)
    return distance


def smooth_minimum(first: Array, second: Array, width_mm: float) -> Array:
    """Union of two bodies whose crease is rounded over `width_mm`."""
    share = np.clip(0.5 + 0.5 * (second - first) / np.float32(width_mm), 0, 1)
    return second + (first - second) * share - np.float32(width_mm) * share * (1 - share)


def rotated_about_z(points: Points, centre: Point, angle_deg: float) -> list[Array]:
    """Coordinates turned about a vertical line, so that a body defined on them is turned the other way."""
    angle = np.deg2rad(angle_deg)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    x, y = points[0] - np.float32(centre[0]), points[1] - np.float32(centre[1])
    return [
        np.float32(centre[0]) + cosine * x - sine * y,
        np.float32(centre[1]) + sine * x + cosine * y,
        points[2],
    ]


def partial_volume(distance: Array, width_mm: float = 0.56) -> Array:
    """Share of a voxel that lies inside a body, from its signed distance; the edge is 2 `width_mm` wide."""
    share: Array = np.clip(np.float32(0.5) - distance * np.float32(1 / (2 * width_mm)), 0, 1)
    return share
