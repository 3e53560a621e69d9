"""Packing against first-fit decreasing, greedy and the proven bound.

    python benchmarks/nodes.py                  # 300, 3,000 and 10,000 pods
    python benchmarks/nodes.py --seeds 10 3000  # ten seeds of one size
    python benchmarks/nodes.py --month 3000     # a month replayed under both autoscalers

Pods are made up from a seed: about 60 distinct sizes with log-normal CPU and memory and a
100m/128Mi sidecar, in workloads of up to five replicas of which no node may hold all. Nodes are 40
types (ten x86 families, large to 4xlarge) at bundled us-east-1 prices with what EKS leaves
allocatable, less 450m, 400Mi and five slots of DaemonSets. Costs are USD per hour; gaps are
(cost - bound) / bound; memory is the peak of the process so far.

The month has so many pods at once for 30 days; each lives five days on average, in workloads of about 20, and a
fifth of them for the eight busiest hours of each day. It begins with the pods spread over m5.2xlarge nodes that
they use by 0.6.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rightsize.config import NodeSettings
from rightsize.nodes.allocatable import allocatable
from rightsize.nodes.autoscaler import Autoscaler
from rightsize.nodes.bound import lower_bound
from rightsize.nodes.greedy import dot_product, first_fit_decreasing
from rightsize.nodes.month import replay_month
from rightsize.nodes.packing import pack
from rightsize.nodes.problem import Packing, Problem
from rightsize.prices.catalogue import priced_types
from rightsize.quantity import GIBIBYTE, MEBIBYTE

FAMILIES = ("m5", "m5a", "m6i", "m6a", "c5", "c5a", "c6i", "c6a", "r5", "r6i")
SIZES = ("large", "xlarge", "2xlarge", "4xlarge")
HABIT = "m5.2xlarge"
REPLICAS = 5
DISTINCT = 60
MONTH = 30 * 24
"""Hours of a replayed month."""


@dataclass(frozen=True)
class Line:
    """One method on one case."""

    method: str
    usd_per_hour: float
    gap: float
    nodes: int
    seconds: float
    """Of the processor, so that a busy machine changes little."""


def make_problem(pods: int, seed: int) -> tuple[Problem, list[str]]:
    """The case of a seed, and the names of its instance types."""
    types = priced_types("us-east-1")
    types = types[types["family"].isin(FAMILIES) & types["size"].isin(SIZES)]
    offered = allocatable(types)
    capacity = np.column_stack(
        [
            np.floor((offered["cpu"] - 0.45) * 1000 + 1e-6),
            np.floor(offered["memory"] - 400 * MEBIBYTE),
            offered["pods"] - 5,
        ]
    )
    size, count = _pods(pods, seed)
    none = np.zeros(0, dtype=np.int64)
    offers = len(types)
    problem = Problem(
        size=size,
        count=count,
        capacity=capacity,
        price=types["usd_per_hour"].to_numpy(dtype=float),
        fits=np.asarray((size[:, None, :] <= capacity[None, :, :]).all(axis=2)),
        group=np.arange(len(count)),
        limit=np.maximum(count - 1, 1),
        avoid=tuple(none for _ in count),
        kind=np.arange(offers),
        zone=np.zeros(offers, dtype=np.int64),
        on_demand=np.ones(offers, dtype=bool),
    )
    return problem, types["instance_type"].astype(str).tolist()


def _pods(pods: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    cpu = np.clip(np.exp(random.normal(np.log(0.25), 0.8, DISTINCT)), 0.02, 4) + 0.1
    memory = np.clip(np.exp(random.normal(np.log(0.5), 0.9, DISTINCT)), 0.05, 16) + 0.125
    share = random.dirichlet(np.ones(DISTINCT))
    sizes, counts = [], []
    for c, m, number in zip(cpu, memory, random.multinomial(pods, share), strict=True):
        size = (np.ceil(c * 100) * 10, np.ceil(m * 64) / 64 * GIBIBYTE, 1.0)
        whole, rest = divmod(int(number), REPLICAS)
        for replicas in [REPLICAS] * whole + [rest] * (rest > 0):
            sizes.append(size)
            counts.append(replicas)
    return np.array(sizes), np.array(counts, dtype=np.int64)


def measure(pods: int, seed: int, time_limit: float) -> list[Line]:
    """Every method on one case."""
    problem, names = make_problem(pods, seed)
    started = time.process_time()
    bound = lower_bound(problem)
    lines = [Line("lower bound", bound, 0.0, 0, time.process_time() - started)]
    habit = names.index(HABIT)

    def alone(offer: int) -> Packing:
        plan = first_fit_decreasing(problem.with_offers(np.array([offer])))
        return Packing(np.full(len(plan.offers), offer), plan.where)

    def best_alone() -> Packing:
        plans = [alone(int(offer)) for offer in np.flatnonzero(problem.fits.all(axis=0))]
        return min(plans, key=lambda plan: plan.cost(problem))

    def ours() -> Packing:
        found = pack(problem, time_limit=time_limit)
        if found is None:
            raise RuntimeError("no packing found")
        return found.packing

    methods: tuple[tuple[str, Callable[[], Packing]], ...] = (
        (f"first-fit decreasing, {HABIT}", lambda: alone(habit)),
        ("first-fit decreasing, best single type", best_alone),
        ("dot-product greedy", lambda: dot_product(problem)),
        ("rightsize", ours),
    )
    for method, solve in methods:
        started = time.process_time()
        packing = solve()
        seconds = time.process_time() - started
        if not packing.whole or (packing.used(problem) > problem.capacity[packing.offers]).any():
            raise RuntimeError(f"{method}: not a valid packing")
        cost = packing.cost(problem)
        lines.append(Line(method, cost, max(cost / bound - 1, 0.0), len(packing.offers), seconds))
    return lines


def make_month(pods: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pods of a month as `pod_days` gives them, and the nodes at its start."""
    random = np.random.default_rng(seed)
    start = pd.Timestamp("2026-03-01", tz="UTC")
    sizes, _ = _pods(pods, seed)
    begun, over, slots = [], [], []
    for slot in range(pods):
        time = -random.exponential(5 * 24)
        while time < MONTH:
            life = random.exponential(5 * 24) + 1
            begun.append(time)
            over.append(time + life)
            slots.append(slot)
            time += life
    by_day = pods // 4
    for day in range(MONTH // 24):
        begun += list(24 * day + 9 + random.random(by_day))
        over += [24 * day + 17.0] * by_day
        slots += list(random.integers(0, pods, by_day))
    first = np.clip(np.array(begun), 0.0, MONTH)
    last = np.clip(np.array(over), 0.0, MONTH)
    slot = np.array(slots)
    cpu, memory = (sizes[slot % len(sizes), column] for column in (0, 1))
    count = int(np.ceil(sizes[np.arange(pods) % len(sizes), 0].sum() / (0.6 * 7910)))
    names = np.array([f"node-{i}" for i in range(count)])
    days = pd.DataFrame(
        {
            "day": start,
            "namespace": "shop",
            "workload": [f"w{s % max(pods // 20, 1)}" for s in slot],
            "workload_kind": "Deployment",
            "pod": [f"p{i}" for i in range(len(slot))],
            "cpu": cpu / 1000,
            "memory": memory,
            "unset": 0,
            "daemonset": False,
            "scheduling": None,
            "labels": None,
            "node": np.where(first == 0, names[slot % count], None),
            "started": start + pd.to_timedelta(first, unit="h"),
            "first_seen": start + pd.to_timedelta(first, unit="h"),
            "last_seen": start + pd.to_timedelta(last, unit="h"),
        }
    )
    nodes = pd.DataFrame(
        {
            "node": names,
            "instance_type": HABIT,
            "zone": [f"us-east-1{'abc'[i % 3]}" for i in range(count)],
            "arch": "amd64",
            "capacity_type": "on-demand",
            "allocatable_cpu": 7.91,
            "allocatable_memory": 30.0 * GIBIBYTE,
            "allocatable_pods": 58.0,
            "labels": None,
            "taints": None,
        }
    )
    return days[days["last_seen"] > days["first_seen"]].reset_index(drop=True), nodes


def replay(pods: int, seed: int) -> None:
    """Print one line for each autoscaler."""
    days, nodes = make_month(pods, seed)
    settings = NodeSettings(spread="none")
    for scaler in (
        Autoscaler("cluster-autoscaler", 0.65),
        Autoscaler("karpenter"),
        Autoscaler("karpenter", replaces=True),
    ):
        started, worked = time.perf_counter(), time.process_time()
        month = replay_month(days, priced_types("us-east-1"), nodes, settings, scaler)
        print(
            f"| {pods} | {len(days)} | {scaler.kind} {scaler.setting} | {month.first} to {month.last} "
            f"| {month.scaling_events} | {time.perf_counter() - started:.1f} "
            f"| {time.process_time() - worked:.1f} |",
            flush=True,
        )


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pods", type=int, nargs="*", default=[300, 3000, 10000])
    parser.add_argument("--seeds", type=int, default=1, help="cases of each size")
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds for rightsize")
    parser.add_argument("--month", type=int, help="pods of a month to replay instead")
    options = parser.parse_args()
    if options.month:
        print("| pods at once | pods in all | under | nodes | joined or left | seconds | CPU |")
        print("|---:|---:|---|---:|---:|---:|---:|")
        replay(options.month, 0)
        return
    print("| pods | seed | method | USD/h | gap | nodes | CPU seconds | peak MiB |")
    print("|---:|---:|---|---:|---:|---:|---:|---:|")
    for pods in options.pods:
        gaps = []
        for seed in range(options.seeds):
            for line in measure(pods, seed, options.time_limit):
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                print(
                    f"| {pods} | {seed} | {line.method} | {line.usd_per_hour:.3f} "
                    f"| {line.gap:.2%} | {line.nodes or ''} | {line.seconds:.1f} | {peak:.0f} |",
                    flush=True,
                )
            gaps.append(line.gap)
        if len(gaps) > 1:
            print(f"\nMedian gap of rightsize at {pods} pods: {np.median(gaps):.2%}\n")


if __name__ == "__main__":
    main()
