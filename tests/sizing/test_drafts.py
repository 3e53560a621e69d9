"""Drafts are the same on one core and on several."""

from __future__ import annotations

import pytest

from rightsize.recommend import recommend
from rightsize.sizing import drafts, history
from rightsize.snapshot import Snapshot
from tests.tiny_mesh import Tiny, tiny_snapshot


@pytest.fixture
def snapshot(tmp_path) -> Snapshot:
    return tiny_snapshot(
        tmp_path / "s",
        *(Tiny(workload=f"w{k}", namespace=f"n{k}", cpu=(0.01 * (k + 1),)) for k in range(4)),
    )


def test_several_processes_give_the_answer_of_one(snapshot, monkeypatch):
    snapshot.keeps_answers = False
    alone = recommend(snapshot)
    monkeypatch.setattr(history, "WINDOWS_AT_ONCE", 1)
    monkeypatch.setattr(history, "_BATCH_RECORDS", 1)
    monkeypatch.setattr(drafts, "_ALONE", 1)
    seen: list[str] = []
    together = recommend(snapshot, progress=seen.append)
    assert together == alone
    assert seen == [f"n{k}/w{k}" for k in range(4)]
