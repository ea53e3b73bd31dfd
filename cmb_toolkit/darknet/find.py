"""Finding a Darknet on this machine, and what it is and can do.

Two flavours are known: the original (Debian's package ``darknet`` among others) and AlexeyAB's fork.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import DarknetError, MissingError
from ..io.files import load_json
from .cfg import Cfg
from .layers import Reorg

__all__ = ["Binary", "Flavour", "find_darknet", "parse_probe", "probe", "probe_argv"]

_CHECKOUT = Path(__file__).parents[2] / "darknet" / "build" / "darknet"
_PROBE_TIMEOUT_S = 60.0

Flavour = Literal["original", "alexeyab"]

_LIMITS: dict[Flavour, tuple[tuple[float, float], ...]] = {
    "original": ((0.005, 0.45),),
    "alexeyab": ((0.005, 0.45), (0.001, 0.6)),
}
"""Least confidence and NMS overlap that are compiled in: ``test`` has 0.45, AlexeyAB's ``valid`` 0.6."""


@dataclass(frozen=True)
class Binary:
    """A Darknet that runs on this machine.

    Attributes
    ----------
    path : Path
    flavour : {"original", "alexeyab"}
    cuda : bool
        Whether it computes on a GPU.
    build : mapping
        The build record of `make darknet` beside it (commit, flags, compiler, CUDA); empty without one.
    """

    path: Path
    flavour: Flavour
    cuda: bool
    build: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def describe(self) -> str:
        """Flavour, fingerprint and build; its path may hold a person's name."""
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()[:12]
        text = f"darknet ({self.flavour}, {'GPU' if self.cuda else 'CPU'}, sha256 {digest})"
        if not self.build:
            return text
        flags = " ".join(f"{name}={value}" for name, value in self.build["flags"].items())
        tools = [
            self.build["compiler"],
            *(f"{t} {self.build[t]}" for t in ("cuda", "cudnn", "opencv") if self.build[t]),
        ]
        return f"{text} built from {self.build['commit'][:12]} with {flags}, {', '.join(tools)}"

    def cannot_train(self, cfg: Cfg) -> str:
        """Why it cannot train a network; empty if it can."""
        if self.flavour == "original":
            return (
                "this Darknet (the original) cannot train YOLOv2: the backward pass of its region layer is empty on "
                "CPUs, so the weights would only shrink"
            )
        if cfg.net.adam and not self.cuda:
            return "the cfg has adam=1, which Darknet knows on GPUs only; this build for CPUs would train by plain SGD"
        return ""

    def trains_wrongly(self, cfg: Cfg) -> str:
        """What is not right when it trains a network all the same; empty if all is."""
        if self.cuda:
            return ""
        reorg = any(isinstance(layer, Reorg) for layer in cfg.layers)
        return (
            "a build of Darknet for CPUs leaves the biases of batch norm at their start"
            + (", and adds up the gradient through the reorg layer over all iterations" if reorg else "")
            + "; the embedded engine and Darknet on a GPU train them rightly"
        )

    def cannot_detect(self, threshold: float, nms: float) -> str:
        """Why it cannot detect with a least confidence and a greatest overlap; empty if it can."""
        limits = _LIMITS[self.flavour]
        if any(threshold >= least and nms == overlap for least, overlap in limits):
            return ""
        built_in = " or ".join(f"{overlap} with a confidence of {least} or more" for least, overlap in limits)
        return (
            f"this Darknet ({self.flavour}) has its non-maximum suppression built in: {built_in}; "
            f"{nms:g} and {threshold:g} were asked for"
        )

    def is_slow(self) -> str:
        """Why it had better not detect; empty if it may."""
        if not self.cuda:
            return "the embedded engine finds the same boxes in a fraction of the time (--engine binary takes it)"
        return ""


def find_darknet(given: Path | None = None) -> Binary:
    """Find and probe a Darknet: the one given, ``CMBTK_DARKNET``, the checkout's own build, or one on the PATH.

    ``CMBTK_DARKNET=none`` says that there is none.

    Raises
    ------
    MissingError
        If there is none, or the one named is not there.
    DarknetError
        If it is no Darknet, or one that cannot run here.
    """
    variable = os.environ.get("CMBTK_DARKNET")
    if given is None and variable == "none":
        raise MissingError("CMBTK_DARKNET is none, so no Darknet is used. Unset it, or name one with --darknet.")
    named = given or (Path(variable) if variable else None)
    if named is not None:
        if not (named.is_file() and os.access(named, os.X_OK)):
            where = "" if given else " (from CMBTK_DARKNET)"
            raise MissingError(f"{named}{where}: not a program that can be run. Correct the path, or leave it out.")
        return probe(named.absolute())
    if _CHECKOUT.is_file():
        return probe(_CHECKOUT)
    on_path = shutil.which("darknet")
    if on_path is None:
        raise MissingError(
            "no Darknet found (looked at --darknet, CMBTK_DARKNET, darknet/build/darknet of the checkout, and PATH). "
            "Use the embedded engine, which needs none, or run `make darknet`."
        )
    return probe(Path(on_path))


def probe_argv(binary: Path) -> list[str]:
    """A command that no Darknet knows: each flavour says so in its own words."""
    return [str(binary), "__probe__"]


def probe(binary: Path) -> Binary:
    """Run a Darknet once to see what it is."""
    with tempfile.TemporaryDirectory() as nowhere:
        try:
            done = subprocess.run(
                probe_argv(binary),
                cwd=nowhere,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=_PROBE_TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DarknetError(f"{binary}: does not run ({error}). Choose another binary.") from error
    flavour, cuda = parse_probe(
        done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1"), str(binary)
    )
    return Binary(binary, flavour, cuda, _build_record(binary))


def parse_probe(code: int, stdout: str, stderr: str, name: str) -> tuple[Flavour, bool]:
    """Flavour, and whether a GPU is used, from what a probe left.

    Raises
    ------
    DarknetError
        If it is a build for GPUs on a machine without one, or no Darknet at all.
    """
    both = stdout + stderr
    if "error while loading shared libraries" in both:
        library = both.split("error while loading shared libraries:")[1].split(":")[0].strip()
        remedy = "Install it" if library != "libcuda.so.1" else "It comes with the NVIDIA driver: install that"
        raise DarknetError(
            f"{name}: the library {library} is missing here. {remedy}, or build Darknet on this machine "
            "(`make darknet`)."
        )
    if "CUDA status Error" in both or "cuda_set_device" in both or "check_error: Assertion" in both:
        raise DarknetError(
            f"{name}: built for an NVIDIA GPU, but no driver answers here. Use a CPU build or the embedded engine."
        )
    if "Not an option: __probe__" not in both or code != 0:
        raise DarknetError(f"{name}: does not answer as a Darknet does. Give the path of a Darknet binary.")
    if "CUDA-version:" in both:
        return "alexeyab", True
    if "GPU isn't used" in both or "OpenCV isn't used" in both or "OpenCV version" in both:
        return "alexeyab", False
    return "original", False


def _build_record(binary: Path) -> Mapping[str, Any]:
    """What `make darknet` noted of a binary; nothing if it noted it of another one."""
    try:
        record = load_json(binary.with_name(f"{binary.name}.json"), "")
        if record["sha256"] != hashlib.sha256(binary.read_bytes()).hexdigest():
            return {}
        return {key: record[key] for key in ("commit", "flags", "arch", "compiler", "cuda", "cudnn", "opencv")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
