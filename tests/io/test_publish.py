"""Outputs appear whole or not at all, whatever happens to the process or the disk."""

import errno
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from cmb_toolkit import __version__
from cmb_toolkit.errors import CmbError, DataError, MissingError, StorageError
from cmb_toolkit.io.publish import Record, identity, publish, read_record, sha256, sidecar, write_text


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in" / "scan.nii.gz"
    path.parent.mkdir()
    path.write_bytes(b"voxels")
    return path


def make(target, record, text="new"):
    with publish(target, record) as tmp:
        tmp.write_text(text)


def make_folder(target, record, names):
    with publish(target, record) as tmp:
        tmp.mkdir()
        for name in names:
            (tmp / name).write_text(name)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# -- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("a/b.nii.gz", "a/b.json"),
        ("a/b.tsv", "a/b.json"),
        ("a/darknet", "a/darknet.json"),
        ("a/metrics.json", "a/metrics.provenance.json"),
        ("a/sub-001_desc-brain_mask.nii.gz", "a/sub-001_desc-brain_mask.json"),
    ],
)
def test_sidecar_name(target, expected):
    assert sidecar(Path(target)) == Path(expected)


def test_a_json_target_is_not_overwritten_by_its_own_provenance(tmp_path):
    record = Record("evaluate", {})
    make(tmp_path / "metrics.json", record, '{"tp": 3}')
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"tp": 3}
    assert record.is_current(tmp_path / "metrics.json")


# -- what is written --------------------------------------------------------------------------------------------


def test_sidecar_says_where_the_output_came_from(tmp_path, source):
    target = tmp_path / "out" / "deep" / "table.tsv"
    with publish(target, Record("crop", {"size": 16}, (source,), "numpy 2", revision=3)) as out:
        out.write_text("new")
        out.note(columns={"k": "slice"})
    record = read_record(target)
    assert record["step"] == "crop"
    assert record["parameters"] == {"size": 16}
    assert record["engine"] == "numpy 2"
    assert (record["revision"], record["version"]) == (3, __version__)
    assert re.fullmatch("[0-9a-f]{40}", record["commit"] or "0" * 40)
    assert record["columns"] == {"k": "slice"}
    assert record["sources"][0]["file"] == "scan.nii.gz"
    assert record["sources"][0]["sha256"] == sha256(source)
    assert record["seconds"] >= 0
    assert str(tmp_path) not in sidecar(target).read_text(), "no absolute path in an output"
    assert names(target.parent) == ["table.json", "table.tsv"]


def test_temporary_name_keeps_the_ending(tmp_path):
    with publish(tmp_path / "a.nii.gz", Record("x", {})) as tmp:
        assert tmp.name.endswith(".nii.gz")
        assert tmp.parent == tmp_path
        assert not tmp.exists()
        tmp.write_text("")


def test_sources_of_equal_name_are_told_apart(tmp_path):
    a, b = tmp_path / "sub-1" / "swi.nii", tmp_path / "sub-2" / "swi.nii"
    for path in (a, b):
        path.parent.mkdir()
        path.write_text(path.parent.name)
    record = Record("x", {}, (a, b))
    make(tmp_path / "t", record)
    assert record.is_current(tmp_path / "t")
    assert not Record("x", {}, (b, a)).is_current(tmp_path / "t")
    assert [entry["file"] for entry in read_record(tmp_path / "t")["sources"]] == ["sub-1/swi.nii", "sub-2/swi.nii"]
    assert not Record("x", {}, (b, b)).is_current(tmp_path / "t")


def test_sources_whose_names_and_folders_are_equal(tmp_path):
    paths = [tmp_path / top / "fold-1" / "table.tsv" for top in "ab"]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_text(str(path.parts[-3]))
    record = Record("x", {}, tuple(paths))
    make(tmp_path / "t", record)
    assert record.is_current(tmp_path / "t")
    paths[1].write_text("z")
    assert not record.is_current(tmp_path / "t")


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "darknet"
    make_folder(target, Record("x", {"n": 1}), ["a", "b"])
    make_folder(target, Record("x", {"n": 2}), ["c"])
    assert names(target) == ["c"]
    assert names(tmp_path) == ["darknet", "darknet.json"]


@pytest.mark.parametrize("before", ["file", "folder"])
@pytest.mark.parametrize("after", ["file", "folder"])
def test_a_target_may_change_its_kind(tmp_path, before, after):
    for n, kind in enumerate((before, after)):
        if kind == "file":
            make(tmp_path / "t", Record("x", {"n": n}), str(n))
        else:
            make_folder(tmp_path / "t", Record("x", {"n": n}), [str(n)])
    assert (tmp_path / "t").is_dir() == (after == "folder")
    assert names(tmp_path) == ["t", "t.json"]


