"""Nodes, namespaces, autoscalers, disruption budgets and proxies of one day."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from rightsize.collectors.objects import KnownNode, Objects
from rightsize.collectors.prometheus.days import Day
from rightsize.collectors.prometheus.instances import inferred_type
from rightsize.collectors.prometheus.inventory import Answers, as_json
from rightsize.collectors.prometheus.labels import PodKey, namespace_of, node_of, pod_key
from rightsize.collectors.prometheus.parse import Answer, Labels
from rightsize.prices.node_kinds import NOT_EC2, is_extended, may_be_ec2, node_kind
from rightsize.snapshot.schema import WINDOW_SECONDS


def _written_back(*names: str) -> dict[str, str]:
    """Kubernetes labels by the names that kube-state-metrics gives them.

    It writes every character but letters and digits as `_`, and camelCase as snake_case since
    2.0, so that only known labels can be written back.
    """
    known: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9]", "_", name)
        snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", plain).lower()
        known |= {f"label_{plain}": name, f"label_{snake}": name}
    return known


_NODE_LABELS = _written_back(
    "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "kubernetes.io/hostname",
    "eks.amazonaws.com/nodegroup",
    "eks.amazonaws.com/capacityType",
    "eks.amazonaws.com/compute-type",
    "karpenter.sh/capacity-type",
    "karpenter.sh/nodepool",
    "karpenter.sh/provisioner-name",
    "alpha.eksctl.io/nodegroup-name",
)
_NAMESPACE_LABELS = _written_back(
    "istio-injection",
    "istio.io/rev",
    "istio.io/dataplane-mode",
    "istio.io/use-waypoint",
    "kubernetes.io/metadata.name",
    "topology.istio.io/network",
)


# `aws:///us-east-1a/i-0123`, `aws:///us-west-2-lax-1a/i-0123`: the zone begins with its region.
_PROVIDER_ID = re.compile(r"aws:///(([a-z]{2}(?:-[a-z]+)+-\d+)[a-z0-9-]*)/")


def nodes_frame(answers: Answers, day: Day, objects: Objects) -> pd.DataFrame:
    """Return the rows of table `nodes`."""
    info = answers["node_info"]
    seen = _spans(info, day)
    sizes: dict[str, dict[str, float]] = {}
    for family in ("capacity", "allocatable"):
        answer = answers[family]
        for labels, value in zip(answer.labels, answer.column, strict=True):
            name = f"{family}_{labels.get('resource')}"
            sizes.setdefault(node_of(labels), {})[name] = float(value)
    reported = {
        node_of(one): _known_labels(one, _NODE_LABELS) for one in answers["node_labels"].labels
    }
    about = _newest(info)
    rows = []
    for name in sorted({*seen, *sizes}):
        known = objects.node(name)
        labels = {**reported.get(name, {}), **known.labels}
        size = {**sizes.get(name, {}), **known.sizes}
        described = about.get(name, {})
        more = {
            key.removeprefix("allocatable_"): value
            for key, value in size.items()
            if key.startswith("allocatable_")
            and value > 0
            and is_extended(key.removeprefix("allocatable_"))
        }
        machine = described.get("provider_id") or known.provider_id or ""
        kind = node_kind(labels, _type_label(labels), more, name, machine)
        of_ec2 = kind not in NOT_EC2 and may_be_ec2(labels, machine)
        first, last = seen.get(name, (day.start + WINDOW_SECONDS, day.end))
        rows.append(
            _named_by(labels, known, size if of_ec2 else {}, described)
            | {
                "node": name,
                "provider_id": machine or None,
                "first_seen": pd.Timestamp(first, unit="s", tz="UTC"),
                "last_seen": pd.Timestamp(last, unit="s", tz="UTC"),
                "labels": as_json(labels) if labels else None,
                "taints": known.taints_json,
                "kind": kind,
                "extended": as_json(more) if more else None,
                "kubelet_version": described.get("kubelet_version") or known.kubelet_version,
            }
            | {key: size.get(key) for key in _SIZES}
        )
    return pd.DataFrame(rows)


_SIZES = (
    "capacity_cpu",
    "capacity_memory",
    "allocatable_cpu",
    "allocatable_memory",
    "allocatable_pods",
)


def namespaces_frame(answers: Answers, pods: Collection[PodKey], objects: Objects) -> pd.DataFrame:
    """Return the rows of table `namespaces`."""
    reported = {
        namespace_of(one): _known_labels(one, _NAMESPACE_LABELS)
        for one in answers["namespace_labels"].labels
    }
    # Without an allowlist kube-state-metrics shows no label of any namespace.
    shown = any(reported.values())
    rows = []
    for name in sorted({*(namespace for namespace, _ in pods), *reported} - {""}):
        labels = objects.namespaces.get(name, reported.get(name) if shown else None)
        rows.append({"namespace": name, "labels": as_json(labels) if labels is not None else None})
    return pd.DataFrame(rows)


def hpas_frame(answers: Answers, objects: Objects) -> pd.DataFrame:
    """Return the rows of table `hpas`: from the objects where they have it, else from metrics.

    kube-state-metrics does not say whether a metric is that of one container or of the whole pod.
    """
    scaled = {
        (namespace_of(one), one.get("horizontalpodautoscaler", "")): one
        for one in answers["hpa_targets"].labels
    }
    low, high = (_by_hpa(answers[name]) for name in ("hpa_min", "hpa_max"))
    written = {(str(row["namespace"]), str(row["hpa"])) for row in objects.hpas}
    rows = [
        row
        for row in _hpa_metrics(answers["hpa_metrics"])
        if (row["namespace"], row["hpa"]) not in written
    ]
    described = {(row["namespace"], row["hpa"]) for row in rows} | written
    for namespace, hpa in sorted((set(scaled) | set(high)) - described):
        rows.append({"namespace": namespace, "hpa": hpa})
    for row in rows:
        key = (str(row["namespace"]), str(row["hpa"]))
        target = scaled.get(key, {})
        row["workload"] = target.get("scaletargetref_name")
        row["workload_kind"] = target.get("scaletargetref_kind")
        row["min_replicas"], row["max_replicas"] = low.get(key), high.get(key)
    return pd.DataFrame([*rows, *(dict(row) for row in objects.hpas)])


def _hpa_metrics(answer: Answer) -> list[dict[str, object]]:
    """A row for each metric of each autoscaler, its targets of several types in one."""
    targets: dict[tuple[str, str, str, str], dict[str, float]] = {}
    for labels, value in zip(answer.labels, answer.column, strict=True):
        one = (
            namespace_of(labels),
            labels.get("horizontalpodautoscaler", ""),
            labels.get("metric_name", ""),
            _metric_container(labels),
        )
        targets.setdefault(one, {})[labels.get("metric_target_type", "")] = float(value)
    return [
        {
            "namespace": namespace,
            "hpa": hpa,
            "metric_type": _metric_type(metric, container),
            "metric": metric or None,
            "container": container or None,
            "target_utilization": by_type.get("utilization"),
            "target_average_value": by_type.get("average"),
        }
        for (namespace, hpa, metric, container), by_type in targets.items()
    ]


def pdbs_frame(answers: Answers, objects: Objects) -> pd.DataFrame:
    """Return the rows of table `pdbs`; what a budget demands is known from objects alone."""
    expected = _by_pdb(answers["pdb_expected"])
    allowed = _by_pdb(answers["pdb_allowed"])
    rows = []
    for namespace, name in sorted({*expected, *allowed}) or objects.pdb_names():
        known = objects.pdb(namespace, name)
        rows.append(
            {
                "namespace": namespace,
                "pdb": name,
                "workload": known.workload,
                "min_available": known.min_available,
                "max_unavailable": known.max_unavailable,
                "expected_pods": expected.get((namespace, name)),
                "disruptions_allowed": allowed.get((namespace, name)),
            }
        )
    return pd.DataFrame(rows)


def proxies_frame(answers: Answers, pods: Collection[PodKey]) -> pd.DataFrame:
    """Return the rows of table `proxies`, of known pods only."""
    own = ("active_clusters", "listeners", "concurrency", "total_connections")
    scraped = ("scrape_samples", "scrape_samples_a_day")
    found: dict[PodKey, dict[str, object]] = {}
    for name in (*own, *scraped):
        answer = answers[name]
        for labels, value in zip(answer.labels, answer.column, strict=True):
            key = pod_key(labels)
            # Every target has samples: only those of pods with an Envoy count.
            if key in pods and (name in own or key in found):
                row = found.setdefault(key, {"namespace": key[0], "pod": key[1]})
                column = name.removeprefix("scrape_").removeprefix("total_")
                row[column] = float(np.nanmax([value, row.get(column, np.nan)]))
    return pd.DataFrame(list(found.values()))


def _type_label(labels: Mapping[str, str]) -> str | None:
    return labels.get("node.kubernetes.io/instance-type") or labels.get(
        "beta.kubernetes.io/instance-type"
    )


def _named_by(
    labels: Mapping[str, str], known: KnownNode, size: Mapping[str, float], described: Labels
) -> dict[str, object]:
    def label(*names: str) -> str | None:
        return next((labels[name] for name in names if labels.get(name)), None)

    kernel = described.get("kernel_version", "")
    arch = label("kubernetes.io/arch", "beta.kubernetes.io/arch")
    if arch is None and kernel:
        arch = "arm64" if "aarch64" in kernel else "amd64" if "x86_64" in kernel else None
    named = _type_label(labels)
    origin = "objects" if known.labels else "label"
    if named is None and "capacity_cpu" in size and "capacity_memory" in size:
        named = inferred_type(size["capacity_cpu"], size["capacity_memory"], arch)
        origin = "inferred"
    capacity = label("eks.amazonaws.com/capacityType", "karpenter.sh/capacity-type")
    reported = _PROVIDER_ID.match(described.get("provider_id") or known.provider_id or "")
    return {
        "instance_type": named,
        "instance_type_source": origin if named is not None else None,
        "region": label("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
        or (reported.group(2) if reported else None),
        "zone": label("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
        or (reported.group(1) if reported else None),
        "capacity_type": capacity.lower().replace("_", "-") if capacity else None,
        "arch": arch,
        "node_group": label(
            "eks.amazonaws.com/nodegroup",
            "karpenter.sh/nodepool",
            "karpenter.sh/provisioner-name",
            "alpha.eksctl.io/nodegroup-name",
        ),
    }


def _newest(info: Answer) -> dict[str, Labels]:
    """Labels of each node's newest series: a node upgraded in place has two that day."""
    last = [int(max(np.flatnonzero(~np.isnan(row)), default=-1)) for row in info.values]
    order = sorted(range(len(last)), key=last.__getitem__)
    return {node_of(info.labels[at]): info.labels[at] for at in order}


