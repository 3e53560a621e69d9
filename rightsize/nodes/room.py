"""Who holds room on a node, and for how long: one answer for plans and for the bill.

A pod holds what it requests from when it is placed until it ends. Kubernetes keeps the objects of
completed, failed and evicted pods (and kube-state-metrics their requests) long after that, so a pod
that has ended holds nothing: where the end is not known, nothing of the day.
"""

from __future__ import annotations

import pandas as pd

from rightsize.snapshot.schema import WINDOW_SECONDS

ENDED = ("Succeeded", "Failed")
"""Phases of pods that have ended; evicted pods are `Failed`."""
WINDOW = pd.Timedelta(seconds=WINDOW_SECONDS)


def holding_room(pods: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the table `pods` that hold room, each only for as long as it did.

    `last_seen` is cut to `ended` where the table knows it. Pods without a node are kept: they wait
    for room, which plans must find and no machine has given yet.
    """
    over = pods["phase"].astype(object).isin(ENDED).to_numpy(dtype=bool)
    if "ended" not in pods.columns:
        return pods[~over]
    ended = pods["ended"]
    until = pods["last_seen"].where(ended.isna() | (ended > pods["last_seen"]), ended)
    known = ended.notna().to_numpy(dtype=bool)
    alive = (until > pods["first_seen"] - WINDOW).to_numpy(dtype=bool)
    return pods.assign(last_seen=until)[(~over | known) & alive]


def hours_seen(seen: pd.DataFrame) -> pd.Series:
    """Hours of a day in which each row of `pods` or `nodes` was seen; its first window counts."""
    lived = pd.to_timedelta(seen["last_seen"] - seen["first_seen"]) + WINDOW
    return (lived / pd.Timedelta(hours=1)).clip(lower=0.0, upper=24.0)
