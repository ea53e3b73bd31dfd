"""Candidates: composite images, 2D augmentation, label boxes, boxes back to voxels. Arrays only."""
