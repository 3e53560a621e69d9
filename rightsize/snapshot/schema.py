"""Tables of a snapshot, column by column. `docs/snapshot.md` is written from this module."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from rightsize.snapshot.aws_tables import (
    BILL,
    COMMITMENTS,
    INSTANCE_TYPES,
    INSTANCES,
    PRICES,
    SCALING_EVENTS,
)
from rightsize.snapshot.columns import (
    FLAG,
    FLOAT,
    JSON,
    LARGEST_CPU,
    LARGEST_MEMORY,
    SHORT,
    TEXT,
    TIME,
    Table,
    make_table,
    to_arrow,
)
from rightsize.snapshot.rule_tables import LIMIT_RANGES, RESOURCE_QUOTAS, VPAS
from rightsize.snapshot.summary_table import SUMMARIES

SCHEMA_VERSION = 1

WINDOW_SECONDS = 300
"""Length of a usage window."""
_MOST_REPLICAS = 2.0**31
"""Kubernetes counts them in 32 bits."""
LEFT_OUT_CAUSES = {
    "start time moved": "its counter went on over a gap under a new start time, as after a restart "
    "of the kubelet",
    "cpu above node": "more CPU than the node has, as after a restart of the kubelet",
    "cpu above limit": "more CPU than the limit allows, as after a restart of the kubelet",
    "memory above node": "more memory than the node has, as after an exporter's underflow",
}
"""Why windows that no machine can have produced are left out, in words."""
_POD = [
    ("namespace", TEXT, "", "namespace of the pod"),
    ("pod", TEXT, "", "name of the pod"),
]
_SEEN = [
    ("first_seen", TIME, "", "end of the first window of the day in which it was seen"),
    ("last_seen", TIME, "", "end of the last window of the day in which it was seen"),
]

USAGE = make_table(
    "usage",
    "5 minutes",
    "What each mesh container used, in windows (time - 5 min, time]. A window without a sample "
    "has no row; a value that is not known is null.",
    ["time", "namespace", "pod", "container"],
    [
        ("time", TIME, "", "end of the window"),
        *_POD,
        ("container", TEXT, "", "name of the container"),
        (
            "cpu",
            FLOAT,
            "cores",
            "increase of the CPU counter from the last sample before the window to the last "
            "sample of the window, over `seconds`; after a reset the counter's own value; a "
            "container's first window counts from zero when it started at most two windows ago, "
            "else it is null; null where no machine can have done it",
        ),
        (
            "seconds",
            SHORT,
            "seconds",
            "time between these samples, or since the start: the sum of `cpu` times `seconds` is "
            "the counter's increase, and a window's weight; null where `cpu` is",
        ),
        ("memory", FLOAT, "bytes", "highest working set sampled in the window"),
        ("periods", SHORT, "periods", "CFS periods in the window; null without a CPU limit"),
        ("throttled_periods", SHORT, "periods", "of these, throttled ones"),
    ],
    most={"cpu": LARGEST_CPU, "memory": LARGEST_MEMORY},
    later=["seconds"],
)

PODS = make_table(
    "pods",
    "day",
    "Every pod seen on the day, of the mesh or not.",
    ["namespace", "pod"],
    [
        *_POD,
        ("workload", TEXT, "", "name of the owner at the end of the owner chain"),
        ("workload_kind", TEXT, "", "Deployment, StatefulSet, DaemonSet, Job, Rollout, Pod, …"),
        ("node", TEXT, "", "node it ran on; null while unscheduled"),
        ("phase", TEXT, "", "last phase of the day"),
        (
            "ended",
            TIME,
            "",
            "when its containers ended (Succeeded, Failed, evicted); null while it runs. Its row "
            "speaks of the time before, and days after it have none",
        ),
        ("qos_class", TEXT, "", "Guaranteed, Burstable or BestEffort"),
        ("started", TIME, "", "start time of the pod"),
        *_SEEN,
        (
            "described",
            FLAG,
            "",
            "`kube_pod_info` has it; false: it is known by its usage alone; null in files of "
            "earlier releases",
        ),
        ("host_network", FLAG, "", "uses the node's network, so no pod IP; null if unknown"),
        (
            "privileged",
            FLAG,
            "",
            "a container is privileged, or it sees the node's processes; null if unknown",
        ),
        (
            "scheduling",
            JSON,
            "JSON",
            "nodeSelector, affinity, tolerations, "
            "topologySpreadConstraints, overhead, priority; null if unknown",
        ),
        ("labels", JSON, "JSON", "labels of the pod; null if unknown"),
        (
            "annotations",
            JSON,
            "JSON",
            "annotations of the pod that are Istio's or an autoscaler's; null if unknown",
        ),
    ],
    later=["ended", "described", "privileged"],
)

CONTAINERS = make_table(
    "containers",
    "day",
    "Every container of every pod seen on the day, with what was in force at the end of it.",
    ["namespace", "pod", "container"],
    [
        *_POD,
        ("container", TEXT, "", "name of the container"),
        (
            "component",
            TEXT,
            "",
            "sidecar, istiod, gateway, waypoint, ztunnel or istio-cni; null for everything else",
        ),
        ("init", FLAG, "", "it is an init container"),
        ("native", FLAG, "", "it is a native sidecar: an init container that keeps running"),
        ("cpu_request", FLOAT, "cores", "CPU request; null if not set or unknown"),
        ("cpu_limit", FLOAT, "cores", "CPU limit; null if not set or unknown"),
        ("memory_request", FLOAT, "bytes", "memory request; null if not set or unknown"),
        ("memory_limit", FLOAT, "bytes", "memory limit; null if not set or unknown"),
        (
            "requests_known",
            FLAG,
            "",
            "requests were reported that day: a null request is one that is not set; false: it is "
            "unknown; null in files of earlier releases",
        ),
        ("limits_known", FLAG, "", "the same for limits"),
        ("restarts", SHORT, "restarts", "restarts during the day; null if unknown"),
        ("oom_kills", SHORT, "kills", "OOM kills during the day; null if unknown"),
        (
            "cpu_burst",
            FLOAT,
            "cores",
            "highest CPU over two scrapes; null where scrapes are more than 30 seconds apart, and for "
            "pods of which nothing much was to be expected",
        ),
        (
            "left_out",
            SHORT,
            "windows",
            "windows of the day without a value because no machine can have produced it",
        ),
        (
            "left_out_cause",
            TEXT,
            "",
            "why most of them: "
            + ", ".join(f"`{cause}` ({words})" for cause, words in LEFT_OUT_CAUSES.items()),
        ),
    ],
    later=["requests_known", "limits_known", "cpu_burst", "left_out", "left_out_cause"],
)

NODES = make_table(
    "nodes",
    "day",
    "Every node seen on the day.",
    ["node"],
    [
        ("node", TEXT, "", "name of the node"),
        ("instance_type", TEXT, "", "EC2 instance type; null if unknown"),
        ("instance_type_source", TEXT, "", "`label`, `objects` or `inferred` (from capacity)"),
        ("region", TEXT, "", "AWS region; null if unknown"),
        ("zone", TEXT, "", "availability zone; null if unknown"),
        ("capacity_type", TEXT, "", "`on-demand` or `spot`; null if unknown"),
        ("arch", TEXT, "", "`amd64` or `arm64`; null if unknown"),
        ("provider_id", TEXT, "", "`aws:///<zone>/<instance id>`; null if unknown"),
        ("node_group", TEXT, "", "EKS node group or Karpenter pool; null if unknown"),
        ("capacity_cpu", FLOAT, "cores", "CPU of the machine"),
        ("capacity_memory", FLOAT, "bytes", "memory of the machine"),
        ("allocatable_cpu", FLOAT, "cores", "CPU pods may request"),
        ("allocatable_memory", FLOAT, "bytes", "memory pods may request"),
        ("allocatable_pods", FLOAT, "pods", "pods it may hold"),
        *_SEEN,
        ("labels", JSON, "JSON", "labels of the node; null if unknown"),
        ("taints", JSON, "JSON", "taints of the node; null if unknown"),
        (
            "kind",
            TEXT,
            "",
            "`ec2`, `auto`, `fargate`, `hybrid`, `windows`, `accelerator`, `hugepages` or "
            "`local-nvme`; null in files of earlier releases",
        ),
        ("extended", JSON, "JSON", "extended resources and hugepages it offers; null if none"),
        (
            "kubelet_version",
            TEXT,
            "",
            "release of its kubelet, such as `v1.33.5-eks-…`; null if unknown",
        ),
    ],
    most={
        **dict.fromkeys(("capacity_cpu", "allocatable_cpu"), LARGEST_CPU),
        **dict.fromkeys(("capacity_memory", "allocatable_memory"), LARGEST_MEMORY),
        "allocatable_pods": 1e5,
    },
    later=["kind", "extended", "kubelet_version"],
)

NAMESPACES = make_table(
    "namespaces",
    "day",
    "Every namespace seen on the day.",
    ["namespace"],
    [
        ("namespace", TEXT, "", "name of the namespace"),
        ("labels", JSON, "JSON", "its labels; null if unknown"),
    ],
)

HPAS = make_table(
    "hpas",
    "day",
    "One row for each metric of each HorizontalPodAutoscaler.",
    ["namespace", "hpa", "metric_type", "metric", "container"],
    [
        ("namespace", TEXT, "", "namespace of the autoscaler"),
        ("hpa", TEXT, "", "its name"),
        ("workload", TEXT, "", "workload it scales"),
        ("workload_kind", TEXT, "", "kind of that workload"),
        ("min_replicas", FLOAT, "pods", "lower bound"),
        ("max_replicas", FLOAT, "pods", "upper bound"),
        ("metric_type", TEXT, "", "Resource, ContainerResource, Pods, Object or External"),
        ("metric", TEXT, "", "cpu, memory or the metric's name; null if unknown"),
        ("container", TEXT, "", "container of a ContainerResource metric"),
        ("target_utilization", FLOAT, "percent", "target share of the request"),
        ("target_average_value", FLOAT, "", "target average value, in the metric's unit"),
    ],
    most=dict.fromkeys(("min_replicas", "max_replicas", "target_utilization"), _MOST_REPLICAS),
)

PDBS = make_table(
    "pdbs",
    "day",
    "PodDisruptionBudgets and the workload they guard.",
    ["namespace", "pdb"],
    [
        ("namespace", TEXT, "", "namespace of the budget"),
        ("pdb", TEXT, "", "its name"),
        ("workload", TEXT, "", "workload of the pods that it selects; null if unknown"),
        ("min_available", TEXT, "pods or percent", "as written; null if not set"),
        ("max_unavailable", TEXT, "pods or percent", "as written; null if not set"),
        ("expected_pods", FLOAT, "pods", "pods counted by the budget; null if unknown"),
        ("disruptions_allowed", FLOAT, "pods", "lowest number allowed that day; null if unknown"),
    ],
)

_SERIES_KEY = ["time", "pod", "metric", "label"]
_METRIC = ("metric", TEXT, "", "the metric's name, as the program exposes it")
_VALUE = ("value", FLOAT, "as the metric", "maximum or increase")

CONTROL_PLANE = make_table(
    "control_plane",
    "1 hour",
    "istiod's own metrics in windows (time - 1 h, time]: gauges as the window's maximum, counters "
    "and histogram buckets as the window's increase.",
    _SERIES_KEY,
    [
        ("time", TIME, "", "end of the window"),
        ("pod", TEXT, "", "istiod pod"),
        _METRIC,
        (
            "label",
            TEXT,
            "",
            "the one label that matters, as `name=value` (`le=0.5`, `type=cds`, "
            "`version=1.30.3`), empty if none",
        ),
        _VALUE,
    ],
)

DNS = make_table(
    "dns",
    "1 hour",
    "What CoreDNS reports of itself, in the same windows and form; `coredns_cpu_peak` (cores), "
    "`coredns_memory` (bytes), `coredns_requests_peak` and `coredns_forwards_peak` (a second) are "
    "the highest 5 minutes of the window. Empty where CoreDNS is not scraped.",
    _SERIES_KEY,
    [
        ("time", TIME, "", "end of the window"),
        ("pod", TEXT, "", "pod of CoreDNS or of NodeLocal DNSCache; empty for Istio's agents"),
        _METRIC,
        (
            "label",
            TEXT,
            "",
            "the one label that matters (`rcode=NXDOMAIN`, `le=0.004`, `namespace=shop` of "
            "`istio_agent_dns_*`), empty if none",
        ),
        _VALUE,
    ],
)

TRAFFIC = make_table(
    "traffic",
    "1 hour",
    "Traffic between workloads in windows (time - 1 h, time], as increases of Istio's counters.",
    ["time", "source_namespace", "source_workload", "destination_service", "protocol"],
    [
        ("time", TIME, "", "end of the window"),
        ("source_namespace", TEXT, "", "namespace of the caller; `unknown` outside the mesh"),
        ("source_workload", TEXT, "", "caller; `unknown` outside the mesh"),
        ("destination_namespace", TEXT, "", "namespace of the called workload"),
        ("destination_workload", TEXT, "", "called workload; `unknown` outside the mesh"),
        ("destination_service", TEXT, "", "host that was called"),
        ("protocol", TEXT, "", "http, grpc or tcp"),
        ("requests", FLOAT, "requests", "requests; connections opened for tcp"),
        ("errors", FLOAT, "requests", "of these, answered with 5xx or a gRPC failure"),
        ("mutual_tls", FLOAT, "requests", "of these, with mutual TLS; null if unknown"),
        ("duration_seconds", FLOAT, "seconds", "sum of the request durations; null for tcp"),
        ("bytes", FLOAT, "bytes", "request and response bytes together"),
    ],
    most={
        **dict.fromkeys(("requests", "errors", "mutual_tls"), 1e13),
        **dict.fromkeys(("duration_seconds", "bytes"), 1e18),
    },
)

PROXIES = make_table(
    "proxies",
    "day",
    "What each Envoy reports of itself; empty where proxies are not scraped.",
    ["namespace", "pod"],
    [
        *_POD,
        ("active_clusters", FLOAT, "clusters", "highest number of active clusters"),
        ("listeners", FLOAT, "listeners", "highest number of active listeners"),
        ("concurrency", FLOAT, "threads", "worker threads"),
        ("connections", FLOAT, "connections", "most connections at once, from and to it"),
        ("samples", FLOAT, "samples", "most samples in one scrape of a target of the pod"),
        ("samples_a_day", FLOAT, "samples", "samples that the day's scrapes of the pod stored"),
    ],
    most={
        **dict.fromkeys(("active_clusters", "listeners", "connections", "samples"), 1e9),
        "concurrency": LARGEST_CPU,
        "samples_a_day": 1e12,
    },
    later=["connections", "samples", "samples_a_day"],
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        USAGE,
        SUMMARIES,
        PODS,
        CONTAINERS,
        NODES,
        NAMESPACES,
        HPAS,
        PDBS,
        LIMIT_RANGES,
        RESOURCE_QUOTAS,
        VPAS,
        CONTROL_PLANE,
        DNS,
        TRAFFIC,
        PROXIES,
        PRICES,
        INSTANCE_TYPES,
        INSTANCES,
        COMMITMENTS,
        SCALING_EVENTS,
        BILL,
    )
}


def frame(table: str, rows: pd.DataFrame | Mapping[str, object] | None = None) -> pd.DataFrame:
    """Return `rows` with exactly the table's columns and types; absent columns become null.

    Raises
    ------
    ValueError
        For a column that the table does not have.
    """
    spec = TABLES[table]
    if rows is None:
        return spec.empty()
    given = pd.DataFrame(rows)
    unknown = set(given.columns) - {column.name for column in spec.columns}
    if unknown:
        raise ValueError(f"table {table} has no column {', '.join(sorted(unknown))}")
    return pd.DataFrame(to_arrow(spec, given).to_pandas())
