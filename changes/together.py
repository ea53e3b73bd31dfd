"""Put the files of this folder together as a section of CHANGELOG.md, and remove them. Run by `make changelog`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

KINDS = {"added": "Added", "changed": "Changed", "fixed": "Fixed", "removed": "Removed"}
_NAME = re.compile(rf"[a-z0-9-]+\.({'|'.join(KINDS)})\.md")
_MARK = "<!-- versions, newest first -->\n"


def together(root: Path, version: str) -> str:
    """The section of a version.

    Raises
    ------
    SystemExit
        If a file has another name than ``NAME.KIND.md``, there is none, or the version has a section already.
    """
    changelog = root / "CHANGELOG.md"
    before = changelog.read_text("utf-8")
    files = sorted(path for path in (root / "changes").glob("*.md") if path.name != "README.md")
    if wrong := [path.name for path in files if not _NAME.fullmatch(path.name)]:
        sys.exit(f"changes/{wrong[0]}: expected NAME.KIND.md, with KIND one of {', '.join(KINDS)}. Rename it.")
    if not files:
        sys.exit("changes/: holds no change. There is nothing to put together.")
    if f"\n## {version}\n" in before:
        sys.exit(f"CHANGELOG.md: has a section {version} already. Raise the version in cmb_toolkit/__init__.py first.")
    lines = [f"## {version}\n"]
    for kind, title in KINDS.items():
        if found := [path for path in files if path.name.endswith(f".{kind}.md")]:
            lines.append(f"{title}:\n")
            lines.append("".join(f"- {' '.join(path.read_text('utf-8').split())}\n" for path in found))
    section = "\n".join(lines)
    changelog.write_text(before.replace(_MARK, f"{_MARK}\n{section}", 1), "utf-8")
    for path in files:
        path.unlink()
    return section


if __name__ == "__main__":
    here = Path(__file__).parents[1]
    stated = re.search(r'__version__ = "([^"]+)"', (here / "cmb_toolkit" / "__init__.py").read_text("utf-8"))
    assert stated
    print(together(here, stated[1]))
