"""The pages as a person uses them: opened from disk in Chromium, read, clicked, driven by keys, printed."""

import re
from dataclasses import replace

import numpy as np
import pytest
from toy_scan import SPOTS, affine, head, lesions, scan

from cmb_toolkit.report.scan.cohort import CohortRow, cohort_page
from cmb_toolkit.report.scan.page import scan_page

EVIL = "<script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>"

MIDDLE = """(() => {
  const canvas = document.querySelector("#axial");
  const [x, y] = [canvas.width / 2, canvas.height / 2].map(Math.round);
  const shades = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return [shades[4 * (y * canvas.width + x)], shades[4 * ((y - 40) * canvas.width + x)]];
})()"""
"""Shade in the middle of the axial picture, and some way above."""


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page; what it did wrong or wanted from outside is asked when the test is over."""

    def open_page(text, **size):
        path = tmp_path / "page.html"
        path.write_text(text, "utf-8")
        browser.open(path, **size)
        if 'id="viewer"' in text:
            browser.until("document.querySelector('#viewer').dataset.viewer !== undefined")
            assert browser.ask("document.querySelector('#viewer').dataset.viewer") == "ready"
        return browser

    yield open_page
    assert browser.complaints() == []
    assert [url for url in browser.loaded() if not url.startswith(("file:", "data:"))] == []


def at(page):
    """Column, row, slice that the viewer shows."""
    return [float(value) for value in page.ask("document.querySelector('#viewer').dataset.at").split()]


def where(page, n):
    return page.ask(f"JSON.parse(document.querySelector('#viewer-about').textContent).marks[{n}].at")


def shown(page):
    return page.ask("document.querySelector('#viewer-readout').textContent")


def test_the_list_and_the_table_jump_to_lesions(opened):
    page = opened(scan_page(scan()))
    assert at(page) == where(page, 0)
    page.click("#finding-2 .jump")
    assert at(page) == where(page, 1)
    assert shown(page).startswith("slice 6 · ")
    assert shown(page).endswith(" · finding 2")
    world = (affine() @ [*SPOTS[1], 1])[:3]
    assert np.allclose([float(value) for value in re.findall(r"-?\d+\.\d", shown(page))], world, atol=0.06)
    page.click("#near-miss-3 .jump")
    assert at(page) == where(page, 2)
    page.click("#viewer-list li:nth-child(1) button")
    assert at(page) == where(page, 0)
    assert page.ask("document.querySelector('#viewer-list [aria-current]').textContent").startswith("1slice 13")


def test_a_dark_spot_is_in_the_middle_when_it_is_zoomed(opened):
    page = opened(scan_page(scan()))
    page.click("#finding-2 .jump")
    for key in "zm":
        page.key(key)
    middle, above = page.ask(MIDDLE)
    assert middle < 60
    assert above > 120


def test_keys_wheel_and_mouse_move_through_the_volume(opened):
    page = opened(scan_page(scan()))
    page.click("#finding-1 .jump")
    start = at(page)
    page.key("ArrowUp")
    assert at(page) == [*start[:2], start[2] + 1]
    page.key("PageDown")
    assert at(page)[2] == start[2] - 4
    page.wheel("#axial", 120)
    page.until(f"document.querySelector('#viewer').dataset.at.endsWith(' {start[2] - 7:.2f}')")
    page.key("ArrowRight")
    assert at(page) == where(page, 0)
    page.key("ArrowLeft")
    assert at(page) == where(page, 2)
    page.click("#axial", (0.5, 0.25))
    column, row, k = at(page)
    assert abs(column - 29.5) < 2
    assert row < where(page, 2)[1]
    assert k == where(page, 2)[2]
    page.click("#coronal", (0.5, 0.9))
    assert at(page)[2] < k


def test_the_window_can_be_changed_and_put_back(opened):
    page = opened(scan_page(scan()))
    state = "document.querySelector('#viewer').dataset.window"
    first = page.ask(state)
    page.click('[data-do="brighter"]')
    page.click('[data-do="harder"]')
    level, width = (int(value) for value in page.ask(state).split())
    assert (level, width) < tuple(int(value) for value in first.split())
    page.ask("document.querySelector('#viewer').focus()")
    page.key("0")
    assert page.ask(state) == first
    page.key("t")
    assert page.ask("document.querySelector('[data-do=thick]').getAttribute('aria-pressed')") == "true"


def test_without_a_lesion_everything_works_as_far_as_it_goes(opened):
    page = opened(scan_page(scan(lesions=lesions(affine(), []), rejected=lesions(affine(), []), candidates=0)))
    page.ask("document.querySelector('#viewer').focus()")
    start = at(page)
    for key in ("ArrowRight", "ArrowLeft", "z", "t", "m"):
        page.key(key)
    assert at(page) == start
    page.key("ArrowDown")
    assert at(page)[2] == start[2] - 1


@pytest.mark.parametrize("width", [1200, 800])
def test_nothing_is_wider_than_the_window(opened, width):
    page = scan(light="amber", reasons=("Slices of 3 mm. " * 10,), subject="sub-" + "x" * 180)
    page = replace(page, provenance=(("sha256 of a file with a long name.nii.gz", "a" * 64 + ", " + "b" * 300),))
    page.lesions["flags"] = "edge of mask; above 10 mm; near a vein"
    seen = opened(scan_page(page), width=width)
    assert seen.ask("document.documentElement.scrollWidth") <= width
    seen = opened(cohort_page([CohortRow("sub-" + "x" * 100, failed="y" * 300), CohortRow("sub-1")]), width=width)
    assert seen.ask("document.documentElement.scrollWidth") <= width


def test_names_run_nothing(opened):
    page = opened(scan_page(scan(subject=EVIL, reasons=(EVIL,), light="red")))
    assert page.ask("document.querySelector('h1').textContent") == EVIL
    assert page.ask("window.hurt") is None
    page.ask("document.body.insertAdjacentHTML('beforeend', '<b onclick=\"window.hurt = 1\" id=evil>x</b>')")
    page.click("#evil")
    assert page.ask("window.hurt") is None
    page.events.clear()  # that it was forbidden


def test_on_paper_there_is_no_viewer_but_every_crop(opened):
    page = opened(scan_page(scan()))
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.ask("getComputedStyle(document.querySelector('#viewer')).display") == "none"
    assert page.ask("document.querySelector('.crop svg').getBoundingClientRect().width") > 90  # 30 mm are 113 px
    page.call("Emulation.setEmulatedMedia", media="")
    assert page.pdf().startswith(b"%PDF")


def test_a_damaged_volume_is_said(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(re.sub(r'(id="viewer-volume">.{300}).*?<', r"\1<", scan_page(scan())), "utf-8")
    browser.open(path)
    browser.until("document.querySelector('#viewer').dataset.viewer === 'failed'")
    assert browser.ask("document.querySelector('#viewer-status').textContent").startswith("The viewer could not start")


def test_a_cohort_is_sorted_by_a_click(opened):
    def row(name, findings, volume, light="green"):
        return CohortRow(name, light, (), findings, 30, 0.5, volume, 72, "1 mm", f"{name}/report.html")

    rows = [row("sub-2", 3, 1400.0), row("sub-10", 12, 1200.0, "amber"), row("sub-1", 0, float("nan"), "red")]
    page = opened(cohort_page([*rows, CohortRow("sub-3", failed="no phase")]))

    def names():
        return page.ask("[...document.querySelectorAll('tbody th')].map((cell) => cell.textContent).join(' ')")

    for column, rising in (
        (1, "sub-1 sub-2 sub-3 sub-10"),
        (3, "sub-1 sub-2 sub-10 sub-3"),
        (2, "sub-2 sub-10 sub-1 sub-3"),
    ):
        page.click(f"thead th:nth-child({column}) button")
        assert names() == rising
    page.click("thead th:nth-child(6) button")
    assert names() == "sub-10 sub-2 sub-1 sub-3"
    page.click("thead th:nth-child(6) button")
    assert names() == "sub-2 sub-10 sub-1 sub-3"
    assert page.ask("document.querySelector('thead th:nth-child(6)').getAttribute('aria-sort')") == "descending"


def test_a_head_without_a_brain_can_be_opened(opened):
    dark = np.zeros((8, 9, 5), np.float32)
    shown = replace(head(np.eye(4)), swi=dark, phase=dark, minip=dark, mask=dark > 0)
    none = lesions(np.eye(4), [])
    opened(scan_page(scan(np.eye(4), shown=shown, lesions=none, rejected=none)))
