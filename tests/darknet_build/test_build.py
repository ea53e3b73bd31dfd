"""`make darknet`: what it chooses for a machine, and what it does with a source that builds or does not."""

import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "darknet"
sys.path.insert(0, str(FOLDER))

import build as builder  # noqa: E402
import machine as looker  # noqa: E402
from build import BuildError, get_source, make_plan, parse_options  # noqa: E402
from machine import Cuda, Machine, choose_architectures, parse_architectures, parse_gpus, parse_release  # noqa: E402

CUDA_13 = (75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121)
CUDA_12 = (50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90)


# --- what there is ---


def test_what_nvcc_lists():
    text = "compute_75\ncompute_80\ncompute_100\ncompute_90\n"
    assert parse_architectures(text) == (75, 80, 90, 100)
    assert parse_architectures("nvcc fatal : Unknown option") == ()


def test_what_nvidia_smi_lists():
    text = "NVIDIA H100 80GB HBM3, 9.0\nNVIDIA GeForce GTX 1080 Ti, 6.1\n"
    assert parse_gpus(text) == (("NVIDIA H100 80GB HBM3", 90), ("NVIDIA GeForce GTX 1080 Ti", 61))
    assert parse_gpus("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.") == ()


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ('ID=debian\nVERSION_ID="12"', "debian"),
        ("ID=ubuntu\nID_LIKE=debian", "debian"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"', "fedora"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', "suse"),
        ("ID=arch", "arch"),
        ("ID=nixos", ""),
        ("", ""),
    ],
)
def test_distributions(text, family):
    assert parse_release(text) == family


def test_every_package_is_named_for_every_distribution_it_can_be_had_on():
    for what, names in looker.PACKAGES.items():
        for family in ("debian", "fedora", "suse", "arch"):
            assert looker.package(what, family) == names[family]
        assert "debian: " in looker.package(what, "")


@pytest.mark.parametrize(
    ("supported", "present", "expected"),
    [
        (CUDA_13, (90,), "-gencode arch=compute_90,code=[sm_90,compute_90]"),
        (CUDA_13, (86, 86), "-gencode arch=compute_86,code=[sm_86,compute_86]"),
        (CUDA_12, (61, 90), "-gencode arch=compute_61,code=sm_61 -gencode arch=compute_90,code=[sm_90,compute_90]"),
        (CUDA_12, (120,), "-gencode arch=compute_90,code=[sm_90,compute_90]"),  # newer than nvcc: portable code
        ((75, 80), (), "-gencode arch=compute_75,code=sm_75 -gencode arch=compute_80,code=[sm_80,compute_80]"),
    ],
)
def test_architectures(supported, present, expected):
    assert choose_architectures(supported, present) == expected


def test_architectures_for_unknown_gpus_are_those_that_nvcc_still_has():
    chosen = choose_architectures(CUDA_13, ())
    assert "61" not in chosen
    assert "70" not in chosen
    assert chosen.count("-gencode") == 7
    assert "compute_61" in choose_architectures(CUDA_12, ())


def test_a_gpu_that_nvcc_has_dropped():
    with pytest.raises(ValueError, match=r"compute capability 6\.1.*7\.5.*CUDA 12"):
        choose_architectures(CUDA_13, (61,))


def test_this_machine():
    found = looker.examine(environment={})
    assert found.compiler is None or "g++" in found.compiler or "GCC" in found.compiler
    assert all(isinstance(capability, int) for _, capability in found.gpus)


# --- what follows ---

BARE = Machine("debian", "g++ 12.2.0", True, True, True, True, None, None, ())
CUDA = Cuda("/opt/cuda/bin/nvcc", "13.0", CUDA_13, ("/opt/cuda/include",), ("/opt/cuda/lib64", "/opt/cuda/lib64/stubs"))
GPU = replace(BARE, cuda=replace(CUDA, cudnn="9.28.0"), gpus=(("NVIDIA H100", 90),))


def test_a_plain_machine():
    plan = make_plan(BARE, {})
    assert plan.switches == {"GPU": 0, "CUDNN": 0, "CUDNN_HALF": 0, "OPENCV": 0, "AVX": 1, "OPENMP": 1}
    assert plan.arch == plan.nvcc == ""
    assert "no NVIDIA GPU" in plan.why["GPU"]
    assert "libopencv-dev" in plan.why["OPENCV"]
    old = make_plan(replace(BARE, avx2=False, openmp=False, opencv="4.6.0"), {})
    assert (old.switches["AVX"], old.switches["OPENMP"], old.switches["OPENCV"]) == (0, 0, 1)


