"""Capacity and cost right-sizing for Istio service meshes on Amazon EKS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rightsize.mesh import Mesh, load

__version__ = "0.1.0"
__all__ = ["Mesh", "__version__", "load"]


def __getattr__(name: str) -> Any:
    # Imported on first use: the command line starts without loading the whole analysis.
    if name in ("Mesh", "load"):
        from rightsize import mesh

        return getattr(mesh, name)
    raise AttributeError(f"module 'rightsize' has no attribute {name!r}")
