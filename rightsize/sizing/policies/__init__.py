"""Sizing policies: scikit-learn-style estimators from one workload's usage to its sizes."""

from rightsize.sizing.policies.arrays import ArrayPolicy, History, Sizing
from rightsize.sizing.policies.base import SizingPolicy
from rightsize.sizing.policies.baselines import (
    AutopilotPolicy,
    KRRPolicy,
    PeakMarginPolicy,
    VPAPolicy,
)
from rightsize.sizing.policies.calibrated import CalibratedPolicy
from rightsize.sizing.policies.percentile import PercentilePolicy
from rightsize.sizing.policies.profiles import (
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
