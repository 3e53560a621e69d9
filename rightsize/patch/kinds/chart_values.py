"""Values of Istio's charts inside other documents: one reading for every kind that carries some."""

from __future__ import annotations

from collections.abc import Sequence

from rightsize.files import tree
from rightsize.files.chart_metadata import Chart
from rightsize.files.charts import Hints, Scope, scopes_of_values
from rightsize.files.embedded import opened
from rightsize.files.known import parse_version
from rightsize.files.source import Layer, Source
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
from rightsize.patch.model import Slot
from rightsize.patch.paths import BLOCKS, BOUNDS, MEMORY_TARGETS, SCOPED
from rightsize.patch.values import PairsScope, ValuesGroup

Place = tuple[Source, int, tree.Path]
"""A mapping of values: source, document, and its path there."""


def release_groups(
    given: Given,
    release: Release,
    chart: Chart | None,
    version: str | None,
    places: Sequence[Place],
    pairs: Sequence[tuple[Layer, dict[tree.Path, tree.Path]]] = (),
) -> list[Group]:
    """The groups of one release, from its values in order of precedence, the last one wins.

    Without a chart of Istio's the values may be those of an umbrella chart.
    """
    groups: list[Group] = []
    release = _with_revision(release, places)
    known = given.hints.version or parse_version(version)
    for source, document, prefix in places:
        scopes: list[Scope] = []
        if chart is not None:
            scopes = [Scope(source, document, prefix, chart, known, release.name)]
        else:
            found = scopes_of_values(source, document, prefix, Hints(None, known)) or []
            scopes = [scope for scope in found if scope.prefix != prefix]
        for scope in scopes:
            _add(groups, scope, release)
    for layer, entries in pairs:
        if chart is not None and entries:
            pair = PairsScope(
                layer.source, layer.document, (), chart, known, release.name, entries=entries
            )
            _add(groups, pair, release)
    return groups


def _add(groups: list[Group], scope: Scope, release: Release) -> None:
    own = Release(
        f"{release.kind} {scope.chart}",
        release.name if not scope.outer_global else scope.name,
        release.namespace,
        release.destination,
        release.revision,
        hints(scope),
    )
    held = next((g for g in groups if isinstance(g, ValuesGroup) and g.chart == scope.chart
                 and g.release.name == own.name), None)  # fmt: skip
    if held is None:
        groups.append(ValuesGroup(own, [scope]))
    else:
        held.layers.append(scope)


def hints(scope: Scope) -> tuple[str, ...]:
    """Labels and names in a gateway's values that may say which one it is."""
    values = scope.values
    paths = [("name",), ("labels", "istio"), ("labels", "app"), ("podLabels", "istio")]
    paths += [("labels", "app.kubernetes.io/name")]
    return tuple(text for path in paths if (text := tree.text_at(values, path)))


def _with_revision(release: Release, places: Sequence[Place]) -> Release:
    for source, document, prefix in reversed(places):
        root = source.documents[document].root
        for path in (("revision",), ("global", "revision"), ("istiod", "revision")):
            found = tree.text_at(root, (*prefix, *path))
            if found is not None and release.revision is None:
                return Release(
                    release.kind, release.name, release.namespace, release.destination, found
                )
    return release


def inline(source: Source, document: int, path: tree.Path) -> Place | None:
    """The values at a path: a mapping, or text that holds one; None where there is none."""
    root = source.documents[document].root
    if tree.mapping_at(root, path) is not None:
        return source, document, path
    text = tree.text_at(root, path)
    if text is None or not text.strip():
        return None
    inner = opened(source, document, path)
    root = inner.documents[0].root if inner.documents else None
    return (inner, 0, ()) if isinstance(root, tree.Mapping) else None


def whole_file(source: Source | None) -> list[Place]:
    """The values of a file: Helm reads the first document."""
    if source is None or not source.documents:
        return []
    root = source.documents[0].root
    return [(source, 0, ())] if isinstance(root, tree.Mapping) else []


def pairs_of(
    layer: Layer, path: tree.Path, chart: Chart | None, name: str = "name", value: str = "value"
) -> dict[tree.Path, tree.Path]:
    """Sizes in a list of pairs: path in the values -> path of the value in the document."""
    listed = tree.lookup(layer.root, path)
    items = listed.items if isinstance(listed, tree.Sequence) else []
    found: dict[tree.Path, tree.Path] = {}
    for number, item in enumerate(items):
        key = tuple((tree.text_at(item, (name,)) or "").split("."))
        if chart is not None and key in _sizing_paths(chart):
            found[key] = (*path, number, value)
    return found


def _sizing_paths(chart: Chart) -> set[tree.Path]:
    """Every path of a chart that sets a size or a bound, flattened ones included."""
    rests: list[tree.Path] = [(a, b) for a in ("requests", "limits") for b in ("cpu", "memory")]
    paths = {(*block, *rest) for (of, _), block in BLOCKS.items() if of == chart for rest in rests}
    bounds: dict[Slot, tree.Path] = BOUNDS.get(chart, {})
    paths |= set(bounds.values())
    paths |= {MEMORY_TARGETS[chart]} if chart in MEMORY_TARGETS else set()
    scoped = SCOPED.get(chart)
    return paths | {path[1:] for path in paths if path[0] == scoped}
