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
from rightsize.sizing.profiles import policy_named as named

__all__ = [
    "ArrayPolicy",
    "AutopilotPolicy",
    "CalibratedPolicy",
    "History",
    "KRRPolicy",
    "PeakMarginPolicy",
    "PercentilePolicy",
    "Sizing",
    "SizingPolicy",
    "VPAPolicy",
    "named",
]