def _spans(info: Answer, day: Day) -> dict[str, tuple[float, float]]:
    spans: dict[str, tuple[float, float]] = {}
    for labels, row in zip(info.labels, info.values[:, 1:], strict=True):
        seen = np.flatnonzero(~np.isnan(row))
        if len(seen):
            first, last = (float(day.start + WINDOW_SECONDS * (seen[i] + 1)) for i in (0, -1))
            name = node_of(labels)
            before = spans.get(name, (first, last))
            spans[name] = (min(first, before[0]), max(last, before[1]))
    return spans


def _known_labels(labels: Labels, names: Mapping[str, str]) -> dict[str, str]:
    return {names[key]: value for key, value in labels.items() if key in names and value}


def _by_hpa(answer: Answer) -> dict[PodKey, float]:
    return {
        (namespace_of(labels), labels.get("horizontalpodautoscaler", "")): float(value)
        for labels, value in zip(answer.labels, answer.column, strict=True)
    }


def _by_pdb(answer: Answer) -> dict[PodKey, float]:
    return {
        (namespace_of(labels), labels.get("poddisruptionbudget", "")): float(value)
        for labels, value in zip(answer.labels, answer.column, strict=True)
    }


def _metric_container(labels: Labels) -> str:
    """Container of a ContainerResource metric, not the exporter's own that scraping adds."""
    name = labels.get("exported_container") or labels.get("container", "")
    return "" if name == "kube-state-metrics" else name


def _metric_type(metric: str, container: str) -> str | None:
    """Pods, Object and External metrics look alike in kube-state-metrics."""
    if container:
        return "ContainerResource"
    return "Resource" if metric in ("cpu", "memory") else None
