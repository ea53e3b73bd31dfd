"""A closed surface of triangles: made of an icosahedron, refined, and filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

__all__ = ["Mesh", "filled", "folded_share", "icosphere", "subdivide"]

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


def icosphere(subdivisions: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Vertices (n, 3) on the unit sphere and triangles (m, 3), counter-clockwise seen from outside."""
    g = (1 + 5**0.5) / 2
    vertices = np.array(
        [
            (-1, g, 0), (1, g, 0), (-1, -g, 0), (1, -g, 0),
            (0, -1, g), (0, 1, g), (0, -1, -g), (0, 1, -g),
            (g, 0, -1), (g, 0, 1), (-g, 0, -1), (-g, 0, 1),
        ]
    )  # fmt: skip
    faces = np.array(
        [
            (0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11),
            (1, 5, 9), (5, 11, 4), (11, 10, 2), (10, 7, 6), (7, 1, 8),
            (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9),
            (4, 9, 5), (2, 4, 11), (6, 2, 10), (8, 6, 7), (9, 8, 1),
        ]
    )  # fmt: skip
    vertices /= np.linalg.norm(vertices, axis=1)[:, None]
    for _ in range(subdivisions):
        midpoints, faces = subdivide(vertices, faces)
        vertices = np.concatenate([vertices, midpoints / np.linalg.norm(midpoints, axis=1)[:, None]])
    return vertices, faces


def _edges(faces: NDArray[np.intp]) -> NDArray[np.intp]:
    both = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.asarray(np.unique(np.sort(both, axis=1), axis=0), np.intp)


def subdivide(vertices: NDArray[Any], faces: NDArray[np.intp]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Midpoints of all edges (to be appended to the vertices) and the four times as many triangles."""
    sides = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    edges, place = np.unique(sides, axis=0, return_inverse=True)
    ab, bc, ca = place.reshape(3, -1) + len(vertices)
    a, b, c = faces.T
    finer = [np.stack(t, 1) for t in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))]
    return vertices[edges].mean(1, dtype=vertices.dtype), np.concatenate(finer)


@dataclass(frozen=True)
class Mesh:
    """Connectivity of a surface, ready for vectorised updates."""

    faces: NDArray[np.intp]
    edges: NDArray[np.intp]
    neighbours: NDArray[np.intp]  # (6, n); vertices with five neighbours repeat themselves
    weights: Float  # (6, n, 1), 1/degree or 0

    @classmethod
    def of(cls, faces: NDArray[np.intp], n: int) -> Mesh:
        """The connectivity of so many vertices by their triangles."""
        edges = _edges(faces)
        directed = np.concatenate([edges, edges[:, ::-1]])
        directed = directed[np.argsort(directed[:, 0], kind="stable")]
        degree = np.bincount(directed[:, 0], minlength=n)
        start = np.concatenate([[0], np.cumsum(degree)[:-1]])
        neighbours = np.tile(np.arange(n), (6, 1))
        weights = np.zeros((6, n, 1), np.float32)
        for m in range(6):
            has = degree > m
            neighbours[m, has] = directed[start[has] + m, 1]
            weights[m, has, 0] = 1 / degree[has]
        return cls(faces, edges, neighbours, weights)

    def normals(self, points: Float) -> Float:
        """Unit vectors (n, 3) outward at the vertices."""
        a, b, c = (points[corner] for corner in self.faces.T)
        area = np.cross(b - a, c - a)
        total = np.empty_like(points)
        corners = self.faces.T.reshape(-1)
        for axis in range(3):
            total[:, axis] = np.bincount(corners, np.tile(area[:, axis], 3), len(points))
        total /= np.linalg.norm(total, axis=1)[:, None] + np.float32(1e-12)
        return total

    def mean_edge(self, points: Float) -> float:
        """Mean length of an edge."""
        return float(np.linalg.norm(points[self.edges[:, 0]] - points[self.edges[:, 1]], axis=1).mean())


def folded_share(start: Float, points: Float, faces: NDArray[np.intp]) -> float:
    """Share of vertices closer than half an edge to a vertex that was far from them on the start sphere.

    A simple form of the self-intersection test of Smith's last section.
    """
    mesh = Mesh.of(faces, len(points))
    edge, edge_start = mesh.mean_edge(points), mesh.mean_edge(start)
    pairs = KDTree(points).query_pairs(edge / 2, output_type="ndarray")
    if len(pairs) == 0:
        return 0.0
    apart = np.linalg.norm(start[pairs[:, 0]] - start[pairs[:, 1]], axis=1) > 3 * edge_start
    return len(np.unique(pairs[apart])) / len(points)


def filled(vertices: NDArray[np.float64], faces: NDArray[np.intp], shape: Sequence[int]) -> Mask:
    """Voxels on and inside a closed surface given in voxel coordinates."""
    corner = vertices[faces]
    longest = np.sqrt(((corner - np.roll(corner, 1, axis=1)) ** 2).sum(2).max())
    n = int(np.ceil(longest * 2)) + 1
    a, b = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n))
    keep = a + b <= 1 + 1e-9
    a, b = a[keep, None, None], b[keep, None, None]
    samples = corner[:, 0] + a * (corner[:, 1] - corner[:, 0]) + b * (corner[:, 2] - corner[:, 0])
    pad = 2
    surface = np.zeros([m + 2 * pad for m in shape], bool)
    index = np.clip(np.rint(samples).astype(np.intp).reshape(-1, 3) + pad, 0, np.array(surface.shape) - 1)
    surface[tuple(index.T)] = True
    inside: Mask = ndimage.binary_fill_holes(surface)
    return inside[tuple(slice(pad, pad + m) for m in shape)]
