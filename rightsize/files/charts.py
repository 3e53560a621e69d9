"""The values of Istio's charts in a file, as places to write in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from rightsize.errors import AmbiguousChartError, UsageError
from rightsize.files import tree
from rightsize.files.chart_metadata import CHART_NAMES, Chart, chart_yaml
from rightsize.files.classify import (
    WRAPPERS,
    Kind,
    Placed,
    charts_of_values,
    kind_of,
    knows_all,
    knows_most,
    proofs_by_keys,
)
from rightsize.files.known import Version, parse_version
from rightsize.files.source import Layer, Source

CHARTS: tuple[Chart, ...] = tuple(c for c in get_args(Chart) if c != "base")
"""The charts that have sizes."""
FLAT_FROM: Version = (1, 24)
"""From here on istiod and cni read top-level keys too, under those of `pilot` and `cni`."""
SHARED_SIZING = ("resources", "replicaCount")
"""Keys that size something in more than one chart."""
_KINDS: dict[Kind, str] = {
    "helmfile": "a helmfile",
    "kustomization": "a kustomization",
    "chart": "a Chart.yaml",
    "release": "an object that installs a chart",
    "operator": "an IstioOperator",
    "crd": "a CustomResourceDefinition",
    "object": "a Kubernetes object",
}


@dataclass(eq=False)
class Scope(Layer):
    """A mapping that holds the values of one chart, somewhere in a document."""

    prefix: tree.Path
    chart: Chart
    version: Version | None
    name: str | None = None
    """Name of the release or subchart, as far as it is known."""
    outer_global: bool = False
    """An umbrella chart around it: the root's `global` outranks the subchart's."""

    @property
    def values(self) -> tree.Mapping | None:
        return tree.mapping_at(self.root, self.prefix)

    @property
    def wrapper(self) -> str | None:
        """The shipped file's key around everything, where this file has it."""
        values = self.values
        return next((key for key in WRAPPERS if tree.mapping_at(values, (key,))), None)


@dataclass(frozen=True)
class Hints:
    """What the user says about the files."""

    chart: Chart | None = None
    version: Version | None = None
    gateway: bool = False
    """A gateway was named for the files: values that the gateway chart knows are a gateway's."""

    @classmethod
    def of(cls, chart: str | None, istio_version: str | None, gateway: str | None = None) -> Hints:
        if chart is not None and CHART_NAMES.get(chart) not in CHARTS:
            raise UsageError(
                f"--chart {chart}: not a chart of Istio's that has sizes",
                hint=f"One of {', '.join(CHARTS)}.",
            )
        version = None if istio_version is None else parse_version(istio_version)
        if istio_version is not None and version is None:
            raise UsageError(f"--istio-version {istio_version}: not a release", hint="Say 1.24.")
        named = gateway is not None and chart is None
        return cls(None if chart is None else CHART_NAMES[chart], version, named)


def scopes_of_values(
    source: Source, document: int, prefix: tree.Path, hints: Hints
) -> list[Scope] | None:
    """The charts with values under `prefix`; None where nothing proves any.

    An umbrella chart's file gives one scope a subchart.

    Raises
    ------
    AmbiguousChartError
        Keys of several charts, or a chart named by the user for a file of another kind.
    """
    root = source.documents[document].root
    values = tree.mapping_at(root, prefix)
    if values is None:
        return None
    kind = kind_of(source.path, root)
    if not prefix and kind != "values":
        return None
    _refuse_contradiction(source, values, hints)
    placed = charts_of_values(source.path, values, prefix, chart=hints.chart, version=hints.version)
    if not placed and hints.gateway and not prefix and chart_yaml(source.path) is None:
        placed = _named_gateway(values, hints)
    if len(placed) > 1 and not placed[0].subchart:
        raise _several(source, values, placed)
    found = [
        _checked(Scope(source, document, p.prefix, p.chart, p.version, p.name, p.subchart))
        for p in placed
        if p.chart in CHARTS
    ]
    return found or None


