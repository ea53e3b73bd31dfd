import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.darknet import project as module
from cmb_toolkit.darknet.cfg import parse_cfg
from cmb_toolkit.darknet.labels import labels_from_text, labels_to_text
from cmb_toolkit.darknet.project import check_project, check_stem, read_list, set_net, write_project
from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.model import BOX_SIZE
from cmb_toolkit.steps.prepare_yolo import CFGS as NETWORKS

CFGS = Path(module.__file__).parents[1] / "cfg"
SMALL = (CFGS / "small.cfg").read_text("utf-8")
SIZE = 64


# labels


@st.composite
def inside(draw):
    size = draw(st.integers(32, 640))
    boxes = []
    for _ in range(draw(st.integers(0, 4))):
        w, h = draw(st.floats(1.01, size)), draw(st.floats(1.01, size))
        left, top = draw(st.floats(0, 1)) * (size - w), draw(st.floats(0, 1)) * (size - h)
        boxes.append((left, top, left + w, top + h))
    return size, np.array(boxes).reshape(-1, 4)


@given(inside())
def test_labels_round_trip(case):
    size, boxes = case
    text = labels_to_text(boxes, size)
    assert text.count("\n") == len(boxes)
    assert np.allclose(labels_from_text(text, size, "x.txt"), boxes, atol=1e-6 * size)


def test_label_text_is_darknets():
    assert labels_to_text([(90.5, 190.5, 110.5, 210.5)], 448) == "0 0.224330 0.447545 0.044643 0.044643\n"
    assert labels_to_text([], 448) == ""


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("0 .5 .5 .1", "4 columns"),
        ("0 .5 .5 .1 .1 .9", "6 columns"),
        ("0,.5,.5,.1,.1", "1 columns"),
        ("1 .5 .5 .1 .1", "class 1"),
        ("-1 .5 .5 .1 .1", "class -1"),
        ("0.0 .5 .5 .1 .1", "class 0.0"),
        ("0 .5 x .1 .1", "no number"),
        ("0 nan .5 .1 .1", "not finite"),
        ("0 0 0 .1 .1", "beyond"),
        ("0 .5 .99 .1 .1", "beyond"),
        ("0 20 30 10 10", "beyond"),
        ("0 .5 .5 .001 .1", "pixel"),
        ("0 .5 .5 -.1 .1", "pixel"),
    ],
)
def test_wrong_labels_are_refused_with_their_line(row, says):
    with pytest.raises(DataError, match=says) as caught:
        labels_from_text(f"0 .5 .5 .1 .1\n{row}\n", 448, "slices/a.txt")
    assert "slices/a.txt, line 2" in str(caught.value)


# cfg


@pytest.mark.parametrize("name", ["yolov2-paper", "yolov2-released"])
def test_full_networks_have_the_papers_size(name):
    raw = (CFGS / f"{name}.cfg").read_bytes()
    assert b"\r" not in raw
    cfg = parse_cfg(raw.decode("utf-8"))
    assert cfg.floats == 50_578_686
    assert cfg.weights_bytes == 202_314_764
    assert (cfg.net.width, cfg.net.height, cfg.grid) == (448, 448, (14, 14))
    assert len(list(cfg.convolutions())) == 23
    assert (cfg.net.learning_rate, cfg.net.decay, cfg.net.momentum) == (0.0005, 0.0005, 0.9)
    assert cfg.net.batch == {"yolov2-paper": 64, "yolov2-released": 16}[name]


def test_the_short_training_is_of_the_papers_network():
    """All layers but the last, which has one anchor in place of five."""
    paper, short = (parse_cfg((CFGS / f"{name}.cfg").read_text("utf-8")) for name in ("yolov2-paper", "yolov2-short"))
    assert short.layers[:-2] == paper.layers[:-2]
    assert short.floats == paper.floats - 24 * (1024 + 1) == 50_554_086
    assert 10 * short.net.max_batches * short.net.batch < paper.net.max_batches * paper.net.batch


@pytest.mark.parametrize("name", ["small", "medium", "yolov2-short"])
def test_networks_of_our_own_fit_the_labels(name):
    cfg = parse_cfg((CFGS / f"{name}.cfg").read_text("utf-8"))
    assert (cfg.net.width, cfg.region.classes) == (448, 1)
    ((width, height),) = cfg.region.anchors
    assert width * cfg.stride == height * cfg.stride == BOX_SIZE


