"""Rule groups as a rules file, or as a PrometheusRule for the Prometheus operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rightsize.files.yaml_text import to_yaml
from rightsize.output.alerts.conditions import alerts, condition_series
from rightsize.output.alerts.marks import AlertMarks
from rightsize.output.alerts.rules import Alert, Record
from rightsize.output.alerts.series import istiod_series, mesh_series
from rightsize.output.alerts.sizes import size_series

Group = Mapping[str, object]

# A minute, so that every series is there whenever another rule looks (lookback is 5 minutes).
_INTERVAL = "1m"


def rule_groups(marks: AlertMarks, matchers: str = "") -> tuple[Group, ...]:
    """All groups: recorded series, in the order they build on each other, and alerts.

    Parameters
    ----------
    matchers : str, optional
        Label matchers of every query of metrics, each ending in a comma: `cluster="prod",`.
    """
    series = (
        *mesh_series(matchers, marks.rate_seconds),
        *istiod_series(matchers),
        *size_series(marks.advice),
        *condition_series(marks),
    )
    return (
        _group("rightsize-series", series),
        _group("rightsize-sizes", tuple(alerts(marks, "sizes"))),
        _group("rightsize-control-plane", tuple(alerts(marks, "control_plane"))),
        _group("rightsize-watch", tuple(alerts(marks, "watch"))),
    )


def rules_text(marks: AlertMarks, matchers: str = "") -> str:
    """A rules file, as `promtool check rules` reads it."""
    body = {"groups": list(rule_groups(marks, matchers))}
    return to_yaml([body], comment=_comment(marks))


def operator_text(
    marks: AlertMarks,
    matchers: str = "",
    *,
    namespace: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> str:
    """A PrometheusRule; `labels` are those by which an operator selects its rules."""
    metadata: dict[str, object] = {"name": "rightsize"}
    if namespace:
        metadata["namespace"] = namespace
    metadata["labels"] = {"app.kubernetes.io/name": "rightsize", **(labels or {})}
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata,
        "spec": {"groups": list(rule_groups(marks, matchers))},
    }
    return to_yaml([rule], comment=_comment(marks))


def _group(name: str, rules: Sequence[Record | Alert]) -> Group:
    return {"name": name, "interval": _INTERVAL, "rules": [rule.as_dict() for rule in rules]}


def _comment(marks: AlertMarks) -> str:
    advice = marks.advice
    made = "simulated usage" if advice.simulated else "usage"
    return (
        f"Alerts for the recommendation for {advice.cluster}: they say when it no longer holds.\n"
        f"From {made} of {advice.start:%Y-%m-%d} to {advice.end:%Y-%m-%d}, "
        f"profile {advice.policy}. Written by rightsize alerts; write them anew with each "
        "recommendation."
    )
