"""The binary engine: what it asks of a Darknet, and what it believes of it."""

import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from cmb_toolkit.darknet import binary_training as module
from cmb_toolkit.darknet import gpu as gpu_module
from cmb_toolkit.darknet.binary import BinaryEngine
from cmb_toolkit.darknet.binary_detection import json_argv, valid_argv
from cmb_toolkit.darknet.binary_training import train_argv
from cmb_toolkit.darknet.cfg import read_cfg
from cmb_toolkit.darknet.embedded import EmbeddedEngine
from cmb_toolkit.darknet.engine import TrainingOptions
from cmb_toolkit.darknet.find import Binary, probe
from cmb_toolkit.darknet.images import in_files, in_memory
from cmb_toolkit.darknet.project import read_list, set_net
from cmb_toolkit.darknet.state import Row
from cmb_toolkit.darknet.watching import Judgement, Watch
from cmb_toolkit.darknet.weights import Weights, initial_weights, read_weights, write_weights
from cmb_toolkit.errors import DarknetError, DataError, MissingError, StorageError, UsageError
from cmb_toolkit.model import Box

ALEXEYAB = Path(os.environ.get("CMBTK_TEST_DARKNET", Path(__file__).parents[2] / "darknet" / "build" / "darknet"))
FAKE = Path(__file__).with_name("fake_darknet.py")


def silent(done: int, total: int, what: str) -> None:
    pass


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def script(path: Path, body: str, answer: str = "") -> Path:
    """A program that answers as a Darknet and then does `body`."""
    probed = f'echo "{answer}Not an option: __probe__" >&2; exit 0'
    return executable(path, f'#!/bin/sh\nif [ "$1" = __probe__ ]; then {probed}; fi\n{body}\n')


def test_argv():
    darknet = Path("/opt/darknet")
    assert valid_argv(darknet) == [
        "/opt/darknet", "detector", "valid", "detect.data", "detect.cfg", "detect.weights",
    ]  # fmt: skip
    assert json_argv(darknet, 0.005) == [
        "/opt/darknet", "detector", "test", "detect.data", "detect.cfg", "detect.weights",
        "-thresh", "0.005000", "-dont_show", "-out", "found.json",
    ]  # fmt: skip
    assert train_argv(darknet) == [
        "/opt/darknet", "detector", "train", "yolo.data", "yolo.cfg", "start.weights", "-dont_show",
    ]  # fmt: skip


# --- detection ---


@pytest.fixture
def ready(toy_project, tmp_path):
    """A project and weights for its network."""
    project = toy_project(count=5)
    write_weights(initial_weights(read_cfg(project / "yolo.cfg"), 0), tmp_path / "yolo.weights")
    return project, tmp_path / "yolo.weights"


def detect(engine, ready, *, threshold=0.01, nms=0.45, images=None, on_progress=silent):
    project, weights = ready
    chosen = [project / line for line in (read_list(project / "train.txt") if images is None else images)]
    some = in_files(chosen, read_cfg(project / "yolo.cfg"))
    return engine.detect(project, weights, some, threshold=threshold, nms=nms, on_progress=on_progress)


ENDED = "echo 'Total Detection Time: 1 Seconds' >&2"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo 'Could not do it' >&2; exit 0", r"ended early \(exit status 0\)(.|\n)*Could not do it"),
        ("exit 0", r"ended early \(exit status 0\)"),
        ("kill -9 $$", r"exit status -9"),
        ("kill -SEGV $$", r"exit status -11"),
        ("echo 'Cannot load image \"in/x.png\"' >&2; sleep 60", "Cannot load image"),
        ("echo 'Cannot load image in/x.png' >&2; sleep 60", "Cannot load image"),
        (ENDED, "without its results file"),
        (f"echo 's 0.5 1 1' > results/comp4_det_test_microbleed.txt; {ENDED}", "did not finish"),
        (f"echo 'other 0.5 1 1 2 2' > results/comp4_det_test_microbleed.txt; {ENDED}", "which it was not given"),
        ("exec sleep 60", "said nothing for 2 s"),
    ],
)
def test_failures_of_the_original_are_noticed(ready, tmp_path, body, message):
    engine = BinaryEngine(probe(script(tmp_path / "darknet", body)), patience_s=2)
    with pytest.raises(DarknetError, match=message):
        detect(engine, ready)


