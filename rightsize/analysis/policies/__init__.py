"""Sizing policies: scikit-learn-style estimators from one workload's usage to its sizes."""

from rightsize.analysis.policies.base import SizingPolicy
from rightsize.analysis.policies.percentile import PercentilePolicy

__all__ = ["PercentilePolicy", "SizingPolicy"]
