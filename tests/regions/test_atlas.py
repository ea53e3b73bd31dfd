"""The atlas that comes with the toolkit: which label is what, and how far regions are from a place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine

from cmb_toolkit.regions.atlas import GROUP_OF, GROUPS, REGIONS, Atlas, mars
from cmb_toolkit.regions.placing import BORDER_MM, placed
from cmb_toolkit.schema import PLACED


@pytest.mark.parametrize(
    ("place", "region"),
    [
        ((0, -30, -34), "brainstem"),
        ((30, -65, -40), "cerebellum"),
        ((-27, 3, 2), "basal ganglia"),
        ((12, -18, 7), "thalamus"),
        ((-22, -8, 12), "internal capsule"),
        ((0, 25, 4), "corpus callosum"),
        ((26, -15, 30), "deep white matter"),
        ((-45, 40, 15), "frontal"),
        ((40, -55, 50), "parietal"),
        ((-60, -20, -10), "temporal"),
        ((10, -92, 5), "occipital"),
        ((38, 5, 2), "insula"),
    ],
)
def test_places_of_the_template_are_in_the_regions_of_anatomy(place, region):
    assert REGIONS[int(mars().at(place)) - 1] == region


def test_there_are_thirteen_regions_as_large_as_a_brain_s():
    ml = np.bincount(mars().labels.ravel(), minlength=14) / 1000
    assert len(ml) == len(REGIONS) + 1 == 14
    assert (ml[1:] > 10).all()
    assert 1400 < ml[1:].sum() < 2000
    assert sorted(GROUP_OF) == sorted(REGIONS)
    assert set(GROUP_OF.values()) == set(GROUPS)


place = st.tuples(st.floats(-80, 80), st.floats(-110, 80), st.floats(-75, 90))


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.floats(-14, 14)] * 3))
def test_distances_are_those_to_the_nearest_voxel(point):
    whole = mars()
    there = tuple(slice(n - 12, n + 12) for n in (70, 110, 80))
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = -11.5
    atlas = Atlas(whole.labels[there], affine)
    away = atlas.distances(point, 8.0)
    for label in range(1, 14):
        voxels = np.argwhere(atlas.labels == label)
        nearest = np.linalg.norm(apply_affine(affine, voxels) - point, axis=1).min(initial=np.inf)
        if int(atlas.at(point)) == label:
            assert away[label - 1] == 0
        elif nearest > 8:
            assert away[label - 1] == np.inf
        else:
            assert away[label - 1] == pytest.approx(nearest)


@settings(max_examples=60, deadline=None)
@given(place)
def test_a_border_is_where_the_next_region_is_hardly_farther(point):
    (row,) = placed(np.array([point]), mars()).to_dict("records")
    away = np.sort(mars().distances(point, 10.0))
    if np.isinf(away[0]):
        assert row["region"] is None or np.isnan(row["region"])
        return
    assert row["group"] == GROUP_OF[row["region"]]
    assert row["border"] == (away[1] - away[0] < BORDER_MM)
    assert row["side"] == ("midline" if abs(point[0]) < 3 else "right" if point[0] > 0 else "left")


def test_of_two_at_one_distance_the_smaller_label_has_it():
    atlas = mars()
    labels = np.zeros_like(atlas.labels)
    labels[90, 100, 100], labels[94, 100, 100] = 12, 5
    between = apply_affine(atlas.affine, (92, 100, 100))
    (row,) = placed(between[None], Atlas(labels, atlas.affine)).to_dict("records")
    assert (row["region"], row["next_region"], row["next_mm"]) == (REGIONS[4], REGIONS[11], 0.0)


def test_no_place_gives_a_table_without_rows():
    assert list(placed(np.zeros((0, 3)), mars())) == PLACED.names
