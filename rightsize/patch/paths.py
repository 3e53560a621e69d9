"""The table of paths: where each size is set, by chart and release, in order of precedence.

Rendered with Helm from Istio's charts of 1.18 to 1.30; `docs/patching.md` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

from rightsize.files.chart_metadata import Chart
from rightsize.files.charts import FLAT_FROM
from rightsize.files.known import Version
from rightsize.files.tree import Path
from rightsize.patch.groups import SIZES
from rightsize.patch.model import Slot
from rightsize.results import Component

BLOCKS: dict[tuple[Chart, Component], Path] = {
    ("istiod", "sidecar"): ("global", "proxy", "resources"),
    ("istiod", "waypoint"): ("global", "waypoint", "resources"),
    ("istiod", "istiod"): ("pilot", "resources"),
    ("gateway", "gateway"): ("resources",),
    # `ztunnel.resources` is ignored by the ztunnel chart of every release.
    ("ztunnel", "ztunnel"): ("resources",),
    ("cni", "istio-cni"): ("cni", "resources"),
}
BOUNDS: dict[Chart, dict[Slot, Path]] = {
    "istiod": {
        "autoscale_min": ("pilot", "autoscaleMin"),
        "autoscale_max": ("pilot", "autoscaleMax"),
        "target_cpu": ("pilot", "cpu", "targetAverageUtilization"),
    },
    "gateway": {
        "autoscale_min": ("autoscaling", "minReplicas"),
        "autoscale_max": ("autoscaling", "maxReplicas"),
        "target_cpu": ("autoscaling", "targetCPUUtilizationPercentage"),
    },
}
MEMORY_TARGETS: dict[Chart, Path] = {
    "istiod": ("pilot", "memory", "targetAverageUtilization"),
    "gateway": ("autoscaling", "targetMemoryUtilizationPercentage"),
}
"""Targets of memory utilisation, in percent of the request."""
SCOPED: dict[Chart, str] = {"istiod": "pilot", "cni": "cni"}
"""Key of which the contents are also read from the top level, from 1.24 on."""
AUTOSCALING: dict[Chart, Path] = {
    "istiod": ("pilot", "autoscaleEnabled"),
    "gateway": ("autoscaling", "enabled"),
}
"""While this is on (the default), `replicaCount` is ignored and the bounds count."""


@dataclass(frozen=True)
class Layout:
    """What decides between the paths that a chart reads."""

    chart: Chart
    version: Version | None
    wrapper: str | None = None
    profile: bool = False
    """A profile is set: it outranks the shipped file's wrapper and all flattened keys."""
    prefix: Path = ()
    outer_global: bool = False


def slot_path(chart: Chart, component: Component, slot: Slot) -> Path | None:
    """The path that works in every release, relative to the chart's values."""
    if slot in SIZES:
        block = BLOCKS.get((chart, component))
        return None if block is None else (*block, *SIZES[slot])
    return BOUNDS.get(chart, {}).get(slot) if component == chart else None


def candidates(layout: Layout, path: Path) -> list[Path]:
    """Every place that can set the value of `path`, the one that wins first.

    Order, from `zzz_profile.yaml` and `zzy_descope_legacy.yaml` of the charts: the user's values
    over the profile over the wrapped defaults, then `pilot` (`cni`) over the top level, last.
    """
    flat = _flat(layout, path)
    if layout.profile:
        found = [path]
    elif layout.wrapper is None:
        found = [path] if flat is None else [path, flat]
    else:
        found = [path, (layout.wrapper, *path)]
        found += [] if flat is None else [flat, (layout.wrapper, *flat)]
    placed = [(*layout.prefix, *place) for place in found]
    if layout.outer_global and path[0] == "global":
        # Helm hands the parent's `global` down, over the subchart's own.
        placed.insert(0, (*layout.prefix[:-1], *path))
    return placed


def _flat(layout: Layout, path: Path) -> Path | None:
    scoped = SCOPED.get(layout.chart)
    if scoped is None or path[0] != scoped:
        return None
    known = layout.version is not None and layout.version >= FLAT_FROM
    return path[1:] if known else None
