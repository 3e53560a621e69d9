"""Which clusters a store holds, as a first `fleet.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from rightsize.border import path_part, printable, promql_string
from rightsize.collectors.prometheus.days import DAY_SECONDS
from rightsize.collectors.prometheus.queries import MESH_CONTAINERS
from rightsize.collectors.prometheus.source import open_source
from rightsize.config import PrometheusSettings
from rightsize.errors import NoDataError, UsageError
from rightsize.fleet.fleet_file import FleetCluster
from rightsize.output.settings_text import toml_value

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def clusters_in(settings: PrometheusSettings, label: str, *, days: int = 1) -> list[str]:
    """Values that a label of mesh containers has had during the last days, in order.

    Raises
    ------
    UsageError
        If `label` cannot be a label's name.
    NoDataError
        If no mesh container has the label.
    MetricsServerError
        If the server fails.
    """
    if not _LABEL.fullmatch(label):
        raise UsageError(f"--label {label!r} cannot be a label", hint="such as --label cluster")
    with open_source(settings) as source:
        now = int(source.now())
        found: set[str] = set()
        for endpoint in source.endpoints:
            form = {
                "match[]": source.written(
                    f'container_cpu_usage_seconds_total{{container=~"{MESH_CONTAINERS}",$M}}',
                    endpoint,
                ),
                "start": str(now - days * DAY_SECONDS),
                "end": str(now),
            }
            values = endpoint.server.label_values(label, form)
            found |= {value for value in values if isinstance(value, str) and value}
    if not found:
        raise NoDataError(
            f"no mesh container has a label {label}",
            hint="rightsize doctor lists the labels; --label names the one of the cluster",
        )
    return sorted(found)


def fleet_text(settings: PrometheusSettings, label: str, values: Sequence[str]) -> str:
    """A fleet's file: the server in `[defaults]`, and a cluster for each value of the label.

    A value that cannot be printed is left out, and named.

    Raises
    ------
    UsageError
        If the settings hold what may be a secret.
    """
    given: Mapping[str, Any] = settings.model_dump(exclude_defaults=True)
    try:
        FleetCluster.model_validate(given)
    except ValidationError as error:
        raise UsageError(
            f"fleet.toml holds no secret: {error.errors(include_input=False)[0]['msg']}"
        ) from error
    names: dict[str, str] = {}
    for value in filter(str.isprintable, values):
        name = path_part(value).replace("%", "_")
        while name in names:
            name += "_"
        names[name] = value
    lines = [
        "# The fleet; docs/fleet.md lists every key. What a cluster does not say it inherits.",
        *(f"# left out: {label}={printable(one)}" for one in values if not one.isprintable()),
        "[defaults]",
        *(f"{key} = {toml_value(one)}" for key, one in given.items() if key != "matchers"),
    ]
    for name, value in names.items():
        matchers = [*settings.matchers, f"{label}={promql_string(value)}"]
        lines += [
            "",
            f"[clusters.{toml_value(name)}]",
            f"matchers = {toml_value(matchers)}",
            '# region = "eu-west-1"',
            '# team = "payments"',
            '# values = ["values.yaml"]',
        ]
    return "\n".join(lines) + "\n"
