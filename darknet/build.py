"""Get AlexeyAB's Darknet and build it with its own Makefile: `make darknet`.

Standard library only, so that it runs before anything is installed. The source lies in `darknet/source`, the finished
binary with its build record in `darknet/build`; both stay out of git. What the machine has decides the switches of
Darknet's Makefile, and every one can be overridden::

    make darknet GPU=0 OPENCV=0 ARCH="-gencode arch=compute_86,code=sm_86" NVCC=/opt/cuda/bin/nvcc JOBS=4
    make darknet DARKNET_REPO=https://... DARKNET_COMMIT=...      another upstream
    make darknet DARKNET_SRC=/path/to/checkout                    a checkout that is already here (offline hosts)

The binary is replaced only by one that was built whole and answers.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machine import Machine, choose_architectures, examine, package

REPO = "https://github.com/AlexeyAB/darknet"
COMMIT = "59596d7880f6504768df41d6daa586f5cb2b932f"
"""Head of the master branch since December 2025; its last tag is of 2021."""

HERE = Path(__file__).resolve().parent
SWITCHES = ("GPU", "CUDNN", "CUDNN_HALF", "OPENCV", "AVX", "OPENMP")
OPTIONS = (*SWITCHES, "ARCH", "NVCC", "JOBS", "DARKNET_REPO", "DARKNET_COMMIT", "DARKNET_SRC")
_SOURCES = ("Makefile", "src", "include", "3rdparty/stb")
_ADVICE = {
    # what the compiler, the linker or make say: what to do about it
    r"Unsupported gpu architecture": "this nvcc does not know that architecture: leave ARCH out, or choose one that "
    "`nvcc --list-gpu-arch` lists",
    r"cannot find -lcuda\b|cuCtxGetCurrent": "libcuda is not here: put CUDA's stubs folder on LIBRARY_PATH",
    r"curand\.h|cublas_v2\.h|cannot find -lcu(blas|rand|dart)": "parts of the CUDA toolkit are missing; "
    "install all of it, or build with GPU=0",
    r"cudnn\.h|cannot find -lcudnn": "cuDNN is not where the compiler looks: put its folders on CPATH and "
    "LIBRARY_PATH, or build with CUDNN=0",
    r"unsupported GNU version|#error.*gcc versions later": "nvcc does not work with this gcc: install an older gcc, "
    "or a newer CUDA, or build with GPU=0",
    r"opencv|-lopencv": "OpenCV does not fit: build with OPENCV=0",
    r"No space left": "free some space; the build needs 100 MB",
}


class BuildError(Exception):
    """Something that the person at the keyboard must put right; `code` is the exit status."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Plan:
    """What will be built.

    Attributes
    ----------
    switches : dict
        GPU, CUDNN, ...: 0 or 1 for Darknet's Makefile.
    arch : str
        nvcc's ``-gencode`` options; empty without GPU.
    nvcc : str
    environment : dict
        Where compiler, linker and the finished program look for CUDA.
    why : dict
        A switch and the reason for its value.
    """

    switches: dict[str, int]
    arch: str = ""
    nvcc: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)


def parse_options(arguments: list[str]) -> dict[str, str]:
    """``KEY=VALUE`` words; empty values are left out.

    Raises
    ------
    BuildError
        If a key is unknown, or a switch is neither 0 nor 1.
    """
    options: dict[str, str] = {}
    for argument in arguments:
        key, sign, value = argument.partition("=")
        if not sign or key not in OPTIONS:
            raise BuildError(f"{argument!r} is not understood. Known are {', '.join(f'{o}=' for o in OPTIONS)}.", 2)
        if key in SWITCHES and value not in ("0", "1", ""):
            raise BuildError(f"{key}={value}: a switch is 0 or 1.", 2)
        if key == "JOBS" and value and not (value.isdecimal() and int(value)):
            raise BuildError(f"JOBS={value}: give the number of compilers to run at once.", 2)
        if value:
            options[key] = value
    return options


