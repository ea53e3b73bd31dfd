"""A detector of its own, beyond the paper: one 3D network on SWI and phase that marks every microbleed with a peak."""
