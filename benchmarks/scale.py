"""Time and memory of commands on meshes of growing size.

    python benchmarks/scale.py                              # recommend on 300 to 6,000 pods
    python benchmarks/scale.py --pods 20000 --command recommend --command nodes

Meshes are simulated as the demo's is: 14 days, ten pods a workload, sixty pods a namespace. Each
command runs by itself; memory is the peak of its processes together (proportional set size). The last
column is the exponent of the growth of CPU time since the first size: 1 is linear. Nothing is kept of a command;
`recommend-again` finds what `recommend` computed before.
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from rightsize.demo.cache import write_demo
from rightsize.demo.parameters import DemoParameters

KEPT = ("recommend", "nodes", "plan", "report")
"""Commands with answers that are kept."""


def mesh(folder: Path, pods: int) -> Path:
    """A simulated mesh of about so many pods."""
    path = folder / f"mesh-{pods}"
    parameters = DemoParameters(
        start=date(2026, 10, 18),
        end=date(2026, 10, 31),
        pods=pods,
        workloads=max(57, pods // 10),
        app_namespaces=max(10, pods // 60),
        nodes=max(24, pods // 12),
    )
    if not path.exists():
        write_demo(path, parameters)
    return path


def run(command: str, snapshot: Path) -> tuple[float, float, float]:
    """Seconds of wall time and of CPU, and the peak in MiB."""
    name, _, again = command.partition("-")
    if again:
        measured(name, snapshot)
        return measured(name, snapshot)
    return measured(name, snapshot, *(["--no-cache"] if name in KEPT else []))


def measured(command: str, snapshot: Path, *options: str) -> tuple[float, float, float]:
    """The same of one run."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    child = subprocess.Popen(
        [sys.executable, "-m", "rightsize", command, "--snapshot", str(snapshot), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=snapshot.parent,
    )
    peak = 0.0
    while child.poll() is None:
        peak = max(peak, held_mib(child.pid))
        time.sleep(0.1)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, peak


def held_mib(process: int) -> float:
    """Memory of a process and those it started; what they share counts once."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:  # It has ended.
        return 0.0
    own = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return own / 1024 + sum(held_mib(int(child)) for child in children)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, action="append")
    parser.add_argument("--command", action="append")
    parser.add_argument("--folder", type=Path, help="Keeps the meshes for the next run.")
    given = parser.parse_args()
    sizes = given.pods or [300, 1200, 6000]
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{'command':15} {'pods':>6} {'wall s':>7} {'CPU s':>7} {'MiB':>6} {'exponent':>8}")
        for command in given.command or ["recommend", "recommend-again"]:
            first = None
            for pods in sizes:
                wall, cpu, memory = run(command, mesh(folder, pods))
                first = first or (pods, cpu)
                growth = (
                    math.log(cpu / first[1]) / math.log(pods / first[0]) if pods > first[0] else 0.0
                )
                print(f"{command:15} {pods:6} {wall:7.1f} {cpu:7.1f} {memory:6.0f} {growth:8.2f}")


if __name__ == "__main__":
    main()
