"""The alerts themselves: what no longer holds, since when, and what to run then."""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.output.alerts.marks import USUAL_DAYS, AlertMarks
from rightsize.output.alerts.rules import Alert, Record
from rightsize.output.alerts.series import POD, PROPAGATION, SERVICES, WORKLOAD
from rightsize.output.alerts.sizes import RECOMMENDED

_HERE = "{{ $labels.namespace }}/{{ $labels.pod }}, container {{ $labels.container }}"
_WORKLOAD = "{{ $labels.namespace }}/{{ $labels.workload }}, container {{ $labels.container }}"
_PART = "{{ $labels.component }}, {{ $labels.resource }}"
_SHARE = "{{ $value | humanizePercentage }}"
_NUMBER = "{{ $value | humanize }}"

_QUARTER = 0.75
"""Above a size for more than a quarter of a day: policies admit 2 to 15 % of it (`docs/policies.md`)."""
_APART = 1.25
_FELL = 0.5
_BELOW = 0.95
"""Less than this share of what is recommended; quantities are rounded by less."""

NEW = "rightsize:new_workload"
COMPONENT_USE = "rightsize:component_usage"


def condition_series(marks: AlertMarks) -> tuple[Record, ...]:
    """Series that alerts look back on."""
    then = f"rightsize:pod_workload offset {marks.new_days}d"
    known = "on (namespace, workload)"
    return (
        Record(
            NEW,
            f"(group by (namespace, workload) (rightsize:pod_workload) unless {known} {then}) "
            f"and on () (count({then}) > 0)",
        ),
        Record(
            COMPONENT_USE,
            "avg by (component, resource) (rightsize:workload_usage * on "
            f"({WORKLOAD}, resource) group_left (component) ({RECOMMENDED} ^ 0))",
        ),
    )


def size_alerts(marks: AlertMarks, recommend: str) -> Iterator[Alert]:
    """Alerts on what containers use and what was done to them."""
    yield Alert(
        "RightsizeOutOfMemoryKill",
        "rightsize:container_oom_kills > 0",
        "critical",
        "0m",
        f"{_HERE} ran out of memory",
        f"{_NUMBER} restarts after an out-of-memory kill within an hour.",
        f"{recommend}: kills raise the limit. Until it is rolled out, set the memory limit by hand.",
    )
    yield Alert(
        "RightsizeMemoryNearLimit",
        f'rightsize:container_usage{{resource="memory"}} / on ({POD}) '
        f'rightsize:container_limit{{resource="memory"}} > {marks.near_limit:g}',
        "warning",
        "15m",
        f"{_HERE} is near its memory limit",
        f"It uses {_SHARE} of the limit; the highest peak before the recommendation left more.",
        f"{recommend}, and put the new limit in force before it is reached.",
    )
    yield Alert(
        "RightsizeCpuThrottled",
        f"rightsize:container_throttled_share > {marks.throttled_share:g}",
        "warning",
        "30m",
        f"{_HERE} is throttled",
        f"Its CPU limit holds it back in {_SHARE} of its CFS periods.",
        f"{recommend}: throttling raises request and limit.",
    )
    for resource, name, unit in (("cpu", "Cpu", "cores"), ("memory", "Memory", "bytes")):
        yield Alert(
            f"Rightsize{name}AboveRecommended",
            f"(quantile_over_time({_QUARTER}, "
            f'rightsize:workload_usage{{resource="{resource}"}}[1d]) > on ({WORKLOAD}) '
            f'group_left (component) {RECOMMENDED}{{resource="{resource}"}}) '
            f"and on ({WORKLOAD}) rightsize:workload_usage offset 1d "
            f"unless on (namespace, workload) {NEW}",
            "warning",
            "6h",
            f"{_WORKLOAD} uses more {resource} than was recommended",
            f"A mean pod used {_NUMBER} {unit} or more for a quarter of the last day.",
            f"{recommend}; rightsize explain NAMESPACE/WORKLOAD shows its history.",
        )
    yield _new_workload(marks, recommend)
    yield from _drift(recommend)
    yield from _fell(marks, recommend)


def _new_workload(marks: AlertMarks, recommend: str) -> Alert:
    default = f'{RECOMMENDED}{{size="mesh default"}}'
    return Alert(
        "RightsizeNewWorkloadAboveDefault",
        f"(rightsize:workload_usage > on ({WORKLOAD}, resource) {default}) "
        f"and on (namespace, workload) {NEW}",
        "warning",
        "1h",
        f"{_WORKLOAD} is new and uses more {{{{ $labels.resource }}}} than the mesh default",
        f"It is younger than {marks.new_days} days, and a mean pod has used more than the default "
        "for an hour.",
        "Give its pods sizes of their own (annotations sidecar.istio.io/proxyCPU and so on). After "
        f"{marks.new_days} days: {recommend}",
    )