def make_plan(machine: Machine, options: Mapping[str, str]) -> Plan:
    """Choose the switches for a machine; what the user says goes first.

    Raises
    ------
    BuildError
        If a compiler is missing, or what the user asks for cannot be built here.
    """
    missing = [f"{what}: {package(key, machine.family)}" for what, key, there in (
        ("gcc and g++", "compiler", machine.compiler), ("make", "compiler", machine.make),
        ("git", "git", machine.git or "DARKNET_SRC" in options),
    ) if not there]  # fmt: skip
    if missing:
        raise BuildError("needed and not found:\n  " + "\n  ".join(missing), 3)
    plan = Plan({})

    def choose(name: str, value: bool, why: str) -> None:
        given = options.get(name)
        plan.switches[name] = int(value) if given is None else int(given)
        plan.why[name] = why if given is None else "as given"

    gpu, why = _gpu(machine)
    choose("GPU", gpu, why)
    on_gpu = bool(plan.switches["GPU"])
    if on_gpu and not gpu:
        _need_cuda(machine)
    cuda = machine.cuda
    if not on_gpu:
        choose("CUDNN", False, "only with GPU=1")
    elif cuda and cuda.cudnn:
        choose("CUDNN", True, f"cuDNN {cuda.cudnn}")
    else:
        choose("CUDNN", False, f"no cuDNN found; it makes training faster ({package('cudnn', machine.family)})")
    choose("CUDNN_HALF", False, "half precision moves the results a little; CUDNN_HALF=1 is faster on tensor cores")
    choose("OPENCV", machine.opencv is not None,
           f"OpenCV {machine.opencv}" if machine.opencv
           else f"not found; with it images are read faster ({package('opencv', machine.family)})")  # fmt: skip
    choose("AVX", machine.avx2, "the processor has AVX2" if machine.avx2 else "the processor has no AVX2")
    choose("OPENMP", machine.openmp,
           "all processors work" if machine.openmp
           else f"the compiler has no OpenMP; one processor works ({package('openmp', machine.family)})")  # fmt: skip
    if plan.switches["CUDNN"] and on_gpu and not (cuda and cuda.cudnn):
        raise BuildError(
            f"CUDNN=1, but cuDNN's header and library were not found: {package('cudnn', machine.family)}. "
            "If they are elsewhere, put their folders on CPATH and LIBRARY_PATH.", 3
        )  # fmt: skip
    if plan.switches["OPENCV"] and not machine.opencv:
        raise BuildError(f"OPENCV=1, but pkg-config knows no opencv4: {package('opencv', machine.family)}.", 3)
    if (plan.switches["CUDNN"] and not on_gpu) or (plan.switches["CUDNN_HALF"] and not plan.switches["CUDNN"]):
        raise BuildError("CUDNN=1 needs GPU=1, and CUDNN_HALF=1 needs CUDNN=1.", 2)
    if on_gpu and cuda:
        plan.nvcc = cuda.nvcc
        try:
            plan.arch = options.get("ARCH") or choose_architectures(
                cuda.architectures, tuple(capability for _, capability in machine.gpus)
            )
        except ValueError as error:
            raise BuildError(f"{error}.", 3) from error
        include, libraries = (
            [folder for folder in folders if not folder.startswith(("/usr/include", "/usr/lib"))]  # searched anyway
            for folders in (cuda.include, cuda.libraries)
        )
        plan.environment = {
            "CPATH": ":".join(include),
            "LIBRARY_PATH": ":".join(libraries),
            # kept in the program, so that it finds CUDA without LD_LIBRARY_PATH; stubs are for linking only
            "LD_RUN_PATH": ":".join(folder for folder in libraries if not folder.endswith("stubs")),
        }
    elif "ARCH" in options:
        raise BuildError("ARCH= is for nvcc and needs GPU=1.", 2)
    return plan


