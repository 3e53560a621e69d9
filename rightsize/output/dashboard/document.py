"""The dashboard as JSON to import, or as a ConfigMap that Grafana's sidecar picks up."""

from __future__ import annotations

import hashlib
import json
import re

from rightsize.border import printable
from rightsize.files.yaml_text import to_yaml
from rightsize.output.alerts.marks import AlertMarks
from rightsize.output.dashboard.panels import SOURCE, Json, Variable, placed
from rightsize.output.dashboard.rows import all_rows
from rightsize.rollout.canary_folder import TriedSize

SCHEMA_VERSION = 39
"""Of Grafana 10 and 11: newer ones migrate it when they read it."""


def dashboard(marks: AlertMarks, matchers: str = "", canary: TriedSize | None = None) -> Json:
    """The dashboard model.

    Parameters
    ----------
    matchers : str, optional
        Label matchers of what is asked of Istio's own metrics, each ending in a comma.
    canary : TriedSize, optional
        The canary that the last row starts with.
    """
    cluster = marks.advice.cluster
    rows = all_rows(marks, _literal(matchers), canary=canary is not None)
    # The same cluster's dashboard takes the place of the one before it.
    uid = "rightsize-" + hashlib.sha256(cluster.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return {
        "uid": uid,
        "title": f"rightsize: {_literal(printable(cluster))}",
        "description": _description(marks),
        "tags": ["rightsize", "istio"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-7d", "to": "now"},
        "refresh": "5m",
        "templating": {"list": [_data_source(), *(v.as_dict() for v in _variables(canary))]},
        "panels": list(placed(rows)),
    }


def dashboard_text(found: Json) -> str:
    """JSON as Grafana imports it."""
    return json.dumps(found, indent=2) + "\n"


def config_map_text(found: Json, namespace: str | None = None) -> str:
    """A ConfigMap with the label that the sidecar of Grafana's chart looks for."""
    metadata: dict[str, object] = {"name": "rightsize-dashboard"}
    if namespace:
        metadata["namespace"] = namespace
    metadata["labels"] = {"app.kubernetes.io/name": "rightsize", "grafana_dashboard": "1"}
    data = {f"{found['uid']}.json": dashboard_text(found)}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    return to_yaml([config_map])


def _variables(canary: TriedSize | None) -> tuple[Variable, ...]:
    tried = [] if canary is None else [canary.namespace, canary.workload, canary.container]
    there = 'namespace="$canary_namespace"'
    of_canary = (
        (
            "canary_namespace",
            "Canary: namespace",
            "label_values(rightsize:pod_workload, namespace)",
        ),
        (
            "canary_workload",
            "workload",
            f"label_values(rightsize:pod_workload{{{there}}}, workload)",
        ),
        (
            "canary_container",
            "container",
            f"label_values(rightsize:container_usage{{{there}}}, container)",
        ),
    )
    usage = "rightsize:workload_usage"
    return (
        Variable(
            "namespace",
            "Namespace",
            f"label_values({usage}, namespace)",
            multi=True,
            everything=True,
        ),
        Variable(
            "workload",
            "Workload",
            f'label_values({usage}{{namespace=~"$namespace"}}, workload)',
            multi=True,
            everything=True,
        ),
        Variable(
            "container",
            "Container",
            f"label_values({usage}, container)",
            multi=True,
            everything=True,
        ),
        *(
            Variable(name, label, query, tuple(tried[place : place + 1]))
            for place, (name, label, query) in enumerate(of_canary)
        ),
        Variable(
            "resized",
            "resized pods",
            f'label_values(rightsize:pod_workload{{{there},workload="$canary_workload"}}, pod)',
            () if canary is None else canary.names,
            multi=True,
        ),
    )


def _data_source() -> Json:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": SOURCE["type"],
        "refresh": 1,
    }


def _description(marks: AlertMarks) -> str:
    advice = marks.advice
    made = "simulated usage" if advice.simulated else "usage"
    return (
        f"From {made} of {advice.start:%Y-%m-%d} to {advice.end:%Y-%m-%d}, profile {advice.policy}. "
        "Reads the series of rightsize alerts, whose rules must be loaded; write both anew with each "
        "recommendation."
    )


def _literal(text: str) -> str:
    r"""Text in which Grafana replaces nothing: `$name` and `[[name]]` are its variables.

    In a string of PromQL `\x24` and `\x5b` are `$` and `[` again.
    """
    return re.sub(r"\$|\[(?=\[)", lambda found: f"\\x{ord(found[0]):02x}", text)
