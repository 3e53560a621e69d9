"""Every query the collector makes, with the metrics it reads and what their absence costs.

In a query's text `$M` stands for the extra label matchers, `$window`, `$hour` and `$day` for
durations that a server reads as left-open intervals: Prometheus 3 and VictoriaMetrics take
`(t-5m, t]` for `[5m]`; Prometheus 2 takes `[t-5m, t]`, where a sample on the border would count
twice, so it is asked for a millisecond less.

Labels differ between set-ups (`container` or `container_name`, `pod` or, where the scraper renamed
it, `exported_pod`): a selector on such a label is written once for each name and joined by `or`,
which costs the server an index lookup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rightsize.collectors.prometheus.dns_queries import DNS
from rightsize.collectors.prometheus.istio_queries import CONTROL_PLANE, TRAFFIC
from rightsize.collectors.prometheus.parse import Answer, possible
from rightsize.collectors.prometheus.query import Query, Shape
from rightsize.snapshot.schema import LARGEST_MEMORY

MESH_CONTAINERS = "istio-proxy|discovery|install-cni"


def _either(text: str, *labels: str) -> str:
    return " or ".join(text.replace("$label", label) for label in labels)


def _mesh(function: str, metric: str, over: str) -> str:
    text = f'{function}({metric}{{$label=~"{MESH_CONTAINERS}",$M}}[{over}])'
    return _either(text, "container", "container_name")


_LAST_TIME = 7.2e9
"""Seconds of the year 2198."""


def _cadvisor(name: str, metric: str, function: str, costs: str, most: float = Query.most) -> Query:
    text = _mesh(function, metric, "$window")
    return Query(name, Shape.WINDOWS, text, (metric,), costs, most=most)


def _last(
    name: str,
    metric: str,
    costs: str,
    selector: str = "",
    optional: bool = False,
    most: float = Query.most,
) -> Query:
    text = f"last_over_time({metric}{{{selector}$M}}[$day])"
    return Query(name, Shape.DAY, text, (metric,), costs, optional, most)


USAGE: tuple[Query, ...] = (
    _cadvisor(
        "cpu", "container_cpu_usage_seconds_total", "last_over_time", "CPU cannot be sized at all"
    ),
    _cadvisor(
        "memory",
        "container_memory_working_set_bytes",
        "max_over_time",
        "memory cannot be sized",
        LARGEST_MEMORY,
    ),
    _cadvisor(
        "periods",
        "container_cpu_cfs_periods_total",
        "last_over_time",
        "throttling stays unseen: a limit that starves a proxy looks like an idle one",
    ),
    _cadvisor(
        "throttled",
        "container_cpu_cfs_throttled_periods_total",
        "last_over_time",
        "throttling stays unseen: a limit that starves a proxy looks like an idle one",
    ),
)

CONTAINER_STARTS = Query(
    "container_starts",
    Shape.DAY,
    # From an hour before the day: a kubelet that restarts at midnight gives a new start time.
    _mesh("min_over_time", "container_start_time_seconds", "25h"),
    ("container_start_time_seconds",),
    "the first 5 minutes of a restarted container may lack their CPU",
    True,
    _LAST_TIME,
)
LATEST_STARTS = Query(
    "latest_starts",
    Shape.DAY,
    _mesh("max_over_time", "container_start_time_seconds", "$day"),
    ("container_start_time_seconds",),
    optional=True,
)

SAMPLE_COUNTS = Query(
    "sample_counts",
    Shape.DAY,
    _mesh("count_over_time", "container_cpu_usage_seconds_total", "$day"),
    ("container_cpu_usage_seconds_total",),
    optional=True,
)


def _of_cpu(name: str, shape: Shape, text: str, pods: str | None) -> Query:
    """A question about the CPU counters, `$series` in its text, of the pods a pattern names."""
    metric = "container_cpu_usage_seconds_total"
    parts = [
        text.replace(
            "$series",
            f'{metric}{{{container}=~"{MESH_CONTAINERS}",'
            + (f"{pod}=~{pods}," if pods is not None else "")
            + "$M}",
        )
        for container, pod in (("container", "pod"), ("container_name", "pod_name"))
    ]
    return Query(name, shape, " or ".join(parts), (metric,))


def sample_times(pods: str | None) -> Query:
    """When the last CPU sample of each window was taken, of the pods a regular expression names."""
    return _of_cpu("sample_times", Shape.WINDOWS, "timestamp($series)", pods)


def ended_sample_times(pods: str | None) -> Query:
    """The same for series that ended within a window, which the server calls stale at its end."""
    text = "max_over_time(timestamp($series)[$window:10s])"
    return _of_cpu("ended_times", Shape.WINDOWS, text, pods)


def short_rates(pods: str, interval: int) -> Query:
    """The day's highest rate over two scrapes, `interval` seconds apart, of these pods.

    Twice a scrape, as no two scrapes are apart by that exactly: else one pair or another is missed.
    """
    rate = f"rate($series[{2 * interval - 1}s999ms])"
    text = f"max_over_time({rate}[$day:{interval // 2}s])"
    return _of_cpu("short_rates", Shape.DAY, text, pods)


POD_WINDOWS = Query(
    "pod_info",
    Shape.WINDOWS,
    "last_over_time(kube_pod_info{$M}[$window])",
    ("kube_pod_info",),
    "nodes of pods and pods without a proxy are unknown: no node plan",
)
NODE_WINDOWS = Query(
    "node_info",
    Shape.WINDOWS,
    "last_over_time(kube_node_info{$M}[$window])",
    ("kube_node_info",),
    "nodes are known only by their capacity",
)

_SIZE = 'resource=~"cpu|memory",'
_NO_SIZE = "what is requested today is unknown, so no change can be stated"

INVENTORY: tuple[Query, ...] = (
    _last("requests", "kube_pod_container_resource_requests", _NO_SIZE, _SIZE),
    _last("limits", "kube_pod_container_resource_limits", _NO_SIZE, _SIZE),
    _last(
        "init_requests",
        "kube_pod_init_container_resource_requests",
        "requests of native sidecars are unknown (fine where there are none)",
        _SIZE,
        True,
    ),
    _last(
        "init_limits",
        "kube_pod_init_container_resource_limits",
        "limits of native sidecars are unknown (fine where there are none)",
        _SIZE,
        True,
    ),
    _last(
        "containers",
        "kube_pod_container_info",
        "containers without requests are overlooked; gateways are distinguished from sidecars by name",
    ),
    _last(
        "init_containers",
        "kube_pod_init_container_info",
        "native sidecars are recognized by their name alone",
        optional=True,
    ),
    _last(
        "pod_owners",
        "kube_pod_owner",
        "workloads are guessed from pod names",
        'owner_is_controller!="false",',
    ),
    _last(
        "replicaset_owners",
        "kube_replicaset_owner",
        "Deployments are derived from the names of their ReplicaSets",
        optional=True,
    ),
    _last(
        "job_owners", "kube_job_owner", "CronJobs are derived from the names of Jobs", optional=True
    ),
    _last(
        "pod_starts",
        "kube_pod_start_time",
        "the first window of a new pod has no CPU, so start-up peaks may be missed",
        most=_LAST_TIME,
    ),
    _last("phases", "kube_pod_status_phase", "finished pods look like running ones"),
    _last("completions", "kube_pod_completion_time", "", optional=True),
    _last("qos", "kube_pod_status_qos_class", "QoS classes are unknown", optional=True),
    _last(
        "restarts",
        "kube_pod_container_status_restarts_total",
        "restarts and OOM kills are unknown: no memory is cut",
    ),
    _last(
        "init_restarts",
        "kube_pod_init_container_status_restarts_total",
        "restarts of native sidecars are unknown (fine where there are none)",
        optional=True,
    ),
    _last(
        "node_labels", "kube_node_labels", "instance types, zones and node groups", optional=True
    ),
    _last(
        "capacity",
        "kube_node_status_capacity",
        "size of the machines, so instance types cannot be inferred",
        'resource=~"cpu|memory",',
        most=LARGEST_MEMORY,
    ),
    _last(
        "allocatable",
        "kube_node_status_allocatable",
        "what pods may request of a node: no node plan",
        'resource!~"ephemeral_storage|attachable_volumes.*|vpc_amazonaws_com.*",',
        most=LARGEST_MEMORY,
    ),
    _last("machine_cpu", "machine_cpu_cores", "", optional=True),
    _last("machine_memory", "machine_memory_bytes", "", optional=True),
    _last("namespace_labels", "kube_namespace_labels", "labels of namespaces", optional=True),
    _last(
        "hpa_targets",
        "kube_horizontalpodautoscaler_info",
        "autoscalers are unknown: a changed request moves their scale point unseen",
        optional=True,
    ),
    _last(
        "hpa_min", "kube_horizontalpodautoscaler_spec_min_replicas", "bounds of HPAs", optional=True
    ),
    _last(
        "hpa_max", "kube_horizontalpodautoscaler_spec_max_replicas", "bounds of HPAs", optional=True
    ),
    _last(
        "hpa_metrics",
        "kube_horizontalpodautoscaler_spec_target_metric",
        "targets of autoscalers",
        optional=True,
    ),
    Query(
        "pdb_allowed",
        Shape.DAY,
        "min_over_time(kube_poddisruptionbudget_status_pod_disruptions_allowed{$M}[$day])",
        ("kube_poddisruptionbudget_status_pod_disruptions_allowed",),
        "disruption budgets are unknown",
        True,
    ),
    _last(
        "pdb_expected",
        "kube_poddisruptionbudget_status_expected_pods",
        "disruption budgets are unknown",
        optional=True,
    ),
)

_POD_LABELS = (
    "namespace, kubernetes_namespace, exported_namespace, pod, kubernetes_pod_name, pod_name, "
    "exported_pod"
)


_SCRAPED = "scrape_samples_post_metric_relabeling"
"""A series that Prometheus itself adds for each target."""


def _proxy(
    name: str,
    metric: str,
    over: str = "max",
    costs: str = "size of the proxies' configuration, which drives their memory, is unknown",
) -> Query:
    text = f"{over} by ({_POD_LABELS}) ({over}_over_time({metric}{{$M}}[$day]))"
    return Query(name, Shape.DAY, text, (metric,), costs, True)


PROXIES: tuple[Query, ...] = (
    _proxy("active_clusters", "envoy_cluster_manager_active_clusters"),
    _proxy("listeners", "envoy_listener_manager_total_listeners_active"),
    _proxy("concurrency", "envoy_server_concurrency"),
    _proxy(
        "total_connections",
        "envoy_server_total_connections",
        costs="what connections take of the proxies' memory is unknown",
    ),
    _proxy("scrape_samples", _SCRAPED, costs="what the scrape of proxies stores is unknown"),
    _proxy(
        "scrape_samples_a_day",
        _SCRAPED,
        "sum",
        costs="what the scrape of proxies stores is unknown",
    ),
)

_RESTARTS = "kube_pod_{family}container_status_restarts_total"
_REASON = "kube_pod_{family}container_status_last_terminated_reason"


def _morning(name: str, family: str) -> Query:
    metric = _RESTARTS.format(family=family)
    text = f"last_over_time({metric}{{$M}}[$window])"
    return Query(name, Shape.MORNING, text, (metric,), optional=True)


def _killed(name: str, family: str) -> Query:
    metric = _REASON.format(family=family)
    text = f'max_over_time({metric}{{reason="OOMKilled",$M}}[$day]) > 0'
    return Query(name, Shape.DAY, text, (metric,), optional=True)


RESTARTS_BEFORE: tuple[Query, ...] = (
    _morning("restarts_before", ""),
    _morning("init_restarts_before", "init_"),
)
OOM_KILLED: tuple[Query, ...] = (
    _killed("oom_killed", ""),
    _killed("init_oom_killed", "init_"),
)


REASONS = Query(
    "reasons",
    Shape.DAY,
    f"count(last_over_time({_REASON.format(family='')}{{$M}}[$day]))",
    (_REASON.format(family=""),),
    "OOM kills are unknown where containers restarted: their memory is not cut",
    True,
)


def phase_windows(pods: str) -> Query:
    """Windows in which the pods that the regular expression names had ended."""
    text = (
        'last_over_time(kube_pod_status_phase{phase=~"Failed|Succeeded",$label=~'
        f"{pods},$M}}[$window]) > 0"
    )
    text = _either(text, "pod", "exported_pod")
    return Query("phase_windows", Shape.WINDOWS, text, ("kube_pod_status_phase",))


def pod_containers(pods: str) -> Query:
    """All containers that cAdvisor shows of the pods that the regular expression names."""
    parts = [
        f"count by (namespace, {pod}, {container}) (last_over_time("
        f'container_memory_working_set_bytes{{{container}!="",{container}!="POD",{pod}=~{pods},$M}}'
        "[$day]))"
        for container, pod in (("container", "pod"), ("container_name", "pod_name"))
    ]
    metrics = ("container_memory_working_set_bytes",)
    return Query("pod_containers", Shape.DAY, " or ".join(parts), metrics)


def restart_windows(family: str, pods: str) -> Query:
    """Restart counters in 5-minute windows of the pods that the regular expression names."""
    metric = _RESTARTS.format(family=family)
    text = f"last_over_time({metric}{{$label=~{pods},$M}}[$window])"
    text = _either(text, "pod", "exported_pod")
    return Query(f"{family}restart_windows", Shape.WINDOWS, text, (metric,))


def reason_windows(family: str, pods: str) -> Query:
    """Windows in which the pods' last termination was an OOM kill."""
    metric = _REASON.format(family=family)
    text = f'last_over_time({metric}{{$label=~{pods},reason="OOMKilled",$M}}[$window]) > 0'
    text = _either(text, "pod", "exported_pod")
    return Query(f"{family}reason_windows", Shape.WINDOWS, text, (metric,))


