"""The injector's ConfigMap, as Istio's charts render it: the mesh default of sidecars."""

from __future__ import annotations

from dataclasses import dataclass

from rightsize.files import tree
from rightsize.files.charts import Scope
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
from rightsize.patch.kinds.chart_values import inline
from rightsize.patch.kinds.registry import kind
from rightsize.patch.model import SizeChange
from rightsize.patch.values import ValuesGroup

NAME = "istio-sidecar-injector"


@dataclass(eq=False)
class InjectorGroup(ValuesGroup):
    """The values that the injector reads: those of sidecars, and none of istiod's own pods."""

    def covers(self, change: SizeChange) -> bool:
        return change.component == "sidecar" and super().covers(change)


@kind
def injector(layer: Layer, given: Given) -> list[Group] | None:
    name = tree.text_at(layer.root, ("metadata", "name")) or ""
    rest = name.removeprefix(NAME)
    is_one = tree.text_at(layer.root, ("kind",)) == "ConfigMap" and name.startswith(NAME)
    if not is_one or (rest and not rest.startswith("-")):
        return None
    found = inline(layer.source, layer.document, ("data", "values"))
    if found is None:
        return []
    source, document, path = found
    namespace = tree.text_at(layer.root, ("metadata", "namespace"))
    release = Release("injector", name, namespace, None, rest.removeprefix("-") or None)
    scope = Scope(source, document, path, "istiod", given.hints.version, name)
    given.note(
        layer.source,
        "the injector's ConfigMap is rendered by Istio's chart, and the next upgrade writes it anew: "
        "patch the values too",
    )
    return [InjectorGroup(release, [scope])]
