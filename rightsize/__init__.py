"""Capacity and cost right-sizing for Istio service meshes on Amazon EKS."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rightsize.config import Settings
    from rightsize.mesh import Mesh, load
    from rightsize.output import charts
    from rightsize.sizing import policies

__version__ = "0.1.0"
__all__ = ["Mesh", "Settings", "__version__", "charts", "load", "policies"]

_PLACES = {
    "Mesh": "rightsize.mesh",
    "load": "rightsize.mesh",
    "Settings": "rightsize.config",
    "policies": "rightsize.sizing",
    "charts": "rightsize.output",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: the command line starts without loading the whole analysis.
    if name not in _PLACES:
        raise AttributeError(f"module 'rightsize' has no attribute {name!r}")
    if name in ("policies", "charts"):
        return importlib.import_module(f"{_PLACES[name]}.{name}")
    return getattr(importlib.import_module(_PLACES[name]), name)
