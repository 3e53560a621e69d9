"""Settings of DNS in the user's files: the EKS add-on, pod templates, the mesh's configuration.

The add-on's configuration values are JSON wherever they stand: a file of their own, a string of
eksctl or CloudFormation, `jsonencode` or a heredoc of Terraform.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rightsize.errors import AmbiguousChartError, RightsizeError
from rightsize.files import tree
from rightsize.files.blocks import Leaf
from rightsize.files.charts import Hints, Scope
from rightsize.files.embedded import opened
from rightsize.files.hcl import HclSource, opened_heredoc
from rightsize.files.source import Layer, Source
from rightsize.files.tree import dotted
from rightsize.patch.coredns_chart import chart_values
from rightsize.patch.given import Given
from rightsize.patch.groups import Write, outermost
from rightsize.patch.kinds import groups_of
from rightsize.patch.manifests import POD_TEMPLATES, Workload, workloads_of
from rightsize.patch.model import PatchedFile
from rightsize.patch.values import PairsScope
from rightsize.patch.writing import patched_file
from rightsize.quantity import format_cpu, format_memory, parse_quantity

COREDNS = "coredns"
CAPTURE: tree.Path = ("meshConfig", "defaultConfig", "proxyMetadata", "ISTIO_META_DNS_CAPTURE")
ADD_ON_KEYS = frozenset(
    (
        *("affinity", "autoScaling", "computeType", "corefile", "livenessProbe", "nodeSelector"),
        *("podAnnotations", "podDisruptionBudget", "podLabels", "readinessProbe", "replicaCount"),
        *("resources", "tolerations", "topologySpreadConstraints"),
    )
)
"""Keys of the add-on's configuration values (`aws eks describe-addon-configuration`)."""
_ADD_ONS = ("cluster_addons", "addons", "eks_addons")
"""Arguments of Terraform modules that take add-ons by name."""


@dataclass(frozen=True)
class DnsChange:
    """What to write; None and False leave a part alone. CPU in cores, memory in bytes."""

    replicas: int | None = None
    most_replicas: int | None = None
    cpu_request: float | None = None
    memory_request: float | None = None
    memory_limit: float | None = None
    budget: bool = False
    """Write a PodDisruptionBudget of the add-on."""
    ndots: int | None = None
    proxy: bool = False
    """Turn Istio's DNS proxying on."""
    corefile: str | None = None
    """What to change in a Corefile by hand."""

    @property
    def sizes(self) -> Iterator[tuple[tree.Path, str]]:
        """Path below a block of resources, and the quantity."""
        if self.cpu_request is not None:
            yield ("requests", "cpu"), format_cpu(self.cpu_request)
        if self.memory_request is not None:
            yield ("requests", "memory"), format_memory(self.memory_request)
        if self.memory_limit is not None:
            yield ("limits", "memory"), format_memory(self.memory_limit)

    @property
    def add_on(self) -> bool:
        return any(True for _ in self.sizes) or self.replicas is not None or self.budget


@dataclass
class _Found:
    """What is to be written in the given files, and what has to be said."""

    change: DnsChange
    given: Given
    writes: list[Write] = field(default_factory=list)
    notes: list[tuple[Source, str]] = field(default_factory=list)
    places: set[Source] = field(default_factory=set)

    def put(self, layer: Layer, path: tree.Path, leaf: Leaf) -> None:
        """Set a value, unless it is there already."""
        old = tree.text_at(layer.root, path)
        if old != leaf.text and not _same_quantity(old, leaf.text):
            self.writes.append(Write(layer, path, leaf, old))


def patch_dns(files: Sequence[Path], change: DnsChange) -> tuple[PatchedFile, ...]:
    """The files with the settings in them; nothing is written yet.

    Raises
    ------
    InputFileError
        A file that cannot be patched safely.
    AmbiguousChartError
        A file that holds no setting of DNS.
    """
    given = Given.read(list(files), Hints(), None)
    found = _Found(change, given)
    for layer in given.layers:
        _read(layer, found)
    for source in given.sources:
        if source not in found.places:
            raise AmbiguousChartError(
                "holds no settings of DNS",
                path=source.path,
                hint="Leave it out, or see docs/dns.md for the kinds of files that are patched.",
            )
    why = "has these settings already, or nothing is advised for it"
    notes = [*given.notes, *found.notes]
    patched = [
        (source, patched_file(source, found.writes, notes, why_unchanged=why, unknown=False))
        for source in (*given.sources, *given.followed)
    ]
    return tuple(file for source, file in patched if file.changed or source in given.sources)


