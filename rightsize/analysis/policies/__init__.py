"""Sizing policies: scikit-learn-style estimators from one workload's usage to its sizes."""

from rightsize.analysis.policies.arrays import ArrayPolicy, History, Sizing
from rightsize.analysis.policies.base import SizingPolicy
from rightsize.analysis.policies.baselines import (
    AutopilotPolicy,
    KRRPolicy,
    PeakMarginPolicy,
    VPAPolicy,
)
from rightsize.analysis.policies.calibrated import CalibratedPolicy
from rightsize.analysis.policies.percentile import PercentilePolicy
from rightsize.analysis.policies.profiles import (
    BASELINES,
    PROFILES,
    PROMISES,
    Promise,
    named,
    profile,
)

__all__ = [
    "BASELINES",
    "PROFILES",
    "PROMISES",
    "ArrayPolicy",
    "AutopilotPolicy",
    "CalibratedPolicy",
    "History",
    "KRRPolicy",
    "PeakMarginPolicy",
    "PercentilePolicy",
    "Promise",
    "Sizing",
    "SizingPolicy",
    "VPAPolicy",
    "named",
    "profile",
]