def _gpu(machine: Machine) -> tuple[bool, str]:
    """Whether to build for the GPU, and why."""
    cuda = machine.cuda
    if not machine.gpus:
        if cuda:
            return False, "nvcc is here, but no GPU answers; on the login node of a cluster use GPU=1"
        return False, "no NVIDIA GPU and no nvcc"
    if cuda is None:
        return False, f"a GPU, but no nvcc to compile for it: {package('nvcc', machine.family)}"
    if cuda.lacks:
        return False, f"CUDA lacks {', '.join(cuda.lacks)}: {package('cublas', machine.family)}"
    if min(capability for _, capability in machine.gpus) < min(cuda.architectures):
        return False, "the GPU is older than all that this nvcc compiles for; install CUDA 12"
    return True, ", ".join(sorted({name for name, _ in machine.gpus}))


def _need_cuda(machine: Machine) -> None:
    if machine.cuda is None:
        raise BuildError(
            f"GPU=1, but nvcc was not found on the PATH or in CUDA's usual folders: {package('nvcc', machine.family)}, "
            "load your cluster's CUDA module, or name it: NVCC=/path/to/nvcc.", 3
        )  # fmt: skip
    if machine.cuda.lacks:
        raise BuildError(
            f"GPU=1, but CUDA {machine.cuda.version} lacks {', '.join(machine.cuda.lacks)}: "
            f"{package('cublas', machine.family)}. If they are elsewhere, put their folders on CPATH and LIBRARY_PATH.",
            3,
        )


def describe(machine: Machine, plan: Plan) -> str:
    """What was found and what follows, for people."""
    cuda = machine.cuda
    lines = [
        f"compiler      {machine.compiler}",
        f"nvcc          {f'{cuda.nvcc}, CUDA {cuda.version}' if cuda else 'none'}",
    ]
    if cuda:
        lines.append("  compiles for  " + " ".join(str(a / 10) for a in cuda.architectures))
        lines.append(f"  lacks         {', '.join(cuda.lacks) or 'nothing'}")
        lines.append(f"cuDNN         {cuda.cudnn or 'none'}")
    gpus = ", ".join(f"{name} (compute capability {capability / 10})" for name, capability in machine.gpus)
    lines.append(f"GPU           {gpus or 'none answers'}")
    lines.append(f"OpenCV        {machine.opencv or 'none'}")
    lines += ["", *(f"{name}={value:<{12 - len(name)}} {plan.why[name]}" for name, value in plan.switches.items())]
    if plan.arch:
        lines.append(f"ARCH          {plan.arch}")
    return "\n".join(lines)