def _read(layer: Layer, found: _Found) -> None:
    root = layer.root
    kind, api = tree.text_at(root, ("kind",)), tree.text_at(root, ("apiVersion",)) or ""
    charts = list(chart_values(layer))
    for inner, path in charts:
        found.places.add(layer.source)
        _chart(inner, path, found)
    if charts:
        return
    if isinstance(layer.source, HclSource):
        _terraform(layer, found)
        _values(layer, found)
    elif kind == "ClusterConfig" and api.startswith("eksctl.io/"):
        _eksctl(layer, found)
    elif kind == "IstioOperator":
        _capture(layer, ("spec", *CAPTURE), found)
    elif kind == "ConfigMap" and tree.lookup(root, ("data", "Corefile")) is not None:
        _corefile(layer, found)
    elif kind in POD_TEMPLATES or kind == "List":
        _manifests(layer, found)
    elif tree.mapping_at(root, ("Resources",)) is not None:
        _cloud_formation(layer, found)
    elif _is_configuration(layer):
        found.places.add(layer.source)
        _configuration(layer, (), found)
    else:
        _values(layer, found)


def _is_configuration(layer: Layer) -> bool:
    root = layer.root
    names = set(root.names()) if isinstance(root, tree.Mapping) else set()
    own = {"autoScaling", "computeType", "corefile"} & names
    return bool(names) and names <= ADD_ON_KEYS and bool(own or COREDNS in layer.source.path.name)


def _configuration(layer: Layer, prefix: tree.Path, found: _Found) -> None:
    """The add-on's values, as a mapping at `prefix`."""
    change = found.change
    for path, text in change.sizes:
        found.put(layer, (*prefix, "resources", *path), Leaf(text))
    if change.replicas is not None:
        fixed = tree.text_at(layer.root, (*prefix, "replicaCount"))
        scaled = tree.text_at(layer.root, (*prefix, "autoScaling", "enabled"))
        if scaled == "false" or (fixed is not None and scaled is None):
            found.put(layer, (*prefix, "replicaCount"), Leaf(str(change.replicas)))
        else:
            _autoscaling(layer, (*prefix, "autoScaling"), found)
    if change.corefile is not None and tree.lookup(layer.root, (*prefix, "corefile")) is not None:
        text = f"`corefile` of the add-on, by hand: {change.corefile}"
        found.notes.append((outermost(layer.source), text))
    if change.budget:
        budget = (*prefix, "podDisruptionBudget")
        found.put(layer, (*budget, "enabled"), Leaf("true"))
        if tree.lookup(layer.root, (*budget, "minAvailable")) is None:
            found.put(layer, (*budget, "maxUnavailable"), Leaf("1"))


def _chart(layer: Layer, prefix: tree.Path, found: _Found) -> None:
    """Values of CoreDNS's own chart, at `prefix`."""
    change = found.change
    for path, text in change.sizes:
        found.put(layer, (*prefix, "resources", *path), Leaf(text))
    if change.replicas is not None:
        if tree.text_at(layer.root, (*prefix, "hpa", "enabled")) == "true":
            _autoscaling(layer, (*prefix, "hpa"), found)
        elif tree.text_at(layer.root, (*prefix, "autoscaler", "enabled")) == "true":
            found.put(layer, (*prefix, "autoscaler", "min"), Leaf(str(change.replicas)))
        else:
            found.put(layer, (*prefix, "replicaCount"), Leaf(str(change.replicas)))
    budget = (*prefix, "podDisruptionBudget")
    if change.budget and tree.lookup(layer.root, (*budget, "minAvailable")) is None:
        found.put(layer, (*budget, "maxUnavailable"), Leaf("1"))


