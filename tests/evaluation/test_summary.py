import pytest

from cmb_toolkit.errors import DataError
from cmb_toolkit.evaluation.results import CellResult
from cmb_toolkit.evaluation.summary import common_label

LESIONS = "centre rule: within 3 mm; per lesion"
LINKED = f"{LESIONS} (boxes linked within 3 mm)"


def cells(*labels):
    return [
        CellResult(f"HR_swi_fold-{n}", "HR", "swi", str(n), False, {"centre": x}, {}, ())
        for n, x in enumerate(labels, 1)
    ]


@pytest.mark.parametrize(
    ("labels", "said"), [((LESIONS,), LESIONS), ((LINKED, LINKED), LINKED), ((LESIONS, LINKED, LESIONS), LESIONS)]
)
def test_lesions_are_lesions_wherever_they_were_put_together(labels, said):
    assert common_label(cells(*labels), "centre") == said


@pytest.mark.parametrize(
    "labels",
    [
        (LESIONS, LESIONS.replace("3 mm", "5 mm")),
        (LINKED, f"{LESIONS} (boxes linked within 5 mm)"),
        (LESIONS, "centre rule: within 3 mm; per box"),
    ],
)
def test_other_distances_and_boxes_are_refused(labels):
    with pytest.raises(DataError, match="under different rules"):
        common_label(cells(*labels), "centre")
