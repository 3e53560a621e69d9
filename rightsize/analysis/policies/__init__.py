"""Sizing policies: scikit-learn-style estimators from one workload's usage to its sizes."""

from rightsize.analysis.policies.arrays import ArrayPolicy, History, Sizing
from rightsize.analysis.policies.base import SizingPolicy
from rightsize.analysis.policies.baselines import (
    AutopilotPolicy,
    KRRPolicy,
    PeakMarginPolicy,
    VPAPolicy,
)
from rightsize.analysis.policies.percentile import PercentilePolicy
from rightsize.analysis.policies.profiles import BASELINES, PROFILES, named, profile

__all__ = [
    "BASELINES",
    "PROFILES",
    "ArrayPolicy",
    "AutopilotPolicy",
    "History",
    "KRRPolicy",
    "PeakMarginPolicy",
    "PercentilePolicy",
    "Sizing",
    "SizingPolicy",
    "VPAPolicy",
    "named",
    "profile",
]
