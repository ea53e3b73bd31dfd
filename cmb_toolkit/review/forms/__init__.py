"""The kinds of files that verdicts come back in, a reader each."""
