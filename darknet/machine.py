"""What this machine has for building Darknet: compilers, CUDA, cuDNN, OpenCV, and what to install for the rest."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Cuda",
    "Machine",
    "choose_architectures",
    "distribution",
    "examine",
    "package",
    "parse_architectures",
    "parse_gpus",
    "parse_release",
]

PACKAGES: dict[str, dict[str, str]] = {
    # what: how each family of distributions calls it
    "compiler": {
        "debian": "apt install g++", "fedora": "dnf install gcc-c++", "suse": "zypper install gcc-c++",
        "arch": "pacman -S gcc", "alpine": "apk add g++",
    },
    "git": {
        "debian": "apt install git", "fedora": "dnf install git", "suse": "zypper install git",
        "arch": "pacman -S git", "alpine": "apk add git",
    },
    "nvcc": {
        "debian": "apt install nvidia-cuda-toolkit (or NVIDIA's own cuda-toolkit)",
        "fedora": "dnf install cuda-toolkit (from NVIDIA's repository)",
        "suse": "zypper install cuda-toolkit (from NVIDIA's repository)", "arch": "pacman -S cuda",
    },
    "cublas": {
        "debian": "apt install nvidia-cuda-toolkit (or NVIDIA's own cuda-libraries-dev-<version>)",
        "fedora": "dnf install cuda-libraries-devel-<version>", "suse": "zypper install cuda-libraries-devel-<version>",
        "arch": "pacman -S cuda",
    },
    "cudnn": {
        "debian": "apt install nvidia-cudnn (or NVIDIA's own cudnn)", "fedora": "dnf install cudnn",
        "suse": "zypper install cudnn", "arch": "pacman -S cudnn",
    },
    "opencv": {
        "debian": "apt install pkg-config libopencv-dev", "fedora": "dnf install opencv-devel",
        "suse": "zypper install opencv-devel", "arch": "pacman -S opencv", "alpine": "apk add opencv-dev",
    },
    "openmp": {
        "debian": "apt install g++ (gcc brings it; clang needs libomp-dev)", "fedora": "dnf install libgomp",
        "suse": "zypper install libgomp1", "arch": "pacman -S gcc", "alpine": "apk add libgomp",
    },
}  # fmt: skip

_FAMILIES = {
    "debian": {"debian", "ubuntu", "linuxmint", "pop"},
    "fedora": {"fedora", "rhel", "centos", "rocky", "almalinux", "ol", "amzn"},
    "suse": {"suse", "opensuse", "sles"},
    "arch": {"arch", "manjaro"},
    "alpine": {"alpine"},
}
_COMMON = (61, 70, 75, 80, 86, 89, 90, 100, 120)
"""Compute capabilities to build for where the GPU is not known: GTX 10 to today's."""


@dataclass(frozen=True)
class Cuda:
    """A CUDA toolkit.

    Attributes
    ----------
    nvcc : str
    version : str
    architectures : tuple of int
        What this nvcc can compile for: 75 is compute capability 7.5.
    include, libraries : tuple of str
        Folders for the compiler and the linker to look in, beside their own.
    lacks : tuple of str
        Headers and libraries that Darknet needs and that were not found.
    cudnn : str or None
        Version of cuDNN.
    """

    nvcc: str
    version: str
    architectures: tuple[int, ...]
    include: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    cudnn: str | None = None


@dataclass(frozen=True)
class Machine:
    """What was found.

    Attributes
    ----------
    family : str
        Of the distribution: ``debian``, ``fedora``, ...; empty if unknown.
    compiler : str or None
        First line of ``g++ --version``.
    git, make, avx2, openmp : bool
    opencv : str or None
        Version that pkg-config knows as ``opencv4``.
    cuda : Cuda or None
    gpus : tuple of (name, compute capability)
        NVIDIA GPUs that answer here.
    """

    family: str
    compiler: str | None
    git: bool
    make: bool
    avx2: bool
    openmp: bool
    opencv: str | None
    cuda: Cuda | None
    gpus: tuple[tuple[str, int], ...]


def examine(nvcc: str | None = None, environment: Mapping[str, str] = os.environ) -> Machine:
    """Look at this machine.

    Parameters
    ----------
    nvcc : str, optional
        The CUDA compiler to look at, instead of the one on the PATH or in CUDA's usual folders.
    environment : mapping
    """
    compiler = _said("g++", "--version") if shutil.which("gcc") else None
    return Machine(
        family=distribution(),
        compiler=compiler.splitlines()[0] if compiler else None,
        git=shutil.which("git") is not None,
        make=shutil.which("make") is not None,
        avx2=" avx2 " in _read(Path("/proc/cpuinfo")).replace("\n", " "),
        openmp=compiler is not None and _compiles("#include <omp.h>\nint main(){return omp_get_max_threads()<1;}"),
        opencv=(_said("pkg-config", "--modversion", "opencv4") or "").strip() or None,
        cuda=_cuda(nvcc, environment),
        gpus=parse_gpus(_said("nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader") or ""),
    )


def distribution() -> str:
    """Family of this machine's distribution; empty if unknown."""
    return parse_release(_read(Path("/etc/os-release")))


def parse_release(text: str) -> str:
    """Family of distributions from the text of ``/etc/os-release``."""
    words = {word for _, line in re.findall(r'^(ID|ID_LIKE)="?([^"\n]*)', text, re.M) for word in line.split()}
    return next((family for family, names in _FAMILIES.items() if words & names), "")


