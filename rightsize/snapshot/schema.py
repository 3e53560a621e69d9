"""Tables of a snapshot, column by column. `docs/snapshot.md` is written from this module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

SCHEMA_VERSION = 1

WINDOW_SECONDS = 300
"""Length of a usage window."""

_TEXT = pa.dictionary(pa.int32(), pa.string())
_TIME = pa.timestamp("ms", tz="UTC")
_FLOAT = pa.float64()
_SHORT = pa.float32()
_FLAG = pa.bool_()
_JSON = pa.string()


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type, its unit, and what it says."""

    name: str
    type: pa.DataType
    unit: str
    text: str


@dataclass(frozen=True)
class Table:
    """One kind of fact, stored as `<name>/<day>.parquet`; `key` names a row."""

    name: str
    text: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(column.name, column.type) for column in self.columns])

    def empty(self) -> pd.DataFrame:
        return pd.DataFrame(self.schema.empty_table().to_pandas())


def _table(
    name: str,
    grain: str,
    text: str,
    key: Sequence[str],
    columns: Sequence[tuple[str, pa.DataType, str, str]],
) -> Table:
    return Table(name, text, grain, tuple(key), tuple(Column(*column) for column in columns))


_POD = [
    ("namespace", _TEXT, "", "namespace of the pod"),
    ("pod", _TEXT, "", "name of the pod"),
]
_SEEN = [
    ("first_seen", _TIME, "", "end of the first window of the day in which it was seen"),
    ("last_seen", _TIME, "", "end of the last window of the day in which it was seen"),
]

USAGE = _table(
    "usage",
    "5 minutes",
    "What each mesh container used, in windows (time - 5 min, time]. A window without a sample "
    "has no row; a value that is not known is null.",
    ["time", "namespace", "pod", "container"],
    [
        ("time", _TIME, "", "end of the window"),
        *_POD,
        ("container", _TEXT, "", "name of the container"),
        (
            "cpu",
            _FLOAT,
            "cores",
            "increase of the CPU counter from the last sample of the window before to the last "
            "sample of this one, over 300 s; after a reset the counter's own value; a pod's first "
            "window counts from zero when the pod started in it, else it is null",
        ),
        ("memory", _FLOAT, "bytes", "highest working set sampled in the window"),
        ("periods", _SHORT, "periods", "CFS periods in the window; null without a CPU limit"),
        ("throttled_periods", _SHORT, "periods", "of these, throttled ones"),
    ],
)

PODS = _table(
    "pods",
    "day",
    "Every pod seen on the day, of the mesh or not.",
    ["namespace", "pod"],
    [
        *_POD,
        ("workload", _TEXT, "", "name of the owner at the end of the owner chain"),
        ("workload_kind", _TEXT, "", "Deployment, StatefulSet, DaemonSet, Job, Rollout, Pod, …"),
        ("node", _TEXT, "", "node it ran on; null while unscheduled"),
        ("phase", _TEXT, "", "last phase of the day"),
        ("qos_class", _TEXT, "", "Guaranteed, Burstable or BestEffort"),
        ("started", _TIME, "", "start time of the pod"),
        *_SEEN,
        ("host_network", _FLAG, "", "uses the node's network, so no pod IP; null if unknown"),
        (
            "scheduling",
            _JSON,
            "JSON",
            "nodeSelector, affinity, tolerations, "
            "topologySpreadConstraints, overhead, priority; null if unknown",
        ),
        ("labels", _JSON, "JSON", "labels of the pod; null if unknown"),
        ("annotations", _JSON, "JSON", "Istio's annotations of the pod; null if unknown"),
    ],
)

CONTAINERS = _table(
    "containers",
    "day",
    "Every container of every pod seen on the day, with what was in force at the end of it.",
    ["namespace", "pod", "container"],
    [
        *_POD,
        ("container", _TEXT, "", "name of the container"),
        (
            "component",
            _TEXT,
            "",
            "sidecar, istiod, gateway, waypoint, ztunnel or istio-cni; null for everything else",
        ),
        ("init", _FLAG, "", "it is an init container"),
        ("native", _FLAG, "", "it is a native sidecar: an init container that keeps running"),
        ("cpu_request", _FLOAT, "cores", "CPU request; null if not set"),
        ("cpu_limit", _FLOAT, "cores", "CPU limit; null if not set"),
        ("memory_request", _FLOAT, "bytes", "memory request; null if not set"),
        ("memory_limit", _FLOAT, "bytes", "memory limit; null if not set"),
        ("restarts", _SHORT, "restarts", "restarts during the day; null if unknown"),
        ("oom_kills", _SHORT, "kills", "OOM kills during the day; null if unknown"),
    ],
)

