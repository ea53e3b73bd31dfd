"""The engine seam: project folder, cfg, weights, text formats, the binary, the embedded Keras network."""
