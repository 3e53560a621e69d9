"""The guards by hand: what events prove, what little history allows, where steps end."""

from __future__ import annotations

from datetime import date

import pytest

from rightsize.config import PolicySettings
from rightsize.results import Rule, Usage
from rightsize.sizing.guards import (
    Situation,
    cpu_events,
    envoy_threads,
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


def test_a_cut_within_one_step_is_the_policys():
    found = guarded(cpu(request=0.1, wanted=0.06), SETTINGS)
    assert (found.recommended_request, found.rule) == (0.06, Rule.POLICY)


@pytest.mark.parametrize(("wanted", "rule"), [(0.095, Rule.CLOSE), (0.085, Rule.POLICY)])
def test_a_change_of_less_than_the_least_share_is_not_worth_it(wanted, rule):
    assert guarded(cpu(wanted=wanted), PolicySettings(min_change=0.1)).rule is rule


def test_a_step_is_no_deeper_than_the_largest_cut():
    found = guarded(cpu(request=0.1, wanted=0.02), PolicySettings(max_cut=0.3))
    assert (found.recommended_request, found.target_request) == (0.07, 0.02)
    assert found.rule is Rule.STEP


def test_runs_and_windows_at_their_least_are_enough():
    settings = PolicySettings(min_runs=20, min_windows=100)
    assert thin_evidence(evidence(runs=20), settings) is None
    assert "19 runs" in str(thin_evidence(evidence(runs=19), settings))
    assert thin_evidence(evidence(windows=100), settings) is None
    assert "99 windows" in str(thin_evidence(evidence(windows=99), settings))


def test_gaps_at_the_most_that_is_allowed_are_allowed():
    settings = PolicySettings(max_gap_share=0.25)
    assert thin_evidence(evidence(coverage=0.75), settings) is None
    assert "26% of the windows" in str(thin_evidence(evidence(coverage=0.74), settings))


def fitted(limit: float, wanted: float, **more) -> float | None:
    """The memory limit of a step where limits follow the policy down, in MiB."""
    peak = more.pop("peak", 100 * MIB)
    case = Situation(
        "memory", 128 * MIB, limit * MIB, 128 * MIB, wanted * MIB, Usage(peak=peak), MIB, **more
    )
    settings = PolicySettings(limits="fit", limit_margin=0.2, max_cut=0.5)
    found = guarded(case, settings).recommended_limit
    return None if found is None else found / MIB


def test_a_memory_limit_that_fits_goes_down_by_steps_and_never_below_what_was_seen():
    assert fitted(1024, 640) == 640
    assert fitted(1024, 200) == 512
    assert fitted(160, 100) == 128, "the request is never above the limit"
    assert fitted(256, 100, peak=200 * MIB) == 240
    assert fitted(1024, 640, needed_limit=700 * MIB) == 704


@pytest.mark.parametrize("why", ["thin", "hold", "event"])
def test_a_memory_limit_is_not_fitted_where_anything_holds_the_size(why):
    assert fitted(1024, 200, **{why: "a reason"}) == 1024


def test_a_limit_of_what_was_never_seen_stays():
    case = cpu(limit=0.5, wanted=0.05, usage=Usage())
    assert guarded(case, SETTINGS).recommended_limit == 0.5


@pytest.mark.parametrize(
    ("limit", "threads"), [(None, None), (0.1, 1), (1.0, 1), (1.01, 2), (4.0, 4)]
)
def test_envoy_starts_a_thread_for_each_started_core_of_its_limit(limit, threads):
    assert envoy_threads(limit) == threads
