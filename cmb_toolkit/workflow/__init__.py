"""The paper's whole experiment as a graph of commands: which cells, which jobs, and the engine that runs them."""
