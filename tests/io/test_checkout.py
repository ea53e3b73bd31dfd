"""The commit of a checkout, in every way in which git may have written it down."""

import subprocess

import pytest

from cmb_toolkit.io.checkout import commit


@pytest.fixture
def git(tmp_path):
    """Run git in a repository with one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()

    def run(*words, cwd=folder):
        who = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        asked = subprocess.run(["git", *who, *words], cwd=cwd, check=True, capture_output=True, text=True)
        return asked.stdout.strip()

    try:
        run("init", "-q", "-b", "main")
    except FileNotFoundError:
        pytest.skip("no git")
    run("commit", "-q", "--allow-empty", "-m", "first")
    run.folder = folder
    return run


def test_a_branch_its_packed_form_and_no_branch(git):
    first = git("rev-parse", "HEAD")
    assert commit(git.folder) == first
    git("pack-refs", "--all")
    assert not (git.folder / ".git" / "refs" / "heads" / "main").exists()
    assert commit(git.folder) == first
    git("checkout", "-q", "--detach")
    assert commit(git.folder) == first
    git("commit", "-q", "--allow-empty", "-m", "second")
    assert commit(git.folder) == git("rev-parse", "HEAD") != first


@pytest.mark.parametrize("packed", [False, True])
def test_a_work_tree(git, tmp_path, packed):
    git("worktree", "add", "-q", "-b", "beside", str(tmp_path / "tree"))
    git("commit", "-q", "--allow-empty", "-m", "of the work tree", cwd=tmp_path / "tree")
    if packed:
        git("pack-refs", "--all")
    assert commit(tmp_path / "tree") == git("rev-parse", "HEAD", cwd=tmp_path / "tree") != git("rev-parse", "HEAD")


@pytest.mark.parametrize("head", [None, "", "ref: refs/heads/none", "no commit", b"\xff"])
def test_without_a_commit_there_is_none(tmp_path, head):
    if head is not None:
        (tmp_path / ".git").mkdir()
        (tmp_path / ".git" / "HEAD").write_bytes(head if isinstance(head, bytes) else head.encode())
    assert commit(tmp_path) is None