def _named_gateway(values: tree.Mapping, hints: Hints) -> tuple[Placed, ...]:
    if not knows_all(values, "gateway"):
        return ()
    name = tree.text_at(values, ("name",))
    return (Placed((), "gateway", hints.version, name, "--gateway"),)


def _refuse_contradiction(source: Source, values: tree.Mapping, hints: Hints) -> None:
    """`--chart` names the chart; it does not make a file of another kind into its values."""
    if hints.chart is None:
        return
    proofs = proofs_by_keys(values)
    if proofs and hints.chart not in proofs:
        other, proof = next(iter(proofs.items()))
        key = values.key_node(proof.partition(".")[0])
        sizing = ", which sizes nothing," if other == "base" else ""
        raise source.error(
            f"values of the {other} chart ({proof}){sizing} not of {hints.chart}",
            key.start if key else values.start,
            hint=f"Give the values file of {hints.chart}.",
        )
    if not knows_most(values, hints.chart):
        raise source.error(
            f"most keys of this file are none of the {hints.chart} chart's",
            values.start,
            hint=f"Give the values file of {hints.chart}; an empty one will do.",
        )


def sizing_keys_without_chart(source: Source, document: int, prefix: tree.Path) -> tree.Node | None:
    """The first key that sizes something in more than one chart, or None."""
    values = tree.mapping_at(source.documents[document].root, prefix)
    if values is None:
        return None
    for wrapper in WRAPPERS:
        values = tree.mapping_at(values, (wrapper,)) or values
    return next((node for key in SHARED_SIZING if (node := values.key_node(key))), None)


def ambiguous_chart(source: Source, index: int) -> AmbiguousChartError:
    """The error for values that nothing shows the chart of."""
    line, column = tree.position(source.text, index)
    document = next((d for d in source.documents if d.start <= index <= d.end), None)
    kind = "values" if document is None else kind_of(source.path, document.root)
    if kind in _KINDS:
        return AmbiguousChartError(
            f"{_KINDS[kind]} without values of a chart of Istio's",
            path=source.path,
            line=line,
            column=column,
            hint="Give the file that holds the sizes.",
        )
    metadata = chart_yaml(source.path)
    name = tree.text_at(metadata, ("name",))
    beside = "" if name is None else f" (the Chart.yaml beside them is of {name})"
    return AmbiguousChartError(
        f"nothing proves that these values are Istio's, nor which chart they are for{beside}",
        path=source.path,
        line=line,
        column=column,
        hint=f"Say --chart {'|'.join(CHARTS)}, or keep the file beside its Chart.yaml.",
    )


def _several(
    source: Source, values: tree.Mapping, placed: tuple[Placed, ...]
) -> AmbiguousChartError:
    names = sorted((one.chart for one in placed), key=CHARTS.index)
    key = values.key_node(placed[0].proof.split(".")[0])
    return AmbiguousChartError(
        f"has keys of several charts: {', '.join(names)}",
        path=source.path,
        line=tree.position(source.text, key.start if key else values.start)[0],
        hint=f"Say --chart {'|'.join(names)}.",
    )


def _checked(scope: Scope) -> Scope:
    """Refuse a wrapper key that the release does not read, and take the release from it."""
    wrapper = scope.wrapper
    if wrapper is None:
        return scope
    first = WRAPPERS[wrapper]
    if scope.version is None:
        scope.version = first
    reads_internal = scope.version >= FLAT_FROM
    if scope.version < first or reads_internal != (wrapper == "_internal_defaults_do_not_set"):
        key = scope.values.key_node(wrapper) if scope.values else None
        raise scope.source.error(
            f"`{wrapper}` is not read by Istio {scope.version[0]}.{scope.version[1]}",
            key.start if key else 0,
            hint="Put its contents at the top level, or give the right --istio-version.",
        )
    return scope


def require_version(scope: Scope, why: str, index: int) -> Version:
    """The release, or an error that names the flag."""
    if scope.version is not None:
        return scope.version
    line, column = tree.position(scope.source.text, index)
    raise AmbiguousChartError(
        f"nothing shows the Istio release, and {why}",
        path=scope.source.path,
        line=line,
        column=column,
        hint="Say --istio-version, for instance --istio-version 1.24.",
    )
