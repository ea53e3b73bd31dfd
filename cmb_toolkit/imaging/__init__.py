"""Clean volumes, arrays only: phase scale, unwrapping, high-pass, SWI, brain mask, frame (voxels <-> image)."""
