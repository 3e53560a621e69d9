"""Manifests of autoscalers: bounds and targets of HPAs and KEDA's, and what a VPA takes over."""

from __future__ import annotations

from dataclasses import dataclass

from rightsize.files import tree
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Placed, Release, UnwrittenGroup
from rightsize.patch.kinds.registry import kind
from rightsize.patch.manifests import CONTAINERS
from rightsize.patch.model import SizeChange, Slot

TARGETS: tuple[tree.Path, ...] = (("target", "averageUtilization"), ("targetAverageUtilization",))


@dataclass(eq=False)
class AutoscalerGroup(Group):
    """One HPA; it holds bounds and no sizes."""

    bounds_only = True

    def covers(self, change: SizeChange) -> bool:
        return change.component in ("istiod", "gateway") and change.autoscale_max is not None

    def candidates(self, layer: Layer, change: SizeChange, slot: Slot) -> list[tree.Path]:
        if slot == "autoscale_min":
            return [("spec", "minReplicas")]
        if slot == "autoscale_max":
            return [("spec", "maxReplicas")]
        return [_target(layer)] if slot == "target_cpu" else []

    def preferred(self, layer: Layer, change: SizeChange, slot: Slot) -> tree.Path | None:
        # A metric is not made up: an HPA on something else has no target of CPU.
        return (
            None if slot == "target_cpu" else next(iter(self.candidates(layer, change, slot)), None)
        )

    def scales_on_memory(self, change: SizeChange) -> str | None:
        """Where the HPA targets utilisation of a memory request that the change sets."""
        (layer,) = self.layers
        listed = tree.lookup(layer.root, ("spec", "metrics"))
        for number, item in enumerate(listed.items if isinstance(listed, tree.Sequence) else []):
            for key in ("resource", "containerResource"):
                container = tree.text_at(item, (key, "container"))
                counted = container in (None, CONTAINERS[change.component])
                if counted and tree.text_at(item, (key, "name")) == "memory":
                    for rest in TARGETS:
                        if tree.lookup(item, (key, *rest)) is not None:
                            return tree.dotted(("spec", "metrics", number, key, *rest))
        return None


def _target(layer: Layer) -> tree.Path:
    """Path of the CPU target in any version of the HPA."""
    listed = tree.lookup(layer.root, ("spec", "metrics"))
    for number, item in enumerate(listed.items if isinstance(listed, tree.Sequence) else []):
        if tree.text_at(item, ("resource", "name")) == "cpu":
            for rest in TARGETS:
                if tree.lookup(item, ("resource", *rest)) is not None:
                    return ("spec", "metrics", number, "resource", *rest)
    return ("spec", "targetCPUUtilizationPercentage")


@dataclass(eq=False)
class ScaledObjectGroup(AutoscalerGroup):
    """One ScaledObject of KEDA, which makes the HPA (keda.sh, "CPU" and "Memory" scalers)."""

    def candidates(self, layer: Layer, change: SizeChange, slot: Slot) -> list[tree.Path]:
        if slot == "autoscale_min":
            return [("spec", "minReplicaCount")]
        if slot == "autoscale_max":
            return [("spec", "maxReplicaCount")]
        target = self._trigger("cpu", change)
        return [target] if slot == "target_cpu" and target is not None else []

    def scales_on_memory(self, change: SizeChange) -> str | None:
        target = self._trigger("memory", change)
        return None if target is None else tree.dotted(target)

    def _trigger(self, resource: str, change: SizeChange) -> tree.Path | None:
        (layer,) = self.layers
        listed = tree.lookup(layer.root, ("spec", "triggers"))
        for number, item in enumerate(listed.items if isinstance(listed, tree.Sequence) else []):
            container = tree.text_at(item, ("metadata", "containerName"))
            by = tree.text_at(item, ("metricType",)) or tree.text_at(item, ("metadata", "type"))
            if (
                tree.text_at(item, ("type",)) == resource
                and by == "Utilization"
                and container in (None, CONTAINERS[change.component])
            ):
                return ("spec", "triggers", number, "metadata", "value")
        return None


@dataclass(eq=False)
class VerticalGroup(UnwrittenGroup):
    """One VerticalPodAutoscaler: what it acts on is not sized by a file."""

    def covers(self, change: SizeChange) -> bool:
        (layer,) = self.layers
        if tree.text_at(layer.root, ("spec", "updatePolicy", "updateMode")) == "Off":
            return False
        policies = tree.lookup(layer.root, ("spec", "resourcePolicy", "containerPolicies"))
        modes = {
            tree.text_at(item, ("containerName",)): tree.text_at(item, ("mode",))
            for item in (policies.items if isinstance(policies, tree.Sequence) else [])
        }
        own = CONTAINERS[change.component]
        return modes.get(own, modes.get("*")) != "Off" and change.workload is not None

    def instead(self, change: SizeChange) -> Placed:
        (layer,) = self.layers
        name = f"the VerticalPodAutoscaler in {layer.source.path}"
        return Placed(refused=f"{name} acts on {change.key}, and replaces what is written here")


_KINDS: dict[str, tuple[type[Group], tree.Path]] = {
    "HorizontalPodAutoscaler": (AutoscalerGroup, ("spec", "scaleTargetRef", "name")),
    "ScaledObject": (ScaledObjectGroup, ("spec", "scaleTargetRef", "name")),
    "VerticalPodAutoscaler": (VerticalGroup, ("spec", "targetRef", "name")),
}


@kind
def autoscaler(layer: Layer, given: Given) -> list[Group] | None:
    root = layer.root
    kind_of = tree.text_at(root, ("kind",))
    if kind_of not in _KINDS:
        return None
    group, target = _KINDS[kind_of]
    name = tree.text_at(root, target) or tree.text_at(root, ("metadata", "name"))
    return [group(Release(kind_of, name, tree.text_at(root, ("metadata", "namespace"))), [layer])]