def test_a_machine_with_a_gpu():
    plan = make_plan(GPU, {})
    assert (plan.switches["GPU"], plan.switches["CUDNN"], plan.switches["CUDNN_HALF"]) == (1, 1, 0)
    assert "sm_90" in plan.arch
    assert plan.environment == {
        "CPATH": "/opt/cuda/include",
        "LIBRARY_PATH": "/opt/cuda/lib64:/opt/cuda/lib64/stubs",
        "LD_RUN_PATH": "/opt/cuda/lib64",
    }
    without = make_plan(replace(GPU, cuda=CUDA), {})
    assert without.switches["CUDNN"] == 0
    assert "nvidia-cudnn" in without.why["CUDNN"]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (replace(BARE, cuda=CUDA), "login node of a cluster use GPU=1"),
        (replace(GPU, cuda=None), "no nvcc to compile for it: apt install nvidia-cuda-toolkit"),
        (replace(GPU, cuda=replace(CUDA, lacks=("curand.h",))), "CUDA lacks curand.h"),
        (replace(GPU, gpus=(("GTX 1080 Ti", 61),)), "older than all that this nvcc compiles for; install CUDA 12"),
    ],
)
def test_why_not_for_the_gpu(found, why):
    plan = make_plan(found, {})
    assert plan.switches["GPU"] == 0
    assert why in plan.why["GPU"]
    assert "GPU=0" in builder.describe(found, plan)


def test_the_user_goes_first():
    plan = make_plan(GPU, {"GPU": "0", "AVX": "0", "OPENMP": "0"})
    assert (plan.switches["GPU"], plan.switches["CUDNN"], plan.switches["AVX"]) == (0, 0, 0)
    assert plan.why["AVX"] == "as given"
    login_node = replace(BARE, cuda=CUDA)
    assert make_plan(login_node, {"GPU": "1"}).arch.count("-gencode") == 7
    assert make_plan(login_node, {"GPU": "1", "ARCH": "-gencode x"}).arch == "-gencode x"
    assert make_plan(GPU, {"CUDNN_HALF": "1"}).switches["CUDNN_HALF"] == 1


@pytest.mark.parametrize(
    ("found", "options", "code", "message"),
    [
        (BARE, {"GPU": "1"}, 3, r"nvcc was not found.*NVCC=/path/to/nvcc"),
        (replace(GPU, cuda=replace(CUDA, lacks=("curand.h",))), {"GPU": "1"}, 3, r"lacks curand\.h.*CPATH"),
        (replace(GPU, gpus=(("GTX 1080 Ti", 61),)), {"GPU": "1"}, 3, r"6\.1.*CUDA 12"),
        (replace(GPU, cuda=CUDA), {"CUDNN": "1"}, 3, "cuDNN's header and library were not found"),
        (BARE, {"CUDNN": "1"}, 2, "CUDNN=1 needs GPU=1"),
        (replace(GPU, cuda=CUDA), {"CUDNN_HALF": "1"}, 2, "CUDNN_HALF=1 needs CUDNN=1"),
        (BARE, {"OPENCV": "1"}, 3, "pkg-config knows no opencv4"),
        (BARE, {"ARCH": "-gencode x"}, 2, "ARCH= is for nvcc"),
        (replace(BARE, compiler=None), {}, 3, r"gcc and g\+\+: apt install g\+\+"),
        (replace(BARE, git=False, family="fedora"), {}, 3, "git: dnf install git"),
    ],
)
def test_what_cannot_be_built(found, options, code, message):
    with pytest.raises(BuildError, match=message) as error:
        make_plan(found, options)
    assert error.value.code == code


def test_a_source_that_is_here_needs_no_git():
    make_plan(replace(BARE, git=False), {"DARKNET_SRC": "/somewhere"})


def test_options():
    assert parse_options(["GPU=0", "ARCH=-gencode arch=compute_90,code=sm_90", "JOBS="]) == {
        "GPU": "0",
        "ARCH": "-gencode arch=compute_90,code=sm_90",
    }
    for wrong in ("GPU=2", "FOO=1", "GPU", "JOBS=many"):
        with pytest.raises(BuildError) as error:
            parse_options([wrong])
        assert error.value.code == 2


# --- doing it, with a source that builds in no time ---

MAKEFILE = """
OBJDIR=./obj/
all: $(OBJDIR) backup results setchmod darknet
$(OBJDIR)%.o: src/%.c
\tgcc -c $< -o $@
darknet: $(OBJDIR)darknet.o
\tgcc $^ -o $@
$(OBJDIR) backup results:
\tmkdir -p $@
setchmod:
\tchmod +x *.sh
"""
ANSWERS = '#include <stdio.h>\nint main(int c, char **v) { fprintf(stderr, "Not an option: %s\\n", v[1]); return 0; }\n'


