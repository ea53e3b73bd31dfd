"""The layers of a network for 64 px that trains in a moment, with every kind that YOLOv2 has, for tests and damage."""

__all__ = ["LAYERS"]

LAYERS = """[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[maxpool]
size=2
stride=2

[convolutional]
batch_normalize=1
filters=12
size=3
stride=1
pad=1
activation=leaky

[maxpool]
size=2
stride=2

[convolutional]
batch_normalize=1
filters=12
size=3
stride=1
pad=1
activation=leaky

[route]
layers=-3

[reorg]
stride=2

[route]
layers=-1,-3

[convolutional]
filters=12
size=1
stride=1
pad=1
activation=linear

"""