def test_set_net_replaces_and_adds_keys_in_net_alone():
    text = "# head\r\n[net]\r\nwidth=448\r\nbatch = 8\r\n; batch=9\r\n\r\n# conv\r\n[convolutional]\r\nbatch=3\r\n"
    changed = set_net(text, {"batch": 2, "max_batches": 10})
    assert (
        changed == "# head\n[net]\nwidth=448\nbatch=2\nmax_batches=10\n; batch=9\n\n# conv\n[convolutional]\nbatch=3\n"
    )
    assert set_net(changed, {"batch": 2, "max_batches": 10}) == changed


@pytest.mark.parametrize("name", NETWORKS)
def test_set_net_changes_only_what_was_asked(name):
    text = (CFGS / f"{name}.cfg").read_text("utf-8")
    before, after = parse_cfg(text), parse_cfg(set_net(text, {"max_batches": 77, "width": 320, "height": 320}))
    assert (after.net.max_batches, after.net.width, after.net.height) == (77, 320, 320)
    assert after.layers == before.layers
    assert after.net.learning_rate == before.net.learning_rate
    assert after.floats == before.floats


def test_set_net_needs_a_net():
    with pytest.raises(DataError, match="net"):
        set_net("[region]\n", {"batch": 1})


# project


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    images = {}
    for n in range(4):
        stem = f"sub-00{n}_slice-003"
        cv2.imwrite(str(folder / f"{stem}.png"), np.full((SIZE, SIZE, 3), 40 * n, np.uint8))
        (folder / f"{stem}.txt").write_text("0 .5 .5 .2 .2\n" if n % 2 else "")
        images[stem] = folder / f"{stem}.png"
    return images


@pytest.fixture
def project(tmp_path, sources):
    folder = tmp_path / "darknet"
    cfg = set_net(SMALL, {"width": SIZE, "height": SIZE})
    write_project(folder, cfg=cfg, images=sources)
    return folder


def test_a_written_project_passes_its_check(project):
    check_project(project)
    assert (project / "yolo.data").read_text() == (
        "classes=1\ntrain=train.txt\nnames=yolo.names\nbackup=backup\nresults=results\n"
    )
    assert (project / "yolo.names").read_text() == "microbleed\n"
    assert (project / "train.txt").read_text() == "".join(f"slices/sub-00{n}_slice-003.png\n" for n in range(4))
    assert read_list(project / "train.txt")[-1] == "slices/sub-003_slice-003.png"
    assert all(b"\r" not in file.read_bytes() for file in project.glob("*.*"))


def test_images_are_hard_links(project, sources):
    for stem, image in sources.items():
        assert (project / "slices" / f"{stem}.png").samefile(image)
        assert (project / "slices" / f"{stem}.txt").samefile(image.with_suffix(".txt"))