NODES = _table(
    "nodes",
    "day",
    "Every node seen on the day.",
    ["node"],
    [
        ("node", _TEXT, "", "name of the node"),
        ("instance_type", _TEXT, "", "EC2 instance type; null if unknown"),
        ("instance_type_source", _TEXT, "", "`label`, `objects` or `inferred` (from capacity)"),
        ("region", _TEXT, "", "AWS region; null if unknown"),
        ("zone", _TEXT, "", "availability zone; null if unknown"),
        ("capacity_type", _TEXT, "", "`on-demand` or `spot`; null if unknown"),
        ("arch", _TEXT, "", "`amd64` or `arm64`; null if unknown"),
        ("provider_id", _TEXT, "", "`aws:///<zone>/<instance id>`; null if unknown"),
        ("node_group", _TEXT, "", "EKS node group or Karpenter pool; null if unknown"),
        ("capacity_cpu", _FLOAT, "cores", "CPU of the machine"),
        ("capacity_memory", _FLOAT, "bytes", "memory of the machine"),
        ("allocatable_cpu", _FLOAT, "cores", "CPU pods may request"),
        ("allocatable_memory", _FLOAT, "bytes", "memory pods may request"),
        ("allocatable_pods", _FLOAT, "pods", "pods it may hold"),
        *_SEEN,
        ("labels", _JSON, "JSON", "labels of the node; null if unknown"),
        ("taints", _JSON, "JSON", "taints of the node; null if unknown"),
    ],
)

NAMESPACES = _table(
    "namespaces",
    "day",
    "Every namespace seen on the day.",
    ["namespace"],
    [
        ("namespace", _TEXT, "", "name of the namespace"),
        ("labels", _JSON, "JSON", "its labels; null if unknown"),
    ],
)

HPAS = _table(
    "hpas",
    "day",
    "One row for each metric of each HorizontalPodAutoscaler.",
    ["namespace", "hpa", "metric_type", "metric", "container"],
    [
        ("namespace", _TEXT, "", "namespace of the autoscaler"),
        ("hpa", _TEXT, "", "its name"),
        ("workload", _TEXT, "", "workload it scales"),
        ("workload_kind", _TEXT, "", "kind of that workload"),
        ("min_replicas", _FLOAT, "pods", "lower bound"),
        ("max_replicas", _FLOAT, "pods", "upper bound"),
        ("metric_type", _TEXT, "", "Resource, ContainerResource, Pods, Object or External"),
        ("metric", _TEXT, "", "cpu, memory or the metric's name; null if unknown"),
        ("container", _TEXT, "", "container of a ContainerResource metric"),
        ("target_utilization", _FLOAT, "percent", "target share of the request"),
        ("target_average_value", _FLOAT, "", "target average value, in the metric's unit"),
    ],
)

PDBS = _table(
    "pdbs",
    "day",
    "PodDisruptionBudgets and the workload they guard.",
    ["namespace", "pdb"],
    [
        ("namespace", _TEXT, "", "namespace of the budget"),
        ("pdb", _TEXT, "", "its name"),
        ("workload", _TEXT, "", "workload whose pods it selects; null if unknown"),
        ("min_available", _TEXT, "pods or percent", "as written; null if not set"),
        ("max_unavailable", _TEXT, "pods or percent", "as written; null if not set"),
        ("expected_pods", _FLOAT, "pods", "pods counted by the budget; null if unknown"),
        ("disruptions_allowed", _FLOAT, "pods", "lowest number allowed that day; null if unknown"),
    ],
)

CONTROL_PLANE = _table(
    "control_plane",
    "1 hour",
    "istiod's own metrics in windows (time - 1 h, time]: gauges as the window's maximum, counters "
    "and histogram buckets as the window's increase.",
    ["time", "pod", "metric", "label"],
    [
        ("time", _TIME, "", "end of the window"),
        ("pod", _TEXT, "", "istiod pod"),
        ("metric", _TEXT, "", "the metric's name, as istiod exposes it"),
        (
            "label",
            _TEXT,
            "",
            "the one label that matters, as `name=value` (`le=0.5`, `type=cds`, "
            "`version=1.30.3`), empty if none",
        ),
        ("value", _FLOAT, "as the metric", "maximum or increase"),
    ],
)

