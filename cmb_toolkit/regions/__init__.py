"""Where in the brain: a scan laid on the MNI152 template, or on an earlier scan, and what lies where."""
