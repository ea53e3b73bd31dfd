"""Ways to find candidates and to look at them."""
