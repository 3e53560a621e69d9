"""Answers kept beside a snapshot: found again, never stale, never another's."""

from __future__ import annotations

import json
import pickle
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

import rightsize.recommend as engine
from rightsize import answers, kept
from rightsize.answers import FOLDER, answered
from rightsize.config import PolicySettings, Settings
from rightsize.recommend import recommend
from rightsize.results import Sizes
from rightsize.sizing.policies import CalibratedPolicy
from rightsize.sizing.profiles import POLICIES, NamedPolicy, Promise
from rightsize.snapshot import Snapshot, SnapshotWriter
from tests.tiny_mesh import FIRST_DAY, MIB, Tiny, tiny_snapshot, tiny_tables

WEB = Tiny(cpu=[0.01, 0.02, 0.03])


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's folder of its own, with its key."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path, home):
    tiny_snapshot(tmp_path / "s", WEB)
    return tmp_path / "s"


@pytest.fixture
def computed(monkeypatch):
    """How often sizes were computed."""
    calls = []
    original = engine._computed

    def counted(*arguments):
        calls.append(1)
        return original(*arguments)

    monkeypatch.setattr(engine, "_computed", counted)
    return calls


def names(folder) -> list[Path]:
    return sorted((folder / FOLDER).glob("*.json"))


def ask(folder, **policy):
    return recommend(Snapshot(folder), Settings(policy=PolicySettings(**policy)))


def test_an_answer_is_computed_once_and_comes_back_as_it_was(folder, computed):
    first, second = ask(folder), ask(folder)
    assert (len(computed), len(names(folder))) == (1, 1)
    assert first == second
    assert second.start.tzinfo is UTC
    assert second.recommendations[-1].evidence.end.tzinfo is UTC


def test_without_the_cache_it_is_computed_anew_and_nothing_is_kept(folder, computed):
    for _ in range(2):
        snapshot = Snapshot(folder)
        snapshot.keeps_answers = False
        recommend(snapshot)
    assert (len(computed), names(folder)) == (2, [])


