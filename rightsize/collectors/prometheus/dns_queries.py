"""Queries of CoreDNS's own metrics by hour, and of the DNS proxies of Istio's agents.

Names: CoreDNS 1.7 and later (plugins `metrics`, `cache`, `forward`). From 1.11 on the queries that
`forward` sends are counted by `coredns_proxy_request_duration_seconds` alone. Agents: Istio,
`pkg/dns/client/monitoring.go`, exported with `istio_agent_` in front.
"""

from __future__ import annotations

from rightsize.collectors.prometheus.istio_queries import METRIC_LABEL, REPLICAS, increase
from rightsize.collectors.prometheus.query import Query, Shape

COUNTERS = (
    "coredns_dns_requests_total",
    "coredns_dns_responses_total",
    "coredns_dns_request_duration_seconds_(bucket|sum|count)",
    "coredns_cache_hits_total",
    "coredns_cache_(misses|requests)_total",
    "coredns_forward_requests_total",
    "coredns_forward_max_concurrent_rejects_total",
)
FORWARDED = "coredns_forward_requests_total"
PROXIED = 'coredns_proxy_request_duration_seconds_count{proxy_name="forward",$M}'
AGENT_COUNTERS = ("istio_agent_dns_requests_total", "istio_agent_dns_upstream_requests_total")
_PARTS = "server, zone, view, proto, family, type, to, rcode, proxy_name, plugin, id, name, image"
"""Labels of one pod's series that are added up."""
_NO_DNS = "CoreDNS cannot be sized or judged"


def _peak(name: str, rate: str) -> str:
    """The highest 5-minute rate of a pod within the hour."""
    whole = f"sum without ({_PARTS}) ({rate})"
    peak = f"max_over_time(({whole})[1h:5m])"
    return f'label_replace({peak}, "{METRIC_LABEL}", "{name}", "", "")'


def _container(metric: str, label: str) -> str:
    return f'{metric}{{{label}="coredns",$M}}'


def _memory(label: str) -> str:
    most = f"max_over_time({_container('container_memory_working_set_bytes', label)}[$hour])"
    whole = f"max without ({_PARTS}) ({most})"
    return f'label_replace({whole}, "{METRIC_LABEL}", "coredns_memory", "", "")'


_NAMES = ("container", "container_name")

DNS: tuple[Query, ...] = (
    Query(
        "dns_counters",
        Shape.HOURS,
        f'last_over_time({{__name__=~"{"|".join(COUNTERS)}",$M}}[$hour]) '
        f"or last_over_time({PROXIED}[$hour])",
        ("coredns_dns_requests_total",),
        _NO_DNS,
        True,
    ),
    Query(
        "dns_peaks",
        Shape.HOURS,
        " or ".join(
            [
                _peak("coredns_requests_peak", "rate(coredns_dns_requests_total{$M}[5m])"),
                _peak(
                    "coredns_forwards_peak", f"rate({FORWARDED}{{$M}}[5m]) or rate({PROXIED}[5m])"
                ),
            ]
        ),
        ("coredns_dns_requests_total",),
        _NO_DNS,
        True,
    ),
    Query(
        "dns_usage",
        Shape.HOURS,
        " or ".join(
            [
                *(
                    _peak(
                        "coredns_cpu_peak",
                        f"rate({_container('container_cpu_usage_seconds_total', name)}[5m])",
                    )
                    for name in _NAMES
                ),
                *(_memory(name) for name in _NAMES),
            ]
        ),
        ("container_cpu_usage_seconds_total",),
        # Absence is noted by metric, and other containers have this one.
        optional=True,
    ),
    Query(
        "dns_agents",
        Shape.HOURS,
        " or ".join(
            f"label_replace(sum by (namespace) (max without ({REPLICAS}) ({increase(metric)})), "
            f'"{METRIC_LABEL}", "{metric}", "", "")'
            for metric in AGENT_COUNTERS
        ),
        AGENT_COUNTERS[:1],
        "which namespaces ask CoreDNS, and what Istio's DNS proxies answer, is unknown",
        True,
    ),
)
