"""How to install what an extra of the toolkit needs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires

__all__ = ["how_to_install"]


def how_to_install(extra: str) -> str:
    """The command, with the packages themselves: the toolkit is on no index, so that its extras have no name there.

    >>> how_to_install("mni")
    "pip install 'nilearn<0.14,>=0.11'"
    """
    try:
        every = requires("cmb_toolkit") or []
    except PackageNotFoundError:  # run from its source
        every = []
    mine = []
    for requirement in every:
        package, _, marker = requirement.partition(";")
        if marker.replace('"', "'").strip() == f"extra == '{extra}'":
            mine.append(package.strip())
    if not mine:
        return f"pip install -e '.[{extra}]' in the toolkit's folder"
    return "pip install " + " ".join(f"'{package}'" for package in mine)