def package(what: str, family: str) -> str:
    """How to get something on a distribution."""
    known = PACKAGES[what]
    return known.get(family) or "; ".join(f"{name}: {command}" for name, command in known.items())


def parse_gpus(text: str) -> tuple[tuple[str, int], ...]:
    """Names and compute capabilities from nvidia-smi's ``name, compute_cap`` lines."""
    found = re.findall(r"^(.+), *(\d+)\.(\d+) *$", text, re.M)
    return tuple((name, int(major) * 10 + int(minor)) for name, major, minor in found)


def parse_architectures(text: str) -> tuple[int, ...]:
    """Compute capabilities from ``nvcc --list-gpu-arch``, in order."""
    return tuple(sorted({int(number) for number in re.findall(r"^compute_(\d+)\s*$", text, re.M)}))


def choose_architectures(supported: tuple[int, ...], present: tuple[int, ...]) -> str:
    """What to compile for, in the words of nvcc.

    Parameters
    ----------
    supported : tuple of int
        What nvcc can compile for.
    present : tuple of int
        Compute capabilities of this machine's GPUs; none: whatever is common.

    Returns
    -------
    str
        ``-gencode`` options. The newest goes in as portable code, too, which later GPUs can run.

    Raises
    ------
    ValueError
        If a GPU is older than all that nvcc supports.
    """
    if present and min(present) < min(supported):
        raise ValueError(
            f"the GPU has compute capability {min(present) / 10}, but this nvcc compiles for {min(supported) / 10} and "
            "newer: CUDA 13 dropped everything before 7.5. Install CUDA 12, or build with GPU=0"
        )
    # a GPU newer than nvcc runs the portable code of the newest one that nvcc knows
    wanted = sorted({max(a for a in supported if a <= gpu) for gpu in present} or set(supported) & set(_COMMON))
    wanted = wanted or [max(supported)]
    *older, newest = (f"-gencode arch=compute_{a},code=sm_{a}" for a in wanted)
    return " ".join([*older, newest.replace(f"code=sm_{wanted[-1]}", f"code=[sm_{wanted[-1]},compute_{wanted[-1]}]")])


def _cuda(given: str | None, environment: Mapping[str, str]) -> Cuda | None:
    homes = [environment.get(name, "") for name in ("CUDA_HOME", "CUDA_PATH")] + ["/usr/local/cuda", "/opt/cuda"]
    candidates = [given, shutil.which("nvcc"), *[shutil.which("nvcc", path=f"{home}/bin") for home in homes if home]]
    nvcc = next((name for name in candidates if name), None)
    said = _said(nvcc, "--version") if nvcc else None
    version = re.search(r"release (\d+\.\d+)", said or "")
    if nvcc is None or version is None:
        return None
    top = re.search(r"^#\$ TOP=(.+)$", _dryrun(nvcc), re.M)
    home = Path(top[1]).resolve() if top else Path(nvcc).resolve().parents[1]
    include = _folders(
        environment.get("CPATH"), home / "include", "/usr/local/cudnn/include", "/usr/include",
        "/usr/include/x86_64-linux-gnu",
    )  # fmt: skip
    libraries = _folders(
        environment.get("LIBRARY_PATH"), home / "lib64", home / "lib", "/usr/local/cudnn/lib64", "/usr/local/cudnn/lib",
        "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", home / "lib64" / "stubs", home / "lib" / "stubs",
    )  # fmt: skip
    headers = [name for name in ("cuda_runtime.h", "cublas_v2.h", "curand.h") if not _find(name, include)]
    linked = [f"lib{name}.so" for name in ("cudart", "cublas", "curand", "cuda")]
    cudnn = _find("cudnn_version.h", include) or _find("cudnn.h", include)
    numbers = dict(re.findall(r"#define CUDNN_(MAJOR|MINOR|PATCHLEVEL) (\d+)", _read(cudnn) if cudnn else ""))
    listed = parse_architectures(_said(nvcc, "--list-gpu-arch") or "")
    return Cuda(
        nvcc=nvcc,
        version=version[1],
        architectures=listed or (50, 52, 60, 61, 70, 75),  # CUDA 10 and older do not list them
        include=tuple(map(str, include)),
        libraries=tuple(map(str, libraries)),
        lacks=(*headers, *[name for name in linked if not _find(name, libraries)]),
        cudnn=".".join(numbers.values()) if numbers and _find("libcudnn.so", libraries) else None,
    )


def _dryrun(nvcc: str) -> str:
    """What nvcc would do with an empty source; among other things it tells where its toolkit is."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "empty.cu")
        source.touch()
        return _said(nvcc, "--dryrun", "-c", str(source), "-o", f"{folder}/empty.o") or ""


def _folders(*candidates: str | Path | None) -> list[Path]:
    """Those that exist, each once; a string may hold several with colons between them."""
    names = [part for candidate in candidates for part in str(candidate or "").split(":") if part]
    return [path for path in map(Path, dict.fromkeys(names)) if path.is_dir()]


def _find(name: str, folders: list[Path]) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).exists()), None)


def _said(*command: str) -> str | None:
    """What a program prints; None if it is not there or fails."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def _compiles(source: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "probe.c")
        path.write_text(source)
        return _said("gcc", "-fopenmp", str(path), "-o", f"{folder}/probe") is not None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