DAILY: tuple[Query, ...] = (
    *USAGE,
    CONTAINER_STARTS,
    LATEST_STARTS,
    SAMPLE_COUNTS,
    POD_WINDOWS,
    NODE_WINDOWS,
    *INVENTORY,
    *RESTARTS_BEFORE,
    REASONS,
    *OOM_KILLED,
    *PROXIES,
    *CONTROL_PLANE,
    *DNS,
    *TRAFFIC,
)
"""What is asked for every day."""
_KIN = (
    ("init_requests", "init_limits"),
    ("containers", "init_containers"),
    ("replicaset_owners", "job_owners"),
    ("pod_starts", "completions"),
    ("restarts", "init_restarts"),
    ("restarts_before", "init_restarts_before"),
    ("node_labels", "namespace_labels"),
    ("machine_cpu", "machine_memory"),
    ("hpa_targets", "hpa_min", "hpa_max", "hpa_metrics"),
)
"""Questions that one request answers: they differ in their metric alone, and `last_over_time` keeps its
name. The largest answers (requests, limits, phases) stay by themselves."""


def asked_together(queries: Sequence[Query]) -> list[tuple[Query, ...]]:
    """The same questions in groups of one request each."""
    by_name = {query.name: query for query in queries}
    kin = [names for names in _KIN if all(name in by_name for name in names)]
    grouped = {name for names in kin for name in names}
    alone = [(query,) for query in queries if query.name not in grouped]
    return [*alone, *(tuple(by_name[name] for name in names) for names in kin)]


def joint(group: Sequence[Query]) -> Query:
    """One question for all of a group."""
    first = group[0]
    if len(group) == 1:
        return first
    metrics = tuple(query.metrics[0] for query in group)
    text = first.text.replace(f"({metrics[0]}{{", f'({{__name__=~"{"|".join(metrics)}",')
    name, most = "+".join(query.name for query in group), max(query.most for query in group)
    return replace(first, name=name, text=text, metrics=metrics, most=most)


def own_part(answer: Answer, query: Query, group: Sequence[Query]) -> Answer:
    """What a group's answer says to one of its questions."""
    if len(group) == 1:
        return answer
    mine = [i for i, one in enumerate(answer.labels) if one.get("__name__") == query.metrics[0]]
    labels = [answer.labels[i] for i in mine]
    return possible(replace(answer, labels=labels, values=answer.values[mine]), query.most)