FRAME = '{"frame_id":1, "filename":"in/sub-001_slice-000.png", "objects": []}'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo 'seg fault' >&2; exit 139", r"ended early \(exit status 139\)(.|\n)*seg fault"),
        (f"echo '[{FRAME}, ' > found.json", "is not whole"),
        (f"echo '[{FRAME}]' > found.json", "results are of 1 images, not of the 5"),
        ("echo '[]' > found.json", "results are of 0 images"),
        ("echo 'Cannot load image \"in/sub-001_slice-000.png\"' >&2; sleep 60", "Cannot load image"),
        ("cat > /dev/null; exec sleep 60", "said nothing for 2 s"),
    ],
)
def test_failures_of_alexeyabs_are_noticed(ready, tmp_path, body, message):
    engine = BinaryEngine(probe(script(tmp_path / "darknet", body, "OpenCV isn't used ")), patience_s=2)
    with pytest.raises(DarknetError, match=message):
        detect(engine, ready)


LOOKS = """
import json, os, sys
assert os.path.getsize("data/labels/126_7.png") and os.path.isdir("predictions.jpg")
place = {"center_x": 0.5, "center_y": 0.5, "width": 0.2, "height": 0.2}
thing = {"class_id": 0, "confidence": 0.7, "relative_coordinates": place}
frames = []
for line in sys.stdin:
    print(f"{line.strip()}: Predicted in 1 milli-seconds.\\nmicrobleed: 70%", flush=True)
    print("Failed to write image predictions.jpg", file=sys.stderr)
    frames.append({"filename": line.strip(), "objects": [thing]})
json.dump(frames, open("found.json", "w"))
"""


def test_one_process_looks_at_all_images_and_draws_next_to_nothing(toy_project, tmp_path):
    """It loads the network once; letters are tiny, the picture cannot be written, and neither is complained of."""
    project = toy_project(count=203)
    write_weights(initial_weights(read_cfg(project / "yolo.cfg"), 0), tmp_path / "yolo.weights")
    starts = tmp_path / "starts"
    (tmp_path / "detector.py").write_text(LOOKS)
    body = f"echo x >> {starts}; exec {sys.executable} {tmp_path}/detector.py"
    engine = BinaryEngine(probe(script(tmp_path / "darknet", body, "OpenCV isn't used ")))
    reports = []
    found = detect(engine, (project, tmp_path / "yolo.weights"), on_progress=lambda *report: reports.append(report))
    assert [d.image for d in found] == [Path(image).stem for image in read_list(project / "train.txt")]
    assert starts.read_text() == "x\n"
    assert [report for report in reports if "loading" in report[2]] == [(0, 203, "loading the network")]
    assert reports[-1][:2] == (203, 203)
    assert detect(engine, (project, tmp_path / "yolo.weights"), images=[]) == []


def test_binary_sees_short_relative_names_only(ready, tmp_path):
    """And a list of at least four images, the names in which it must find."""
    notes = tmp_path / "notes"
    body = (
        f"cat detect.data images.txt > {notes}; head -3 detect.cfg >> {notes}; "
        "echo 'sub-001_slice-001 0.9 2 3 12 13' > results/comp4_det_test_microbleed.txt; "
        "echo 'filler0 0.9 2 3 12 13' >> results/comp4_det_test_microbleed.txt; "
        "for f in $(cat images.txt) detect.weights; do test -s $f || exit 1; done; "
        "printf '4\\nTotal Detection Time: 1 Seconds\\n' >&2; exit 139"
    )
    engine = BinaryEngine(probe(script(tmp_path / "darknet", body)))
    reports = []
    found = detect(
        engine,
        ready,
        images=["slices/sub-001_slice-000.png", "slices/sub-001_slice-001.png"],
        on_progress=lambda *report: reports.append(report[:2]),
    )
    assert [(d.image, d.box) for d in found] == [("sub-001_slice-001", Box(1, 2, 11, 12, 0.9))]
    lines = notes.read_text().splitlines()
    assert lines[:4] == ["classes=1", "valid=images.txt", "names=detect.names", "results=results"]
    assert lines[4:8] == [
        "in/sub-001_slice-000.png", "in/sub-001_slice-001.png", "in/filler0.png", "in/filler1.png",
    ]  # fmt: skip
    assert reports[-1] == (2, 2)


