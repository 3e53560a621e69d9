"""What the dashboard shows: sizes by workload, the control plane, and a canary beside its siblings.

Every query reads the series that `rightsize alerts` records; requests and latency of the canary alone
are asked of Istio's own metrics, for the pods of one workload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rightsize.output.alerts.marks import AlertMarks
from rightsize.output.alerts.series import POD, PROPAGATION, PROXIES, SERVICES, WORKLOAD
from rightsize.output.alerts.sizes import RECOMMENDED
from rightsize.output.dashboard.panels import Chart, Grid, Line, Panel, Row
from rightsize.results import Resource

CORES, BYTES, SHARE = "suffix: cores", "bytes", "percentunit"
"""Units as Grafana names them."""
_CHOSEN = 'namespace=~"$namespace",workload=~"$workload",container=~"$container"'
_IN_NAMESPACE = 'namespace=~"$namespace",container=~"$container"'
_OF_CHOSEN = (
    "* on (namespace, pod) group_left (workload) "
    'rightsize:pod_workload{namespace=~"$namespace",workload=~"$workload"}'
)
_CANARY = 'namespace="$canary_namespace"'
_OF_CANARY = f'rightsize:pod_workload{{{_CANARY},workload="$canary_workload"'


def all_rows(marks: AlertMarks, matchers: str, *, canary: bool) -> tuple[Row, ...]:
    """The rows from the top down; `canary` opens the last one."""
    return (
        Row("Sizes by workload", tuple(_sizes())),
        Row("What no longer holds", tuple(_broken(marks))),
        Row("Control plane", tuple(_control_plane(marks))),
        Row(
            "Canary: resized pods beside their siblings",
            tuple(_canary(matchers, marks.rate_seconds)),
            closed=not canary,
        ),
    )


def _sizes() -> Iterator[Panel]:
    for resource, unit in _resources():
        yield Chart(
            f"{_titled(resource)}: requested, used, recommended",
            "Sums over the pods of the chosen workloads.",
            unit,
            (
                Line("requested", _sum_of_pods("request", resource)),
                Line("used", _sum_of_pods("usage", resource)),
                Line("recommended", _recommended_for_all(resource)),
            ),
        )
    for resource, unit in _resources():
        yield _by_workload(resource, unit)


def _by_workload(resource: Resource, unit: str) -> Grid:
    chosen = f'{{{_CHOSEN},resource="{resource}"}}'
    used = f"rightsize:workload_usage{chosen}[$__range]"
    apart = f"rightsize:workload_request{chosen} - on ({WORKLOAD}, resource) {RECOMMENDED}{chosen}"
    return Grid(
        f"{_titled(resource)} by workload",
        "Of a mean pod; used is the 95th percentile of the time shown. Too much is what is requested "
        "above the recommendation, over all pods; below zero, too little. An empty cell is unknown or "
        "not set.",
        unit,
        ("namespace", "workload", "container"),
        (
            Line("requested", _each(f"rightsize:workload_request{chosen}")),
            Line("used", _each(f"quantile_over_time(0.95, {used})")),
            Line("recommended", _each(f"{RECOMMENDED}{chosen}")),
            Line("too much", f"{_each(apart)} * on ({WORKLOAD}) {_pods()}"),
            Line("pods", _pods()),
        ),
        "too much",
        {"pods": "none"},
    )


def _broken(marks: AlertMarks) -> Iterator[Panel]:
    yield Grid(
        "Alerts that fire",
        "Those of rightsize alerts; each carries the command to run.",
        "none",
        ("alertname", "severity"),
        (
            Line(
                "series",
                "count by (alertname, severity) "
                '(ALERTS{alertname=~"Rightsize.+",alertstate="firing"})',
            ),
        ),
        "series",
        width=8,
    )
    near = (
        f'rightsize:container_usage{{{_IN_NAMESPACE},resource="memory"}} / on ({POD}) '
        f'rightsize:container_limit{{{_IN_NAMESPACE},resource="memory"}} {_OF_CHOSEN}'
    )
    yield Chart(
        "Nearest to their memory limit",
        "The ten containers that use the largest share of their limit; the mark is that of the alert.",
        SHARE,
        (Line("{{namespace}}/{{pod}}", f"topk(10, {near})"),),
        mark=marks.near_limit,
        width=8,
        height=10,
    )
    throttled = f"rightsize:container_throttled_share{{{_IN_NAMESPACE}}} {_OF_CHOSEN}"
    yield Chart(
        "Most throttled",
        "Share of CFS periods of the last hour in which the CPU limit held a container back.",
        SHARE,
        (Line("{{namespace}}/{{pod}}", f"topk(10, {throttled})"),),
        mark=marks.throttled_share,
        width=8,
        height=10,
    )


def _control_plane(marks: AlertMarks) -> Iterator[Panel]:
    most = None if marks.services is None else f"vector({marks.services.high:.0f})"
    projected = () if most is None else (Line("projected at most", most),)
    yield Chart(
        "Growth: services and proxies",
        "What istiod knows and serves; above the projection its dates of growth no longer hold.",
        "none",
        (Line("services", SERVICES), Line("proxies", PROXIES), *projected),
        width=8,
    )
    yield Chart(
        "Propagation",
        "From a change until a proxy has it; the mark is where istiod's size is no longer trusted.",
        "s",
        tuple(
            Line(f"{share} of 100", f'{PROPAGATION}{{quantile="{quantile}"}}')
            for share, quantile in ((50, "0.5"), (99, "0.99"))
        ),
        mark=marks.slow_seconds,
        width=8,
    )
    for resource, unit in _resources():
        discovery = f'{{container="discovery",resource="{resource}"}}'
        yield Chart(
            f"istiod: {resource}",
            "The busiest pod beside the largest request and the recommended one.",
            unit,
            (
                Line("used", f"max(rightsize:container_usage{discovery})"),
                Line("requested", f"max(rightsize:container_request{discovery})"),
                Line("recommended", f"max({RECOMMENDED}{discovery})"),
            ),
            width=4,
        )


@dataclass(frozen=True)
class _Side:
    """The resized pods of the canary, or their siblings."""

    name: str
    pods: str
    """A series for each of its pods."""
    matchers: str
    """Of what is asked of Istio's own metrics."""
    seconds: int
    """Range of their rates."""

    def of(self, metric: str, more: str = "") -> str:
        """A recorded series of these pods' proxies."""
        labels = f'{_CANARY},container="$canary_container"{more}'
        return f"({metric}{{{labels}}} and on (namespace, pod) {self.pods})"

    def rate(self, metric: str, more: str = "") -> str:
        """Growth of one of Istio's counters, over all of these pods."""
        labels = f'reporter="destination",{_CANARY},{more}{self.matchers}'
        grown = f"rate({metric}{{{labels}}}[{self.seconds}s])"
        return f"sum({grown} and on (namespace, pod) {self.pods})"

    def used(self, resource: Resource) -> str:
        return self.of("rightsize:container_usage", f',resource="{resource}"')

    def near_limit(self) -> str:
        limit = self.of("rightsize:container_limit", ',resource="memory"')
        return f"max({self.used('memory')} / on ({POD}) {limit})"

    def failed(self) -> str:
        # Without a failed request that series is not there: 0 of those that were served.
        served = self.rate("istio_requests_total")
        failed = self.rate("istio_requests_total", 'response_code=~"5..",')
        return f"({failed} or 0 * {served}) / {served}"

    def latency(self) -> str:
        took, counted = (
            self.rate(f"istio_request_duration_milliseconds_{what}") for what in ("sum", "count")
        )
        return f"{took} / {counted}"


