"""The answer for a snapshot: plans before and after, and nothing saved where nothing changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rightsize.config import NodeSettings
from rightsize.nodes.answer import answer
from rightsize.output.node_plans import answer_to_dict, remarks
from rightsize.results import Advice, Recommendation, ResourceAdvice, Rule, Usage
from rightsize.snapshot import Snapshot

MEBIBYTE = 2**20
PAGE = Path(__file__).parents[2] / "docs" / "nodes.md"
SETTINGS = NodeSettings(families=("m5",), sizes=("large", "xlarge"), time_limit=2.0)


def advised(snapshot: Snapshot, cpu: float, memory: float) -> Advice:
    """The mesh default set to these requests."""

    def to(request: float) -> ResourceAdvice:
        return ResourceAdvice(None, None, request, None, request, None, Usage(), Rule.POLICY)

    default = Recommendation(
        component="sidecar",
        namespace=None,
        workload=None,
        kind=None,
        container="istio-proxy",
        native=False,
        replicas=6,
        cpu=to(cpu),
        memory=to(memory),
        evidence=None,
        reason="",
    )
    manifest = snapshot.manifest
    return Advice("test", False, manifest.start, manifest.end, "balanced", {}, (default,))


def test_smaller_sidecars_make_smaller_plans(small_snapshot: Snapshot) -> None:
    found = answer(small_snapshot, SETTINGS, advice=advised(small_snapshot, 0.01, 40 * MEBIBYTE))
    assert found.after is not None
    for before, after in zip(found.before.plans, found.after.plans, strict=True):
        assert before.packed is not None
        assert after.packed is not None
        assert after.packed.node_set.usd_per_hour <= before.packed.node_set.usd_per_hour
        assert after.use[0] * after.promised.nodes < before.use[0] * before.promised.nodes + 1e-9


def test_advice_that_changes_nothing_saves_nothing(small_snapshot: Snapshot) -> None:
    """Nodes follow requests, not traffic: a quieter month with nothing applied frees no node."""
    same = advised(small_snapshot, 0.1, 256 * MEBIBYTE)
    found = answer(small_snapshot, SETTINGS, advice=same, autoscaler="cluster-autoscaler")
    assert found.after is not None
    assert [p.promised for p in found.before.plans] == [p.promised for p in found.after.plans]
    assert found.month is not None
    assert found.month.after is not None
    assert found.month.before.timeline.equals(found.month.after.timeline)


def test_nodes_in_use_are_counted_and_priced(small_snapshot: Snapshot) -> None:
    today = answer(small_snapshot, SETTINGS).today
    assert today.nodes == 3
    assert today.by_type == {"m5.xlarge": 3}
    assert today.usd_per_hour == pytest.approx(3 * 0.192)


def test_a_region_can_be_named_and_its_missing_prices_are_unknown(
    small_snapshot: Snapshot,
) -> None:
    found = answer(small_snapshot, SETTINGS, region="cn-north-1")
    assert found.today.usd_per_hour is None
    assert found.before.named("same-type").promised.usd_per_hour is None
    assert found.before.named("mix").promised is None
    assert any("no bundled prices of cn-north-1" in line for line in remarks(found))


def keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | set().union(*map(keys, value.values()))
    if isinstance(value, list):
        return set().union(*map(keys, value))
    return set()


def test_the_page_names_every_field_of_the_json(small_snapshot: Snapshot) -> None:
    advice = advised(small_snapshot, 0.01, 40 * MEBIBYTE)
    found = answer(small_snapshot, SETTINGS, advice=advice, autoscaler="karpenter")
    body = answer_to_dict(found)
    body["plans"][0]["unplaced"] = [
        {"namespace": "", "workload": "", "pod": "", "reason": "as for a pod that fits nowhere"}
    ]
    page = PAGE.read_text()
    missing = {key for key in keys(body) if f"`{key}`" not in page}
    assert missing == set()