def test_all_images_go_to_one_process(ready, tmp_path):
    calls = tmp_path / "calls"
    body = (
        f"cat images.txt | tr '\\n' ' ' >> {calls}; echo >> {calls}; printf '[' > found.json; s=; "
        'while read f; do printf \'%s{"filename":"%s","objects":[]}\' "$s" "$f" >> found.json; s=,; '
        'echo "$f: Predicted in 1 milli-seconds."; done; printf "]" >> found.json'
    )
    engine = BinaryEngine(probe(script(tmp_path / "darknet", body, "OpenCV isn't used ")))
    reports = []
    assert detect(engine, ready, on_progress=lambda *report: reports.append(report[:2])) == []
    assert [len(line.split()) for line in calls.read_text().splitlines()] == [5]
    assert reports == [(0, 5), *((n, 5) for n in range(6))]


def test_it_is_given_images_in_memory_as_files_that_are_gone_afterwards(ready, tmp_path):
    """Equal to the last bit; and what a killed process left goes first."""
    project, weights = ready
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    names = [f"sub-001_slice-00{k}" for k in range(3)]
    scratch, left = tmp_path / "scratch" / "detecting", tmp_path / "scratch" / ".4194304.tmp.detecting"
    (left / "in").mkdir(parents=True)
    body = f"mkdir {tmp_path}/seen; cp in/sub-* {tmp_path}/seen; pwd > {tmp_path}/where; exit 1"
    engine = BinaryEngine(probe(script(tmp_path / "darknet", body)))
    with pytest.raises(DarknetError, match="ended early"):
        engine.detect(
            project, weights, in_memory(names, images), threshold=0.01, nms=0.45, scratch=scratch, on_progress=silent
        )
    seen = in_files([tmp_path / "seen" / f"{name}.png" for name in names], read_cfg(project / "yolo.cfg"))
    np.testing.assert_array_equal(np.concatenate([*seen.make()]), images)
    assert Path((tmp_path / "where").read_text().strip()).parent == scratch.parent
    assert list(scratch.parent.iterdir()) == []


def test_images_of_another_size_are_refused(engine, ready):
    project, weights = ready
    images = in_memory(["sub-001_slice-000"], np.zeros((1, 96, 96, 3), np.uint8))
    with pytest.raises(DataError, match="sub-001_slice-000: 96 x 96 px, but the network takes 64 x 64"):
        engine.detect(project, weights, images, threshold=0.01, nms=0.45, on_progress=silent)


def test_built_in_limits_of_the_binary(ready):
    engine = BinaryEngine(Binary(Path("darknet"), "original", False))
    with pytest.raises(UsageError, match=r"0\.45 with a confidence of 0\.005.*--engine embedded"):
        detect(engine, ready, threshold=0.001)
    with pytest.raises(UsageError, match="built in"):
        detect(engine, ready, nms=0.6)


@pytest.fixture(params=["embedded", "binary"])
def engine(request, tmp_path):
    if request.param == "embedded":
        return EmbeddedEngine()
    return BinaryEngine(probe(script(tmp_path / "darknet", "echo must not be reached >&2; exit 3")))


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda p, w: (p / "slices/sub-001_slice-002.png").write_bytes(b"x"), DataError, r"slice-002\.png: not a read"),
        (lambda p, w: (p / "slices/sub-001_slice-002.png").unlink(), MissingError, r"slice-002\.png"),
        (lambda p, w: w.write_bytes(w.read_bytes()[:-4]), DataError, r"yolo\.weights: .*cut off"),
        (lambda p, w: w.unlink(), MissingError, r"yolo\.weights"),
        (lambda p, w: (p / "yolo.cfg").unlink(), MissingError, r"yolo\.cfg"),
    ],
)
def test_bad_input_to_detection(engine, ready, spoil, error, message):
    spoil(*ready)
    with pytest.raises(error, match=message):
        detect(engine, ready)


