"""After a roll-out, only what really got worse is to be taken back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rightsize.rollout.verify import rollout_effects
from tests.tiny_mesh import FIRST_DAY, MIB, Tiny, tiny_snapshot

SINCE = FIRST_DAY + timedelta(days=5)
BEFORE = Tiny(days=5, pods=3)
AFTER = BEFORE.but(skip_days=5, cpu_request=0.05, memory_limit=256 * MIB)


def effects(tmp_path, *containers, **options):
    return rollout_effects(tiny_snapshot(tmp_path / "s", *containers), SINCE, **options)


def test_an_unchanged_container_is_not_compared(tmp_path):
    assert effects(tmp_path, Tiny(days=10)) == ()


def test_a_change_that_did_no_harm_is_not_worse(tmp_path):
    (found,) = effects(tmp_path, BEFORE, AFTER)
    assert found.verdict == "not worse"
    assert (found.before.cpu_request, found.after.cpu_request) == (0.1, 0.05)


def test_new_oom_kills_are_worse(tmp_path):
    (found,) = effects(tmp_path, BEFORE, AFTER.but(oom_kills=2))
    assert found.take_back
    assert [s.signal for s in found.signals if s.worse] == ["OOM kills"]


def test_the_same_rate_of_oom_kills_is_not_worse(tmp_path):
    (found,) = effects(tmp_path, BEFORE.but(oom_kills=1), AFTER.but(oom_kills=1))
    assert not found.take_back


def test_new_throttling_is_worse(tmp_path):
    (found,) = effects(tmp_path, BEFORE, AFTER.but(throttled=0.05))
    assert [s.signal for s in found.signals if s.worse] == ["throttling"]


def test_one_quiet_day_is_too_early(tmp_path):
    (found,) = effects(tmp_path, BEFORE, AFTER, min_days=30)
    assert found.verdict == "too early"


def test_a_date_outside_the_snapshot_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no day after"):
        rollout_effects(tiny_snapshot(tmp_path / "s", Tiny()), FIRST_DAY + timedelta(days=99))