def _corefile(layer: Layer, found: _Found) -> None:
    """A Corefile of one's own is no YAML, and is not changed."""
    found.places.add(layer.source)
    if found.change.corefile is not None:
        node = tree.lookup(layer.root, ("data", "Corefile"))
        line = tree.position(layer.source.text, node.start if node else 0)[0]
        found.notes.append((layer.source, f"line {line}: by hand: {found.change.corefile}"))


def _autoscaling(layer: Layer, path: tree.Path, found: _Found) -> None:
    change = found.change
    found.put(layer, (*path, "enabled"), Leaf("true"))
    found.put(layer, (*path, "minReplicas"), Leaf(str(change.replicas)))
    most = tree.text_at(layer.root, (*path, "maxReplicas")) or ""
    if not most.isdigit() or int(most) < (change.most_replicas or 0):
        found.put(layer, (*path, "maxReplicas"), Leaf(str(change.most_replicas)))


def _json(change: DnsChange) -> str:
    """The add-on's values where none are written yet."""
    content: dict[str, object] = {}
    resources: dict[str, dict[str, str]] = {}
    for (kind, resource), text in change.sizes:
        resources.setdefault(str(kind), {})[str(resource)] = text
    if resources:
        content["resources"] = resources
    if change.replicas is not None:
        bounds = {"minReplicas": change.replicas, "maxReplicas": change.most_replicas}
        content["autoScaling"] = {"enabled": True, **bounds}
    if change.budget:
        content["podDisruptionBudget"] = {"enabled": True, "maxUnavailable": 1}
    return json.dumps(content)


def _in_text(layer: Layer, path: tree.Path, found: _Found) -> None:
    """Values in a string: opened and patched; a new string where there is none."""
    found.places.add(layer.source)
    if not found.change.add_on:
        return
    if tree.lookup(layer.root, path) is None:
        found.put(layer, path, Leaf(_json(found.change), quoted=True))
        return
    inner = opened(layer.source, layer.document, path)
    _configuration(Layer(inner, 0), (), found)


def _eksctl(layer: Layer, found: _Found) -> None:
    listed = tree.lookup(layer.root, ("addons",))
    for number, item in enumerate(listed.items if isinstance(listed, tree.Sequence) else []):
        if tree.text_at(item, ("name",)) == COREDNS:
            _in_text(layer, ("addons", number, "configurationValues"), found)


def _cloud_formation(layer: Layer, found: _Found) -> None:
    resources = tree.mapping_at(layer.root, ("Resources",))
    for name in [] if resources is None else resources.names():
        properties: tree.Path = ("Resources", name, "Properties")
        if tree.text_at(layer.root, ("Resources", name, "Type")) == "AWS::EKS::Addon" and (
            tree.text_at(layer.root, (*properties, "AddonName")) == COREDNS
        ):
            _in_text(layer, (*properties, "ConfigurationValues"), found)


def _terraform(layer: Layer, found: _Found) -> None:
    for holder in _terraform_holders(layer.root):
        found.places.add(layer.source)
        path = (*holder, "configuration_values")
        node = tree.lookup(layer.root, path)
        if not found.change.add_on:
            continue
        if isinstance(node, tree.Mapping):
            _configuration(layer, path, found)
            continue
        if isinstance(node, tree.Scalar) and node.style == "heredoc":
            inner = opened_heredoc(layer.source, layer.document, path)
            _configuration(Layer(inner, 0), (), found)
            continue
        if isinstance(node, tree.Scalar) and node.style == "file":
            followed = found.given.follow(layer.source, node.value)
            if followed is not None and isinstance(followed.documents[0].root, tree.Mapping):
                _configuration(Layer(followed, 0), (), found)
                continue
        around = tree.lookup(layer.root, holder)
        line = tree.position(layer.source.text, around.start if around else 0)[0]
        why = "no configuration_values" if node is None else "values that only Terraform works out"
        found.notes.append(
            (
                layer.source,
                f"line {line}: {dotted(holder)} has {why}; write\n"
                f"  configuration_values = jsonencode({_json(found.change)})",
            )
        )


