"""The IAM policy allows exactly what the code asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from rightsize.collectors.aws import CALLS, AwsFacts, iam_policy, iam_policy_text
from tests.servers.aws import Gate

DOCS = Path(__file__).parents[3] / "docs"


def _allowed(policy: dict) -> set[str]:
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def test_the_policy_allows_the_calls_that_a_full_collection_makes_and_no_other(
    gate: Gate, collect: Callable[..., AwsFacts]
) -> None:
    facts = collect()
    assert facts.missing == ()
    made = {request.action for request in gate.requests} - {"sts:GetCallerIdentity"}
    assert made == _allowed(iam_policy())


def test_the_policy_in_the_docs_is_the_one_of_the_code() -> None:
    assert (DOCS / "iam-policy.json").read_text() == iam_policy_text(iam_policy())


def test_the_policy_can_only_read() -> None:
    for action in _allowed(iam_policy()):
        assert action.split(":")[1].startswith(("Describe", "Get", "List"))


def test_calls_that_answer_from_another_region_are_not_bound_to_the_clusters() -> None:
    policy = iam_policy("eu-west-1", "1234", "shop")
    bound = {s["Sid"]: s for s in policy["Statement"] if "Condition" in s}
    assert list(bound) == ["RightsizeRegion"]
    services = {action.split(":")[0] for action in bound["RightsizeRegion"]["Action"]}
    assert services == {"ec2", "autoscaling", "eks"}
    assert json.dumps(policy).count("eu-west-1") == 2
    assert "arn:aws:eks:eu-west-1:1234:cluster/shop" in json.dumps(policy)


def test_every_call_is_in_the_guide_with_what_it_is_for() -> None:
    guide = (DOCS / "aws.md").read_text()
    for call in CALLS:
        assert f"| `{call.action}` | {call.why} |" in guide
