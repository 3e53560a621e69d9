"""PromQL of the checks: each expression gives one series, 1 or 0, or none where data is missing.

Metric names are those of kube-state-metrics, cAdvisor, istiod and Istio's proxies, as
`rightsize collect` reads them. A native sidecar is an init container to kube-state-metrics, so
that both families are asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rightsize.border import promql_pattern, promql_string
from rightsize.rollout.model import Check

WEEK = "1w"
_SUFFIX = {
    "Deployment": "-[a-z0-9]+-[a-z0-9]+",
    "Rollout": "-[a-z0-9]+-[a-z0-9]+",
    "StatefulSet": "-[0-9]+",
    "DaemonSet": "-[a-z0-9]+",
    "ReplicaSet": "-[a-z0-9]+",
    "Job": "-[a-z0-9]+",
    "CronJob": "-[0-9]+-[a-z0-9]+",
    "Pod": "",
}
"""What a controller appends to the workload's name to name its pods."""


def requests(container: str, resource: str) -> str:
    """Requests in force of a container, native sidecars included; one series a pod."""
    labels = f'__name__=~"{_both("resource_requests")}",container="{container}"'
    return f'max by (namespace, pod) ({{{labels},resource="{resource}"}})'


def all_equal(container: str, resource: str, size: float, pods: str) -> str:
    """Every pod of `pods` (see `pods_of`) requests `size` (cores or bytes)."""
    return _equal(f"({requests(container, resource)} and on (namespace, pod) ({pods}))", size)


def others_equal(container: str, resource: str, size: float, apart: str) -> str:
    """Every pod requests `size`, but for those of `apart` (see `pods_of`; empty for none)."""
    there = requests(container, resource)
    return _equal(f"({there} unless on (namespace, pod) ({apart}))" if apart else there, size)


def pods_at_least(container: str, number: int) -> str:
    """So many pods run this container."""
    return f"count({requests(container, 'memory')}) >= bool {number}"


def no_kills(container: str, pods: str = "") -> str:
    """No container was restarted after an out-of-memory kill within a day."""
    labels = f'container="{container}"'
    restarts = f'{{__name__=~"{_both("status_restarts_total")}",{labels}}}'
    reasons = (
        f'{{__name__=~"{_both("status_last_terminated_reason")}",{labels},reason="OOMKilled"}}'
    )
    mine = f" and on (namespace, pod) ({pods})" if pods else ""
    killed = (
        f"increase({restarts}[1d]) > 0 and on (namespace, pod, container) ({reasons} == 1){mine}"
    )
    return _none(killed, f"{restarts}{mine}")


def memory_below_request(container: str) -> str:
    """Every pod's memory, at its most within a day, stays below its request."""
    used = f'container_memory_working_set_bytes{{container="{container}"}}'
    most = f"max by (namespace, pod) (max_over_time({used}[1d]))"
    return f"max({most} / on (namespace, pod) {requests(container, 'memory')}) <= bool 1"


def throttling_not_up(container: str) -> str:
    """Share of throttled CFS periods: at most 1 % or what it was a week ago."""
    labels = f'container="{container}"'

    def share(offset: str) -> str:
        throttled, periods = (
            f"sum(rate(container_cpu_cfs_{name}_total{{{labels}}}[1h]{offset}))"
            for name in ("throttled_periods", "periods")
        )
        return f"{throttled} / {periods}"

    before = f"({share(f' offset {WEEK}')})"
    return f"({share('')}) <= bool ({before} > 0.01 or vector(0.01))"


def errors_not_up(selector: str = "", reporter: str = "destination") -> str:
    """Share of 5xx answers: at most a tenth and 0.1 % more than a week ago."""
    labels = f'reporter="{reporter}"{_more(selector)}'

    def share(offset: str) -> str:
        failed = f'istio_requests_total{{{labels},response_code=~"5.."}}[1h]{offset}'
        whole = f"istio_requests_total{{{labels}}}[1h]{offset}"
        return f"(sum(rate({failed})) or vector(0)) / sum(rate({whole}))"

    return f"({share('')}) <= bool (1.1 * ({share(f' offset {WEEK}')}) + 0.001)"


def latency_not_up(selector: str = "") -> str:
    """p99 of request durations: at most a tenth and 5 ms more than a week ago."""
    labels = f'reporter="destination"{_more(selector)}'

    def p99(offset: str) -> str:
        buckets = f"istio_request_duration_milliseconds_bucket{{{labels}}}[1h]{offset}"
        return f"histogram_quantile(0.99, sum by (le) (rate({buckets})))"

    return f"{p99('')} <= bool (1.1 * {p99(f' offset {WEEK}')} + 5)"


def convergence_within(seconds: float, selector: str = "") -> str:
    """p99 of the delay from a change until a proxy has it, over an hour."""
    labels = f"{{{selector}}}" if selector else ""
    buckets = f"sum by (le) (rate(pilot_proxy_convergence_time_bucket{labels}[1h]))"
    return f"histogram_quantile(0.99, {buckets}) < bool {seconds:g}"


def no_rejects() -> str:
    """No proxy refused a configuration within an hour."""
    rejects = "(sum(increase(pilot_total_xds_rejects[1h])) or vector(0))"
    return f"({rejects} == bool 0) and on () (count(pilot_xds) > 0)"


