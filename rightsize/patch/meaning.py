"""What a place in rendered manifests stands for, and which changes of it were recommended."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rightsize.files.tree import Path as Keys
from rightsize.patch.groups import SIZES
from rightsize.patch.local_volumes import explains
from rightsize.patch.model import SizeChange
from rightsize.patch.render import Leaves, Place
from rightsize.quantity import parse_quantity
from rightsize.results import Component

CONTAINERS: dict[str, Component] = {"discovery": "istiod", "install-cni": "istio-cni"}
PROXY_BLOCKS: dict[Keys, Component] = {
    ("global", "proxy", "resources"): "sidecar",
    ("global", "waypoint", "resources"): "waypoint",
    ("pilot", "resources"): "istiod",
}
HPA_FIELDS = {
    "minReplicas": "autoscale_min",
    "maxReplicas": "autoscale_max",
    "averageUtilization": "target_cpu",
    "targetAverageUtilization": "target_cpu",
}
VALUES_FIELDS = {
    "autoscaleMin": "autoscale_min",
    "autoscaleMax": "autoscale_max",
    "minReplicas": "autoscale_min",
    "maxReplicas": "autoscale_max",
    "targetAverageUtilization": "target_cpu",
    "targetCPUUtilizationPercentage": "target_cpu",
}


def unexpected_places(before: Leaves, after: Leaves, changes: Sequence[SizeChange]) -> list[Place]:
    """Places with a change that was not recommended."""
    places = [place for place in {**before, **after} if before.get(place) != after.get(place)]
    return [place for place in places if not _explained(place, before, after, changes)]


def effective_size(place: Place, leaves: Leaves) -> tuple[Component, str] | None:
    """Component and size of a place that counts: containers, HPAs, the injector's values."""
    title, path = place
    injector = title.startswith("ConfigMap istio-sidecar-injector")
    if injector and (path[:2] != ("data", "values") or "global" not in path):
        return None
    if not injector and title.startswith("ConfigMap "):
        return None
    found = _meaning(place, leaves)
    return None if found is None else (found[0][0], found[1])


def is_resource(place: Place) -> bool:
    """Whether a place is a request or limit of a container, or one the injector gives out."""
    title, path = place
    if "resources" not in path or path[-2] not in ("requests", "limits"):
        return False
    if title.startswith("ConfigMap istio-sidecar-injector"):
        return path[:2] == ("data", "values")
    return "containers" in path or "initContainers" in path


def belongs_to(place: Place, component: Component, change: SizeChange) -> bool:
    """Whether a rendered place belongs to a change: gateways are matched by their names."""
    if component != change.component or (component == "sidecar" and change.workload is not None):
        return False
    return component != "gateway" or change.workload in (None, place[0].split(" ")[1])


def wanted_number(change: SizeChange, slot: str) -> float | None:
    """The number a change wants for a size or bound."""
    source = change.sizes if slot in SIZES else change
    value: float | None = getattr(source, slot)
    return value


def as_number(text: str) -> float | None:
    """A rendered quantity in its base unit, None for anything else."""
    try:
        return parse_quantity(text.strip('"'))
    except ValueError:
        return None


def _explained(place: Place, before: Leaves, after: Leaves, changes: Sequence[SizeChange]) -> bool:
    """Whether a change of the place to its new value is one that was recommended."""
    if place[0].startswith("PodDisruptionBudget "):
        # From 1.28 istiod's is rendered only while more than one replica is sure.
        whole = not any(title == place[0] for title, _ in after) or not any(
            title == place[0] for title, _ in before
        )
        return whole and any(change.autoscale_min is not None for change in changes)
    if explains(place[1], after.get(place)):
        return True
    if place not in after:
        # An empty `{}` that a block of sizes now fills.
        return any(
            other[: len(place[1])] == place[1] for title, other in after if title == place[0]
        )
    found = _meaning(place, after)
    if found is None:
        return False
    components, slot = found
    wanted = [wanted_number(c, slot) for c in changes if c.component in components]
    return as_number(after[place]) in [value for value in wanted if value is not None]


def _meaning(place: Place, leaves: Leaves) -> tuple[tuple[Component, ...], str] | None:
    """The components and the size that a rendered place stands for; None for anything else."""
    title, path = place
    if title.startswith("HorizontalPodAutoscaler ") and path[-1] in HPA_FIELDS:
        component: Component = "istiod" if " istiod" in title else "gateway"
        if "resource" in path:
            of = leaves.get((title, (*path[: path.index("resource") + 1], "name")))
            if of != '"cpu"':
                return None
        return (component,), HPA_FIELDS[str(path[-1])]
    slot = next((slot for slot, rest in SIZES.items() if path[-2:] == rest), None)
    if slot is not None and "containers" in path:
        owner = _component_of(title, str(path[path.index("containers") + 1]))
        return None if owner is None else ((owner,), slot)
    if title.startswith("ConfigMap "):
        if slot is not None:
            block = next(
                (c for keys, c in PROXY_BLOCKS.items() if path[-5:-2][-len(keys) :] == keys), None
            )
            # The copy of the user's own input (from 1.26) may set istiod at the top level.
            return ((block or "istiod",), slot) if path[-3] == "resources" else None
        if path[-1] in VALUES_FIELDS:
            return ("istiod", "gateway"), VALUES_FIELDS[str(path[-1])]
    return None


def _component_of(title: str, container: str) -> Component | None:
    if container == "istio-proxy":
        return "ztunnel" if re.match(r"DaemonSet .*ztunnel", title) else "gateway"
    return CONTAINERS.get(container)