def _drift(recommend: str) -> Iterator[Alert]:
    share = (
        f"rightsize:workload_request / on ({WORKLOAD}, resource) group_left (component) "
        f"{RECOMMENDED}"
    )
    yield Alert(
        "RightsizeRequestsAboveRecommended",
        f"avg by (component, resource) ({share}) > {_APART}",
        "info",
        "1d",
        f"{_PART}: more is requested than was recommended",
        f"Requests in force are {_SHARE} of the recommended ones, mean over workloads: the "
        "recommendation was not applied, or was taken back.",
        "Roll out the patched files (rightsize plan gives the order), or write the rules anew "
        "with rightsize alerts.",
    )
    yield Alert(
        "RightsizeRequestsBelowRecommended",
        f"count by (component, resource) ({share} < {_BELOW}) > 0",
        "warning",
        "1d",
        f"{_PART}: {_NUMBER} workloads request less than was recommended",
        "A recommended raise is not in force, or a request was lowered further.",
        f"{recommend}, and roll it out; rightsize recommend --all lists every workload.",
    )


def _fell(marks: AlertMarks, recommend: str) -> Iterator[Alert]:
    week = f"[{USUAL_DAYS}d]"
    seen = f"and on (component, resource) ({COMPONENT_USE} offset {USUAL_DAYS}d)"
    found = [
        f'(quantile_over_time(0.95, {COMPONENT_USE}{{component="{use.component}",'
        f'resource="{use.resource}"}}{week}) / {use.value:.6g} < {_FELL})'
        for use in marks.usual
    ]
    if found:
        yield Alert(
            "RightsizeUsageFell",
            f"({' or '.join(found)}) {seen}",
            "info",
            "6h",
            f"{_PART}: usage fell to less than half",
            f"95th percentile of the last {USUAL_DAYS} days: {_SHARE} of what the recommendation "
            "saw. More is requested than is needed again.",
            recommend,
        )


def control_plane_alerts(marks: AlertMarks, study: str) -> Iterator[Alert]:
    """Alerts on istiod."""
    yield Alert(
        "RightsizeIstiodMemoryAboveRequest",
        'rightsize:container_usage{container="discovery",resource="memory"} '
        f'/ on ({POD}) rightsize:container_request{{resource="memory"}} > 1',
        "warning",
        "15m",
        "{{ $labels.namespace }}/{{ $labels.pod }} uses more memory than it requests",
        f"It uses {_SHARE} of its memory request. The request leaves room for the loss of one "
        "istiod; beyond it, its node may kill it.",
        f"{study} says what istiod needs now.",
    )
    yield Alert(
        "RightsizePropagationSlow",
        f'{PROPAGATION}{{quantile="0.99"}} > {marks.slow_seconds:g}',
        "warning",
        "15m",
        "Proxies get their configuration late",
        f"99 of 100 changes take up to {_NUMBER} s to reach a proxy; {marks.slow_seconds:g} s is "
        "where istiod's size is no longer trusted.",
        f"{study} names the part of the delay that grew; rightsize scope narrows what proxies get.",
    )
    if marks.services is not None:
        yield Alert(
            "RightsizeServicesAboveProjection",
            f"{SERVICES} > {marks.services.high:.0f}",
            "info",
            "1h",
            f"The mesh has {_NUMBER} services, more than were projected",
            f"{marks.services.mid:.0f} were projected for {marks.services_until}, "
            f"{marks.services.high:.0f} at most: istiod's dates of growth no longer hold.",
            f"{study} projects them anew.",
        )


def watch_alerts(marks: AlertMarks, collect: str) -> Iterator[Alert]:
    """Alerts on the watching itself."""
    missing = " or ".join(
        f"absent({series})"
        for series in (
            'rightsize:container_usage{resource="cpu"}',
            'rightsize:container_usage{resource="memory"}',
            'rightsize:container_request{resource="cpu"}',
            "rightsize:pod_workload",
            RECOMMENDED,
        )
    )
    yield Alert(
        "RightsizeMetricsMissing",
        missing,
        "warning",
        "30m",
        "Metrics that the other rightsize alerts need are missing",
        "Without them those alerts stay silent whatever happens. Missing for resource "
        "{{ $labels.resource }} (empty: owners of pods, or recommended sizes).",
        "rightsize doctor says which metrics the server lacks.",
    )
    yield Alert(
        "RightsizeRecommendationOld",
        f"vector(time()) > {marks.old_after.timestamp():.0f}",
        "info",
        "1h",
        "The recommendation in force rests on old data",
        f"Its data ends on {marks.advice.end:%Y-%m-%d}.",
        f"{collect}, then rightsize recommend and rightsize alerts.",
    )
