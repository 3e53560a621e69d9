"""The guards by hand: what events prove, what little history allows, where steps end."""

from __future__ import annotations

from datetime import date

import pytest

from rightsize.config import PolicySettings
from rightsize.results import Rule, Usage
from rightsize.sizing.guards import (
    Situation,
    cpu_events,
    exceeds_request,
    guarded,
    memory_events,
    thin_evidence,
)
from rightsize.sizing.history import OutOfMemory
from tests.sizing.evidence import evidence

MIB = 2.0**20
SETTINGS = PolicySettings()
DAY = date(2026, 3, 2)


def cpu(request=0.1, limit=2.0, wanted=0.05, **more) -> Situation:
    usage = more.pop("usage", Usage(0.01, 0.02, 0.03, 0.04))
    return Situation("cpu", request, limit, wanted, None, usage, 0.01, **more)


def kills(limit: float | None, *counts: int) -> tuple[OutOfMemory, ...]:
    return tuple(OutOfMemory(DAY, count, limit) for count in counts)


def test_a_kill_at_a_limit_asks_for_a_fifth_or_100_mib_more():
    usage = Usage(peak=900 * MIB)
    request, limit, words = memory_events(kills(1000 * MIB, 2), usage, 1000 * MIB)
    assert request == pytest.approx(900 * 1.2 * MIB)
    assert limit == pytest.approx(1200 * MIB)
    assert words == "2 OOM kills at limit 1000Mi"
    small = memory_events(kills(128 * MIB, 1), Usage(peak=120 * MIB), 128 * MIB)
    assert small[1:] == (228 * MIB, "1 OOM kill at limit 128Mi")


def test_a_kill_without_a_limit_asks_the_request_to_cover_the_peak():
    request, limit, words = memory_events(kills(None, 1), Usage(peak=1000 * MIB), None)
    assert request == limit == pytest.approx(1200 * MIB)
    assert words == "1 OOM kill without a limit"


def test_a_limit_raised_to_the_need_since_ends_the_matter():
    usage = Usage(peak=900 * MIB)
    assert memory_events(kills(1000 * MIB, 1), usage, 1200 * MIB) == (None, None, None)
    assert memory_events(kills(1000 * MIB, 1), usage, 1199 * MIB)[2] is not None


def test_the_highest_limit_of_several_kills_counts():
    several = (*kills(100 * MIB, 1), *kills(600 * MIB, 1))
    assert memory_events(several, Usage(peak=90 * MIB), 600 * MIB)[1] == pytest.approx(720 * MIB)


@pytest.mark.parametrize(("share", "factor"), [(0.1, 1.5), (0.25, 1.5), (0.26, 2.0)])
def test_throttling_asks_for_half_as_much_again_or_twice(share, factor):
    found = evidence(cpu=Usage(p99=0.09), throttled_share=share)
    request, limit, _ = cpu_events(found, 0.2, SETTINGS)
    assert request == pytest.approx(0.09 / (1 - share))
    assert limit == pytest.approx(0.2 * factor)


def test_throttling_beyond_half_no_longer_raises_the_request():
    found = evidence(cpu=Usage(p99=0.09), throttled_share=0.9)
    assert cpu_events(found, 0.2, SETTINGS)[0] == pytest.approx(0.18)


def test_cpu_exceeds_its_request_by_p95_and_memory_by_its_peak():
    usage = Usage(p50=0.05, p95=0.2, p99=0.5, peak=0.9)
    assert exceeds_request(cpu(request=0.1, usage=usage)) == pytest.approx(2.0)
    memory = Situation("memory", 0.1, None, None, None, usage, 0.01)
    assert exceeds_request(memory) == pytest.approx(9.0)
    assert exceeds_request(cpu(request=0.1, usage=Usage(p95=0.11))) is None


def test_little_history_cuts_nothing_and_bounds_do_not_touch_it():
    bounded = PolicySettings(max_cpu=0.05)
    found = guarded(cpu(thin="2 days of history"), bounded)
    assert (found.recommended_request, found.recommended_limit) == (0.1, 2.0)
    assert found.rule is Rule.THIN


def test_an_event_counts_on_little_history_within_the_bounds():
    case = cpu(thin="2 days of history", event="throttled", needed_request=0.3, needed_limit=3.0)
    assert guarded(case, SETTINGS).recommended_request == 0.3
    assert guarded(case, PolicySettings(max_cpu=2.5)).recommended_limit == 2.5


def test_an_event_keeps_the_request_that_the_policy_would_cut():
    found = guarded(cpu(event="throttled", needed_request=0.06), SETTINGS)
    assert (found.recommended_request, found.rule) == (0.1, Rule.EVENT)


def test_the_policys_wish_at_the_request_in_force_is_no_change():
    found = guarded(cpu(wanted=0.1, hold="an HPA"), SETTINGS)
    assert (found.recommended_request, found.rule) == (0.1, Rule.POLICY)


def test_a_wish_below_the_floor_ends_at_the_floor():
    low = guarded(cpu(request=0.012, wanted=0.001), SETTINGS)
    assert low.target_request == 0.01
    assert guarded(cpu(request=0.012, wanted=0.01), SETTINGS).rule is not Rule.FLOOR


def test_a_quarter_of_a_day_is_forgiven_and_no_more():
    assert thin_evidence(evidence(days=SETTINGS.min_days - 0.25), SETTINGS) is None
    assert "days of history" in str(thin_evidence(evidence(days=SETTINGS.min_days - 0.3), SETTINGS))