def _terraform_holders(root: tree.Node | None) -> Iterator[tree.Path]:
    """Blocks and objects of the add-on."""
    for key in ("resource", "module", "locals"):
        listed = tree.lookup(root, (key,))
        for number, block in enumerate(listed.items if isinstance(listed, tree.Sequence) else []):
            if key == "resource" and tree.text_at(block, ("addon_name",)) == COREDNS:
                yield key, number
            for name in _ADD_ONS if key != "resource" else ():
                if tree.mapping_at(block, (name, COREDNS)) is not None:
                    yield key, number, name, COREDNS


def _manifests(layer: Layer, found: _Found) -> None:
    for workload in workloads_of(layer):
        found.places.add(layer.source)
        if workload.name == COREDNS:
            _coredns(workload, found)
        elif found.change.ndots is not None:
            _search(workload, found)


def _coredns(workload: Workload, found: _Found) -> None:
    """CoreDNS as a manifest of one's own."""
    path = workload.container(COREDNS)
    for size, text in found.change.sizes if path is not None else ():
        found.put(workload, (*(path or ()), "resources", *size), Leaf(text))
    if found.change.replicas is not None:
        replicas = (*workload.prefix, "spec", "replicas")
        found.put(workload, replicas, Leaf(str(found.change.replicas)))


def _search(workload: Workload, found: _Found) -> None:
    """`ndots` of a pod template, where the pod asks the cluster's DNS."""
    spec = (*workload.template, "spec")
    policy = tree.text_at(workload.root, (*spec, "dnsPolicy")) or "ClusterFirst"
    host = tree.text_at(workload.root, (*spec, "hostNetwork")) == "true"
    if policy == "Default" or (host and policy == "ClusterFirst"):
        return
    options = (*spec, "dnsConfig", "options")
    listed = tree.lookup(workload.root, options)
    items = listed.items if isinstance(listed, tree.Sequence) else []
    value = Leaf(str(found.change.ndots), quoted=True)
    at = next((n for n, item in enumerate(items) if tree.text_at(item, ("name",)) == "ndots"), None)
    if at is not None:
        old = tree.text_at(workload.root, (*options, at, "value")) or ""
        if not old.isdigit() or int(old) > int(value.text):
            found.put(workload, (*options, at, "value"), value)
    elif items:
        line = tree.position(workload.source.text, items[0].start)[0]
        text = f'line {line}: add an entry to this list: {{name: ndots, value: "{value.text}"}}'
        found.notes.append((workload.source, text))
    else:
        found.put(workload, (*options, 0, "name"), Leaf("ndots"))
        found.put(workload, (*options, 0, "value"), value)


def _values(layer: Layer, found: _Found) -> None:
    """Values of the istiod chart, in whatever document they stand."""
    try:
        groups = groups_of(layer, found.given) or []
    except AmbiguousChartError:
        return
    for group in groups:
        scopes = [s for s in group.layers if isinstance(s, Scope) and not isinstance(s, PairsScope)]
        if not scopes or scopes[-1].chart != "istiod":
            continue
        scope = scopes[-1]
        found.places.add(layer.source)
        wrapper = () if scope.wrapper is None else (scope.wrapper,)
        _capture(scope, (*scope.prefix, *wrapper, *CAPTURE), found)


def _capture(layer: Layer, path: tree.Path, found: _Found) -> None:
    found.places.add(outermost(layer.source))
    if not found.change.proxy:
        return
    node = tree.lookup(layer.root, path)
    if isinstance(node, tree.Scalar) and not node.is_null and node.value != "true":
        line = tree.position(layer.source.text, node.start)[0]
        text = f"line {line}: {dotted(path)} is {node.value}, and is left so"
        found.notes.append((layer.source, text))
        return
    found.put(layer, path, Leaf("true", quoted=True))


def _same_quantity(old: str | None, new: str) -> bool:
    try:
        return old is not None and parse_quantity(old) == parse_quantity(new)
    except (RightsizeError, ValueError):
        return False