def test_a_step_that_writes_nothing_is_a_bug(tmp_path):
    with pytest.raises(AssertionError, match="step crop did not write"), publish(tmp_path / "t", Record("crop", {})):
        pass


# -- is it current ----------------------------------------------------------------------------------------------


def test_current_until_something_changes(tmp_path, source):
    target = tmp_path / "t.tsv"
    record = Record("crop", {"size": 16, "axes": (1, 2)}, (source,), "numpy 2")
    assert not record.is_current(target)
    make(target, record)
    assert record.is_current(target)
    assert not Record("other", record.parameters, (source,), "numpy 2").is_current(target)
    assert not Record("crop", {"size": 17, "axes": (1, 2)}, (source,), "numpy 2").is_current(target)
    assert not Record("crop", {"size": 16}, (source,), "numpy 2").is_current(target)
    assert not Record("crop", record.parameters, (source,), "numpy 3").is_current(target)
    assert not Record("crop", record.parameters, (), "numpy 2").is_current(target)


def test_a_touched_source_is_unchanged_and_an_edited_one_is_not(tmp_path, source):
    target = tmp_path / "t"
    record = Record("x", {}, (source,))
    make(target, record)
    os.utime(source, (1, 1))
    assert record.is_current(target)
    source.write_bytes(b"vOxels")  # same size
    assert not record.is_current(target)
    source.write_bytes(b"voxels")
    assert record.is_current(target)
    source.write_bytes(b"more voxels")
    assert not record.is_current(target)


def test_a_folder_as_source(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a").write_text("1")
    record = Record("x", {}, (folder,))
    make(tmp_path / "t", record)
    assert record.is_current(tmp_path / "t")
    (folder / "b").write_text("")
    assert not record.is_current(tmp_path / "t")


def test_a_file_deleted_from_a_folder_is_missed(tmp_path):
    record = Record("x", {})
    make_folder(tmp_path / "t", record, ["a", "b"])
    (tmp_path / "t" / "results").mkdir()
    (tmp_path / "t" / "results" / "by somebody else").write_text("")
    assert record.is_current(tmp_path / "t")
    (tmp_path / "t" / "results" / "by somebody else").unlink()
    (tmp_path / "t" / "b").unlink()
    assert not record.is_current(tmp_path / "t")


def test_a_missing_source_is_named(tmp_path, source):
    record = Record("x", {}, (source,))
    make(tmp_path / "t", record)
    source.unlink()
    with pytest.raises(MissingError, match=r"scan\.nii\.gz: not found"):
        record.is_current(tmp_path / "t")


def test_another_version_or_commit_changes_nothing(tmp_path, monkeypatch):
    record = Record("x", {})
    make_folder(tmp_path / "t", record, ["a"])
    before = identity(tmp_path / "t", "")
    monkeypatch.setattr("cmb_toolkit.io.publish.__version__", "99.0")
    monkeypatch.setattr("cmb_toolkit.io.publish.COMMIT", "0" * 40)
    assert record.is_current(tmp_path / "t")
    make_folder(tmp_path / "t", record, ["a"])
    assert read_record(tmp_path / "t")["version"] == "99.0"
    assert identity(tmp_path / "t", "") == before


def test_another_revision_is_not_current_nor_the_same_thing(tmp_path):
    make_folder(tmp_path / "t", Record("x", {}), ["a"])
    before = identity(tmp_path / "t", "")
    later = Record("x", {}, revision=2)
    assert not later.is_current(tmp_path / "t")
    make_folder(tmp_path / "t", later, ["a"])
    assert later.is_current(tmp_path / "t")
    assert not Record("x", {}).is_current(tmp_path / "t")
    assert identity(tmp_path / "t", "") != before


def test_what_was_made_before_there_were_revisions_is_of_the_first(tmp_path):
    record = Record("x", {"n": 1})
    make_folder(tmp_path / "t", record, ["a"])
    old = json.loads(sidecar(tmp_path / "t").read_text())
    del old["revision"], old["commit"]
    sidecar(tmp_path / "t").write_text(json.dumps(old))
    assert record.is_current(tmp_path / "t")
    assert not Record("x", {"n": 1}, revision=2).is_current(tmp_path / "t")
    # as trainings noted it then of the project that they had learned from
    made_from = json.dumps(["0.1.0", {"n": 1}, []], sort_keys=True)
    assert identity(tmp_path / "t", "") == hashlib.sha256(made_from.encode()).hexdigest()


def test_a_thing_that_is_not_there_has_no_identity(tmp_path):
    with pytest.raises(MissingError, match="run this first"):
        identity(tmp_path / "t", "run this first")


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"step": "x"}', '{"Name": "of somebody else"}'])
def test_without_a_sound_sidecar_nothing_is_current(tmp_path, content):
    record = Record("x", {})
    make(tmp_path / "t", record)
    sidecar(tmp_path / "t").unlink()
    if content is not None:
        sidecar(tmp_path / "t").write_text(content)
    assert read_record(tmp_path / "t") is None
    assert not record.is_current(tmp_path / "t")


