"""One name, two spellings: Unicode writes an umlaut as one character or as two, and disks keep what they were given.

Keyboards, spreadsheets and macOS do not agree on it, and both look alike. Names are compared in one form
(:func:`cmb_toolkit.names.nfc`); files are found under whichever the disk has.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

__all__ = ["on_disk"]


def on_disk(path: Path) -> Path:
    """The path as the disk spells it; as it was given where nothing is found under either spelling."""
    if str(path).isascii() or path.exists():
        return path
    found = Path(path.anchor)
    for part in path.parts[1 if path.anchor else 0 :]:
        spellings = (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD")))
        found /= next((name for name in spellings if (found / name).exists()), part)
    return found
