"""Volume of the mesh's access logs. Dollars only where the user gave a price."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from rightsize.cost.plan import CostLine
from rightsize.results import Interval

GIGABYTE = 1e9


@dataclass(frozen=True, slots=True)
class AccessLog:
    """What access logging writes in a month, if it is switched on for every proxy."""

    lines: float
    bytes: float
    known: bool = True
    """False where no request was reported: how many there were is unknown, and not none."""

    def line(self, usd_per_gb: float | None) -> CostLine:
        """Return the monthly cost at the user's price of one GB; unknown without it."""
        if not self.known:
            return CostLine("access logs", None, "", "no traffic was reported", "logs")
        volume = f"{self.lines:,.0f} lines, {self.bytes / GIGABYTE:,.1f} GB a month if logged"
        if usd_per_gb is None:
            return CostLine("access logs", None, "", f"{volume}; no price is set", "logs")
        usd = Interval.exactly(self.bytes / GIGABYTE * usd_per_gb)
        return CostLine("access logs", usd, "prices.access_log_usd_per_gb", volume, "logs")


def access_log(traffic: pd.DataFrame, *, bytes_per_line: float, hours: float) -> AccessLog:
    """Return the volume in a month of `hours`.

    Each proxy that a request passes writes one line: the caller's and the called workload's. An end
    outside the mesh (`unknown`) writes none.

    Parameters
    ----------
    traffic : DataFrame
        Table `traffic`: `time`, `source_workload`, `destination_workload`, `requests`.
    """
    traffic = traffic.dropna(subset=["requests"])
    if traffic.empty:
        return AccessLog(0.0, 0.0, known=False)
    inside = [traffic[f"{end}_workload"].astype(str) != "unknown" for end in _ENDS]
    proxies = sum(end.astype(float) for end in inside)
    lines = float((traffic["requests"] * proxies).sum()) * hours / traffic["time"].nunique()
    return AccessLog(lines, lines * bytes_per_line)


_ENDS = ("source", "destination")
