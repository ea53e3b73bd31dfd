"""The networks of stage 2, by name.

Each is a :data:`cmb_toolkit.stage2.networks.Builder`, a function in a file of its own or among the paper's, and a line
here: what takes a network's name takes it from here.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CLASSIFIERS", "Classifier"]


@dataclass(frozen=True)
class Classifier:
    """A network that says yes or no to a patch.

    Attributes
    ----------
    builder : str
        Where the function is that builds it, ``module:name``.
    model : str
        What the network is called in its file: the same numbers under another name are another network.
    size : int
        Side of its patches' cubes [voxel].
    work : float
        Its arithmetic for a patch, next to the paper's.
    """

    builder: str
    model: str
    size: int = 16
    work: float = 1.0


CLASSIFIERS: dict[str, Classifier] = {
    "paper": Classifier("cmb_toolkit.stage2.networks:paper", "paper-centred"),
    "channel": Classifier("cmb_toolkit.stage2.networks:channel", "channel-centred"),
    "small": Classifier("cmb_toolkit.stage2.networks:small", "small", work=0.01),
    "paper-literal": Classifier("cmb_toolkit.stage2.networks:paper_literal", "paper-literal"),
    "dou": Classifier("cmb_toolkit.stage2.rivals:dou", "dou", size=20, work=0.012),
    "chen": Classifier("cmb_toolkit.stage2.rivals:chen", "chen", work=0.021),
    "liu": Classifier("cmb_toolkit.stage2.rivals:liu", "liu", work=0.043),
}
"""Name of a network -> what it is."""
