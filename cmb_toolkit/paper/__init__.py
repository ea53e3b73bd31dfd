"""The paper: what it printed, and the same of a study."""
