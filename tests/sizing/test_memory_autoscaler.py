"""A component with an HPA on memory keeps its memory request, or the HPA climbs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from rightsize.sizing.autoscalers import held_by_autoscaler


@pytest.mark.parametrize(
    ("component", "held"), [("gateway", True), ("istiod", True), ("sidecar", False)]
)
def test_a_memory_target_holds_the_memory_request_of_a_whole_pod(
    component: str, held: bool
) -> None:
    row = {"namespace": "a", "workload": "gw", "metric": "memory", "container": None}
    scalers = pd.DataFrame([{**row, "target_utilization": 80.0}])
    history = cast(
        "Any",
        SimpleNamespace(
            namespace="a",
            workload="gw",
            container="istio-proxy",
            component=component,
            kind="Deployment",
            same_name=False,
        ),
    )
    reason = held_by_autoscaler(scalers, history, "memory")
    assert reason == ("its HPA holds memory at 80 % of the request" if held else None)
    assert held_by_autoscaler(scalers, history, "cpu") is None
