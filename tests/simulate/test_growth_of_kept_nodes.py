"""A larger mesh needs more of the machines that are packed, and no more of the others."""

from __future__ import annotations

import pytest

from rightsize.nodes.plan import NodeGroup, NodeSet
from rightsize.simulate.simulate import grown

GENERAL = NodeGroup("m5.xlarge", "on-demand", None, 4, 0.2)
GPU = NodeGroup("g5.xlarge", "on-demand", None, 2, 1.0, "accelerator")
FARGATE = NodeGroup("fargate", "unknown", None, 30, 0.0, "fargate")


def test_kept_nodes_stay_as_many_and_keep_their_price() -> None:
    nodes, usd = grown(NodeSet((GENERAL, GPU)), 3.0, 0.5)
    assert nodes == 13 + 2
    assert usd == pytest.approx((13 * 0.2 + 2 * 1.0) * 730)


def test_pods_on_fargate_are_no_nodes() -> None:
    assert grown(NodeSet((GENERAL, FARGATE)), 2.0, 0.0)[0] == 8
    assert grown(NodeSet((FARGATE,)), 2.0, 0.5) == (0.0, 0.0)


def test_an_unknown_price_is_unknown() -> None:
    unknown = NodeGroup("m5.xlarge", "on-demand", None, 4, None)
    assert grown(NodeSet((unknown,)), 1.0, 0.0) == (4.0, None)