@pytest.fixture
def source(tmp_path):
    """A git repository that looks like Darknet's."""
    folder = tmp_path / "upstream"
    (folder / "src").mkdir(parents=True)
    (folder / "Makefile").write_text(MAKEFILE)
    (folder / "src" / "darknet.c").write_text(ANSWERS)
    (folder / "src" / "region_layer.c").write_text("/* nothing */\n")
    git(folder, "init", "-q")
    commit(folder)
    return folder


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def run(tmp_path, source, monkeypatch):
    """A function that runs the whole build in a folder of its own."""
    monkeypatch.setattr(builder, "examine", lambda nvcc=None: BARE)

    def make(**options: str) -> Path:
        chosen = {"DARKNET_REPO": str(source), "DARKNET_COMMIT": git(source, "rev-parse", "HEAD"), **options}
        return builder.build({key: value for key, value in chosen.items() if value}, tmp_path / "here")

    return make


def test_fetched_built_and_not_built_again(run, source, capsys):
    binary = run()
    assert subprocess.run([str(binary), "x"], capture_output=True, text=True, check=True).stderr == "Not an option: x\n"
    record = json.loads((binary.parent / "darknet.json").read_text())
    assert record["commit"] == git(source, "rev-parse", "HEAD")
    assert record["flags"]["AVX"] == 1
    made = binary.stat().st_mtime_ns
    assert run().stat().st_mtime_ns == made
    assert "nothing to do" in capsys.readouterr().out
    assert run(AVX="0").stat().st_mtime_ns != made, "another switch, another binary"
    (source / "src" / "region_layer.c").write_text("/* new */\n")
    new = commit(source)
    run()
    assert json.loads((binary.parent / "darknet.json").read_text())["commit"] == new


def test_a_build_that_fails_leaves_the_last_one(run, source):
    binary = run()
    before = binary.read_bytes()
    (source / "src" / "darknet.c").write_text("int main() { return nothing_of_the_kind; }\n")
    commit(source)
    with pytest.raises(BuildError, match=r"last words(.|\n)*nothing_of_the_kind(.|\n)*build\.log") as error:
        run()
    assert error.value.code == 4
    assert binary.read_bytes() == before
    (source / "src" / "darknet.c").write_text("int main() { return 3; }\n")
    commit(source)
    with pytest.raises(BuildError, match="does not answer"):
        run()
    assert binary.read_bytes() == before


def test_a_checkout_that_is_here_is_left_alone(run, source, tmp_path):
    commit_before = git(source, "rev-parse", "HEAD")
    (source / "src" / "region_layer.c").write_text("/* a change of mine */\n")
    binary = run(DARKNET_SRC=str(source), DARKNET_REPO="", DARKNET_COMMIT="")
    record = json.loads((binary.parent / "darknet.json").read_text())
    assert record["commit"] == commit_before
    assert not (source / "darknet").exists()
    inside = tmp_path / "here" / "source"
    run(DARKNET_SRC=str(inside), DARKNET_REPO="", DARKNET_COMMIT="")
    assert (inside / "Makefile").is_file(), "the build's own copy given as source is not wiped"
    with pytest.raises(BuildError, match="not a checkout of Darknet"):
        run(DARKNET_SRC=str(tmp_path))


def test_the_target_of_the_makefile_with_a_checkout_that_is_here(source, tmp_path):
    """In a copy of this repository's own files, on the machine as it is; scripts beside the source are not needed."""
    here = tmp_path / "here"
    (here / "darknet").mkdir(parents=True)
    shutil.copy(FOLDER.parent / "Makefile", here)
    for part in ("build.py", "machine.py"):
        shutil.copy(FOLDER / part, here / "darknet")
    (source / "demo.sh").write_text("exit 1\n")
    call = [
        "make",
        "-C",
        str(here),
        "darknet",
        f"DARKNET_SRC={source}",
        "GPU=0",
        "OPENCV=0",
        f"PYTHON={sys.executable}",
    ]
    done = subprocess.run(call, capture_output=True, text=True, check=False, env={**os.environ, "MAKEFLAGS": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    binary = here / "darknet" / "build" / "darknet"
    assert f"{binary}: built in" in done.stdout
    assert subprocess.run([str(binary), "x"], capture_output=True, text=True, check=True).stderr == "Not an option: x\n"


def test_commits_that_are_not_to_be_had(run, source, tmp_path):
    with pytest.raises(BuildError, match=r"(has no commit|could not be fetched)") as error:
        run(DARKNET_COMMIT="0" * 40)
    assert error.value.code == 3
    with pytest.raises(BuildError, match=r"could not be fetched(.|\n)*offline\? .*DARKNET_SRC"):
        run(DARKNET_REPO=str(tmp_path / "nowhere"))


def test_a_tag_will_do(run, source):
    git(source, "tag", "v1")
    assert run(DARKNET_COMMIT="v1").is_file()


def test_changes_of_the_users_own_are_not_thrown_away(run, source, tmp_path):
    run()
    mine = tmp_path / "here" / "source" / "src" / "darknet.c"
    mine.write_text(ANSWERS + "/* mine */\n")
    first = json.loads((tmp_path / "here" / "build" / "darknet.json").read_text())
    run()
    second = json.loads((tmp_path / "here" / "build" / "darknet.json").read_text())
    assert first["source_sha256"] != second["source_sha256"], "the record tells of them"
    (source / "src" / "region_layer.c").write_text("/* new */\n")
    commit(source)
    with pytest.raises(BuildError, match="holds changes of yours"):
        run()
    assert "/* mine */" in mine.read_text()


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("nvcc fatal   : Unsupported gpu architecture 'compute_50'", "leave ARCH out"),
        ("/usr/bin/ld: cannot find -lcuda: No such file or directory", "stubs"),
        ("fatal error: curand.h: No such file or directory", "GPU=0"),
        ("/usr/bin/ld: cannot find -lcudnn: No such file or directory", "CUDNN=0"),
        ("error: #error -- unsupported GNU version! gcc versions later than 12 are not supported!", "older gcc"),
        ("fatal error: error writing to x.s: No space left on device", "free some space"),
    ],
)
def test_advice(tmp_path, line, advice):
    text = builder._failure(["gcc -c x.c", line, "make: *** [Makefile:1: x] Error 1"], tmp_path / "build.log")
    assert line in text
    assert advice in text
    assert "gcc -c x.c" not in text


