"""What Darknets print and write."""

import math

import pytest

from cmb_toolkit.darknet.output import Iteration, parse_iteration, parse_test, parse_valid
from cmb_toolkit.errors import DarknetError
from cmb_toolkit.model import Box


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1: 288.887329, 288.887329 avg, 0.000000 rate, 1.286044 seconds, 16 images", (1, 288.887329, 16)),
        (
            " 1500: 0.113627, 0.129031 avg loss, 0.000500 rate, 0.214400 seconds, 24000 images, 0.5 hours left",
            (1500, 0.113627, 24000),
        ),
        (" 7: inf, inf avg loss, 0.1 rate, 0.2 seconds, 28 images, -1.000000 hours left", (7, math.inf, 28)),
    ],
)
def test_iterations_of_both_flavours(line, expected):
    assert parse_iteration(line) == Iteration(*expected)


@pytest.mark.parametrize("word", ["nan", "-nan"])
def test_a_loss_that_is_no_number_is_read_as_such(word):
    step = parse_iteration(f" 3: {word}, {word} avg loss, 0.1 rate, 0.2 seconds, 12 images, 1 hours left")
    assert step.iteration == 3
    assert math.isnan(step.loss)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "yolo",
        "Region Avg IOU: 0.203190, Class: 1.000000, Obj: 0.640710, No Obj: 0.404616, Avg Recall: -nan,  count: 0",
        "\x1b[H\x1b[J1/130: loss=21.5 hours left=-1.0\x07",
        "Loaded: 0.097298 seconds",
        "12: abc, 1 avg, 0 rate, 1 seconds, 16 images",
        "1: 288.887329, 288.887329 avg, 0.000000 rate, 1.28",  # cut off by a kill
    ],
)
def test_other_lines(line):
    assert parse_iteration(line) is None


def test_results_of_valid():
    """Corners are one-based pixel edges; a stem may hold blanks."""
    boxes = parse_valid(
        "s 000 0.884791 24.968220 75.165451 39.047184 89.303268\ns1 0.5 1 1 128 30\ns1 0.25 2 2 5 5\n", "r.txt"
    )
    assert boxes == {
        "s 000": [Box(23.968220, 74.165451, 38.047184, 88.303268, 0.884791)],
        "s1": [Box(0, 0, 127, 29, 0.5), Box(1, 1, 4, 4, 0.25)],
    }
    assert parse_valid("", "r.txt") == {}
    for broken in ("s1 0.5 1 1 128", "s1 0.5 1 1 128 3x"):
        with pytest.raises(DarknetError, match=r"r\.txt, line 1"):
            parse_valid(broken, "r.txt")


JSON = """[
{
 "frame_id":1, 
 "filename":"in/a.png", 
 "objects": [ 
  {"class_id":0, "name":"m", "relative_coordinates":{"center_x":0.25, "center_y":0.5, "width":0.1, "height":0.2}, "confidence":0.884665}, 
  {"class_id":1, "name":"n", "relative_coordinates":{"center_x":0.0, "center_y":0.5, "width":0.1, "height":0.2}, "confidence":0.1}
 ] 
}, 
{
 "frame_id":2, 
 "filename":"in/b.png", 
 "objects": [ 

 ] 
}
]"""  # noqa: E501, W291


def test_results_of_test():
    (first, boxes), second = parse_test(JSON, 200, 100, "found.json")
    assert (first, second) == ("in/a.png", ("in/b.png", []))
    box = boxes[0].box
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((40, 40, 60, 60))
    assert (boxes[0].label, box.confidence, boxes[1].label, boxes[1].box.left) == (0, 0.884665, 1, -10)


@pytest.mark.parametrize("cut", [0, 5, 150, -1])
def test_results_that_are_cut_off(cut):
    with pytest.raises(DarknetError, match=r"found\.json: is not whole"):
        parse_test(JSON[:cut], 200, 100, "found.json")


def test_boxes_without_bounds():
    """C's words for what an untrained network may give."""
    text = JSON.replace('"width":0.1', '"width":inf').replace('"center_x":0.0', '"center_x":-nan')
    (_, boxes), _ = parse_test(text, 200, 100, "found.json")
    assert boxes[0].box.right > 1e9
    assert math.isnan(boxes[1].box.left)


@pytest.mark.parametrize("confidence", ["1.5", "-0.1", "1e300", "inf"])
def test_a_confidence_that_is_none(confidence):
    with pytest.raises(DarknetError, match="not a detection"):
        parse_valid(f"sub-001_slice-001 {confidence} 1 2 3 4\n", "results.txt")


def test_messages_stay_short():
    for read in (lambda text: parse_valid(text, "results"), lambda text: parse_test(text, 64, 64, "results")):
        with pytest.raises(DarknetError) as error:
            read("[" * 100_000)
        assert len(str(error.value)) < 500
