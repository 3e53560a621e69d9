"""The control plane: what istiod needs, how fast it pushes, when it outgrows what it has."""

from rightsize.analysis.control_plane.model import IstiodModel, MeshLoad, fit_istiod
from rightsize.analysis.control_plane.observations import istiod_hours
from rightsize.analysis.control_plane.propagation import Propagation, propagation
from rightsize.analysis.control_plane.sizing import IstiodAdvice, recommend_istiod

__all__ = [
    "IstiodAdvice",
    "IstiodModel",
    "MeshLoad",
    "Propagation",
    "fit_istiod",
    "istiod_hours",
    "propagation",
    "recommend_istiod",
]
