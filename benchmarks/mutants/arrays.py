"""Arrays of stage 2: the patches and the trained network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.patches import ARRAY, check_values, read_patches

from .damage import ODD, bytes_damaged, nothing, one_of, place_damaged
from .documents import member_damaged
from .kind import Kind, Mutant
from .study import CELL, copied, make_study

__all__ = ["KINDS"]

Random = np.random.Generator


def _mutate_patches(random: Random, originals: Path, folder: Path) -> Mutant:
    base = copied(originals, folder / "all")
    patches = Study.open(base / "study").cell_named(CELL).patches
    path, rights = patches / ARRAY, nothing
    content = path.read_bytes()
    kind = one_of(random, ["header", "header", "bytes", "value", "value", "text", "place"])
    if kind == "header":
        content, what = bytes_damaged(content, random, within=128)
    elif kind == "bytes":
        content, what = bytes_damaged(content, random)
    elif kind == "value":
        at = 128 + 4 * int(random.integers((len(content) - 128) // 4))
        value = one_of(random, [float("nan"), float("inf"), -1.0, 2.0, 1e30])
        content = content[:at] + np.float32(value).tobytes() + content[at + 4 :]
        what = f"the number at byte {at} is {value:g}"
    elif kind == "text":
        head, tail = content[:128], content[128:]
        old, new = one_of(
            random,
            [
                (b"<f4", b"|O8"),
                (b"<f4", b"<f8"),
                (b"False", b"True "),
                (b"16, 32", b"1e, 32"),
                (b"(", b"(9"),
                (b"16", b"-1"),
            ],
        )
        content, what = head.replace(old, new, 1) + tail, f"{new!r} for {old!r}"
    path.unlink()
    path.write_bytes(content)
    if kind == "place":
        what, rights = place_damaged(path, random)

    def read() -> Any:
        with rights():
            table, array = read_patches(patches)
            return table, check_values(patches, array)

    def wrong(found: Any) -> str:
        table, array = found
        values = np.asarray(array)
        if len(table) != len(values) or not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
            return "values that are no grey values"
        return ""

    return Mutant(what, read, path, wrong)


def _make_network(folder: Path) -> None:
    """In a process of its own: TensorFlow's threads would not live on in those that are made of this one."""
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from cmb_toolkit.stage2 import networks; "
        "from cmb_toolkit.io.publish import Record, publish\n"
        "with publish(Path(sys.argv[1]), Record('stage2-train', {})) as path:\n"
        "    networks.save(networks.build('small', 1), path)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder / "cnn.keras")], check=True, capture_output=True)


def _warm() -> None:
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from cmb_toolkit.stage2 import networks

    networks.build("small", 1)


def _mutate_network(random: Random, originals: Path, folder: Path) -> Mutant:
    path, rights = folder / "cnn.keras", nothing
    content = (originals / "cnn.keras").read_bytes()
    shutil.copy(originals / "cnn.json", folder)
    kind = one_of(random, ["bytes", "bytes", "bytes", "member", "member", "config", "place"])
    if kind == "bytes":
        content, what = bytes_damaged(content, random)
    elif kind == "member":
        content, what = member_damaged(content, random)
    elif kind == "config":
        import io
        import zipfile

        source = zipfile.ZipFile(io.BytesIO(content))
        text = source.read("config.json").decode()
        words = [
            w for w in ("24", "48", "32", "relu", "BatchNormalization", "0.3", "small", "same", "keras") if w in text
        ]
        old, new = one_of(random, words), one_of(random, [*ODD[:40], "100000000", "Lambda", "builtins"])
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as target:
            for name in source.namelist():
                target.writestr(name, text.replace(old, new, 1) if name == "config.json" else source.read(name))
        content, what = stream.getvalue(), f"config.json: {new[:30]!r} for {old!r}"
    path.write_bytes(content)
    if kind == "place":
        what, rights = place_damaged(path, random)

    def read() -> Any:
        from cmb_toolkit.stage2 import networks
        from cmb_toolkit.stage2.keras_file import read_network

        with rights():
            return networks.load(read_network(path)).get_weights()

    def wrong(weights: Any) -> str:
        if not all(np.isfinite(array).all() for array in weights):
            return "weights that are not finite"
        from cmb_toolkit.stage2 import networks
        from cmb_toolkit.stage2.keras_file import read_network

        whole = networks.load(read_network(originals / "cnn.keras")).get_weights()
        same = len(whole) == len(weights) and all(np.array_equal(a, b) for a, b in zip(whole, weights, strict=True))
        return "" if same else "other weights than the file had before it was damaged"

    return Mutant(what, read, path, wrong)


KINDS = (
    Kind("npy", make_study, _mutate_patches, share=1.5),
    Kind("keras", _make_network, _mutate_network, share=0.7, warm=_warm),
)
