"""Back-test: what a policy would have done on history it had not seen."""

from rightsize.sizing.backtest.frontier import frontier
from rightsize.sizing.backtest.run import (
    TODAY,
    Backtest,
    Workload,
    backtest,
    backtest_workloads,
    workloads_of,
)
from rightsize.sizing.backtest.score import Rates, Score, score
from rightsize.sizing.backtest.sources import snapshot_workloads, trace_workloads
from rightsize.sizing.backtest.walk import HalfSplit, Walk

__all__ = [
    "TODAY",
    "Backtest",
    "HalfSplit",
    "Rates",
    "Score",
    "Walk",
    "Workload",
    "backtest",
    "backtest_workloads",
    "frontier",
    "score",
    "snapshot_workloads",
    "trace_workloads",
    "workloads_of",
]
