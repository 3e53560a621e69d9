"""ConfigMaps that hold a chart's values for a release that is not among the given files."""

from __future__ import annotations

from rightsize.errors import InputFileError
from rightsize.files import tree
from rightsize.files.charts import Hints, scopes_of_values
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
from rightsize.patch.kinds.chart_values import Place, hints, inline
from rightsize.patch.kinds.registry import kind
from rightsize.patch.values import ValuesGroup


@kind
def config_map(layer: Layer, given: Given) -> list[Group] | None:
    """Values under the keys of `data`, where they themselves prove their chart."""
    data = tree.mapping_at(layer.root, ("data",))
    if tree.text_at(layer.root, ("kind",)) != "ConfigMap" or data is None:
        return None
    name = tree.text_at(layer.root, ("metadata", "name"))
    if name in _read_by_releases(given):
        return []
    groups: list[Group] = []
    for key in data.names():
        if not key.endswith((".yaml", ".yml", "values")):
            continue
        place = _values(layer, ("data", key))
        found = place and scopes_of_values(*place, Hints(None, given.hints.version))
        for scope in found or []:
            namespace = tree.text_at(layer.root, ("metadata", "namespace"))
            gateway = scope.name or name if scope.chart == "gateway" else None
            revision = tree.text_at(scope.values, ("revision",))
            release = Release(
                f"ConfigMap {scope.chart}", gateway, None, None, revision, hints(scope)
            )
            groups.append(ValuesGroup(release, [scope]))
            given.note(
                layer.source,
                f"data.{key} of ConfigMap {namespace or 'default'}/{name} holds values of {scope.chart}: "
                "no given file says which release reads them",
            )
    return groups or None


def _values(layer: Layer, path: tree.Path) -> Place | None:
    try:
        return inline(layer.source, layer.document, path)
    except InputFileError:
        # Anybody's text, whatever its key is called: no values.
        return None


def _read_by_releases(given: Given) -> set[str | None]:
    """Names of the ConfigMaps that a given release takes values from."""
    names: set[str | None] = set()
    for layer in given.layers:
        listed = tree.lookup(layer.root, ("spec", "valuesFrom"))
        for item in listed.items if isinstance(listed, tree.Sequence) else []:
            if tree.text_at(item, ("kind",)) == "ConfigMap":
                names.add(tree.text_at(item, ("name",)))
    return names