CHANGES = {
    "a setting": lambda folder: ask(folder, max_cut=0.3),
    "a profile": lambda folder: ask(folder, profile="lean"),
    "a parameter": lambda folder: ask(folder, parameters={"cpu_risk": 0.01}),
    "the given file": lambda folder: recommend(
        Snapshot(folder), given={"sidecar": Sizes(0.1, 2.0, 128 * MIB, 1024 * MIB)}
    ),
    "fewer days": lambda folder: recommend(Snapshot(folder).only(Snapshot(folder).days[:8])),
    "some days asked for": lambda folder: recommend(
        Snapshot(folder), days=Snapshot(folder).days[:8]
    ),
    "another policy": lambda folder: recommend(Snapshot(folder), policy=CalibratedPolicy()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_question_is_another_answer(folder, computed, change):
    ask(folder)
    CHANGES[change](folder)
    assert len(computed) == 2


@pytest.mark.parametrize("table", ["usage", "containers", "pods"])
def test_a_day_collected_anew_is_another_answer(folder, computed, table):
    before = ask(folder)
    start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    other = WEB.but(cpu=[0.5], cpu_request=0.3, pods=3)
    manifest = Snapshot(folder).manifest
    with SnapshotWriter(folder, manifest) as writer:
        tables = {table: tiny_tables([other], start)[table]}
        writer.write_day(FIRST_DAY, tables, manifest.days[FIRST_DAY])
    after = ask(folder)
    assert len(computed) == 2
    (folder / FOLDER).rename(folder / "elsewhere")
    assert after == ask(folder)
    assert table != "usage" or after != before


def test_a_file_changed_behind_the_manifest_is_noticed(folder, computed):
    ask(folder)
    (folder / "containers" / f"{FIRST_DAY}.parquet").write_bytes(b"other bytes")
    with pytest.raises(Exception, match="is not the file that was written"):
        ask(folder)


def test_another_release_computes_anew(folder, computed, monkeypatch):
    ask(folder)
    monkeypatch.setattr(answers, "program", lambda: "of another release")
    ask(folder)
    assert len(computed) == 2


def test_the_program_is_known_by_its_files_its_data_and_its_libraries(monkeypatch, tmp_path):
    plain = kept.program()
    kept.program.cache_clear()
    monkeypatch.setattr(kept, "version", lambda name: "0.0")
    assert kept.program() != plain
    kept.program.cache_clear()
    monkeypatch.undo()
    shutil.copytree(Path(kept.data_file("demo.toml")).parent, tmp_path / "data")
    with (tmp_path / "data" / "demo.toml").open("a") as file:
        file.write("\n")
    monkeypatch.setattr(kept, "data_file", lambda name: tmp_path / "data" / name)
    assert kept.program() != plain
    kept.program.cache_clear()


def test_a_profile_of_the_users_own_is_never_kept(folder, computed, monkeypatch):
    class Own(CalibratedPolicy):
        pass

    own = NamedPolicy(Own, Promise(0.1, 0.1), False)
    monkeypatch.setitem(POLICIES, "own", own)
    ask(folder, profile="own")
    ask(folder, profile="own")
    assert (len(computed), names(folder)) == (2, [])


def damaged(file):
    content = bytearray(file.read_bytes())
    content[-10] ^= 1
    file.write_bytes(content)


def cut(file):
    file.write_bytes(file.read_bytes()[:100])


def forged(file):
    """A better answer, under a seal that was not made with the user's key."""
    _, _, body = file.read_bytes().partition(b"\n")
    answer = json.loads(body)
    answer["cluster"] = "forged"
    file.write_bytes(b"0" * 64 + b"\n" + json.dumps(answer).encode())


def running(file):
    file.write_bytes(pickle.dumps(np.zeros(3)))


@pytest.mark.parametrize("change", [damaged, cut, forged, running])
def test_what_is_damaged_or_foreign_is_computed_anew(folder, computed, change):
    first = ask(folder)
    change(names(folder)[0])
    assert ask(folder) == first
    assert len(computed) == 2
    assert ask(folder) == first
    assert len(computed) == 2


def test_an_answer_from_another_machine_is_not_taken(folder, computed, tmp_path, monkeypatch):
    ask(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    ask(folder)
    assert len(computed) == 2


def test_an_answer_under_another_answers_name_is_not_taken(folder, computed):
    ask(folder)
    ask(folder, profile="lean")
    one, other = names(folder)
    shutil.copy(one, other)
    assert ask(folder, profile="lean").policy == "lean"
    assert ask(folder).policy == "balanced"
    assert len(computed) == 3


def test_where_nothing_can_be_written_it_is_computed_each_time(folder, computed):
    (folder / FOLDER).write_text("a file where the folder should be")
    assert ask(folder) == ask(folder)
    assert len(computed) == 2


def test_without_a_folder_for_the_key_it_is_computed_each_time(folder, computed, home):
    home.mkdir()
    (home / "rightsize").write_text("a file where the folder should be")
    assert ask(folder) == ask(folder)
    assert (len(computed), names(folder)) == (2, [])


def test_the_answers_not_used_for_longest_go(folder, monkeypatch):
    monkeypatch.setattr(kept, "_MOST", 3)
    kind = TypeAdapter(int)
    for number in range(6):
        assert answered(Snapshot(folder), "n", {"n": number}, kind, lambda n=number: n) == number
    assert len(names(folder)) == 3


def test_an_answer_that_json_does_not_carry_is_not_kept(folder):
    kind = TypeAdapter(float)
    for _ in range(2):
        found = answered(Snapshot(folder), "nan", {}, kind, lambda: float("nan"))
        assert np.isnan(found)
    assert names(folder) == []


def test_summaries_made_meanwhile_leave_the_answer_as_it_is(folder, computed):
    ask(folder)
    body = json.loads((folder / "manifest.json").read_text())
    for day in body["days"].values():
        del day["files"]["summaries"], day["rows"]["summaries"], day["summary_of"]
    (folder / "manifest.json").write_text(json.dumps(body))
    ask(folder)
    assert len(computed) == 1