TRAFFIC = _table(
    "traffic",
    "1 hour",
    "Traffic between workloads in windows (time - 1 h, time], as increases of Istio's counters.",
    ["time", "source_namespace", "source_workload", "destination_service", "protocol"],
    [
        ("time", _TIME, "", "end of the window"),
        ("source_namespace", _TEXT, "", "namespace of the caller; `unknown` outside the mesh"),
        ("source_workload", _TEXT, "", "caller; `unknown` outside the mesh"),
        ("destination_namespace", _TEXT, "", "namespace of the called workload"),
        ("destination_workload", _TEXT, "", "called workload; `unknown` outside the mesh"),
        ("destination_service", _TEXT, "", "host that was called"),
        ("protocol", _TEXT, "", "http, grpc or tcp"),
        ("requests", _FLOAT, "requests", "requests; connections opened for tcp"),
        ("errors", _FLOAT, "requests", "of these, answered with 5xx or a gRPC failure"),
        ("mutual_tls", _FLOAT, "requests", "of these, with mutual TLS; null if unknown"),
        ("duration_seconds", _FLOAT, "seconds", "sum of the request durations; null for tcp"),
        ("bytes", _FLOAT, "bytes", "request and response bytes together"),
    ],
)

PROXIES = _table(
    "proxies",
    "day",
    "What each Envoy tells of itself; empty where proxies are not scraped.",
    ["namespace", "pod"],
    [
        *_POD,
        ("active_clusters", _FLOAT, "clusters", "highest number of active clusters"),
        ("listeners", _FLOAT, "listeners", "highest number of active listeners"),
        ("concurrency", _FLOAT, "threads", "worker threads"),
    ],
)

PRICES = _table(
    "prices",
    "day",
    "EC2 prices and instances as AWS told them that day; empty where AWS was not asked.",
    ["instance_type", "purchase_option", "zone"],
    [
        ("instance_type", _TEXT, "", "EC2 instance type"),
        ("region", _TEXT, "", "AWS region"),
        ("zone", _TEXT, "", "availability zone of a Spot price; null otherwise"),
        ("purchase_option", _TEXT, "", "on-demand, spot or savings-plan"),
        ("usd_per_hour", _FLOAT, "USD/h", "price of one instance"),
        ("source", _TEXT, "", "where the price comes from"),
        ("as_of", _TIME, "", "when it was valid"),
        ("lowest", _FLOAT, "USD/h", "lowest Spot price of the days asked for; null otherwise"),
        ("highest", _FLOAT, "USD/h", "highest Spot price of the days asked for; null otherwise"),
    ],
)

INSTANCE_TYPES = _table(
    "instance_types",
    "day",
    "EC2 instance types of the region as AWS told them; empty where AWS was not asked.",
    ["instance_type"],
    [
        ("instance_type", _TEXT, "", "EC2 instance type"),
        ("vcpu", _FLOAT, "vCPUs", "default vCPUs"),
        ("memory", _FLOAT, "bytes", "memory of the machine"),
        ("arch", _TEXT, "", "`amd64` or `arm64`; Mac machines with `-mac` behind"),
        ("max_enis", _FLOAT, "interfaces", "network interfaces of the default card"),
        ("ipv4_per_eni", _FLOAT, "addresses", "IPv4 addresses of one interface"),
        ("hypervisor", _TEXT, "", "nitro or xen; null for bare metal"),
        ("bare_metal", _FLAG, "", "it has no hypervisor"),
        ("burstable", _FLAG, "", "CPU above its baseline runs on credits"),
        ("current_generation", _FLAG, "", "AWS counts it to the current generation"),
        ("gpus", _FLOAT, "GPUs", "number of GPUs"),
    ],
)