def test_no_images_no_boxes(engine, ready):
    assert detect(engine, ready, images=[]) == []


# --- training ---


@pytest.fixture
def project(toy_project, toy_cfg):
    """A project of 20 iterations of plain gradient descent."""
    return toy_project(cfg=toy_cfg.replace("adam=1", "adam=0").replace("max_batches=6", "max_batches=20"))


def options(tmp_path, **more) -> TrainingOptions:
    return TrainingOptions(seed=3, scratch=tmp_path / "training", checkpoint_every_s=1e-9, **more)


def counted(path: Path) -> int:
    """Iterations that the fake Darknet has really gone through from the first weights to these."""
    first = initial_weights(read_cfg(path.parent / "project" / "yolo.cfg"), 3).layers[0].biases[0]
    return round(struct.unpack_from("<f", path.read_bytes(), 20)[0] - float(first))


def test_training_ends_with_darknets_final_weights(fake, project, tmp_path):
    reports, plots = [], []
    out = tmp_path / "yolo.weights"
    history = fake().train(
        project, out, options(tmp_path, on_history=plots.append), lambda *report: reports.append(report)
    )
    assert counted(out) == 20
    assert read_weights(out, read_cfg(project / "yolo.cfg")).seen == 80
    assert history["iteration"].tolist() == list(range(1, 21))
    assert history["loss"].tolist() == pytest.approx([100 / n for n in range(1, 21)], abs=1e-6)
    assert set(history["engine"]) == {"alexeyab"}
    assert history["rate"].iloc[0] == pytest.approx(0.01 * (1 / 5) ** 4)
    assert reports[-1][:2] == (20, 20)
    assert "80 images" in reports[-1][2]
    assert len(plots) >= 15
    assert len(list((tmp_path / "training").glob("*.weights"))) == 2


class KilledError(Exception):
    pass


def test_snapshots_are_looked_at_and_the_best_is_kept(fake, project, pictures, tmp_path):
    """By the embedded engine, as there is no GPU; killed in a look, it is looked at where it is gone on with."""
    images = pictures(project, read_list(project / "train.txt")[:3])
    out, ranks = tmp_path / "yolo.weights", [3.0, 1.0, 2.0, 0.0]
    ranked = []

    def judge(found) -> Judgement:
        ranked.append({box.image for box in found} <= {*images.names})
        if len(ranked) == 2:
            raise KilledError
        return Judgement([{"boxes": len(found)}], (ranks[len(ranked) - 1],), f"look {len(ranked)}")

    def watch() -> Watch:
        return Watch(images, judge, points=3)

    reports = []
    with pytest.raises(KilledError):
        fake().train(
            project, out, options(tmp_path, watch=watch()), lambda done, total, what: reports.append((done, what))
        )
    assert not out.exists()
    assert any(what.endswith(", look 1") for done, what in reports if done > 7)
    watched = watch()
    fake().train(project, out, options(tmp_path, watch=watched), silent)
    at = [look.iteration for look in watched.looks]
    assert at == sorted(set(at))
    assert at[0] >= 7
    assert at[-1] == 20
    assert all(ranked)
    assert counted(out) == watched.best.iteration == at[0]
    fake().train(project, out, options(tmp_path, watch=Watch(images, judge, points=3, select="last")), silent)
    assert counted(out) == 20
    assert len(ranked) == len(at) + 1, "what was seen is known"


