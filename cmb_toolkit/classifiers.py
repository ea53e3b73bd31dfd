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
    openvino : str
        Where the function is that builds it to classify on processors; empty: Keras classifies.
    model : str
        What the network is called in its file: the same numbers under another name are another network.
    size : int
        Side of its patches' cubes [voxel].
    work : float
        Its arithmetic for a patch, next to the paper's.
    shrink_from : float
        How large something must look to be shown to it shrunk to half [mm], where nothing else is asked for; 0: nothing
        is, as where the network was published.
    """

    builder: str
    model: str
    openvino: str = ""
    size: int = 16
    work: float = 1.0
    shrink_from: float = 5.0


_KERAS, _OPENVINO = "cmb_toolkit.stage2.networks:", "cmb_toolkit.stage2.openvino_network:"
_RIVALS = "cmb_toolkit.stage2.rivals:"

CLASSIFIERS: dict[str, Classifier] = {
    "paper": Classifier(_KERAS + "paper", "paper-centred", _OPENVINO + "paper"),
    "channel": Classifier(_KERAS + "channel", "channel-centred", _OPENVINO + "channel"),
    "small": Classifier(_KERAS + "small", "small", _OPENVINO + "small", work=0.01),
    "paper-literal": Classifier(_KERAS + "paper_literal", "paper-literal", _OPENVINO + "paper_literal"),
    "dou": Classifier(_RIVALS + "dou", "dou", _OPENVINO + "dou", size=20, work=0.012, shrink_from=0),
    "chen": Classifier(_RIVALS + "chen", "chen", _OPENVINO + "chen", work=0.021, shrink_from=0),
    "liu": Classifier(_RIVALS + "liu", "liu", _OPENVINO + "liu", work=0.043, shrink_from=0),
}
"""Name of a network -> what it is."""
