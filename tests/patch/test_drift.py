"""Files that say something else than what runs."""

from __future__ import annotations

from rightsize.patch import EffectiveSizes, SizeChange
from rightsize.patch.drift import reconciled
from rightsize.results import Sizes

GI = float(2**30)
RUNNING = Sizes(0.1, 2.0, 0.125 * GI, GI)
WANTED = Sizes(0.05, 2.0, 0.09375 * GI, GI)


def change(sizes: Sizes = WANTED, running: Sizes | None = RUNNING) -> SizeChange:
    return SizeChange("sidecar", None, None, None, sizes, running=running)


def block(**sizes: float) -> EffectiveSizes:
    return EffectiveSizes("sidecar", None, Sizes(**sizes), "values.yaml: global.proxy.resources")


def test_a_file_that_says_what_runs_is_no_news() -> None:
    file = block(cpu_request=0.1, cpu_limit=2.0, memory_request=0.125 * GI, memory_limit=GI)
    assert reconciled([change()], [file]) == ([change()], [])


def test_a_size_that_does_not_run_is_told_with_both_values() -> None:
    kept, messages = reconciled([change()], [block(cpu_request=0.3)])
    assert kept == [change()]
    assert messages == [
        "values.yaml: global.proxy.resources.requests.cpu is 300m, but the sidecars run with "
        "100m: not rolled out, or set elsewhere; figures are against what runs"
    ]


def test_a_higher_limit_of_the_file_is_kept_where_limits_are_not_cut() -> None:
    kept, messages = reconciled([change()], [block(memory_limit=4 * GI)])
    assert kept[0].sizes.memory_limit == 4 * GI
    assert messages[0].endswith("and the file's limit is kept")


def test_a_limit_that_is_to_be_cut_is_cut_in_the_file_too() -> None:
    lower = Sizes(0.05, 2.0, 0.09375 * GI, 0.5 * GI)
    kept, _ = reconciled([change(lower)], [block(memory_limit=4 * GI)])
    assert kept[0].sizes.memory_limit == 0.5 * GI


def test_a_lower_limit_of_the_file_gives_way_to_what_runs() -> None:
    kept, messages = reconciled([change()], [block(memory_limit=0.5 * GI)])
    assert kept[0].sizes.memory_limit == GI
    assert "is 512Mi, but the sidecars run with 1Gi" in messages[0]


def test_sizes_the_file_leaves_to_the_chart_and_unknown_pods_are_not_compared() -> None:
    assert reconciled([change()], [block()])[1] == []
    assert reconciled([change(running=None)], [block(cpu_request=0.3)])[1] == []
