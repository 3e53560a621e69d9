"""Plans and replays are made once for a snapshot and a question, and never taken for another's."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from rightsize import answers
from rightsize.config import NodeSettings, PriceSettings
from rightsize.nodes import answer as engine
from rightsize.nodes.answer import NodeAnswer, answer
from rightsize.output.node_plans import answer_to_dict
from rightsize.snapshot import Snapshot, SnapshotWriter
from tests.nodes.test_node_answer import MEBIBYTE, SETTINGS, advised

WORK = ("plan_nodes", "graviton_beside", "replay_settings")


@pytest.fixture
def snapshot(small_snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return small_snapshot


@pytest.fixture(scope="module")
def made() -> dict[object, object]:
    """What the work came to the first time: the tests are about which answer is asked for."""
    return {}


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, made: dict[object, object]) -> list[str]:
    """What was computed, call by call."""
    calls: list[str] = []

    def counted(name: str) -> None:
        original = getattr(engine, name)

        def work(*given: object, **named: object) -> object:
            calls.append(name)
            case = name, given[3] if name == "replay_settings" else None
            if case not in made:
                made[case] = original(*given, **named)
            return made[case]

        monkeypatch.setattr(engine, name, work)

    for name in WORK:
        counted(name)
    return calls


def ask(snapshot: Snapshot, settings: NodeSettings = SETTINGS, **options: object) -> NodeAnswer:
    given = {
        "advice": advised(snapshot, 0.01, 40 * MEBIBYTE),
        "names": ("mix",),
        "autoscaler": "cluster-autoscaler",
        "graviton": True,
    }
    return answer(Snapshot(snapshot.path), settings, **(given | options))


def frames(found: NodeAnswer) -> list[pd.DataFrame]:
    assert found.month is not None
    plans = [*found.before.plans, *found.after.plans]
    placements = [plan.packed.placement for plan in plans]
    placements += [plan.promised_placement for plan in plans]
    return placements + [trial.before.timeline for trial in found.month.trials]


def test_an_answer_asked_again_is_the_same_and_computes_nothing(snapshot, done):
    first = ask(snapshot)
    assert set(done) == set(WORK)
    done.clear()
    second = ask(snapshot)
    assert done == []
    assert answer_to_dict(second) == answer_to_dict(first)
    for mine, other in zip(frames(first), frames(second), strict=True):
        pd.testing.assert_frame_equal(mine, other)


def test_parts_are_shared_by_questions_that_have_them_in_common(snapshot, done):
    ask(snapshot, autoscaler=None, graviton=False)
    done.clear()
    ask(snapshot, advice=None, autoscaler=None, graviton=False)
    assert done == []


@pytest.mark.parametrize(
    "change",
    [
        {"settings": SETTINGS.model_copy(update={"surge": 0.5})},
        {"settings": SETTINGS.model_copy(update={"time_limit": 1.0})},
        {"region": "eu-west-1"},
        {"prices": PriceSettings(machines={"us-east-1": {"m5.large": 0.01}})},
    ],
    ids=["surge", "work", "region", "prices"],
)
def test_other_settings_are_another_answer(snapshot, done, change):
    ask(snapshot)
    done.clear()
    ask(snapshot, **change)
    assert set(done) == set(WORK)


def test_other_advice_another_autoscaler_or_other_plans_are_another_answer(snapshot, done):
    ask(snapshot)
    changes = {
        "plan_nodes graviton_beside replay_settings": {"advice": advised(snapshot, 0.02, 2.0**26)},
        "replay_settings": {"autoscaler": "karpenter"},
        "plan_nodes": {"names": ("same-type", "mix")},
    }
    for parts, change in changes.items():
        done.clear()
        ask(snapshot, **change)
        assert set(done) == set(parts.split())


def test_other_days_and_another_release_are_another_answer(snapshot, done, monkeypatch):
    ask(snapshot)
    done.clear()
    with monkeypatch.context() as patched:
        patched.setattr(answers, "program", lambda: "of another release")
        ask(snapshot)
    assert set(done) == set(WORK)
    manifest = snapshot.manifest
    (day,) = snapshot.days
    record = manifest.days[day]
    tables = {name: snapshot.read(name).drop(columns="day") for name in ("pods", "containers")}
    tables["nodes"] = snapshot.read("nodes").drop(columns="day")
    tables["pods"]["last_seen"] -= timedelta(minutes=5)
    with SnapshotWriter(snapshot.path, manifest) as writer:
        writer.write_day(day, tables, record)
    done.clear()
    ask(snapshot)
    assert set(done) == set(WORK)


def test_without_the_cache_all_is_computed_and_nothing_kept(snapshot, done):
    for _ in range(2):
        done.clear()
        own = Snapshot(snapshot.path)
        own.keeps_answers = False
        answer(own, SETTINGS, names=("mix",), autoscaler="cluster-autoscaler", graviton=True)
        assert set(done) == set(WORK)
    assert not (snapshot.path / answers.FOLDER).exists()


def test_a_copy_of_a_snapshot_in_another_users_hands_is_computed_anew(
    snapshot, done, tmp_path, monkeypatch
):
    ask(snapshot)
    shutil.copytree(snapshot.path, tmp_path / "copy")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    done.clear()
    ask(Snapshot(tmp_path / "copy"))
    assert set(done) == set(WORK)