def proxies_connected() -> str:
    """As many proxies are connected as a week ago, but for one in twenty."""
    return f"sum(pilot_xds) >= bool (0.95 * sum(pilot_xds offset {WEEK}))"


def outside_not_up(selector: str = "") -> str:
    """Calls that leave the mesh or are dropped: a tenth and 1 in 10 s more than a week ago, at most.

    What a scope cuts off shows here: Envoy knows no route and sends it to one of these clusters.
    """
    labels = (
        '__name__=~"istio_requests_total|istio_tcp_connections_opened_total",reporter="source",'
        f'destination_service_name=~"PassthroughCluster|BlackHoleCluster"{_more(selector)}'
    )

    def rate(offset: str) -> str:
        return f"(sum(rate({{{labels}}}[1h]{offset})) or vector(0))"

    seen = 'count(istio_requests_total{reporter="source"}) > 0'
    before = rate(f" offset {WEEK}")
    return f"({rate('')} <= bool (1.1 * {before} + 0.1)) and on () ({seen})"


def nodes_at_most(nodes: int) -> str:
    return f"count(kube_node_info) <= bool {nodes}"


def nothing_pending() -> str:
    """No pod has been waiting for a node for 15 minutes."""
    return 'max(min_over_time(kube_pod_status_phase{phase="Pending"}[15m])) == bool 0'


def is_there(metric: str) -> str:
    """The metric has series: 0 without any, so that this check always answers."""
    return f"(count({metric}) or vector(0)) > bool 0"


def clusters_at_most(namespace: str, clusters: float) -> str:
    """Proxies of a namespace hold at most so many clusters."""
    active = f"envoy_cluster_manager_active_clusters{{namespace={promql_string(namespace)}}}"
    return f"max({active}) <= bool {clusters:.0f}"


def services_at_most(services: float) -> str:
    """istiod knows at most so many services."""
    return f"max(pilot_services) <= bool {services:.0f}"


def no_container(container: str, pods: str) -> str:
    """None of the pods has this container."""
    return _none(f"{requests(container, 'memory')} and on (namespace, pod) ({pods})", pods)


def not_shed(host: str) -> str:
    """At most one call in a thousand to a service is shed by its own rules (flags UO and UH)."""
    labels = f'reporter="source",destination_service={promql_string(host)}'
    shed = f'istio_requests_total{{{labels},response_flags=~".*(UO|UH).*"}}[1h]'
    return (
        f"(sum(rate({shed})) or vector(0)) "
        f"/ sum(rate(istio_requests_total{{{labels}}}[1h])) <= bool 0.001"
    )


def memory_at_most(container: str, namespaces: Iterable[str], size: float) -> str:
    """Proxies of these namespaces use at most `size` bytes: mean over pods of p95 within a day."""
    names = "|".join(promql_pattern(name) for name in sorted(namespaces))
    there = f'container="{container}",namespace=~"{names}"'
    used = f"quantile_over_time(0.95, container_memory_working_set_bytes{{{there}}}[1d])"
    return f"avg({used}) <= bool {size:.0f}"


def older_than(container: str, days: int) -> str:
    """History in the metrics goes back so many days."""
    return (
        f'(count(container_memory_working_set_bytes{{container="{container}"}} offset {days}d) '
        "or vector(0)) > bool 0"
    )


def pods_of(workloads: Iterable[tuple[str, str, str | None]]) -> str:
    """Series of the pods of workloads, each as (namespace, name, kind); for `and on`, `unless on`.

    Pods are recognized by the names that their controllers give them.
    """
    found: dict[str, list[str]] = {}
    for namespace, name, kind in sorted(workloads, key=lambda w: (w[0], w[1])):
        found.setdefault(namespace, []).append(pod_pattern(name, kind))
    return " or ".join(
        f'kube_pod_info{{namespace={promql_string(namespace)},pod=~"{"|".join(patterns)}"}}'
        for namespace, patterns in found.items()
    )


def pod_pattern(workload: str, kind: str | None = "Deployment") -> str:
    """Pattern of the names of a workload's pods: those of `web-admin` are none of `web`."""
    return promql_pattern(workload) + _SUFFIX.get(kind or "", "-.*")


def unique(checks: Sequence[Check]) -> tuple[Check, ...]:
    """The checks as a tuple.

    Raises
    ------
    ValueError
        If two bear one name.
    """
    names = [check.name for check in checks]
    if len(set(names)) != len(names):
        raise ValueError(f"checks of one name: {names}")
    return tuple(checks)


def _both(name: str) -> str:
    """Names of a metric of containers and of init containers, as a regular expression."""
    return f"kube_pod_(init_)?container_{name}"


def _equal(there: str, size: float) -> str:
    """Every series is `size`, but for what rounding a quantity may change."""
    return f"max(abs({there} / {size:.10g} - 1)) < bool 0.001"


def _none(offending: str, there: str) -> str:
    """1 where nothing offends, 0 where something does, no series where nothing is there to ask."""
    return f"((count({offending}) or vector(0)) == bool 0) and on () (count({there}) > 0)"


def _more(selector: str) -> str:
    return f",{selector}" if selector else ""