def test_on_a_gpu_the_binary_looks_itself(project, pictures, tmp_path, monkeypatch):
    asked = []

    def find(self, *args, **kwargs):
        asked.append(type(self).__name__)
        return []

    monkeypatch.setattr(BinaryEngine, "detect", find)
    binary = Binary(Path("darknet"), "alexeyab", True)
    state = namedtuple("State", ["iteration", "newest_file"])
    path = tmp_path / "yolo.weights"
    cfg = read_cfg(project / "yolo.cfg")
    write_weights(initial_weights(cfg, 0), path)
    watch = Watch(pictures(project), lambda found: Judgement([]), points=1)
    watch.begin(None, cfg, 0, 0)
    BinaryEngine(binary)._look(project, cfg, state(20, lambda: path), watch, tmp_path / "scratch")
    assert asked == ["BinaryEngine"]


def test_exit_status_says_nothing(fake, project, tmp_path):
    out = tmp_path / "yolo.weights"
    fake("code=139").train(project, out, options(tmp_path), silent)
    assert counted(out) == 20
    shutil.rmtree(tmp_path / "training")
    seldom = TrainingOptions(seed=3, scratch=tmp_path / "training", checkpoint_every_s=1e9)
    for told in ("no_final", "half_final"):
        with pytest.raises(DarknetError, match=r"ended at iteration 20 of 20 \(exit status 0\) without whole final"):
            fake(told).train(project, tmp_path / "none", seldom, silent)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("told", "error", "message"),
    [
        ("nan_at=7", DarknetError, r"loss is nan at iteration 7.*last good checkpoint is kept: .*yolo_0000000[56]"),
        ("nan_weights_at=7", DarknetError, r"weights are not finite.*checkpoint is kept: .*yolo_00000006"),
        ("truncate_at=7", StorageError, r"Is the disk full\?"),
        ("die_at=7", DarknetError, r"ended at iteration 7 of 20 \(exit status -9\)(.|\n)*from iteration 6"),
        ("die_in_save=7", DarknetError, r"ended at iteration 7 of 20(.|\n)*from iteration 6"),
        ("hang_at=8", DarknetError, r"said nothing for 1 s, so it hangs"),
        ("silent sleep=1", DarknetError, r"said nothing for 1 s"),
    ],
)
def test_failures_in_training_are_noticed_and_gone_on_from(fake, project, tmp_path, told, error, message):
    out = tmp_path / "yolo.weights"
    with pytest.raises(error, match=message):
        fake(told, patience_s=1).train(project, out, options(tmp_path), silent)
    assert not out.exists()
    reports = []
    redone = tmp_path / "redone"
    history = fake(f"print={redone}").train(project, out, options(tmp_path), lambda *report: reports.append(report))
    assert counted(out) == 20
    assert history["iteration"].tolist() == list(range(1, 21))
    if told.startswith("silent"):
        return
    assert any("going on from the checkpoint" in what for _, _, what in reports)
    assert int(redone.read_text().split()[0]) >= 6, "not more than the interval is done again"


def test_a_darknet_that_writes_on_after_it_diverged_has_ended_before_its_folder_is_removed(fake, project, tmp_path):
    """With the processes that it has started; so the message is that of the divergence, and the next run goes on."""
    with pytest.raises(DarknetError, match=r"diverged, the loss is nan at iteration 7.*is kept: .*yolo_0000000[56]"):
        fake("nan_at=7 linger=20").train(project, tmp_path / "out", options(tmp_path), silent)
    assert not (tmp_path / "training" / "darknet").exists()
    time.sleep(0.05)
    left = sorted(path.name for path in (tmp_path / "training").iterdir())
    assert [name for name in left if not name.startswith("yolo_")] == ["history.tsv", "run.json"], "nobody writes"
    fake().train(project, tmp_path / "out", options(tmp_path), silent)
    assert counted(tmp_path / "out") == 20


TRAIN = """
import sys
from pathlib import Path
from cmb_toolkit.darknet.binary import BinaryEngine
from cmb_toolkit.darknet.engine import TrainingOptions
from cmb_toolkit.darknet.find import probe
project, out, scratch, darknet = map(Path, sys.argv[1:])
options = TrainingOptions(seed=3, scratch=scratch, checkpoint_every_s=1e-9)
BinaryEngine(probe(darknet)).train(project, out, options, lambda done, total, what: print(done, flush=True))
"""


