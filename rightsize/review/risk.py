"""What the recommended sizes would have met in the month's own windows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rightsize.results import Advice
from rightsize.sizing.history import container_histories
from rightsize.snapshot import Snapshot


def windows_above(snapshot: Snapshot, advice: Advice) -> pd.DataFrame:
    """Count 5-minute windows above what is in force and above what is recommended.

    In-sample: the sizes were found on these windows and earlier ones. The back-test says what to
    expect of windows to come.

    Returns
    -------
    DataFrame
        A row for each container of a workload: component, namespace, workload, `windows`,
        `cpu_above_now`, `cpu_above_recommended` (windows above the CPU request),
        `memory_above_recommended` (windows above the memory limit); NaN where none is set.
    """
    sizes = {(r.namespace, r.workload, r.container): r for r in advice.recommendations}
    rows = []
    for history in container_histories(snapshot):
        row = sizes.get((history.namespace, history.workload, history.container))
        if row is None:
            continue
        cpu = history.usage["cpu"].to_numpy(dtype=float)
        memory = history.usage["memory"].to_numpy(dtype=float)
        rows.append(
            {
                "component": history.component,
                "namespace": history.namespace,
                "workload": history.workload,
                "windows": int(np.isfinite(cpu).sum()),
                "cpu_above_now": _above(cpu, row.cpu.request),
                "cpu_above_recommended": _above(cpu, row.cpu.recommended_request),
                "memory_above_recommended": _above(memory, row.memory.recommended_limit),
            }
        )
    columns = ["component", "namespace", "workload", "windows"]
    columns += ["cpu_above_now", "cpu_above_recommended", "memory_above_recommended"]
    return pd.DataFrame(rows, columns=columns)


def _above(values: np.ndarray, size: float | None) -> float:
    return float("nan") if size is None else float((values > size).sum())
