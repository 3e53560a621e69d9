"""Charges beside EC2 that are not priced are named, and never taken for nothing."""

from __future__ import annotations

import pandas as pd
import pytest

from rightsize.cost.machines import unpriced_kinds


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("fargate", "Fargate pods"),
        ("hybrid", "EKS Hybrid Nodes fee"),
        ("auto", "EKS Auto Mode fee"),
    ],
)
def test_a_kind_with_charges_of_its_own_has_a_line_of_unknown_cost(kind: str, line: str) -> None:
    nodes = pd.DataFrame(
        {"node": ["a", "b"], "instance_type": None, "labels": None, "kind": [kind, "ec2"]}
    )
    (found,) = unpriced_kinds(nodes)
    assert found.name == line
    assert found.usd is None


def test_general_machines_have_no_such_line() -> None:
    nodes = pd.DataFrame({"node": ["a"], "instance_type": None, "labels": None, "kind": ["ec2"]})
    assert unpriced_kinds(nodes) == ()
