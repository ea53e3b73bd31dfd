"""The page on a scan: places, words, what is escaped, how large it is."""

import base64
import gzip
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pandas as pd
import pytest
from toy_scan import SPOTS, affine, head, lesions, scan

from cmb_toolkit.report.scan.content import Shown
from cmb_toolkit.report.scan.page import MOST_PICTURED, scan_page

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}</style>"
MOST = 3_000_000

TURNED = [
    pytest.param(affine(), id="straight"),
    pytest.param(affine(15.0), id="oblique"),
    pytest.param(affine(-30.0, mm=(0.5, 0.5, 1.5)), id="oblique and fine"),
    pytest.param(affine(0.0, mm=(1.2, 0.7, 3.0)), id="oblong"),
]


class Tags(HTMLParser):
    """What a browser would make of it."""

    VOID = ("img", "meta", "br", "image", "circle", "path", "use", "polygon", "rect")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def named(self, tag, **wanted):
        return [attrs for name, attrs in self.tags if name == tag and wanted.items() <= attrs.items()]


def text_of(page):
    """What a reader sees, in one line."""
    without = re.sub(r"(?s)<(script|style).*?</\1>", "", page)
    return " ".join(" ".join(Tags(without).words).split())


def test_the_browser_may_run_this_script_and_load_nothing():
    text = scan_page(scan())
    tags = Tags(text)
    [policy] = tags.named("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; img-src data:; script-src 'sha256-")
    assert "unsafe" not in policy["content"]
    addresses = [attrs[name] for _, attrs in tags.tags for name in ("src", "href") if name in attrs]
    assert addresses
    assert [one for one in addresses if not one.startswith(("#", "data:image/"))] == []
    assert not re.search(r"https?:|url\(|@import", text)
    assert not [attrs for _, attrs in tags.tags if any(name.startswith(("on", "style")) for name in attrs)]


def test_equal_content_gives_equal_bytes():
    assert scan_page(scan()) == scan_page(scan())


def test_whatever_text_is_given_is_text():
    page = scan(light="red")
    page.lesions["flags"] = f"{EVIL}; near a vein"
    texts = dict.fromkeys(("subject", "model", "trained_on", "operating", "expected"), EVIL)
    pairs = dict.fromkeys(("facts", "quality", "provenance"), ((EVIL, EVIL),))
    made = scan_page(replace(page, **texts, **pairs, reasons=(EVIL,), warnings=(EVIL,)))
    plain = Tags(scan_page(page))
    tags = Tags(made)
    assert len(tags.named("script")) == len(plain.named("script")) == 3
    assert len(tags.named("style")) == 1
    assert not tags.named("img")
    assert "<script>alert" not in made
    assert "{{ 7 * 7 }}" in made


@pytest.mark.parametrize("matrix", TURNED)
def test_a_lesion_is_in_the_middle_of_its_pictures(matrix):
    tags = Tags(scan_page(scan(matrix, shown=head(matrix))))
    pictures = [picture for picture in tags.named("image") if picture["href"].startswith("data:image/png")]
    assert len(pictures) == 3 * len(SPOTS)
    for n, picture in enumerate(pictures):
        image = cv2.imdecode(np.frombuffer(base64.b64decode(picture["href"].partition(",")[2]), np.uint8), 0)
        x, y, width, height = (float(picture[name]) for name in ("x", "y", "width", "height"))
        row, column = int(-y / height * image.shape[0]), int(-x / width * image.shape[1])
        assert image[row, column] == (image.max() if n % 3 == 1 else image.min())  # phase: paramagnetic bright
        assert np.sum(image == image[row, column]) == 1 or n % 3 == 1 or image.min() == 0


def viewer_of(text):
    """What the viewer is told, and the volume (slice, row, column)."""
    about = json.loads(re.search(r'(?s)id="viewer-about">(.*?)</script>', text)[1])
    data = re.search(r'(?s)id="viewer-volume">(.*?)</script>', text)[1]
    columns, rows, slices = about["size"]
    volume = np.frombuffer(gzip.decompress(base64.b64decode(data)), np.uint8)
    return about, volume.reshape(slices, rows, columns)


@pytest.mark.parametrize("matrix", TURNED)
def test_the_viewer_goes_where_the_lesion_is(matrix):
    about, volume = viewer_of(scan_page(scan(matrix, shown=head(matrix))))
    assert [mark["kind"] for mark in about["marks"]] == ["finding", "finding", "near miss"]
    for mark, spot in zip(about["marks"], SPOTS, strict=True):
        column, row, k = (round(value) for value in mark["at"])
        assert volume[k, row, column] == volume[volume > 0].min()
        assert np.allclose(np.array(about["world"]) @ [*mark["at"], 1], (matrix @ [*spot, 1])[:3], atol=0.02)


def test_right_is_on_the_left_and_anterior_on_top():
    shown = head(affine())
    bright = np.zeros_like(shown.swi)
    bright[50, 60, 10] = 1  # far to the right and in front
    shown = replace(shown, swi=bright, mask=np.ones(bright.shape, bool))
    _, volume = viewer_of(scan_page(scan(shown=shown)))
    _, row, column = np.argwhere(volume > 2)[0]
    assert (row, column) == (70 - 1 - 60, 60 - 1 - 50)


def test_slices_are_called_as_the_file_calls_them():
    slices = tuple(range(20, 0, -1))  # a file from above downwards
    text = scan_page(scan(shown=head(affine(), slices=slices)))
    about, _ = viewer_of(text)
    assert about["slices"] == list(range(19, 1, -1))  # the first and the last hold no brain
    assert "slices 11 to 19" in text_of(text)


