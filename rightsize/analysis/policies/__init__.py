"""Sizing policies: scikit-learn-style estimators from one workload's usage to its sizes."""

from rightsize.analysis.policies.base import SizingPolicy
from rightsize.analysis.policies.percentile import PercentilePolicy
from rightsize.analysis.policies.profiles import PROFILES, profile

__all__ = ["PROFILES", "PercentilePolicy", "SizingPolicy", "profile"]
