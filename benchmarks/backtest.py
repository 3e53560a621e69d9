"""Time and memory of a back-test: synthetic workloads, 5 policies, 14 days fitted and 7 scored.

python benchmarks/backtest.py [--workloads 2000] [--days 30] [--pods 1]
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator

import numpy as np

from rightsize.sizing.backtest import Walk, Workload, backtest_workloads
from rightsize.sizing.policies import History
from rightsize.sizing.profiles import policy_named

POLICIES = ("balanced", "krr", "vpa", "autopilot", "peak")


def workloads(count: int, days: int, pods: int) -> Iterator[Workload]:
    """Daily cycle with lognormal bursts, all pods of a workload alike; seeded."""
    rng = np.random.default_rng(1)
    times = np.repeat(300 * np.arange(1, days * 288 + 1), pods)
    codes = np.tile(np.arange(pods), days * 288)
    cycle = 1 + 0.5 * np.sin(times * 2 * np.pi / 86_400)
    for number in range(count):
        cpu = 0.02 * cycle * rng.lognormal(sigma=0.5, size=times.size)
        memory = 6e7 * (1 + 0.05 * rng.random(times.size))
        yield Workload("load", f"w{number}", "istio-proxy", History(times, codes, cpu, memory))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", type=int, default=2000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--pods", type=int, default=1)
    given = parser.parse_args()
    begin, cpu = time.perf_counter(), time.process_time()
    result = backtest_workloads(
        workloads(given.workloads, given.days, given.pods),
        {name: policy_named(name) for name in POLICIES},
        split=Walk(14, 7),
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{given.workloads} workloads of {given.pods} pods x {given.days} days x "
        f"{len(POLICIES)} policies: {len(result.windows)} rows in "
        f"{time.perf_counter() - begin:.1f} s ({time.process_time() - cpu:.1f} s CPU), "
        f"peak {peak:.0f} MiB"
    )


if __name__ == "__main__":
    main()
