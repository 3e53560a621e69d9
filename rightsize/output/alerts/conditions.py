"""The alerts themselves: what no longer holds, since when, and what to run then.

Their words and expressions stand in `data/alerts.toml`.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from rightsize.border import word
from rightsize.data_files import data_file
from rightsize.output.alerts.marks import USUAL_DAYS, AlertMarks
from rightsize.output.alerts.rules import Alert, Record
from rightsize.output.alerts.series import POD, WORKLOAD
from rightsize.output.alerts.sizes import RECOMMENDED
from rightsize.rollout.words import filled

_USE = "rightsize:component_usage"
_FELL = 0.5
_SHARE = (
    f"rightsize:workload_request / on ({WORKLOAD}, resource) group_left (component) {RECOMMENDED}"
)
_LABELS = {
    "here": "{{ $labels.namespace }}/{{ $labels.pod }}, container {{ $labels.container }}",
    "workload": "{{ $labels.namespace }}/{{ $labels.workload }}, container {{ $labels.container }}",
    "part": "{{ $labels.component }}, {{ $labels.resource }}",
    "share": "{{ $value | humanizePercentage }}",
    "number": "{{ $value | humanize }}",
    "by_pod": POD,
    "by_workload": WORKLOAD,
    "requested_share": _SHARE,
    "usual_days": USUAL_DAYS,
    "study": "rightsize control-plane",
}
_OTHER = ("for_each", "needs", "severity")
AlertGroup = Literal["sizes", "control_plane", "watch"]


def condition_series(marks: AlertMarks) -> tuple[Record, ...]:
    """Series that alerts look back on."""
    then = f"rightsize:pod_workload offset {marks.new_days}d"
    known = "on (namespace, workload)"
    return (
        Record(
            "rightsize:new_workload",
            f"(group by (namespace, workload) (rightsize:pod_workload) unless {known} {then}) "
            f"and on () (count({then}) > 0)",
        ),
        Record(
            _USE,
            "avg by (component, resource) (rightsize:workload_usage * on "
            f"({WORKLOAD}, resource) group_left (component) ({RECOMMENDED} ^ 0))",
        ),
    )


def alerts(marks: AlertMarks, group: AlertGroup) -> Iterator[Alert]:
    """Alerts on sizes in use, on istiod, or on the watching itself."""
    given = _given(marks)
    for words in _words()[group]:
        parts = {k: v for k, v in words.items() if k not in _OTHER}
        if given.get(words.get("needs", "study")):
            for one in words.get("for_each", ({},)):
                made = {key: filled(text, {**given, **one}) for key, text in parts.items()}
                yield Alert(severity=words["severity"], **made)


@functools.cache
def _words() -> Mapping[str, Any]:
    return tomllib.loads(data_file("alerts.toml").read_text(encoding="utf-8"))


def _given(marks: AlertMarks) -> Mapping[str, object]:
    """What the alerts are filled with; what is not known is empty."""
    collect = f"rightsize collect --cluster {word(marks.advice.cluster)} --prometheus-url URL"
    fell = (
        f'(quantile_over_time(0.95, {_USE}{{component="{use.component}",'
        f'resource="{use.resource}"}}[{USUAL_DAYS}d]) / {use.value:.6g} < {_FELL})'
        for use in marks.usual
    )
    return {
        **_LABELS,
        "collect": collect,
        "recommend": f"Collect ({collect}), then rightsize recommend -f VALUES",
        "near_limit": f"{marks.near_limit:g}",
        "throttled_share": f"{marks.throttled_share:g}",
        "new_days": marks.new_days,
        "fell": " or ".join(fell),
        "slow_seconds": f"{marks.slow_seconds:g}",
        "services": "" if marks.services is None else f"{marks.services.mid:.0f}",
        "most_services": "" if marks.services is None else f"{marks.services.high:.0f}",
        "services_until": marks.services_until,
        "old_after": f"{marks.old_after.timestamp():.0f}",
        "end": f"{marks.advice.end:%Y-%m-%d}",
    }