def _canary(matchers: str, seconds: int) -> Iterator[Panel]:
    sides = [
        _Side(name, f'{_OF_CANARY},pod{operator}"$resized"}}', matchers, seconds)
        for name, operator in (("resized", "=~"), ("siblings", "!~"))
    ]
    figures: tuple[tuple[str, str, Callable[[_Side], str]], ...] = (
        ("CPU of a pod", CORES, lambda side: f"avg({side.used('cpu')})"),
        ("Memory of a pod", BYTES, lambda side: f"avg({side.used('memory')})"),
        ("Largest share of the memory limit", SHARE, _Side.near_limit),
        (
            "Throttled CFS periods",
            SHARE,
            lambda side: f"avg({side.of('rightsize:container_throttled_share')})",
        ),
        (
            "Out-of-memory kills within an hour",
            "none",
            lambda side: f"sum({side.of('rightsize:container_oom_kills')})",
        ),
        ("Failed requests (5xx)", SHARE, _Side.failed),
        ("Mean latency", "ms", _Side.latency),
        (
            "CPU of a request",
            "s",
            lambda side: f"sum({side.used('cpu')}) / {side.rate('istio_requests_total')}",
        ),
    )
    for title, unit, figure in figures:
        lines = tuple(Line(side.name, figure(side)) for side in sides)
        yield Chart(title, "Resized pods and their siblings.", unit, lines, width=6)


def _resources() -> Iterator[tuple[Resource, str]]:
    yield "cpu", CORES
    yield "memory", BYTES


def _titled(resource: Resource) -> str:
    return {"cpu": "CPU", "memory": "Memory"}[resource]


def _sum_of_pods(what: str, resource: Resource) -> str:
    return f'sum(rightsize:container_{what}{{{_IN_NAMESPACE},resource="{resource}"}} {_OF_CHOSEN})'


def _recommended_for_all(resource: Resource) -> str:
    return f'sum({RECOMMENDED}{{{_CHOSEN},resource="{resource}"}} * on ({WORKLOAD}) {_pods()})'


def _pods() -> str:
    """Pods by workload and container."""
    there = f'rightsize:container_usage{{{_IN_NAMESPACE},resource="memory"}} {_OF_CHOSEN}'
    return f"count by ({WORKLOAD}) ({there})"


def _each(expression: str) -> str:
    """One value for each workload and container, whatever else labels it."""
    return f"max by ({WORKLOAD}) ({expression})"