def test_without_the_target_its_sidecar_counts_for_nothing(tmp_path):
    record = Record("x", {})
    make(tmp_path / "t", record)
    (tmp_path / "t").unlink()
    assert not record.is_current(tmp_path / "t")


# -- failures ---------------------------------------------------------------------------------------------------


def fail_half_way(target, error):
    with publish(target, Record("x", {"n": 2})) as tmp:
        tmp.mkdir()
        (tmp / "part").write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), DataError("bad"), OSError(errno.ENOENT, "x")])
def test_a_failed_step_leaves_the_old_output_and_nothing_else(tmp_path, error):
    old = Record("x", {"n": 1})
    make(tmp_path / "t", old, "old")
    with pytest.raises(type(error)):
        fail_half_way(tmp_path / "t", error)
    assert (tmp_path / "t").read_text() == "old"
    assert old.is_current(tmp_path / "t")
    assert names(tmp_path) == ["t", "t.json"]


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "Free some space"),
        (errno.EFBIG, "raise the limit"),
        (errno.EIO, "Choose another output folder"),
        (errno.EROFS, "change its permissions"),
        (errno.EACCES, "change its permissions"),
        (errno.ENAMETOOLONG, "Choose another output folder"),
    ],
)
def test_a_full_or_broken_disk_is_a_storage_error(tmp_path, code, cure):
    with pytest.raises(StorageError, match=rf"t: could not be written .*{cure}") as caught:
        fail_half_way(tmp_path / "t", OSError(code, "anything"))
    assert ("space" in str(caught.value).split(")")[-1]) == (code in (errno.ENOSPC, errno.EDQUOT))
    assert caught.value.exit_code == 1
    assert names(tmp_path) == []


def test_a_disk_that_fills_up_while_syncing(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    make(tmp_path / "t", Record("x", {"n": 1}), "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="no space left"):
        make(tmp_path / "t", Record("x", {"n": 2}), "new")
    assert (tmp_path / "t").read_text() == "old"
    assert names(tmp_path) == ["t", "t.json"]


def test_an_unreadable_input_is_not_blamed_on_the_output(tmp_path):
    with pytest.raises(PermissionError), publish(tmp_path / "out" / "t", Record("x", {})):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "in" / "scan.nii"))


def test_an_unwritable_output_is(tmp_path):
    with pytest.raises(StorageError, match="permission denied"), publish(tmp_path / "t", Record("x", {})) as tmp:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp))


def test_where_the_folder_should_be_there_is_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    for write in (lambda p: make(p, Record("x", {})), lambda p: write_text(p, "x")):
        with pytest.raises(StorageError, match="out: could not be written"):
            write(tmp_path / "out" / "t")


def test_where_no_folder_can_be_made():
    for write in (lambda p: make(p, Record("x", {})), lambda p: write_text(p, "x")):
        with pytest.raises(StorageError, match=r"/proc/x: could not be written .*Choose another output folder"):
            write(Path("/proc/x/t"))