INSTANCES = _table(
    "instances",
    "day",
    "EC2 instances that carry the cluster's tag; empty where AWS was not asked.",
    ["instance_id"],
    [
        ("instance_id", _TEXT, "", "EC2 instance"),
        ("node", _TEXT, "", "private DNS name, which is the node's name unless configured else"),
        ("instance_type", _TEXT, "", "EC2 instance type"),
        ("zone", _TEXT, "", "availability zone"),
        ("purchase_option", _TEXT, "", "on-demand, spot, scheduled or capacity-block"),
        ("node_group", _TEXT, "", "EKS node group or Karpenter pool of its tags; null if none"),
        ("launched", _TIME, "", "when it was launched"),
        ("root_gib", _FLOAT, "GiB", "size of the root volume; null if unknown"),
        ("root_type", _TEXT, "", "type of the root volume (gp3, gp2, …); null if unknown"),
    ],
)

COMMITMENTS = _table(
    "commitments",
    "day",
    "What the account has committed to pay, and how much of its EC2 use that covers.",
    ["commitment"],
    [
        ("commitment", _TEXT, "", "its id, or `coverage` for the share Cost Explorer tells"),
        (
            "kind",
            _TEXT,
            "",
            "compute-savings-plan, instance-savings-plan, reserved-instance, setting, coverage, "
            "`none` (asked, there is none) or `unknown` (a part could not be asked)",
        ),
        ("family", _TEXT, "", "instance family it is bound to; null if any"),
        ("instance_type", _TEXT, "", "instance type of a reservation; null otherwise"),
        ("zone", _TEXT, "", "zone of a zonal reservation; null otherwise"),
        ("count", _FLOAT, "instances", "reserved instances; null otherwise"),
        ("usd_per_hour", _FLOAT, "USD/h", "what is paid whether used or not; null if unknown"),
        ("discount", _FLOAT, "share", "discount on on-demand prices; null if unknown"),
        ("covered_share", _FLOAT, "share", "share of on-demand spend covered; coverage only"),
        ("ends", _TIME, "", "when it ends; null if unknown"),
        ("source", _TEXT, "", "where it comes from"),
    ],
)

SCALING_EVENTS = _table(
    "scaling_events",
    "day",
    "Activities of the cluster's Auto Scaling groups; AWS keeps six weeks of them.",
    ["activity"],
    [
        ("activity", _TEXT, "", "id of the activity"),
        ("time", _TIME, "", "when it began"),
        ("group", _TEXT, "", "Auto Scaling group"),
        ("kind", _TEXT, "", "launch, terminate or other"),
        ("status", _TEXT, "", "Successful, Failed, Cancelled, …"),
        ("cause", _TEXT, "", "what AWS gives as the cause"),
    ],
)

BILL = _table(
    "bill",
    "day",
    "The month's bill by Cost Explorer; empty unless it was asked for (each request costs money).",
    ["start", "service", "usage_type"],
    [
        ("start", _TIME, "", "first day of the period"),
        ("end", _TIME, "", "day after the last day of the period"),
        ("service", _TEXT, "", "AWS service"),
        ("usage_type", _TEXT, "", "usage type, as `BoxUsage:m5.large`"),
        ("category", _TEXT, "", "ec2, ebs, data-transfer, load-balancer, eks, nat or other"),
        ("unblended_usd", _FLOAT, "USD", "cost as charged in the period"),
        ("amortized_usd", _FLOAT, "USD", "cost with upfront fees spread; null if unknown"),
        ("usage", _FLOAT, "as unit", "quantity used"),
        ("unit", _TEXT, "", "unit of the quantity"),
        ("estimated", _FLAG, "", "AWS may still change it"),
        ("scope", _TEXT, "", "`account`, or the tag and value it was filtered by"),
    ],
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        USAGE,
        PODS,
        CONTAINERS,
        NODES,
        NAMESPACES,
        HPAS,
        PDBS,
        CONTROL_PLANE,
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


def to_arrow(spec: Table, rows: pd.DataFrame) -> pa.Table:
    """Convert to the table's Arrow schema, filling absent columns with nulls."""
    arrays = []
    for column in spec.columns:
        if column.name not in rows.columns:
            arrays.append(pa.nulls(len(rows), column.type))
            continue
        values = rows[column.name]
        if pa.types.is_dictionary(column.type):
            values = values.astype("category")
        array = pa.Array.from_pandas(values)
        if pa.types.is_dictionary(column.type) and not pa.types.is_dictionary(array.type):
            array = array.cast(pa.string()).dictionary_encode()
        arrays.append(array.cast(column.type))
    return pa.Table.from_arrays(
        [a.combine_chunks() if isinstance(a, pa.ChunkedArray) else a for a in arrays],
        schema=spec.schema,
    )
