"""Looking at scans with a model: from what came from the scanner to lesions on its own voxels."""
