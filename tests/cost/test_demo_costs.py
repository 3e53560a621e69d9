"""The demo mesh's costs, figure by figure: any change shows in the diff of `demo_costs.json`.

A change that is meant is written with `python tests/cost/test_demo_costs.py`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rightsize.config import PriceSettings
from rightsize.cost.answer import MoneyAnswer, price_answer
from rightsize.cost.node_sets import PlannedNodeSet
from rightsize.cost.plan import price_plan
from rightsize.cost.planned import lots_of
from rightsize.cost.saving import saving
from rightsize.demo import demo_snapshot
from rightsize.nodes.demand import scheduled_pods
from rightsize.nodes.plans import plan_same_type
from rightsize.prices.shapes import priced_catalogue
from rightsize.recommend import recommend
from rightsize.results import Interval
from rightsize.snapshot import Snapshot

BASELINE = Path(__file__).with_name("demo_costs.json")


def test_the_costs_of_the_demo_mesh_are_those_of_the_baseline() -> None:
    assert current() == json.loads(BASELINE.read_text()), (
        f"costs of the demo mesh changed; if that is meant, run python {__file__}"
    )


def current() -> dict[str, Any]:
    """USD a month of the simulated mesh, without commitments, at bundled prices."""
    snapshot = Snapshot(demo_snapshot())
    found = price_answer(snapshot, None, PriceSettings(commitment_usd_per_hour=0))
    rows = found.allocation.rows
    return {
        "simulated": found.simulated,
        "bill": {line.name: _money(line.usd) for line in found.today.lines},
        "total": _money(found.today.total),
        "nodes": round(found.today.nodes, 2),
        "parts": {str(k): int(v) / 100 for k, v in rows.groupby("part")["cents"].sum().items()},
        "sidecars": found.allocation.sidecar_usd,
        "namespaces": {
            str(name): round(float(usd), 2)
            for name, usd in found.allocation.by_namespace().sum(axis=1).items()
        },
        "cross_zone_gb": _money(found.traffic.moved.scaled(1e-9)),
        "access_log_gb": round(found.logs.bytes / 1e9, 1),
        "same_type": _same_type(snapshot, found),
    }


def _same_type(snapshot: Snapshot, found: MoneyAnswer) -> dict[str, Any]:
    catalogue, _ = priced_catalogue(found.region, snapshot.read("prices"))
    pods, containers = snapshot.read("pods"), snapshot.read("containers")
    nodes = snapshot.read("nodes", days=snapshot.days[-1:])
    costs = []
    for advice in (None, recommend(snapshot)):
        asked = scheduled_pods(pods, containers, advice=advice)
        plan = plan_same_type(asked, catalogue, None, nodes)
        assert plan.promised is not None
        costs.append(price_plan(PlannedNodeSet(plan.name, lots_of(plan.promised)), found.terms))
    now, after = costs
    return {
        "nodes_before": now.nodes,
        "nodes_after": after.nodes,
        "saving": _money(saving(now, after, found.terms).realisable),
    }


def _money(value: Interval | None) -> list[float] | None:
    return None if value is None else [round(end, 2) for end in (value.low, value.mid, value.high)]


if __name__ == "__main__":
    BASELINE.write_text(json.dumps(current(), indent=1, sort_keys=True) + "\n")
    sys.stderr.write(f"written: {BASELINE}\n")
