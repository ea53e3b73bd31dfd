"""Where a study can come from."""
