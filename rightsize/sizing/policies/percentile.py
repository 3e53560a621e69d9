"""The simplest honest policy: a percentile of CPU and the peak of memory, with margins."""

from __future__ import annotations

from rightsize.results import Sizes
from rightsize.sizing.policies.arrays import Sizing
from rightsize.sizing.policies.daily import Daily, DailyPolicy


class PercentilePolicy(DailyPolicy):
    """Request a percentile of use plus a margin, limit the peak plus a margin.

    Parameters
    ----------
    cpu_percentile : float
        Percentile (0-100) of all pods' windows that the CPU request covers.
    cpu_margin, memory_margin : float
        Share added to the request's percentile.
    memory_percentile : float
        Percentile that the memory request covers; 100 is the peak.
    cpu_limit_margin, memory_limit_margin : float
        Share added to the peak for the limit.

    Examples
    --------
    >>> import pandas as pd
    >>> usage = pd.DataFrame({"cpu": [0.01] * 99 + [0.05], "memory": [60e6] * 100})
    >>> PercentilePolicy(cpu_margin=0.0).fit(usage).sizes_.cpu_request
    0.01
    """

    def __init__(
        self,
        cpu_percentile: float = 95.0,
        cpu_margin: float = 0.2,
        memory_percentile: float = 100.0,
        memory_margin: float = 0.1,
        cpu_limit_margin: float = 1.0,
        memory_limit_margin: float = 0.5,
    ) -> None:
        self.cpu_percentile = cpu_percentile
        self.cpu_margin = cpu_margin
        self.memory_percentile = memory_percentile
        self.memory_margin = memory_margin
        self.cpu_limit_margin = cpu_limit_margin
        self.memory_limit_margin = memory_limit_margin

    def size_daily(self, daily: Daily) -> Sizing:
        cpu, memory = daily.cpu.tally.pooled(), daily.memory.tally.pooled()
        cpu_request = cpu_limit = memory_request = memory_limit = None
        if cpu.windows:
            cpu_request = cpu.quantile(self.cpu_percentile / 100) * (1 + self.cpu_margin)
            cpu_limit = max(float(cpu.highest[-1]) * (1 + self.cpu_limit_margin), cpu_request)
        if memory.windows:
            level = memory.quantile(self.memory_percentile / 100)
            memory_request = level * (1 + self.memory_margin)
            peak = float(memory.highest[-1])
            memory_limit = max(peak * (1 + self.memory_limit_margin), memory_request)
        return Sizing(
            Sizes(cpu_request, cpu_limit, memory_request, memory_limit),
            {
                "cpu": f"p{self.cpu_percentile:g} + {self.cpu_margin:.0%}",
                "memory": f"p{self.memory_percentile:g} + {self.memory_margin:.0%}",
            },
        )
