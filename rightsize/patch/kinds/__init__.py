"""The kinds of document that people keep sizes in, each in a module of its own.

A kind is a function from a document to the groups of sizes in it, or None where the document is
of another kind. `@kind` registers it; the first that answers wins. To add one, write a module
here, import it below, and add its row to `docs/patching.md`.
"""

from __future__ import annotations

from rightsize.patch.kinds.registry import KINDS, Kind, groups_of, kind

# In this order: what names itself first, bare values last.
from rightsize.patch.kinds import (  # isort: skip
    operator,
    openshift,
    sail,
    argo,
    flux,
    k3s,
    injector,
    config_map,
    autoscaler,
    kustomization,
    helmfile,
    terraform,
    manifests,
    values,
)

__all__ = [
    "KINDS",
    "Kind",
    "argo",
    "autoscaler",
    "config_map",
    "flux",
    "groups_of",
    "helmfile",
    "injector",
    "k3s",
    "kind",
    "kustomization",
    "manifests",
    "openshift",
    "operator",
    "sail",
    "terraform",
    "values",
]