@pytest.mark.parametrize("mm", [0.2, 0.8, 3.0])
def test_a_scale_bar_is_as_long_as_its_picture_allows(mm):
    grid = affine(mm=(mm, mm, 2.0))
    text = scan_page(scan(grid, shown=head(grid)))
    number = "([0-9.]+)"
    scale = rf'class="scale" x="{number}" y="[0-9.]+" width="{number}"'
    drawn = rf'overview"><svg viewBox="0 0 {number} [^>]*>(?:(?!</svg>).)*{scale}'
    bars = [tuple(map(float, each)) for each in re.findall(drawn, text)]
    assert len(bars) > 1
    for width, start, length in bars:
        assert start + length < width
        assert width / 15 < length <= width / 5
    assert f"bar {bars[0][2]:.0f} mm. A circle" in text_of(text)
    assert f"; bar {bars[-1][2]:.0f} mm" in text_of(text)


def big(spots):
    """A whole head of 448 x 512 x 72 voxels."""
    shape = (448, 512, 72)
    rng = np.random.default_rng(1)
    axes = [np.linspace(-1.25, 1.25, n, dtype=np.float32) ** 2 for n in shape]
    mask = axes[0][:, None, None] + axes[1][:, None] + axes[2] / 1.5 < 1
    swi = (100 + 10 * rng.standard_normal(shape, np.float32)) * mask
    for i, j, k in spots:
        swi[i - 2 : i + 3, j - 2 : j + 3, k] = 20
    return Shown(affine(mm=(0.5, 0.5, 2.0)), swi, swi - 100 * mask, swi, mask)


def test_a_whole_head_stays_below_3_mb_and_takes_seconds():
    rng = np.random.default_rng(2)
    spots = np.stack([rng.integers(150, 300, 60), rng.integers(150, 350, 60), rng.integers(20, 50, 60)], axis=1)
    shown = big(spots)
    page = scan(shown.affine, shown=shown, lesions=lesions(shown.affine, spots).assign(probability=0.5))
    begun = time.process_time()
    text = scan_page(page)
    assert time.process_time() - begun < 5
    assert 1_000_000 < len(text.encode()) < MOST
    assert f"Pictures of the first {MOST_PICTURED} only" in text
    about, _ = viewer_of(text)
    assert len(about["marks"]) == 61


def test_an_empty_result_explains_itself():
    page = scan(findings=0, rejected=lesions(affine(), SPOTS).assign(probability=[0.21, 0.1, 0.05]))
    said = text_of(scan_page(page))
    assert "0 microbleeds 0 findings; 37 candidates, the best at probability 0.21" in said
    assert "Findings, the most probable first" not in said
    nothing = lesions(affine(), [])
    said = text_of(scan_page(replace(page, rejected=nothing, candidates=0)))
    assert "the first stage proposed no candidate at all" in said
    assert "No candidate was rejected" in said


def test_a_head_without_a_brain_has_a_page():
    dark = np.zeros((8, 9, 5), np.float32)
    shown = Shown(np.eye(4), dark, dark, dark, dark > 0)
    page = scan(shown=shown, lesions=lesions(np.eye(4), [(90.0, 4.0, 2.0)]), rejected=lesions(np.eye(4), []))
    assert "no pictures: see the viewer" in text_of(scan_page(page))


@pytest.mark.parametrize(("light", "said"), [("green", "Within"), ("amber", "Outside"), ("red", "Far outside")])
def test_the_light_is_said_in_words(light, said):
    text = scan_page(scan(light=light, reasons=("Slices of 3 mm.",)))
    assert f"{said} the model's range Slices of 3 mm." in text_of(text)


def test_simulated_is_said_first():
    said = text_of(scan_page(scan(trained_on="24 simulated subjects")))
    assert "what it reaches on patients is not known" in said
    assert "what it reaches on patients" not in text_of(scan_page(scan()))


def test_numbers_of_a_lesion():
    page = scan(findings=3)
    page.lesions.loc[0, ["diameter_mm", "volume_mm3", "network_probability", "probability"]] = np.nan
    page.lesions.loc[1, ["probability", "diameter_mm"]] = [0.9999, 6.0]
    page.lesions.loc[1, "flags"] = "edge of mask; near a vein"
    said = text_of(scan_page(page))
    assert "1 smaller than 5 mm, 0 of 5 to 10 mm" not in said  # 5.0 is of 5 to 10
    assert "0 smaller than 5 mm, 2 of 5 to 10 mm, 1 not measured" in said
    assert "0.90 (score) detector 0.50 network – slice 13" in said
    assert "> 0.99" in said
    assert "edge of mask" in said
    assert "near a vein" in said
    x, y, z = page.lesions.loc[0, ["x_mm", "y_mm", "z_mm"]]
    assert f"slice 13 {x:.1f}, {y:.1f}, {z:.1f}" in said


def test_the_probabilities_say_how_many_are_expected_to_be_true():
    page = scan(findings=2)
    assert "kept of 37 candidates; expected to be true by their probabilities: 1.7" in text_of(scan_page(page))
    page.lesions.loc[0, "probability"] = np.nan
    assert "expected to be" not in text_of(scan_page(page))


def test_the_mask_is_shown_on_the_head_where_it_is_given():
    plain = Tags(scan_page(scan()))
    assert len(plain.named("polygon")) == 2 * 3
    page = scan(shown=head(affine(), head=np.ones((60, 70, 20), np.float32)))
    assert Tags(scan_page(page)).named("polygon")


def test_tables_may_have_whole_numbers_and_more_columns():
    page = scan()
    page = replace(page, lesions=page.lesions.assign(other="x", diameter_mm=3, flags=pd.NA))
    said = text_of(scan_page(page))
    assert "3.0 mm" in said
    assert "NA" not in said
