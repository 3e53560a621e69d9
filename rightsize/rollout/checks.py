"""The checks as Prometheus rules: each is a series that is 1 while the check holds."""

from __future__ import annotations

from collections.abc import Mapping

from rightsize.files.yaml_text import to_yaml
from rightsize.rollout.model import RolloutPlan

RECORD = "rightsize:plan_check"
_INTERVAL = "5m"
"""They look back an hour to a day: more often would only cost Prometheus work."""


def rules_text(plan: RolloutPlan) -> str:
    """A rules file, as `promtool check rules` reads it."""
    comment = (
        f"Checks of the rollout plan for {plan.cluster}. {RECORD} is 1 where a check holds, 0 where\n"
        "it does not, and missing where its metrics are."
    )
    return to_yaml([_groups(plan)], comment=comment)


def operator_text(plan: RolloutPlan) -> str:
    """The same rules for the Prometheus operator."""
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "rightsize-plan"},
        "spec": _groups(plan),
    }
    return to_yaml([rule])


def _groups(plan: RolloutPlan) -> Mapping[str, object]:
    return {
        "groups": [
            {
                "name": f"rightsize-plan-{plan.folder(phase)}",
                "interval": _INTERVAL,
                "rules": [
                    {
                        "record": RECORD,
                        "expr": check.expression,
                        "labels": {"phase": plan.folder(phase), "check": check.name},
                    }
                    for check in phase.checks
                ],
            }
            for phase in plan.phases
            if phase.checks
        ]
    }
