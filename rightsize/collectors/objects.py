"""Kubernetes objects, from the user's `kubectl get … -A -o json` or the API: what metrics do not show.

They speak of the moment they were read; pods that were gone by then are described by the pod
template of their workload.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from rightsize.border import printable
from rightsize.collectors.cluster_rules import ClusterRules
from rightsize.collectors.object_files import objects_in
from rightsize.errors import InputFileError
from rightsize.prices.node_kinds import is_extended
from rightsize.quantity import parse_quantity
from rightsize.snapshot.manifest import Missing

COMMAND = (
    "kubectl get nodes,namespaces,pods,deployments,statefulsets,daemonsets,cronjobs,hpa,pdb,"
    "limitranges,resourcequotas -A -o json"
)
_TEMPLATES = ("Deployment", "StatefulSet", "DaemonSet", "Rollout", "DeploymentConfig", "CronJob")
_SCHEDULING = (
    "nodeSelector",
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "overhead",
    "priority",
    "priorityClassName",
)
_ANNOTATIONS = ("istio.io", "cluster-autoscaler.kubernetes.io", "karpenter.sh")
"""Parts of the names of annotations that are kept: what sizes a pod or holds its node."""
_MOST_KEPT = 2**28
"""Bytes, roughly, of what is kept: 50,000 pods take 60 MB."""
_Name = tuple[str, str]


@dataclass(frozen=True)
class KnownPod:
    """What the objects say of a pod; None is unknown."""

    node: str | None = None
    host_network: bool | None = None
    privileged: bool | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    labels_json: str | None = None
    annotations_json: str | None = None
    scheduling: str | None = None
    sizes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Requests and limits by container, init containers too, in cores and bytes."""


@dataclass(frozen=True)
class KnownNode:
    """What the objects say of a node; `sizes` in cores, bytes and pods."""

    labels: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, float] = field(default_factory=dict)
    provider_id: str | None = None
    taints_json: str | None = None
    kubelet_version: str | None = None


@dataclass(frozen=True)
class KnownBudget:
    """What a PodDisruptionBudget demands, as written."""

    workload: str | None = None
    min_available: str | None = None
    max_unavailable: str | None = None


_NO_POD, _NO_NODE, _NO_BUDGET = KnownPod(), KnownNode(), KnownBudget()


@dataclass(frozen=True)
class Objects:
    """Everything read from object files; empty without one."""

    nodes: Mapping[str, KnownNode] = field(default_factory=dict)
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    pods: Mapping[_Name, KnownPod] = field(default_factory=dict)
    templates: Mapping[tuple[str, str, str], KnownPod] = field(default_factory=dict)
    hpas: Sequence[Mapping[str, object]] = ()
    """Rows of table `hpas`."""
    pdbs: Mapping[_Name, KnownBudget] = field(default_factory=dict)
    rules: ClusterRules = field(default_factory=ClusterRules)
    read_from: Sequence[str] = ()
    """Names of the files, or of the cluster."""
    missing: Sequence[Missing] = ()
    """What could not be read."""
    cluster: str | None = None
    """Name of the cluster that was read."""

    def node(self, name: str) -> KnownNode:
        return self.nodes.get(name, _NO_NODE)

    def pod(self, namespace: str, name: str, kind: str, workload: str) -> KnownPod:
        """The pod itself, else its workload's template, else nothing."""
        template = self.templates.get((namespace, kind, workload), _NO_POD)
        return self.pods.get((namespace, name), template)

    def pdb(self, namespace: str, name: str) -> KnownBudget:
        return self.pdbs.get((namespace, name), _NO_BUDGET)

    def pdb_names(self) -> list[_Name]:
        return sorted(self.pdbs)


def read_objects(paths: Iterable[Path]) -> Objects:
    """Read files written by `kubectl get … -o json` or `-o yaml`.

    Raises
    ------
    InputFileError
        If one cannot be read, or is no list of Kubernetes objects.
    """
    paths = tuple(paths)
    items = (item for path in paths for item in objects_in(path))
    return objects_of(items, [path.name for path in paths], ", ".join(map(str, paths)))


class _TooMuchError(Exception):
    pass


