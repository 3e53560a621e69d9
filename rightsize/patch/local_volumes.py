"""Lets Cluster Autoscaler drain nodes with injected pods, by an annotation that the injector adds.

The injector's volumes lie on the node's disk, and Cluster Autoscaler drains no node with such a pod unless
the pod names them (`rightsize.nodes.holds`). `sidecarInjectorWebhook.injectedAnnotations` of the istiod
chart puts annotations on every pod that is injected from then on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rightsize.files.blocks import Leaf
from rightsize.nodes.holds import EVICT_LOCAL_VOLUMES, LOCAL_VOLUMES, covers
from rightsize.patch.groups import Group, Write
from rightsize.patch.values import ValuesGroup

PATH = ("sidecarInjectorWebhook", "injectedAnnotations", EVICT_LOCAL_VOLUMES)


def volume_writes(groups: Sequence[Group]) -> Iterator[Write]:
    """The annotation in the values of each istiod release that does not name the volumes yet.

    Volumes that are named already stay named.
    """
    for group in groups:
        if isinstance(group, ValuesGroup) and group.chart == "istiod":
            layer, path, old = group.place_of(PATH)
            if covers(old):
                continue
            named = [] if old is None else [name.strip() for name in old.split(",")]
            wanted = dict.fromkeys([*filter(None, named), *LOCAL_VOLUMES.split(",")])
            yield Write(layer, path, Leaf(",".join(wanted), quoted=True), old)


def explains(path: Sequence[object], after: str | None) -> bool:
    """Whether a rendered place is this annotation, with every volume named."""
    return path[-1] == EVICT_LOCAL_VOLUMES and covers(None if after is None else after.strip('"'))
