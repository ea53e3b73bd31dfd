"""Files at the border: one module per format."""