class _Kept:
    """Each text and map once, however many pods have it, and how much that is."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._maps: dict[str, Mapping[str, Any]] = {}
        self._bytes = 0

    def add(self, text: str = "") -> None:
        self._bytes += 500 + len(text) + 200 * text.count(",")
        if self._bytes > _MOST_KEPT:
            raise _TooMuchError

    def text(self, text: str) -> str:
        if text not in self._texts:
            self.add(text)
        return self._texts.setdefault(text, text)

    def map(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._maps.setdefault(self.text(_json(content)), content)


@dataclass
class _Taken:
    """What is kept of the objects so far."""

    nodes: dict[str, KnownNode] = field(default_factory=dict)
    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)
    pods: dict[_Name, KnownPod] = field(default_factory=dict)
    templates: dict[tuple[str, str, str], KnownPod] = field(default_factory=dict)
    hpas: list[Mapping[str, object]] = field(default_factory=list)
    budgets: dict[_Name, Mapping[str, Any]] = field(default_factory=dict)
    references: dict[tuple[str, str, str], _Name] = field(default_factory=dict)
    rules: ClusterRules = field(default_factory=ClusterRules)
    kept: _Kept = field(default_factory=_Kept)

    def take(self, item: Mapping[str, Any]) -> None:
        if fault := shape_fault(item):
            raise ValueError(fault)
        kind, about = item["kind"], item["metadata"]
        name, namespace = about["name"], about.get("namespace", "")
        self.kept.add("" if kind == "Pod" or kind in _TEMPLATES else _json(item.get("spec")))
        if kind == "Node":
            self.nodes[name] = _node(item, self.kept)
        elif kind == "Namespace":
            self.namespaces[name] = self.kept.map(about.get("labels") or {})
        elif kind == "Pod":
            self.pods[namespace, name] = _pod(about, item["spec"], self.kept)
        elif kind in _TEMPLATES:
            template = _template(kind, item["spec"])
            if template is not None:
                about = template.get("metadata") or {}
                self.templates[namespace, kind, name] = _pod(about, template["spec"], self.kept)
            elif reference := item["spec"].get("workloadRef"):
                self.references[namespace, kind, name] = reference["kind"], reference["name"]
        elif kind == "HorizontalPodAutoscaler":
            self.hpas += _hpa_rows(namespace, name, item["spec"])
        elif kind == "PodDisruptionBudget":
            self.budgets[about["namespace"], name] = item["spec"]
        else:
            self.rules.add(item)

    def objects(self, read_from: Sequence[str]) -> Objects:
        for key, reference in self.references.items():
            if (key[0], *reference) in self.templates:
                self.templates[key] = self.templates[(key[0], *reference)]
        pdbs = {one: _budget(one[0], of, self.templates) for one, of in self.budgets.items()}
        hpas = [*self.hpas, *self.rules.scalers(self.hpas)]
        return Objects(
            self.nodes,
            self.namespaces,
            self.pods,
            self.templates,
            hpas,
            pdbs,
            self.rules,
            read_from,
        )


def objects_of(
    items: Iterable[Mapping[str, Any]],
    read_from: Sequence[str],
    place: str | None = None,
    *,
    odd: list[str] | None = None,
) -> Objects:
    """Keep of each object what the snapshot needs; no item is held.

    Parameters
    ----------
    read_from : sequence of str
        Names of the files, or of the cluster.
    place : str, optional
        Where they stand, for messages.
    odd : list of str, optional
        Takes the names of objects of another shape than their kind has, which are passed over: a
        cluster holds what its controllers refuse, too, a scaler without a value or a VPA without
        a target.

    Raises
    ------
    InputFileError
        If one is of another shape than its kind has, without `odd`.
    """
    taken = _Taken()
    faults = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)

    def refused(error: Exception, of: str = "") -> InputFileError:
        return InputFileError(
            f"holds an object of another shape{of} ({error})",
            path=place or ", ".join(read_from),
            hint=f"make it with {COMMAND}",
        )

    for item in items:
        try:
            taken.take(item)
        except _TooMuchError as error:
            raise InputFileError(
                "holds more objects, or larger ones, than a cluster has",
                path=place or ", ".join(read_from),
            ) from error
        except faults as error:
            if odd is None:
                raise refused(error, f": {_title(item)}") from error
            odd.append(_title(item))
    try:
        return taken.objects(read_from)
    except faults as error:
        raise refused(error) from error


def _title(item: Mapping[str, Any]) -> str:
    about = item.get("metadata")
    about = about if isinstance(about, dict) else {}
    place = f"{about['namespace']}/" if about.get("namespace") else ""
    return printable(f"{item.get('kind')} {place}{about.get('name', 'without a name')}")[:300]


def shape_fault(item: Mapping[str, Any]) -> str | None:
    """Say what no object of Kubernetes has; None where the parts that all have are sound."""
    about = item.get("metadata")
    if not isinstance(about, dict) or not isinstance(about.get("name"), str):
        return "has no metadata with a name"
    if not isinstance(about.get("namespace", ""), (str, type(None))):
        return "has a namespace that is no text"
    if not all(isinstance(item.get(name, ""), str) for name in ("kind", "apiVersion")):
        return "has a kind that is no text"
    for name in ("labels", "annotations"):
        notes = about.get(name)
        if notes is not None and not (
            isinstance(notes, dict) and all(isinstance(one, str) for one in notes.values())
        ):
            return f"has {name} that are no texts"
    for name in ("spec", "status"):
        if not isinstance(item.get(name), (dict, type(None))):
            return f"has a {name} that is no map"
    return None


def _template(kind: str, spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A workload's pod template; None where an Argo Rollout takes that of a Deployment."""
    if kind == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    elif kind == "Rollout" and spec.get("workloadRef"):
        return None
    found: Mapping[str, Any] = spec["template"]
    return found


