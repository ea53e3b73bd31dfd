"""False positives out: patches, 3D augmentation, the 3D-CNN and its training (Keras)."""