def test_a_binary_for_a_gpu_that_is_not_here(tmp_path):
    for said in ("CUDA status Error: file: ./src/dark_cuda.c", "error while loading shared libraries: libcuda.so.1"):
        path = tmp_path / "darknet"
        path.write_text(f"#!/bin/sh\necho '{said}' >&2; exit 1\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        assert "where an NVIDIA driver is" in builder.check_binary(path, True)
        with pytest.raises(BuildError):
            builder.check_binary(path, False)


def test_make_hands_on_what_is_said_on_its_command_line_only(tmp_path):
    """ARCH in the environment, as some clusters have it, is not for nvcc."""
    shown = subprocess.run(
        ["make", "-n", "darknet", "GPU=0", "ARCH=-gencode arch=compute_90,code=[sm_90,compute_90]"],
        cwd=FOLDER.parent, env={**os.environ, "AVX": "0", "MAKEFLAGS": ""}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "'GPU=0' 'ARCH=-gencode arch=compute_90,code=[sm_90,compute_90]'" in " ".join(shown.split())
    assert "AVX" not in shown


def test_where_nvcc_belongs(tmp_path, monkeypatch):
    """The toolkit's folder is asked of nvcc itself: on the PATH there may be a script."""
    home = tmp_path / "cuda"
    headers = [f"include/{name}.h" for name in ("cuda_runtime", "cublas_v2", "curand")]
    libraries = [f"lib64/lib{name}.so" for name in ("cudart", "cublas", "curand", "cudnn")]
    for name in (*headers, *libraries, "lib64/stubs/libcuda.so"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    numbers = "".join(f"#define CUDNN_{n} {v}\n" for n, v in (("MAJOR", 9), ("MINOR", 28), ("PATCHLEVEL", 1)))
    (home / "include" / "cudnn_version.h").write_text(numbers)
    nvcc = tmp_path / "nvcc"
    nvcc.write_text(
        f"#!/bin/sh\ncase $1 in --version) echo 'Cuda compilation tools, release 13.0, V13.0.88';;\n"
        f"--list-gpu-arch) echo compute_75; echo compute_90;;\n--dryrun) echo '#$ TOP={home}/bin/..';; esac\n"
    )
    nvcc.chmod(0o755)
    (home / "bin").mkdir()
    cuda = looker.examine(str(nvcc), {}).cuda
    assert (cuda.version, cuda.architectures, cuda.lacks, cuda.cudnn) == ("13.0", (75, 90), (), "9.28.1")
    assert str(home / "include") in cuda.include
    (home / "include" / "curand.h").unlink()
    (home / "lib64" / "stubs" / "libcuda.so").unlink()
    lacks = looker.examine(str(nvcc), {}).cuda.lacks
    assert "curand.h" in lacks or Path("/usr/include/curand.h").exists()


def test_source_of_a_folder_inside_another_repository(tmp_path, source):
    inner = source / "vendored"
    (inner / "src").mkdir(parents=True)
    for name in ("Makefile", "src/darknet.c", "src/region_layer.c"):
        (inner / name).write_text("x")
    assert get_source(tmp_path / "copy", {"DARKNET_SRC": str(inner)}) == "unknown"
