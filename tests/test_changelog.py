"""Changes come as files, and go together into one section of the changelog."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def module():
    spec = importlib.util.spec_from_file_location("together", ROOT / "changes" / "together.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path):
    (tmp_path / "changes").mkdir()
    (tmp_path / "CHANGELOG.md").write_text((ROOT / "CHANGELOG.md").read_text())
    return tmp_path


def test_every_change_that_waits_has_a_name_that_is_taken(module):
    files = [path.name for path in (ROOT / "changes").glob("*.md") if path.name != "README.md"]
    assert not [name for name in files if not module._NAME.fullmatch(name)]


def test_they_are_put_together_by_kind_and_removed(module, root):
    (root / "changes" / "README.md").write_text("how")
    (root / "changes" / "b.added.md").write_text("A new\nthing.\n")
    (root / "changes" / "a.fixed.md").write_text("A mistake.\n")
    (root / "changes" / "a.added.md").write_text("Another.\n")
    section = module.together(root, "9.0.0")
    assert section == "## 9.0.0\n\nAdded:\n\n- Another.\n- A new thing.\n\nFixed:\n\n- A mistake.\n"
    text = (root / "CHANGELOG.md").read_text()
    assert text.index("## 9.0.0") < text.index("## 0.1.0")
    assert [path.name for path in (root / "changes").iterdir()] == ["README.md"]


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [("x.new.md", "9.0.0", "NAME.KIND.md"), (None, "9.0.0", "nothing"), ("x.added.md", "0.1.0", "Raise the version")],
)
def test_what_cannot_be_put_together_says_why(module, root, name, version, message):
    if name:
        (root / "changes" / name).write_text("A thing.")
    with pytest.raises(SystemExit, match=message):
        module.together(root, version)