@pytest.mark.parametrize("whom", ["parent", "both"])
@pytest.mark.parametrize("when", ["at=1", "at=9", "in_save=9", "in_save=1", "at=20", "at_end"])
def test_kills_of_cmbtk_at_any_moment_cost_at_most_the_interval(fake, project, tmp_path, whom, when):
    """SIGKILL of cmbtk alone (Darknet dies of it) and of both: at the start, in a save, after the last iteration."""
    out = tmp_path / "yolo.weights"
    if when == "at_end":
        whom = "parent"
    fake()  # makes the program
    call = [sys.executable, "-c", TRAIN, *map(str, (project, out, tmp_path / "training", tmp_path / "darknet"))]
    told = f"die_{whom}_{when} sleep=0.01"
    done = subprocess.run(call, env={**os.environ, "FAKE_DARKNET": told}, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert not out.exists()
    redone = tmp_path / "redone"
    redone.touch()
    history = fake(f"print={redone}").train(project, out, options(tmp_path), silent)
    assert counted(out) == 20
    assert history["iteration"].is_monotonic_increasing
    assert history["iteration"].iloc[-1] == 20 or when in ("at=20", "at_end")
    again = [int(line) for line in redone.read_text().split()]
    reached = {"at=1": 1, "at=9": 9, "in_save=9": 9, "in_save=1": 1, "at=20": 20, "at_end": 20}[when]
    # nothing of what was saved whole is done again; after the last save nothing at all
    assert again == list(range(again[0], 21)) if again else reached == 20
    assert not again or reached <= again[0] + 1


def hear_interrupts() -> None:
    """What runs in the background of a script is deaf to SIGINT, and so would be its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end(fake, project, tmp_path, how):
    """Darknet ends, too, and what was saved is gone on from."""
    out = tmp_path / "yolo.weights"
    fake()
    call = [sys.executable, "-c", TRAIN, *map(str, (project, out, tmp_path / "training", tmp_path / "darknet"))]
    environment = {**os.environ, "FAKE_DARKNET": "sleep=0.2"}
    with subprocess.Popen(
        call, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=hear_interrupts
    ) as process:
        for line in process.stdout:
            if line.strip() == b"4":
                break
        process.send_signal(how)
        process.wait()
    redone = tmp_path / "redone"
    fake(f"print={redone}").train(project, out, options(tmp_path), silent)
    assert counted(out) == 20
    assert int(redone.read_text().split()[0]) >= 4


def test_begins_anew_when_the_training_is_another(fake, project, tmp_path):
    with pytest.raises(DarknetError):
        fake("die_at=9").train(project, tmp_path / "a", options(tmp_path), silent)
    label = next((project / "slices").glob("*.txt"))
    label.write_text("0 0.5 0.5 0.2 0.2\n")
    redone = tmp_path / "redone"
    fake(f"print={redone}").train(project, tmp_path / "yolo.weights", options(tmp_path), silent)
    assert redone.read_text().split()[0] == "1"


def test_a_full_disk_is_seen_before_and_while_it_fills(fake, project, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(1, 1, 50_010_000))
    with pytest.raises(StorageError, match=r"only 50 MB are free.*Free some space"):
        fake().train(project, tmp_path / "a", options(tmp_path), silent)
    free = iter([10**12, 10**12])
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(1, 1, next(free, 50_000_000)))
    monkeypatch.setattr(module, "_DISK_CHECK_S", 0.0)
    with pytest.raises(StorageError, match="are free"):
        fake("sleep=0.05").train(project, tmp_path / "a", options(tmp_path), silent)
    assert list((tmp_path / "training").glob("*.weights"))


def test_a_gpu_trains_one_thing_at_a_time(fake, project, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_module, "_FOLDER", tmp_path)
    with gpu_module.gpu_lock(), pytest.raises(UsageError, match=r"GPU 0.*busy"):
        fake("cuda").train(project, tmp_path / "a", options(tmp_path), silent)
    fake("cuda").train(project, tmp_path / "yolo.weights", options(tmp_path), silent)
    with gpu_module.gpu_lock():
        fake().train(project, tmp_path / "yolo.weights", options(tmp_path), silent)


def test_the_original_is_refused(project, tmp_path):
    engine = BinaryEngine(Binary(Path("darknet"), "original", False))
    with pytest.raises(UsageError, match=r"cannot train.*region layer.*--engine embedded"):
        engine.train(project, tmp_path / "out.weights", TrainingOptions(), silent)
    assert not (tmp_path / "out.weights").exists()


def test_how_often_it_saves(toy_cfg, tmp_path):
    """Darknet counts iterations: seconds are taken from what it has done, or guessed from the network's size."""
    full = read_cfg(Path(__file__).parents[2] / "cfg" / "yolov2-released.cfg")
    assert full.flops == pytest.approx(34.01e9, rel=0.002)  # per slice, as measured elsewhere

    class State:
        engine = "alexeyab"
        rows: list[Row] = []  # noqa: RUF012

    every = module._iterations_between(full, State, TrainingOptions(checkpoint_every_s=600), False)
    assert 1 <= every < 60
    assert module._iterations_between(full, State, TrainingOptions(checkpoint_every_s=600), True) > 100
    State.rows = [Row(n, 1.0, 1.0, 0.1, n * 4, n * 3.0, "alexeyab") for n in range(1, 10)]
    assert module._iterations_between(full, State, TrainingOptions(checkpoint_every_s=60), False) == 20
    State.rows = [Row(n, 1.0, 1.0, 0.1, n * 4, n * 3.0, "embedded") for n in range(1, 10)]
    assert module._iterations_between(full, State, TrainingOptions(checkpoint_every_s=600), False) == every


@pytest.mark.parametrize("name", ["with blank", "quote'\"", "semi;colon", "ümläut", "x" * 120 + "/" + "y" * 150])
def test_any_folder_will_do(fake, toy_project, toy_cfg, tmp_path, name):
    """Darknet sees none of it: it works in the folder, with relative names."""
    plain = toy_project(cfg=toy_cfg.replace("adam=1", "adam=0"))
    home = tmp_path / name
    home.mkdir(parents=True)
    project = home / "project"
    plain.replace(project)
    out = home / "yolo.weights"
    fake().train(project, out, TrainingOptions(seed=3, scratch=home / "training"), silent)
    assert counted(out) == 6


# --- one engine goes on where the other stopped ---


def test_checkpoints_of_one_engine_are_gone_on_from_in_the_other(fake, project, tmp_path):
    def kill(done: int, total: int, what: str) -> None:
        if done == 9:
            raise KilledError

    reports: list[tuple[int, int, str]] = []
    out = tmp_path / "yolo.weights"
    for first, second, name in (
        (fake(), EmbeddedEngine(), "embedded"),
        (EmbeddedEngine(), fake(), "alexeyab"),
    ):
        shutil.rmtree(tmp_path / "training", ignore_errors=True)
        reports.clear()
        with pytest.raises(KilledError):
            first.train(project, out, options(tmp_path), kill)
        history = second.train(project, out, options(tmp_path), lambda *report: reports.append(report))
        begun = next(done for done, _, what in reports if what == "going on from the checkpoint")
        assert begun in (7, 8, 9)
        assert history["iteration"].tolist() == list(range(1, 21))
        assert set(history["engine"][begun:]) == {name}
        assert name not in set(history["engine"][:begun])
        assert read_weights(out, read_cfg(project / "yolo.cfg")).seen == 80


def test_counting_on_from_given_weights(fake, project, tmp_path):
    cfg = read_cfg(project / "yolo.cfg")
    given = tmp_path / "given.weights"
    write_weights(initial_weights(cfg, 5), given)
    content = bytearray(given.read_bytes())
    content[12:20] = struct.pack("<Q", 15 * 4)
    given.write_bytes(content)
    histories = [
        engine.train(project, tmp_path / f"{n}", options(tmp_path, weights=given, count_on=True), silent)
        for n, engine in enumerate((fake(), EmbeddedEngine()))
    ]
    assert histories[0]["iteration"].tolist() == list(range(16, 21))
    assert histories[1]["iteration"].iloc[-1] == 20
    history = fake().train(project, tmp_path / "c", options(tmp_path, weights=given), silent)
    assert history["iteration"].tolist() == list(range(1, 21))


def test_cfg_with_windows_line_ends(fake, project, tmp_path):
    text = set_net((project / "yolo.cfg").read_text(), {"max_batches": 5}).replace("\n", "\r\n")
    (project / "yolo.cfg").write_bytes(text.encode())
    fake().train(project, tmp_path / "yolo.weights", options(tmp_path), silent)
    assert b"\r" not in (tmp_path / "training" / "darknet" / "yolo.cfg").read_bytes()
    assert counted(tmp_path / "yolo.weights") == 5


@pytest.mark.darknet
@pytest.mark.skipif(not os.access(ALEXEYAB, os.X_OK), reason="no AlexeyAB Darknet: run `make darknet`")
@pytest.mark.parametrize("name", ["with blank", "quote'\"", "semi;colon $(x)", "ümläut", "x" * 120 + "/" + "y" * 150])
def test_any_folder_will_do_for_the_real_one(toy_project, toy_cfg, tmp_path, name):
    """Training from it, and detection."""
    plain = toy_project(cfg=toy_cfg.replace("adam=1", "adam=0").replace("learning_rate=0.01", "learning_rate=0.0001"))
    home = tmp_path / name
    home.mkdir(parents=True)
    project = home / "project"
    plain.replace(project)
    out = home / "yolo.weights"
    engine = BinaryEngine(probe(ALEXEYAB))
    engine.train(project, out, TrainingOptions(seed=3, scratch=home / "training"), silent)
    theirs = detect(engine, (project, out), threshold=0.3)
    ours = detect(EmbeddedEngine(), (project, out), threshold=0.3)
    assert {d.image for d in theirs} == {d.image for d in ours} != set()
    assert abs(len(theirs) - len(ours)) < 0.02 * len(ours) + 2, "but for those at the threshold"


@pytest.mark.darknet
@pytest.mark.skipif(not os.access(ALEXEYAB, os.X_OK), reason="no AlexeyAB Darknet: run `make darknet`")
def test_weights_go_from_one_real_engine_to_the_other_and_a_backbone_starts_either(toy_project, toy_cfg, tmp_path):
    text = toy_cfg.replace("adam=1", "adam=0").replace("learning_rate=0.01", "learning_rate=0.0001")
    project = toy_project(cfg=text.replace("max_batches=6", "max_batches=8"))
    cfg = read_cfg(project / "yolo.cfg")
    engines = {"alexeyab": BinaryEngine(probe(ALEXEYAB)), "embedded": EmbeddedEngine()}
    backbone = tmp_path / "darknet19.conv.2"
    first = initial_weights(cfg, 42)
    write_weights(Weights(first.layers[:2], seen=32013312), backbone)
    for name, engine in engines.items():
        out = tmp_path / f"{name}.weights"
        begun = TrainingOptions(seed=1, weights=backbone, scratch=tmp_path / name, checkpoint_every_s=1e-9)
        history = engine.train(project, out, begun, silent)
        assert history["iteration"].tolist() == list(range(1, 9))
        moved = read_weights(out, cfg).layers[1].weights - first.layers[1].weights
        assert 0 < np.abs(moved).max() < 0.1
    for name, other in (("alexeyab", "embedded"), ("embedded", "alexeyab")):
        (project / "yolo.cfg").write_text(text.replace("max_batches=6", "max_batches=11"))
        going_on = TrainingOptions(
            weights=tmp_path / f"{name}.weights", count_on=True, scratch=tmp_path / f"to-{other}"
        )
        history = engines[other].train(project, tmp_path / "out", going_on, silent)
        assert history["iteration"].tolist() == [9, 10, 11]
        assert set(history["engine"]) == {other}
