"""A small mesh as promtool sees it, and the alerts that fire on it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import yaml

from rightsize.output.alerts import rules_text
from rightsize.output.alerts.marks import AlertMarks, UsualUse
from rightsize.results import Advice, Component, Interval, Recommendation, ResourceAdvice, Usage
from tests.servers.require import require_program

MIB = 2**20
WEB = "web-7d9f8b6c5d-xk2bq"
CART = "cart-5c6d7f8b9b-2xkqz"
ISTIOD = "istiod-6f7c8d9b5c-9vwxz"


def row(
    workload: str | None,
    cpu: float,
    memory: float,
    *,
    namespace: str | None = "shop",
    component: Component = "sidecar",
    container: str = "istio-proxy",
    written: str = "annotations",
) -> Recommendation:
    """A recommendation of these requests."""

    def of(size: float) -> ResourceAdvice:
        return ResourceAdvice(size, None, size, None, size, None, Usage(), "policy")

    if workload is None:
        namespace, written = None, "mesh default"
    kind = None if workload is None else "Deployment"
    return Recommendation(
        component, namespace, workload, kind, container, False, 1.0, of(cpu), of(memory),
        None, "", written,
    )  # fmt: skip


def marks() -> AlertMarks:
    """The mesh default is 50m and 96Mi, cart has 200m and 128Mi, istiod 300m and 1Gi."""
    rows = (
        row(None, 0.05, 96 * MIB),
        row("web", 0.05, 96 * MIB, written="mesh default"),
        row("cart", 0.2, 128 * MIB),
        row("istiod", 0.3, 1024 * MIB, namespace="istio-system", component="istiod",
            container="discovery", written="values"),
    )  # fmt: skip
    end = datetime(2026, 11, 1, tzinfo=UTC)
    advice = Advice("shop", True, datetime(2026, 10, 1, tzinfo=UTC), end, "balanced", {}, rows)
    return AlertMarks(
        advice=advice,
        usual=(UsualUse("sidecar", "cpu", 0.06), UsualUse("sidecar", "memory", 85 * MIB)),
        services=Interval(300, 320, 340),
        services_until=date(2026, 12, 1),
        near_limit=0.917,
        throttled_share=0.05,
        new_days=1,
        slow_seconds=10.0,
        # promtool's clock starts in 1970.
        old_after=datetime(1970, 2, 1, tzinfo=UTC),
        rate_seconds=300,
    )


def counting(each_minute: float) -> str:
    """A counter that grows by so much a minute, for three days."""
    return f"0+{each_minute:.10g}x4320"


def always(value: float) -> str:
    return f"{value:.10g}x4320"


def cpu(pod: str, container: str = "istio-proxy") -> str:
    return f"container_cpu_usage_seconds_total{{{_of(pod, container)}}}"


def memory(pod: str, container: str = "istio-proxy") -> str:
    return f"container_memory_working_set_bytes{{{_of(pod, container)}}}"


def size(which: str, resource: str, pod: str, container: str = "istio-proxy") -> str:
    init = "init_" if pod == CART else ""
    labels = f'{_of(pod, container)},resource="{resource}"'
    return f"kube_pod_{init}container_resource_{which}{{{labels}}}"


def cfs(name: str, pod: str) -> str:
    return f"container_cpu_cfs_{name}_total{{{_of(pod, 'istio-proxy')}}}"


def restarts(pod: str) -> str:
    return f"kube_pod_container_status_restarts_total{{{_of(pod, 'istio-proxy')}}}"


def reason(pod: str, why: str) -> str:
    labels = f'{_of(pod, "istio-proxy")},reason="{why}"'
    return f"kube_pod_container_status_last_terminated_reason{{{labels}}}"


def owner(pod: str) -> str:
    labels = f'namespace="{_namespace(pod)}",pod="{pod}",owner_is_controller="true"'
    name = pod.rsplit("-", 1)[0]
    return f'kube_pod_owner{{{labels},owner_kind="ReplicaSet",owner_name="{name}"}}'


def convergence(le: str) -> str:
    return f'pilot_proxy_convergence_time_bucket{{le="{le}"}}'


def healthy() -> dict[str, str]:
    """The mesh as it is just after the recommendation was applied; cart's sidecar is native."""
    found: dict[str, str] = {}
    for pod, container, cores, mib, sizes in (
        (WEB, "istio-proxy", 0.03, 80, (0.05, 96, 1024)),
        (CART, "istio-proxy", 0.15, 100, (0.2, 128, 1024)),
        (ISTIOD, "discovery", 0.15, 500, (0.3, 1024, None)),
    ):
        found |= workload(pod, container, cores=cores, mib=mib, sizes=sizes)
    found |= {
        cfs("periods", WEB): counting(600),
        cfs("throttled_periods", WEB): counting(6),
        restarts(WEB): always(0),
        "pilot_services{}": always(300),
        convergence("1"): counting(99),
        convergence("10"): counting(100),
        convergence("30"): counting(100),
        convergence("+Inf"): counting(100),
    }
    return found


def workload(
    pod: str,
    container: str,
    *,
    cores: float,
    mib: float,
    sizes: tuple[float, float, float | None],
) -> dict[str, str]:
    """One pod with its use, its CPU and memory request and its memory limit (MiB)."""
    found = {
        owner(pod): always(1),
        cpu(pod, container): counting(60 * cores),
        memory(pod, container): always(mib * MIB),
        size("requests", "cpu", pod, container): always(sizes[0]),
        size("requests", "memory", pod, container): always(sizes[1] * MIB),
    }
    if sizes[2] is not None:
        found[size("limits", "memory", pod, container)] = always(sizes[2] * MIB)
    return found


def firing(
    folder: Path,
    series: Mapping[str, str],
    at: str,
    *,
    expected: Mapping[str, int],
    each: str = "1m",
    old_after: datetime | None = None,
) -> None:
    """Assert with promtool that exactly these alerts fire at `at`, each with so many series."""
    given = marks()
    if old_after is not None:
        given = replace(given, old_after=old_after)
    (folder / "rules.yaml").write_text(rules_text(given))
    samples = [
        {"labels": f'{{alertname="{name}"}}', "value": count} for name, count in expected.items()
    ]
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "4m",
        "tests": [
            {
                "interval": each,
                "input_series": [{"series": s, "values": v} for s, v in series.items()],
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                        "eval_time": at,
                        "exp_samples": samples,
                    }
                ],
            }
        ],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    command = [require_program("promtool"), "test", "rules", "test.yaml"]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def _namespace(pod: str) -> str:
    return "istio-system" if pod == ISTIOD else "shop"


def _of(pod: str, container: str) -> str:
    return f'namespace="{_namespace(pod)}",pod="{pod}",container="{container}"'
