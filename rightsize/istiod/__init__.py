"""The control plane: what istiod needs, how fast it pushes, when it outgrows what it has."""

from rightsize.istiod.model import IstiodModel, MeshLoad, fit_istiod
from rightsize.istiod.observations import istiod_hours
from rightsize.istiod.propagation import Propagation, propagation
from rightsize.istiod.sizing import IstiodAdvice, recommend_istiod

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
