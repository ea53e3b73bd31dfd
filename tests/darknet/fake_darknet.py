"""A Darknet for tests, standard library only: trains by counting, and fails in the way it is told to.

It is told by the environment variable FAKE_DARKNET, words ``what=iteration`` or ``what``:

    sleep=0.03          seconds each iteration takes
    print=file          append each iteration to a file
    die_at, die_parent_at, die_both_at=N      SIGKILL itself, cmbtk, or both, after iteration N
    die_in_save, die_parent_in_save, die_both_in_save=N    the same, with half of the snapshot of iteration N written
    truncate_at=N       write half of snapshot N and go on, as on a full disk
    nan_at=N            a loss of nan; nan_weights_at=N: a snapshot with a NaN
    linger=3            deaf to SIGTERM; from a loss of nan on, children of its write into backup/ for so many seconds
    hang_at=N           stop without a word;  silent: never say a word, but train
    no_final, half_final, die_parent_at_end, code=139
"""

import os
import re
import signal
import struct
import sys
import time
from pathlib import Path


def say(text, stream=sys.stdout):
    if "silent" not in told:
        print(text, file=stream, flush=True)


def kill(whom):
    if whom in ("parent", "both"):
        os.kill(os.getppid(), signal.SIGKILL)
    if whom in ("self", "both"):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # SIGKILL comes by the death of the parent


def told_at(word, iteration):
    return told.get(word) == str(iteration)


def save(path, seen, floats, iteration):
    content = struct.pack("<3iQ", 0, 2, 5, seen) + floats
    if told_at("nan_weights_at", iteration):
        content = content[:-4] + struct.pack("<f", float("nan"))
    say(f"Saving weights to {path}", sys.stderr)
    for word, whom in (("die_in_save", "self"), ("die_parent_in_save", "parent"), ("die_both_in_save", "both")):
        if told_at(word, iteration):
            path.write_bytes(content[: len(content) // 2])
            kill(whom)
    if told_at("truncate_at", iteration) or ("half_final" in told and "final" in path.name):
        content = content[: len(content) // 2]
    path.write_bytes(content)


def linger(seconds):
    """Two processes that write on, from before the loss is told."""
    until = time.monotonic() + seconds
    if os.fork() and os.fork():
        return
    number = 0
    while time.monotonic() < until:
        number += 1
        Path("backup").mkdir(exist_ok=True)
        Path(f"backup/{os.getpid()}_{number}.tmp").write_bytes(b"x")
    os._exit(0)


def train():
    cfg, data = Path("yolo.cfg").read_text(), Path("yolo.data").read_text()
    batch, last = (int(re.search(rf"^{key}\s*=\s*(\d+)", cfg, re.M)[1]) for key in ("batch", "max_batches"))
    every = int(re.search(r"^saveweights=(\d+)", data, re.M)[1])
    start = Path("start.weights").read_bytes()
    seen, floats = struct.unpack("<Q", start[12:20])[0], bytearray(start[20:])
    for image in Path("train.txt").read_text().split():
        assert Path(image).is_file(), image
    if "linger" in told:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("yolo\nLearning Rate: 0.001, Momentum: 0.9, Decay: 0.0005\nLoaded: 0.01 seconds")
    for iteration in range(seen // batch + 1, last + 1):
        if told_at("hang_at", iteration):
            time.sleep(60)
        time.sleep(float(told.get("sleep", 0.03)))
        struct.pack_into("<f", floats, 0, struct.unpack_from("<f", floats, 0)[0] + 1)
        loss = "-nan" if told_at("nan_at", iteration) else f"{100 / iteration:f}"
        if loss == "-nan" and "linger" in told:
            linger(float(told["linger"]))
            time.sleep(0.3)
        say("Region Avg IOU: 0.3, Class: 1.0, Obj: 0.4, No Obj: 0.5, Avg Recall: -nan,  count: 0")
        say(f"\x1b[H\x1b[J{iteration}/{last}: loss={loss} hours left=-1.0\x07")
        images = iteration * batch
        say(f" {iteration}: {loss}, {loss} avg loss, 0.001 rate, 0.2 seconds, {images} images, -1.0 hours left")
        if "print" in told:
            with Path(told["print"]).open("a") as stream:
                stream.write(f"{iteration}\n")
        for word, whom in (("die_at", "self"), ("die_parent_at", "parent"), ("die_both_at", "both")):
            if told_at(word, iteration):
                kill(whom)
        if iteration % every == 0:
            save(Path(f"backup/yolo_{iteration}.weights"), iteration * batch, floats, iteration)
    if "no_final" not in told:
        save(Path("backup/yolo_final.weights"), last * batch, floats, "final")
    if "die_parent_at_end" in told:
        kill("parent")
    say("If you want to train from the beginning, then use flag in the end of training command: -clear ")
    sys.exit(int(told.get("code", 0)))


told = {word.partition("=")[0]: word.partition("=")[2] for word in os.environ.get("FAKE_DARKNET", "").split()}
if sys.argv[1:] == ["__probe__"]:
    gpu = " CUDA-version: 13000 (13000), GPU count: 1" if "cuda" in told else " OpenCV isn't used"
    print(" GPU isn't used " if "cuda" not in told else "")
    print(f"{gpu}\nNot an option: __probe__", file=sys.stderr)
elif sys.argv[1:3] == ["detector", "train"]:
    train()
