"""A network of small patches: one convolution."""

from cmb_toolkit.backend import keras, layers


def tiny(seed, size):
    """Of SWI beside phase."""
    image = keras.Input((size, 2 * size, size, 1))
    x = layers.GlobalMaxPooling3D()(layers.Conv3D(4, 3, activation="relu")(image))
    return keras.Model(image, layers.Dense(2, activation="softmax", dtype="float32")(x), name="tiny")
