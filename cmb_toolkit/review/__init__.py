"""Findings that people have looked at: what is handed to them, what comes back, and what they agree on."""
