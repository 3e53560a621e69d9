"""Argo CD: Application and ApplicationSet, with every way to give Helm its values."""

from __future__ import annotations

from os.path import normpath

from rightsize.files import tree
from rightsize.files.chart_metadata import chart_named, chart_yaml, istio_dependencies
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
from rightsize.patch.kinds.chart_values import Place, inline, pairs_of, release_groups, whole_file
from rightsize.patch.kinds.registry import kind


@kind
def argo(layer: Layer, given: Given) -> list[Group] | None:
    of = tree.text_at(layer.root, ("kind",))
    if of not in ("Application", "ApplicationSet"):
        return None
    if not (tree.text_at(layer.root, ("apiVersion",)) or "").startswith("argoproj.io/"):
        return None
    spec: tree.Path = ("spec",) if of == "Application" else ("spec", "template", "spec")
    several = tree.lookup(layer.root, (*spec, "sources"))
    sources: list[tree.Path] = [(*spec, "source")]
    if isinstance(several, tree.Sequence):
        sources += [(*spec, "sources", number) for number in range(len(several.items))]
    groups: list[Group] = []
    if of == "ApplicationSet":
        given.note(
            layer.source,
            "one template for every cluster of its generators: the sizes are those measured in the "
            "snapshot's cluster alone",
        )
    for source in sources:
        if tree.mapping_at(layer.root, source) is not None:
            groups += _source(layer, given, spec, source)
    return groups


def _source(layer: Layer, given: Given, spec: tree.Path, source: tree.Path) -> list[Group]:
    helm = (*source, "helm")
    path = tree.text_at(layer.root, (*source, "path")) or ""
    chart = chart_named(
        tree.text_at(layer.root, (*source, "chart")) or path,
        tree.text_at(layer.root, (*source, "repoURL")),
    )
    own_values = _values_of_folder(layer, given, path)
    if chart is None and not own_values and tree.mapping_at(layer.root, helm) is None:
        return []
    destination = (*spec, "destination")
    release = Release(
        "Application",
        tree.text_at(layer.root, (*helm, "releaseName"))
        or tree.text_at(layer.root, ("metadata", "name")),
        tree.text_at(layer.root, (*destination, "namespace")),
        tree.text_at(layer.root, (*destination, "name"))
        or tree.text_at(layer.root, (*destination, "server")),
    )
    places = own_values + _value_files(layer, given, (*helm, "valueFiles"), path)
    for key in ("valuesObject", "values"):
        found = inline(layer.source, layer.document, (*helm, key))
        if found is not None:
            # Argo CD reads `values` only where there is no `valuesObject`.
            places.append(found)
            break
    entries = pairs_of(layer, (*helm, "parameters"), chart)
    groups = release_groups(
        given,
        release,
        chart,
        tree.text_at(layer.root, (*source, "targetRevision")),
        places,
        [(layer, entries)],
    )
    if chart is not None and not groups:
        files = tree.lookup(layer.root, (*helm, "valueFiles"))
        why = "its valueFiles are not in this checkout" if files else "it has no values of its own"
        given.note(layer.source, f"Application {release.name}: {why}; give the values file with -f")
    return groups


def _values_of_folder(layer: Layer, given: Given, folder: str) -> list[Place]:
    """The values.yaml of a chart that lies in the checkout, below all others in precedence."""
    if not folder or "{{" in folder:
        return []
    held = given.beside(layer.source, f"{folder.rstrip('/')}/Chart.yaml")
    if held is None or not istio_dependencies(chart_yaml(held.with_name("values.yaml"))):
        return []
    return whole_file(given.follow(layer.source, normpath(f"{folder}/values.yaml")))


def _value_files(layer: Layer, given: Given, path: tree.Path, folder: str) -> list[Place]:
    """Values files that lie in the checkout, in their order."""
    listed = tree.lookup(layer.root, path)
    places: list[Place] = []
    for item in listed.items if isinstance(listed, tree.Sequence) else []:
        name = tree.text_at(item, ()) or ""
        if name.startswith("$"):
            name, folder_of = name.partition("/")[2], ""
        else:
            folder_of = f"{folder.rstrip('/')}/" if folder else ""
        if "{{" not in name:
            places += whole_file(given.follow(layer.source, normpath(folder_of + name)))
    return places
