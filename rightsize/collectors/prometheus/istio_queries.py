"""Queries of Istio's own metrics: istiod's by hour, and the edges between workloads."""

from __future__ import annotations

from rightsize.collectors.prometheus.query import Query, Shape

ISTIOD_GAUGES = (
    "pilot_xds",
    "pilot_services",
    "pilot_virt_services",
    "pilot_eds_no_instances",
    "pilot_worker_queue_depth",
    "citadel_server_root_cert_expiry_timestamp",
    "citadel_server_cert_chain_expiry_timestamp",
)
ISTIOD_PROCESS_GAUGES = (
    "process_resident_memory_bytes",
    "go_memstats_heap_inuse_bytes",
    "go_memstats_heap_alloc_bytes",
    "go_goroutines",
)
ISTIOD_COUNTERS = (
    "pilot_xds_pushes",
    "pilot_push_triggers",
    "pilot_inbound_updates",
    "pilot_k8s_cfg_events",
    "pilot_k8s_reg_events",
    "pilot_total_xds_rejects",
    "pilot_xds_write_timeout",
    "sidecar_injection_requests_total",
    "citadel_server_csr_count",
)
ISTIOD_HISTOGRAMS = (
    "pilot_proxy_convergence_time",
    "pilot_xds_push_time",
    "pilot_xds_send_time",
    "pilot_debounce_time",
    "pilot_proxy_queue_time",
    "pilot_pushcontext_init_seconds",
    "pilot_xds_config_size_bytes",
)
METRIC_LABEL = "rightsize_metric"
"""Carries a metric's name through functions that drop it."""


REPLICAS = "prometheus_replica, __replica__, replica"
"""Labels of servers that scrape the same targets twice."""


def _named(metrics: tuple[str, ...], selectors: tuple[str, ...]) -> str:
    return " or ".join(
        f'label_replace(max_over_time({metric}{{{selector}$M}}[$hour]), "{METRIC_LABEL}", '
        f'"{metric}", "", "")'
        for metric in metrics
        for selector in selectors
    )


def _by_name(metrics: tuple[str, ...], selectors: tuple[str, ...]) -> str:
    names = "|".join(metrics)
    return " or ".join(
        f'last_over_time({{__name__=~"{names}",{selector}$M}}[$hour])' for selector in selectors
    )


_ISTIOD = ('app="istiod",', 'pod=~"istiod.*",', 'kubernetes_pod_name=~"istiod.*",')
_NO_ISTIOD = "what drives istiod's CPU and memory is unknown: it is sized by its usage alone"

CONTROL_PLANE: tuple[Query, ...] = (
    Query("istiod_gauges", Shape.HOURS, _named(ISTIOD_GAUGES, ("",)), ("pilot_xds",), _NO_ISTIOD),
    Query(
        "istiod_process",
        Shape.HOURS,
        _named(ISTIOD_PROCESS_GAUGES, _ISTIOD),
        ("process_resident_memory_bytes",),
        _NO_ISTIOD,
        True,
    ),
    Query(
        "istiod_counters",
        Shape.HOURS,
        _by_name(ISTIOD_COUNTERS, ("",)),
        ("pilot_xds_pushes",),
        _NO_ISTIOD,
    ),
    Query(
        "istiod_cpu",
        Shape.HOURS,
        _by_name(("process_cpu_seconds_total",), _ISTIOD),
        ("process_cpu_seconds_total",),
        _NO_ISTIOD,
        True,
    ),
    Query(
        "istiod_histograms",
        Shape.HOURS,
        _by_name(tuple(f"{name}_(bucket|sum|count)" for name in ISTIOD_HISTOGRAMS), ("",)),
        ("pilot_proxy_convergence_time_bucket",),
        "how fast istiod serves configuration is unknown, so nothing guards a smaller istiod",
    ),
)

_EDGE = (
    "reporter, source_workload_namespace, source_workload, destination_workload_namespace, "
    "destination_workload, destination_service, request_protocol"
)
_ANSWERS = ", response_code, grpc_response_status, connection_security_policy"


def increase(metric: str) -> str:
    """The counter's increase over an hour, from last sample to last sample.

    In this order: what was there an hour ago and did not fall; what is new or was reset in a pod
    that was there an hour ago, or has a pod that started since (both count from zero); what appeared
    for another reason, which counts from its first sample so that an outage makes no spike.
    """
    now = f"last_over_time({metric}{{$M}}[$hour])"
    before = f"last_over_time({metric}{{$M}}[$hour] offset 1h)"
    first = f"min_over_time({metric}{{$M}}[$hour])"
    young = "(last_over_time(kube_pod_start_time{$M}[$hour]) >= time() - 3600)"
    return (
        f"({now} - {before} >= 0) or ({now} and on (namespace, pod) {before}) "
        f"or ({now} and on (namespace, pod) {young}) or ({now} - {first})"
    )


def _edges(name: str, metric: str, extra: str, costs: str) -> Query:
    once = f"max without ({REPLICAS}) ({increase(metric)})"
    text = f"sum by ({_EDGE}{extra}) ({once}) > 0"
    return Query(name, Shape.HOURS, text, (metric,), costs, name != "calls")


TRAFFIC: tuple[Query, ...] = (
    _edges(
        "calls",
        "istio_requests_total",
        _ANSWERS,
        "who calls whom is unknown: no Sidecar scopes, no CPU per request",
    ),
    _edges("durations", "istio_request_duration_milliseconds_sum", "", "request durations"),
    _edges("request_bytes", "istio_request_bytes_sum", "", "bytes of requests"),
    _edges("response_bytes", "istio_response_bytes_sum", "", "bytes of responses"),
    _edges(
        "connections",
        "istio_tcp_connections_opened_total",
        ", connection_security_policy",
        "TCP edges",
    ),
    _edges("sent_bytes", "istio_tcp_sent_bytes_total", "", "bytes of TCP edges"),
    _edges("received_bytes", "istio_tcp_received_bytes_total", "", "bytes of TCP edges"),
)
