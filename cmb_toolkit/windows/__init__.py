"""Networks that look at windows of a scan, one after the other or densely: earlier work (docs/methods.md)."""
