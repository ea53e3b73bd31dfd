"""The page on one scan as HTML."""

from __future__ import annotations

from .content import ScanPage

__all__ = ["scan_page"]


def scan_page(page: ScanPage) -> str:
    """One file that needs nothing else: to read, to send, to print; equal content gives equal bytes."""
    raise NotImplementedError
