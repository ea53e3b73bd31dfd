"""Findings against truth: hit rules, counts, FROC. Arrays and tables only."""
