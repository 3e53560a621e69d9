"""Each check is asked of Prometheus's own engine: it is 1 when it should hold, 0 when it should not,
and nothing where the metrics are missing."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from rightsize.rollout import promql
from rightsize.rollout.words import check, check_names
from tests.servers.require import require_program

pytestmark = pytest.mark.servers

MIB = 2**20
WEEK_STEPS, END = 1008, "10d"
"""Ten days of samples, ten minutes apart; the week before today and today differ at will."""


@dataclass(frozen=True)
class Case:
    """An expression, and series (name to Prometheus's notation of samples) for which it is 1 or 0."""

    name: str
    expression: str
    holds: dict[str, str]
    fails: dict[str, str]
    answers_without_data: bool = False


def steady(value: float) -> str:
    return f"{value:g}x1440"


def rate(week_ago: float, now: float) -> str:
    """A counter that rises by so much in ten minutes, until two days ago and since."""
    first, then = 1152, 288
    return f"0+{week_ago:g}x{first} {week_ago * first + now:g}+{now:g}x{then - 1}"


def level(before: float, now: float) -> str:
    return f"{before:g}x1151 {now:g}x288"


POD = 'namespace="shop",pod="web-5d9c7-abcde"'
OTHER = 'namespace="shop",pod="db-0"'
PODS = promql.pods_of([("shop", "web", "Deployment")])
INFO = {f"kube_pod_info{{{POD}}}": "1x1440", f"kube_pod_info{{{OTHER}}}": "1x1440"}


def asks(cpu: str, *, pod: str = POD, init: bool = False, resource: str = "cpu") -> dict[str, str]:
    kind = "kube_pod_init_container" if init else "kube_pod_container"
    labels = f'{pod},container="istio-proxy",resource="{resource}"'
    return {f"{kind}_resource_requests{{{labels}}}": cpu}


def killed(restarts: str, reason: str = "OOMKilled", init: bool = False) -> dict[str, str]:
    kind = "kube_pod_init_container" if init else "kube_pod_container"
    labels = f'{POD},container="istio-proxy"'
    return {
        f"{kind}_status_restarts_total{{{labels}}}": restarts,
        f'{kind}_status_last_terminated_reason{{{labels},reason="{reason}"}}': "1x1440",
    }


def used(size: float) -> dict[str, str]:
    return {f'container_memory_working_set_bytes{{{POD},container="istio-proxy"}}': steady(size)}


def calls(good: str, bad: str, labels: str = 'reporter="destination"') -> dict[str, str]:
    return {
        f'istio_requests_total{{{labels},response_code="200"}}': good,
        f'istio_requests_total{{{labels},response_code="503"}}': bad,
    }


def durations(fast: str, slow: str) -> dict[str, str]:
    name = 'istio_request_duration_milliseconds_bucket{reporter="destination",le='
    return {f'{name}"100"}}': fast, f'{name}"1000"}}': slow, f'{name}"+Inf"}}': slow}


def pushes(fast: str, slow: str) -> dict[str, str]:
    name = "pilot_proxy_convergence_time_bucket{le="
    return {f'{name}"1"}}': fast, f'{name}"30"}}': slow, f'{name}"+Inf"}}': slow}


def throttled(part: str, whole: str = "0+100x1440") -> dict[str, str]:
    labels = f'{{{POD},container="istio-proxy"}}'
    return {
        f"container_cpu_cfs_throttled_periods_total{labels}": part,
        f"container_cpu_cfs_periods_total{labels}": whole,
    }


def left(mesh: str, outside: str) -> dict[str, str]:
    name = 'istio_requests_total{reporter="source",source_workload_namespace="shop",response_code='
    return {
        f'{name}"200",destination_service_name="cart"}}': mesh,
        f'{name}"0",destination_service_name="PassthroughCluster"}}': outside,
    }


def shed(good: str, bad: str) -> dict[str, str]:
    name = 'istio_requests_total{reporter="source",destination_service="cart.shop.svc"'
    return {f'{name},response_flags="-"}}': good, f'{name},response_flags="UO"}}': bad}


def query(of: str, **given: object) -> str:
    """The expression of a check."""
    return check(of, says="held", **given).expression


def asked(**pods: str) -> str:
    """Whether containers request 50m of CPU."""
    return query("in-force", there=promql.requests("istio-proxy", "cpu", **pods), size="0.05")


CASES = (
    Case("in-force", asked(of=PODS),
         {**asks("0.05x1440"), **asks("0.1x1440", pod=OTHER), **INFO},
         {**asks("0.1x1440"), **asks("0.05x1440", pod=OTHER), **INFO}),
    Case("in-force native", asked(of=PODS),
         {**asks("0.05x1440", init=True), **INFO}, {**asks("0.04x1440", init=True), **INFO}),
    Case("in-force but for some", asked(apart=PODS),
         {**asks("0.1x1440"), **asks("0.05x1440", pod=OTHER), **INFO},
         {**asks("0.05x1440"), **asks("0.1x1440", pod=OTHER), **INFO}),
    Case("in-force for all", asked(),
         asks("0.05x1440"), asks("0.06x1440")),
    Case("pods-running", query("pods-running", number=2),
         {**asks("1x1440", resource="memory"), **asks("1x1440", pod=OTHER, resource="memory")},
         asks("1x1440", resource="memory")),
    Case("no-kills", query("no-kills"), killed("3x1440"), killed("0x1400 1x40")),
    Case("no-kills native", query("no-kills"),
         killed("0x1400 1x40", "Completed", init=True), killed("0x1400 1x40", init=True)),
    Case("no-kills of some", query("no-kills", mine=f" and on (namespace, pod) ({PODS})"),
         {**killed("3x1440"), **INFO}, {**killed("0x1400 1x40"), **INFO}),
    Case("memory-below-request", query("memory-below-request"),
         {**used(60 * MIB), **asks(steady(64 * MIB), resource="memory")},
         {**used(65 * MIB), **asks(steady(64 * MIB), resource="memory")}),
    Case("throttling", query("throttling"),
         throttled(rate(5, 5)), throttled(rate(0, 2))),
    Case("throttling from nothing", query("throttling"),
         throttled(rate(0, 0.9)), throttled(rate(5, 6))),
    Case("errors", query("errors"),
         calls(rate(1000, 1000), rate(5, 5)), calls(rate(1000, 1000), rate(5, 9))),
    Case("errors without errors", query("errors", more=',source_workload="gw"', reporter="source"),
         {'istio_requests_total{reporter="source",source_workload="gw",response_code="200"}':
          rate(10, 10)},
         calls(rate(1000, 1000), rate(0, 9), 'reporter="source",source_workload="gw"')),
    Case("latency", query("latency"),
         durations(rate(100, 100), rate(100, 100)), durations(rate(100, 50), rate(100, 100))),
    Case("propagation", query("propagation"),
         pushes(rate(10, 10), rate(10, 10)), pushes(rate(10, 5), rate(10, 10))),
    Case("no-rejects", query("no-rejects"),
         {"pilot_xds": "5x1440", 'pilot_total_xds_rejects{type="lds"}': "2x1440"},
         {"pilot_xds": "5x1440", 'pilot_total_xds_rejects{type="lds"}': "2x1436 3x4"}),
    Case("no-rejects ever", query("no-rejects"), {"pilot_xds": "5x1440"},
         {"pilot_xds": "5x1440", "pilot_total_xds_rejects": "2x1436 3x4"}),
    Case("proxies-connected", query("proxies-connected"),
         {"pilot_xds": level(100, 96)}, {"pilot_xds": level(100, 90)}),
    Case("outside", query("outside", more=',source_workload_namespace="shop"'),
         left(rate(9, 9), rate(600, 600)), left(rate(9, 9), rate(600, 900))),
    Case("outside from nothing", query("outside"),
         {'istio_requests_total{reporter="source",destination_service_name="cart"}': rate(9, 9)},
         left(rate(9, 9), rate(0, 600))),
    Case("nodes", query("nodes", nodes=1), {'kube_node_info{node="a"}': "1x1440"},
         {'kube_node_info{node="a"}': "1x1440", 'kube_node_info{node="b"}': "1x1440"}),
    Case("nothing-pending", query("nothing-pending"),
         {'kube_pod_status_phase{phase="Pending"}': "0x1440"},
         {'kube_pod_status_phase{phase="Pending"}': "0x1436 1x4"}),
    Case("seen", query("seen", metric="kube_pod_info"), {"kube_pod_info": "1x1440"},
         {"kube_node_info": "1x1440"}, answers_without_data=True),
    Case("history", query("history", days=7), used(1),
         {f'container_memory_working_set_bytes{{{POD},container="istio-proxy"}}': "_x1300 1x140"},
         answers_without_data=True),
    Case("clusters", query("clusters", namespace='"shop"', most=20),
         {'envoy_cluster_manager_active_clusters{namespace="shop"}': "20x1440"},
         {'envoy_cluster_manager_active_clusters{namespace="shop"}': "21x1440"}),
    Case("services", query("services", most=90),
         {"pilot_services": "90x1440"}, {"pilot_services": "91x1440"}),
    Case("no-sidecar", query("no-sidecar", pods=PODS),
         {**INFO, **asks("1x1440", pod=OTHER, resource="memory")},
         {**INFO, **asks("1x1440", resource="memory")}),
    Case("not-shed", query("not-shed", service='"cart.shop.svc"'),
         shed(rate(1000, 1000), rate(0, 0.5)), shed(rate(1000, 1000), rate(0, 2))),
    Case("memory-fell", query("memory-fell", names="shop", most=60 * MIB),
         used(59 * MIB), used(61 * MIB)),
    Case("ca-expiry", query("ca-expiry"),
         {"citadel_server_root_cert_expiry_timestamp": steady(101 * 86400)},
         {"citadel_server_root_cert_expiry_timestamp": steady(99 * 86400)}),
)  # fmt: skip


def test_every_check_of_the_plan_has_a_case() -> None:
    assert {case.name.split(" ")[0] for case in CASES} == set(check_names())


def test_checks_hold_and_fail_where_they_should(tmp_path: Path) -> None:
    groups = []
    for case in CASES:
        for series, expected in ((case.holds, 1), (case.fails, 0)):
            groups.append(group(f"{case.name} is {expected}", case.expression, series, [expected]))
        expected = [0] if case.answers_without_data else []
        nothing = {"up": "1x1440"}
        groups.append(group(f"{case.name} without data", case.expression, nothing, expected))
    assert asked(tmp_path, groups) == ""


def test_the_test_itself_notices_a_wrong_answer(tmp_path: Path) -> None:
    case = CASES[0]
    assert "FAILED" in asked(tmp_path, [group("wrong", case.expression, case.holds, [0])])


def group(
    name: str, expression: str, series: dict[str, str], expected: list[int]
) -> dict[str, object]:
    samples = [{"labels": "{}", "value": value} for value in expected]
    test = {"expr": expression, "eval_time": END, "exp_samples": samples}
    return {
        "name": name,
        "interval": "10m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": [test],
    }


def asked(folder: Path, groups: list[dict[str, object]]) -> str:
    """What promtool has against the groups; empty where all answers are as expected."""
    file = folder / "tests.json"
    file.write_text(json.dumps({"rule_files": [], "evaluation_interval": "10m", "tests": groups}))
    command = [require_program("promtool"), "test", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
