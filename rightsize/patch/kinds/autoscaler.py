"""HorizontalPodAutoscaler manifests of istiod and of gateways: bounds and the CPU target."""

from __future__ import annotations

from dataclasses import dataclass

from rightsize.files import tree
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
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


@kind
def autoscaler(layer: Layer, given: Given) -> list[Group] | None:
    root = layer.root
    if tree.text_at(root, ("kind",)) != "HorizontalPodAutoscaler":
        return None
    target = ("spec", "scaleTargetRef", "name")
    name = tree.text_at(root, target) or tree.text_at(root, ("metadata", "name"))
    namespace = tree.text_at(root, ("metadata", "namespace"))
    return [AutoscalerGroup(Release("HorizontalPodAutoscaler", name, namespace), [layer])]
