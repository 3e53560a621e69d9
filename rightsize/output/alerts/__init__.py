"""Alerts that say when a recommendation no longer holds, as Prometheus rules."""

from rightsize.output.alerts.document import operator_text, rule_groups, rules_text

__all__ = ["operator_text", "rule_groups", "rules_text"]
