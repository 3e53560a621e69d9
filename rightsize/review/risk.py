"""What the recommended sizes would have met in the month's own windows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rightsize.results import Advice
from rightsize.sizing.history import MeshWindows
from rightsize.snapshot import Snapshot

_KEYS = ["component", "namespace", "workload"]


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
    sizes = {(r.namespace, r.workload, r.kind, r.container): r for r in advice.recommendations}
    mesh = MeshWindows.of(snapshot)
    rows = [sizes.get(key[1:]) for key in mesh.keys]
    limits = {
        "cpu_above_now": ("cpu", [None if r is None else r.cpu.request for r in rows]),
        "cpu_above_recommended": (
            "cpu",
            [None if r is None else r.cpu.recommended_request for r in rows],
        ),
        "memory_above_recommended": (
            "memory",
            [None if r is None else r.memory.recommended_limit for r in rows],
        ),
    }
    # NaN where no size is set: no window is above it, and none counts as below.
    levels = {name: (of, np.array(values, dtype=float)) for name, (of, values) in limits.items()}
    windows = np.zeros(len(rows), dtype=np.int64)
    above = {name: np.where(np.isnan(sized), np.nan, 0.0) for name, (_, sized) in levels.items()}
    for number, used in mesh.days(["cpu", "memory"]):
        windows += np.bincount(number[np.isfinite(used["cpu"])], minlength=len(rows))
        for name, (of, sized) in levels.items():
            above[name] += np.bincount(number[used[of] > sized[number]], minlength=len(rows))
    keys = pd.DataFrame([key[:3] for key in mesh.keys], columns=_KEYS)
    found = keys.assign(windows=windows, **above)
    known = np.array([r is not None for r in rows], dtype=bool)
    return found[known].reset_index(drop=True)