def _node(item: Mapping[str, Any], kept: _Kept) -> KnownNode:
    status = item.get("status") or {}
    sizes = {
        f"{family}_{resource}": parse_quantity(status[family][resource])
        for family, resource in (
            ("capacity", "cpu"),
            ("capacity", "memory"),
            ("allocatable", "cpu"),
            ("allocatable", "memory"),
            ("allocatable", "pods"),
        )
        if resource in (status.get(family) or {})
    }
    offered = (status.get("allocatable") or {}).items()
    sizes |= {f"allocatable_{name}": parse_quantity(n) for name, n in offered if is_extended(name)}
    spec = item.get("spec") or {}
    return KnownNode(
        labels=kept.map(item["metadata"].get("labels") or {}),
        sizes=kept.map(sizes),
        provider_id=spec.get("providerID"),
        taints_json=kept.text(_json(spec.get("taints") or [])),
        kubelet_version=(status.get("nodeInfo") or {}).get("kubeletVersion"),
    )


def _pod(about: Mapping[str, Any], spec: Mapping[str, Any], kept: _Kept) -> KnownPod:
    labels = kept.map(about.get("labels") or {})
    written = (about.get("annotations") or {}).items()
    annotations = {key: value for key, value in written if any(of in key for of in _ANNOTATIONS)}
    return KnownPod(
        node=spec.get("nodeName"),
        host_network=bool(spec.get("hostNetwork", False)),
        privileged=_privileged(spec),
        labels=labels,
        labels_json=kept.text(_json(labels)),
        annotations_json=kept.text(_json(annotations)),
        scheduling=kept.text(
            _json({key: spec[key] for key in _SCHEDULING if spec.get(key) is not None})
        ),
        sizes=kept.map(
            dict(
                map(_sizes, [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())])
            )
        ),
    )


def _privileged(spec: Mapping[str, Any]) -> bool:
    """Whether a pod can see what others of its node do."""
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    contexts = [one.get("securityContext") or {} for one in containers]
    return bool(spec.get("hostPID")) or any(one.get("privileged") is True for one in contexts)


def _sizes(container: Mapping[str, Any]) -> tuple[str, Mapping[str, float]]:
    given = container.get("resources") or {}
    return container["name"], {
        f"{resource}_{kind}": parse_quantity(given[f"{kind}s"][resource])
        for kind in ("request", "limit")
        for resource in ("cpu", "memory")
        if (given.get(f"{kind}s") or {}).get(resource) is not None
    }


def _hpa_rows(namespace: str, name: str, spec: Mapping[str, Any]) -> list[Mapping[str, object]]:
    target = spec["scaleTargetRef"]
    base: dict[str, object] = {
        "namespace": namespace,
        "hpa": name,
        "workload": target["name"],
        "workload_kind": target["kind"],
        # The API server's default.
        "min_replicas": float(spec.get("minReplicas") or 1),
        "max_replicas": float(spec["maxReplicas"]),
    }
    if "targetCPUUtilizationPercentage" in spec:
        percent = float(spec["targetCPUUtilizationPercentage"])
        return [base | {"metric_type": "Resource", "metric": "cpu", "target_utilization": percent}]
    return [base | _hpa_metric(metric) for metric in spec.get("metrics") or []] or [base]


def _hpa_metric(metric: Mapping[str, Any]) -> dict[str, object]:
    kind = metric["type"]
    body = metric[kind[0].lower() + kind[1:]]
    target = body["target"]
    return {
        "metric_type": kind,
        "metric": body["name"] if "name" in body else body["metric"]["name"],
        "container": body.get("container"),
        "target_utilization": _number(target.get("averageUtilization")),
        "target_average_value": _number(target.get("averageValue")),
    }


def _number(value: Any) -> float | None:
    return None if value is None else parse_quantity(value)


def _budget(
    namespace: str,
    spec: Mapping[str, Any],
    templates: Mapping[tuple[str, str, str], KnownPod],
) -> KnownBudget:
    guarded = sorted(
        name
        for (where, _, name), template in templates.items()
        if where == namespace and _selects(spec.get("selector") or {}, template.labels)
    )
    return KnownBudget(
        workload=guarded[0] if guarded else None,
        min_available=_text(spec.get("minAvailable")),
        max_unavailable=_text(spec.get("maxUnavailable")),
    )


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector matches; an empty one matches every pod of the namespace."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for one in selector.get("matchExpressions") or []:
        there = one["key"] in labels
        among = labels.get(one["key"]) in (one.get("values") or [])
        holds = {
            "In": there and among,
            "NotIn": not (there and among),
            "Exists": there,
            "DoesNotExist": not there,
        }
        if not holds[one["operator"]]:
            return False
    return True


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
