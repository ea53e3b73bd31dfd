"""Find cerebral microbleeds in MR images with the two-stage method of Al-masni et al. 2020. Research use only."""

__version__ = "0.1.0"
