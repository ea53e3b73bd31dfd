"""Marks as people have them: a reader for each format, and whose marks each file holds."""