@pytest.mark.parametrize("spoil", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_record_is_read_from_a_regular_file_alone(tmp_path, spoil):
    make(tmp_path / "t", Record("x", {}))
    sidecar(tmp_path / "t").unlink()
    spoil(sidecar(tmp_path / "t"))
    assert read_record(tmp_path / "t") is None


@pytest.mark.parametrize("key", ["sources", "parameters", "revision"])
@pytest.mark.parametrize("value", [None, 3.5, "x", ["x"], [{}]])
def test_a_record_with_other_kinds_of_values_is_none_of_ours(tmp_path, key, value):
    make(tmp_path / "t", Record("x", {}))
    content = json.loads(sidecar(tmp_path / "t").read_text()) | {key: value}
    sidecar(tmp_path / "t").write_text(json.dumps(content))
    assert read_record(tmp_path / "t") is None
    assert not Record("x", {}).is_current(tmp_path / "t")


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 256 KiB; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder], check=False, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("no mount command")
    if mounted.returncode:
        pytest.skip("not allowed to mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(target, writer):
    array = np.ones(1 << 17)  # 1 MiB
    with publish(target, Record("x", {"n": 2})) as tmp:
        if writer == "bytes":
            tmp.write_bytes(array.tobytes())
        elif writer == "numpy":  # its error has no number
            np.save(tmp, array)
        elif writer == "allocate":
            with tmp.open("wb") as stream:
                os.posix_fallocate(stream.fileno(), 0, array.nbytes)
        else:  # a library that only says that something went wrong
            with tmp.open("wb", buffering=0) as stream:
                while os.statvfs(target.parent).f_bavail:
                    stream.write(bytes(4096))
            raise RuntimeError("could not write")


@pytest.mark.parametrize("writer", ["bytes", "numpy", "allocate", "silent"])
def test_a_really_full_disk(tiny_disk, writer):
    old = Record("x", {"n": 1})
    make(tiny_disk / "t.npy", old, "old")
    with pytest.raises(StorageError, match=r"t\.npy: could not be written \(no space left"):
        fill(tiny_disk / "t.npy", writer)
    assert (tiny_disk / "t.npy").read_text() == "old"
    assert old.is_current(tiny_disk / "t.npy")
    assert names(tiny_disk) == ["t.json", "t.npy"]
    with pytest.raises(StorageError):
        write_text(tiny_disk / "log.txt", "x" * (1 << 20))
    assert names(tiny_disk) == ["t.json", "t.npy"]


def test_an_error_with_space_left_stays_what_it_was(tmp_path):
    with pytest.raises(RuntimeError), publish(tmp_path / "t", Record("x", {})):
        raise RuntimeError("no matter of storage")


def test_a_file_too_large_for_the_process(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(StorageError):
            make(tmp_path / "t", Record("x", {}), "x" * (1 << 17))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


# -- killed processes -------------------------------------------------------------------------------------------


def run_until_killed(tmp_path, body):
    """Run a script that prints a line and sleeps, kill it there, and return its process number."""
    script = textwrap.dedent(
        """
        import os, sys, time
        from pathlib import Path
        from cmb_toolkit.io import publish as module
        from cmb_toolkit.io.publish import Record, publish
        target = Path(sys.argv[1])
        def here():
            print("here", flush=True)
            time.sleep(60)
        """
    ) + textwrap.dedent(body)
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "t")], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return process.pid


WRITING_FILE = """
with publish(target, Record("x", {"n": 2})) as tmp:
    tmp.write_text("half")
    here()
"""
WRITING_FOLDER = """
with publish(target, Record("x", {"n": 2})) as tmp:
    tmp.mkdir()
    (tmp / "half").write_text("")
    here()
"""
AFTER_THE_NOTE = """
module._replace = lambda a, b: here()
with publish(target, Record("x", {"n": 2})) as tmp:
    tmp.write_text("whole")
"""
BEFORE_THE_SIDECAR = """
replace = module._replace
def replaced(a, b):
    replace(a, b)
    here()
module._replace = replaced
with publish(target, Record("x", {"n": 2})) as tmp:
    tmp.write_text("whole")
"""


@pytest.mark.parametrize("body", [WRITING_FILE, WRITING_FOLDER])
def test_kill_while_writing_keeps_the_old_output(tmp_path, body):
    old = Record("x", {"n": 1})
    make(tmp_path / "t", old, "old")
    pid = run_until_killed(tmp_path, body)
    assert (tmp_path / "t").read_text() == "old"
    assert old.is_current(tmp_path / "t")
    assert f".{pid}.tmp.t" in names(tmp_path), "the test killed the process too late"
    make(tmp_path / "t", Record("x", {"n": 2}), "new")
    assert names(tmp_path) == ["t", "t.json"]
    assert (tmp_path / "t").read_text() == "new"


@pytest.mark.parametrize(("body", "content"), [(AFTER_THE_NOTE, "old"), (BEFORE_THE_SIDECAR, "whole")])
def test_kill_while_publishing_is_never_taken_for_finished(tmp_path, body, content):
    make(tmp_path / "t", Record("x", {"n": 1}), "old")
    pid = run_until_killed(tmp_path, body)
    assert (tmp_path / "t").read_text() == content, "old or new, never a mixture"
    assert not Record("x", {"n": 1}).is_current(tmp_path / "t")
    assert not Record("x", {"n": 2}).is_current(tmp_path / "t")
    assert f".{pid}.tmp.t.json" in names(tmp_path)
    make(tmp_path / "t", Record("x", {"n": 2}), "new")
    assert names(tmp_path) == ["t", "t.json"]