def test_copies_where_the_file_system_cannot_link(tmp_path, sources, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EXDEV, "cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    write_project(tmp_path / "p", cfg=set_net(SMALL, {"width": SIZE, "height": SIZE}), images=sources)
    check_project(tmp_path / "p")


def test_a_fold_without_training_subjects_can_only_detect(tmp_path):
    cfg = set_net(SMALL, {"width": SIZE, "height": SIZE})
    write_project(tmp_path / "p", cfg=cfg, images={})
    check_project(tmp_path / "p", training=False)
    with pytest.raises(DataError, match="only detect"):
        check_project(tmp_path / "p")


def test_missing_source_is_named(tmp_path, sources):
    image = sources["sub-001_slice-003"]
    image.with_suffix(".txt").unlink()
    with pytest.raises(MissingError, match=r"sub-001_slice-003\.txt"):
        write_project(tmp_path / "p", cfg=SMALL, images=sources)


def replace(name, change):
    def do(project):
        path = project / name
        content = path.read_bytes()
        path.unlink()  # a hard link: leave the source alone
        path.write_bytes(change(content))

    return do


def remove(name):
    return lambda project: (project / name).unlink()


def picture(array):
    return lambda _: cv2.imencode(".png", array)[1].tobytes()


IMAGE, LABEL = "slices/sub-001_slice-003.png", "slices/sub-001_slice-003.txt"


@pytest.mark.parametrize(
    ("break_it", "error", "says"),
    [
        (remove(IMAGE), MissingError, "sub-001_slice-003.png"),
        (remove(LABEL), MissingError, "sub-001_slice-003.txt"),
        (remove("train.txt"), MissingError, "train.txt"),
        (remove("yolo.names"), MissingError, "yolo.names"),
        (remove("yolo.cfg"), MissingError, "yolo.cfg"),
        (lambda project: (project / "backup").rmdir(), MissingError, "backup"),
        (lambda project: (project / "results").rmdir(), MissingError, "results"),
        (replace("train.txt", lambda _: b""), DataError, "train.txt: is empty"),
        (replace("train.txt", lambda _: b"\n"), DataError, "train.txt, line 1: a blank line"),
        (replace("train.txt", lambda text: text + b"\n"), DataError, "train.txt, line 5: a blank line"),
        (replace("train.txt", lambda text: text.replace(b".png\n", b".png \n", 1)), DataError, "train.txt, line 1"),
        (replace("train.txt", lambda text: text * 2), DataError, "train.txt, line 5: .* twice"),
        (replace("train.txt", lambda text: text.replace(b"\n", b"\r\n")), DataError, "train.txt: has Windows"),
        (replace("yolo.cfg", lambda text: text.replace(b"\n", b"\r\n")), DataError, "yolo.cfg: has Windows"),
        (replace("yolo.names", lambda text: text + b"\n"), DataError, "yolo.names"),
        (replace("yolo.names", lambda _: b"micro bleed\n"), DataError, "yolo.names"),
        (replace("yolo.data", lambda text: text.replace(b"names=", b"names = ")), DataError, "yolo.data, line"),
        (replace("yolo.data", lambda text: text.replace(b"backup=backup\n", b"")), DataError, "yolo.data: no line"),
        (replace("yolo.cfg", lambda text: text.replace(b"width=64", b"width=128")), DataError, "yolo.cfg: 128 x 64"),
        (replace("yolo.cfg", lambda text: text.replace(b"batch=16", b"batch=1")), DataError, "yolo.cfg: batch=1"),
        (replace("train.txt", lambda _: b"/tmp/a.png\n"), DataError, "train.txt, line 1: .* relative"),
        (replace("train.txt", lambda _: b"../a.png\n"), DataError, "relative"),
        (replace("train.txt", lambda _: b"slices/a.PNG\n"), DataError, "lower case"),
        (replace("train.txt", lambda _: b"slices/a b.png\n"), DataError, "characters"),
        (replace("train.txt", lambda _: b"slices/a;touch x.png\n"), DataError, "characters"),
        (replace("train.txt", lambda _: b"slices/a.b.png\n"), DataError, "second dot"),
        (replace("train.txt", lambda _: b"images/a.png\n"), DataError, "'images'"),
        (replace("train.txt", lambda _: b"slices/" + b"a" * 200 + b".png\n"), DataError, "200"),
        (replace(IMAGE, picture(np.zeros((SIZE, SIZE + 1, 3), np.uint8))), DataError, "65 x 64"),
        (replace(IMAGE, picture(np.zeros((SIZE, SIZE, 3), np.uint16))), DataError, "8-bit"),
        (replace(IMAGE, picture(np.zeros((SIZE, SIZE, 4), np.uint8))), DataError, "8-bit"),
        (replace(IMAGE, lambda png: png[:-20]), DataError, "sub-001_slice-003.png: not a whole PNG"),
        (replace(IMAGE, lambda _: b""), DataError, "not a whole PNG"),
        (replace(LABEL, lambda _: b"0 .5 .5 .2 .2 .9\n"), DataError, r"sub-001_slice-003\.txt, line 1"),
        (replace(LABEL, lambda _: b"0 1.5 .5 .2 .2\n"), DataError, "beyond"),
    ],
)
def test_what_darknet_would_get_wrong_silently_is_refused(project, break_it, error, says):
    break_it(project)
    with pytest.raises(error, match=says):
        check_project(project)


@pytest.mark.parametrize("stem", ["sub-raw1_slice-001", "sub-images_slice-001", "sub-01.a_slice-001", "sub 1"])
def test_stems_that_darknet_takes_for_something_else(stem):
    with pytest.raises(DataError, match="sub"):
        check_stem(stem)


def test_ordinary_stems_pass():
    check_stem("sub-001_slice-034_rot270v")


def test_one_damaged_image_does_not_hide_the_others(project):
    images = sorted((project / "slices").glob("*.png"))[:2]
    for image in images:
        image.write_bytes(b"\x89PNG cut off")
    with pytest.raises(DataError) as caught:
        check_project(project)
    assert all(str(image) in line for image, line in zip(images, str(caught.value).splitlines(), strict=True))
