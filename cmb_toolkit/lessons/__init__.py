"""Learning from marked scans: brains, a training that mines what it takes wrongly, and the file of its network."""
