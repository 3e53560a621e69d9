"""Whole millicores and bytes, so that sums of requests are exact."""

from __future__ import annotations

import numpy as np

from rightsize.nodes.problem import Floats


def to_whole(cpu: Floats, memory: Floats, *, up: bool = False) -> Floats:
    """(N, 2) millicores and bytes; requests are rounded up, capacities down.

    Kubernetes itself keeps CPU in millicores and rounds requests up to them.
    """
    pair = np.column_stack([np.asarray(cpu, dtype=float) * 1000, np.asarray(memory, dtype=float)])
    # Floats such as 0.1 * 1000 miss the whole number by a hair; half a microcore is no request.
    near = np.round(pair)
    exact = np.abs(pair - near) < 1e-6 * np.maximum(np.abs(near), 1.0)
    rounded = np.ceil(pair) if up else np.floor(pair)
    return np.where(exact, near, rounded)
