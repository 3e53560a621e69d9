"""Unknown OOM kills are never none: memory is not cut where it may have been too small."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from rightsize.output.advice_rows import advice_to_dict
from rightsize.recommend import recommend
from rightsize.sizing.history import Events
from tests.tiny_mesh import Tiny, tiny_snapshot

NAN = np.nan


def events(restarts, kills) -> Events:
    return Events.of(pd.DataFrame({"restarts": restarts, "oom_kills": kills}, dtype=float))


@pytest.mark.parametrize(
    ("restarts", "kills", "reason"),
    [
        ([0, 0, 0], [0, 0, 0], None),
        ([0, 2, 0], [0, 1, 0], None),
        ([0, 2, 0], [0, NAN, 0], "2 restarts for an unknown reason, maybe OOM kills"),
        ([1, NAN], [NAN, NAN], "1 restart for an unknown reason, maybe OOM kills"),
        ([NAN, NAN], [NAN, NAN], "no metric reports OOM kills"),
        ([0, NAN, NAN], [0, NAN, NAN], "OOM kills are unknown on 67% of its days"),
        ([0, 0, 0, NAN], [0, 0, 0, NAN], None),
    ],
)
def test_memory_is_safe_to_cut_where_kills_are_known(restarts, kills, reason):
    assert events(restarts, kills).unsafe(0.3) == reason


def test_what_no_day_reports_is_unknown():
    assert events([NAN, NAN], [NAN, NAN]).oom_kills is None
    assert events([NAN, NAN], [NAN, NAN]).restarts is None
    assert events([1, NAN], [0, NAN]).oom_kills == 0


def test_memory_is_kept_and_cpu_is_cut_where_kills_are_unknown(tmp_path):
    snapshot = tiny_snapshot(tmp_path / "s", Tiny(oom_kills=None))
    row = next(r for r in recommend(snapshot).recommendations if r.workload)
    assert row.memory.recommended_request == row.memory.request
    assert row.cpu.recommended_request < row.cpu.request
    assert "memory request kept at 128Mi: no metric reports OOM kills" in row.reason


def test_unknown_kills_are_null_in_json(tmp_path):
    snapshot = tiny_snapshot(tmp_path / "s", Tiny(oom_kills=None))
    rows = json.loads(json.dumps(advice_to_dict(recommend(snapshot))))["recommendations"]
    assert {row["oom_kills"] for row in rows} == {None}