def test_kill_between_the_two_renames_of_a_folder(tmp_path):
    """The old folder is then aside; the next run puts it back before it begins, so that its failure costs nothing."""
    make_folder(tmp_path / "t", Record("x", {"n": 1}), ["old"])
    run_until_killed(
        tmp_path,
        """
        replace = Path.replace
        def replaced(self, other):
            if ".tmp." in self.name and other == target:
                here()
            return replace(self, other)
        Path.replace = replaced
        with publish(target, Record("x", {"n": 2})) as tmp:
            tmp.mkdir()
        """,
    )
    assert not (tmp_path / "t").exists(), "the test killed the process at another place"
    with pytest.raises(ValueError, match="again"), publish(tmp_path / "t", Record("x", {"n": 2})):
        raise ValueError("fails again")
    assert names(tmp_path / "t") == ["old"]
    make_folder(tmp_path / "t", Record("x", {"n": 2}), ["new"])
    assert names(tmp_path / "t") == ["new"]
    assert names(tmp_path) == ["t", "t.json"]


def test_what_a_living_process_writes_is_left_alone(tmp_path):
    other = tmp_path / f".{os.getppid()}.tmp.t"
    other.write_text("being written")
    foreign = tmp_path / ".config.tmp.t"
    foreign.write_text("not ours")
    make(tmp_path / "t", Record("x", {}))
    assert other.exists()
    assert foreign.exists()


def test_leftovers_of_an_earlier_process_with_our_number(tmp_path):
    """In a container every run may have the same process number."""
    leftover = tmp_path / f".{os.getpid()}.tmp.t"
    leftover.mkdir()
    (leftover / "half").write_text("")
    make_folder(tmp_path / "t", Record("x", {}), ["whole"])
    assert names(tmp_path / "t") == ["whole"]
    assert names(tmp_path) == ["t", "t.json"]


def test_names_that_look_like_patterns(tmp_path):
    (tmp_path / ".999999.tmp.a").write_text("of another target")
    make(tmp_path / "[abc]", Record("x", {}))
    assert (tmp_path / ".999999.tmp.a").exists()


def test_many_kills_at_random_moments(tmp_path):
    """A process that rewrites a file and a folder for ever, killed at five moments: always a whole one is found."""
    script = """
import sys
from pathlib import Path
from cmb_toolkit.io.publish import Record, publish
root, n = Path(sys.argv[1]), 0
print("here", flush=True)
while True:
    n += 1
    with publish(root / "file.txt", Record("x", {"n": n})) as tmp:
        tmp.write_text(f"{n}\\n" * 20000)
    with publish(root / "folder", Record("x", {"n": n})) as tmp:
        tmp.mkdir()
        for m in range(5):
            (tmp / str(m)).write_text(str(n))
"""
    for wait in (0.02, 0.05, 0.11, 0.17, 0.23):
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(wait)
        process.kill()
        process.wait()
        process.stdout.close()
        if (tmp_path / "file.txt").exists():
            lines = (tmp_path / "file.txt").read_text().split()
            assert len(lines) == 20000
            assert len(set(lines)) == 1
        for folder in [tmp_path / "folder", *tmp_path.glob(".*.old.folder")]:
            if folder.exists() and (record := read_record(folder)) is not None:
                assert {p.read_text() for p in folder.iterdir()} == {str(record["parameters"]["n"])}
                assert len(names(folder)) == 5
    make(tmp_path / "file.txt", Record("x", {}))
    make_folder(tmp_path / "folder", Record("x", {}), ["a"])
    assert names(tmp_path) == ["file.json", "file.txt", "folder", "folder.json"]


# -- small texts and digests ------------------------------------------------------------------------------------


def test_write_text_replaces_atomically(tmp_path):
    write_text(tmp_path / "a" / "log.txt", "one")
    write_text(tmp_path / "a" / "log.txt", "two")
    assert (tmp_path / "a" / "log.txt").read_text() == "two"
    assert names(tmp_path / "a") == ["log.txt"]


def test_sha256_of_files_and_folders(tmp_path):
    (tmp_path / "a").write_text("abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "x").write_text("1")
    assert sha256(one) == sha256(two)
    (two / "deep" / "x").rename(two / "deep" / "y")
    assert sha256(one) != sha256(two)


def test_every_error_of_ours_passes_through_unchanged(tmp_path):
    class SpecialError(CmbError):
        pass

    with pytest.raises(SpecialError), publish(tmp_path / "t", Record("x", {})):
        raise SpecialError("as it was")