def get_source(source: Path, options: Mapping[str, str]) -> str:
    """Put Darknet's source into `source`, and say which commit it is.

    Raises
    ------
    BuildError
        If it cannot be had.
    """
    given = options.get("DARKNET_SRC")
    if given:
        return _copy_source(Path(given).expanduser(), source)
    repo, commit = options.get("DARKNET_REPO", REPO), options.get("DARKNET_COMMIT", COMMIT)
    here = _git(source, "rev-parse", "HEAD")
    if here is not None and here == _git(source, "rev-parse", f"{commit}^{{commit}}"):
        return here
    if here is not None and _git(source, "-c", "core.fileMode=false", "status", "--porcelain", "--untracked-files=no"):
        raise BuildError(
            f"{source}: holds changes of yours to another commit. Keep them elsewhere, then `make darknet-clean`.", 2
        )
    print(f"fetching      {repo} at {commit}", flush=True)
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    _git(source, "init", "--quiet")
    wanted = "FETCH_HEAD"
    if _git(source, "fetch", "--quiet", "--depth", "1", repo, commit) is None:
        wanted = commit  # the server does not give single commits: fetch all of it
        failed = subprocess.run(
            ["git", "-C", str(source), "fetch", "--quiet", "--tags", repo, "+refs/heads/*:refs/remotes/origin/*"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, env=_git_environment(),
        )  # fmt: skip
        if failed.returncode:
            raise BuildError(
                f"{repo}: could not be fetched.\n  {failed.stderr.decode(errors='replace').strip()}\n"
                "Is this machine offline? Copy a checkout here and use make darknet DARKNET_SRC=/path/to/it.", 3
            )  # fmt: skip
    if _git(source, "checkout", "--quiet", "--detach", wanted) is None:
        raise BuildError(f"{repo}: has no commit {commit}. Correct DARKNET_COMMIT.", 3)
    return _git(source, "rev-parse", "HEAD") or commit


def _copy_source(given: Path, source: Path) -> str:
    if not all((given / part).exists() for part in ("Makefile", "src/darknet.c", "src/region_layer.c")):
        raise BuildError(f"{given}: not a checkout of Darknet (no Makefile and src/darknet.c). Correct DARKNET_SRC.", 3)
    # a folder inside another repository would answer with that one's commit
    commit = (_git(given, "rev-parse", "--show-prefix") == "" and _git(given, "rev-parse", "HEAD")) or "unknown"
    if given.resolve() == source.resolve():
        return commit
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for part in _SOURCES:
        if (given / part).is_dir():
            shutil.copytree(given / part, source / part)
        elif (given / part).is_file():
            shutil.copy2(given / part, source / part)
    return commit


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says in a folder of its own; None if it fails."""
    if not folder.is_dir():
        return None
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
        env=_git_environment(),
    )  # fmt: skip
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None


def _git_environment() -> dict[str, str]:
    """Without a terminal's questions, and not looking for a repository above the folder."""
    return {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CEILING_DIRECTORIES": str(HERE)}


def digest(source: Path) -> str:
    """Identity of the source that is compiled, the user's changes included."""
    total = hashlib.sha256()
    for part in _SOURCES:
        path = source / part
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            if file.is_file():
                total.update(f"{file.relative_to(source)}\0".encode() + file.read_bytes())
    return total.hexdigest()


def compile_source(source: Path, plan: Plan, jobs: int, log: Path) -> None:
    """Have Darknet's Makefile make the program, and it alone, from the beginning; the compiler's words go to `log`.

    What else its first target does (folders to work in, `chmod` of scripts) fails where only the source was copied.

    Raises
    ------
    BuildError
        With the compiler's last lines, if it fails.
    """
    words = [f"{name}={value}" for name, value in plan.switches.items()]
    words += [f"ARCH={plan.arch}", f"NVCC={plan.nvcc}"] if plan.arch else []
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARCH")}
    environment |= plan.environment
    objects = source / "obj"
    shutil.rmtree(objects, ignore_errors=True)  # of other switches, or half written
    objects.mkdir()
    (source / "darknet").unlink(missing_ok=True)
    lines: list[str] = []
    compiled, shown = 0, time.monotonic()
    with log.open("w", encoding="utf-8", errors="replace") as stream, subprocess.Popen(
        ["make", "-C", str(source), f"-j{jobs}", *words, "darknet"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=environment, text=True, errors="replace",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            stream.write(line)
            lines.append(line.rstrip())
            compiled += " -c " in line
            if time.monotonic() - shown > 5:
                shown = time.monotonic()
                print(f"compiling     {compiled} files", flush=True)
    if process.returncode or not (source / "darknet").is_file():
        raise BuildError(_failure(lines, log), 4)


def _failure(lines: list[str], log: Path) -> str:
    # what make and the compilers print beside their complaints is the command, which is long and says nothing
    told = [line for line in lines if not re.match(r"(gcc|g\+\+|\S*nvcc) +-|(mkdir|chmod) ", line)]
    telling = [line for line in told if re.search(r"\b(error|fatal|undefined|cannot find)\b", line, re.I)]
    text = "\n".join(telling)
    advice = [f"  -> {what}" for pattern, what in _ADVICE.items() if re.search(pattern, text, re.I)]
    shown = list(dict.fromkeys([*telling[:5], *told[-10:]]))
    head = "Darknet could not be built. The compiler's last words:"
    return "\n".join([head, *(f"  {line}" for line in shown), *advice, f"All of it is in {log}."])


def check_binary(binary: Path, on_gpu: bool) -> str:
    """Ask a new binary whether it is one; what it is, in words.

    Raises
    ------
    BuildError
        If it does not answer.
    """
    done = subprocess.run(
        [str(binary), "__probe__"], cwd=binary.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    said = done.stdout.decode(errors="replace")
    if "Not an option: __probe__" in said:
        return "it runs here"
    if on_gpu and ("libcuda.so" in said or "CUDA status Error" in said):
        return "built for the GPU: it runs where an NVIDIA driver is, which is not here"
    raise BuildError(f"the new binary does not answer:\n  {said.strip()[-1000:]}", 4)


def install(built: Path, folder: Path, record: dict[str, Any]) -> Path:
    """Move the binary into place, then its record: a record that names another binary's checksum does not count."""
    target, new = folder / "darknet", folder / ".new.darknet"
    shutil.copy2(built, new)
    record["sha256"] = hashlib.sha256(new.read_bytes()).hexdigest()
    new.replace(target)
    note = folder / ".new.darknet.json"
    note.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    note.replace(folder / "darknet.json")
    return target


def is_current(folder: Path, record: Mapping[str, Any]) -> bool:
    """Whether the binary in `folder` is what `record` describes."""
    try:
        old = json.loads((folder / "darknet.json").read_text("utf-8"))
        return bool(dict(record, sha256=hashlib.sha256((folder / "darknet").read_bytes()).hexdigest()) == old)
    except (OSError, ValueError):
        return False


def build(options: Mapping[str, str], folder: Path = HERE) -> Path:
    """Everything: look, fetch, compile, install. Returns the binary."""
    machine = examine(options.get("NVCC"))
    plan = make_plan(machine, options)
    print(describe(machine, plan), flush=True)
    source, out = folder / "source", folder / "build"
    out.mkdir(parents=True, exist_ok=True)
    commit = get_source(source, options)
    record: dict[str, Any] = {
        "commit": commit,
        "source_sha256": digest(source),
        "flags": plan.switches,
        "arch": plan.arch,
        "compiler": machine.compiler,
        "cuda": machine.cuda.version if machine.cuda and plan.arch else None,
        "cudnn": machine.cuda.cudnn if machine.cuda and plan.switches["CUDNN"] else None,
        "opencv": machine.opencv if plan.switches["OPENCV"] else None,
    }
    target = out / "darknet"
    if is_current(out, record):
        print(f"\n{target} is this build already; nothing to do. `make darknet-clean` removes it.")
        return target
    started = time.monotonic()
    print(f"compiling     commit {commit[:10]}; messages in {out / 'build.log'}", flush=True)
    compile_source(source, plan, int(options.get("JOBS") or len(os.sched_getaffinity(0))), out / "build.log")
    answer = check_binary(source / "darknet", bool(plan.switches["GPU"]))
    target = install(source / "darknet", out, record)
    print(
        f"\n{target}: built in {time.monotonic() - started:.0f} s; {answer}. cmbtk finds it; `cmbtk doctor` shows it."
    )
    return target


if __name__ == "__main__":
    try:
        build(parse_options(sys.argv[1:]))
    except BuildError as problem:
        kept = " The binary from before stays." if problem.code == 4 and (HERE / "build" / "darknet").exists() else ""
        print(f"\nmake darknet: {problem}{kept}", file=sys.stderr)
        sys.exit(problem.code)
    except KeyboardInterrupt:
        print("\nInterrupted; run it again.", file=sys.stderr)
        sys.exit(130)
