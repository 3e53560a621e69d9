"""When the samples at window ends were taken, asked only where it makes a difference.

A series scraped at an interval that divides 5 minutes, with no scrape lost, has its last sample at
the same place of every window: the differences of its counter cover 300 s each. The number of
samples in the day says which series are so. Of the others each sample's own time is asked for, or
a constant usage would look like a changing one (120 s scrapes: 240 s of usage, then 360 s).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping

import numpy as np

from rightsize.collectors.prometheus.connection import quoted
from rightsize.collectors.prometheus.days import DAY_SECONDS, Day
from rightsize.collectors.prometheus.labels import pod_key
from rightsize.collectors.prometheus.parse import Answer, FloatArray, Labels
from rightsize.collectors.prometheus.queries import ended_sample_times, sample_times
from rightsize.collectors.prometheus.query import Shape
from rightsize.collectors.prometheus.source import Source, joined
from rightsize.snapshot.schema import WINDOW_SECONDS

_PODS_AT_ONCE = 100
_FEW = 0.25
"""Share of the pods up to which they are asked for by name."""
_REGULAR = frozenset(
    DAY_SECONDS // step for step in range(1, WINDOW_SECONDS + 1) if WINDOW_SECONDS % step == 0
)
"""Samples of a day at every interval that divides a window."""


def times_of_samples(answers: Mapping[str, Answer], day: Day, source: Source) -> FloatArray:
    """Return the times of the CPU samples, shape as the answer's values; NaN where not asked for.

    Parameters
    ----------
    source : Source
        Asked once more for the pods with samples not evenly spread over the windows.
    """
    cpu = answers["cpu"]
    times = np.full(cpu.values.shape, np.nan)
    uneven = _uneven(cpu, answers["sample_counts"])
    ends = day.grid(Shape.WINDOWS).moments
    for number, query in enumerate((sample_times, ended_sample_times)):
        missing = {
            pod_key(labels)[1]
            for labels, values, taken in zip(cpu.labels, cpu.values, times, strict=True)
            if pod_key(labels) in uneven and bool((~np.isnan(values) & np.isnan(taken)).any())
        }
        for names in _batches(missing, len({pod_key(labels) for labels in cpu.labels}), number):
            asked = source.ask(query(names), day)
            _place(times, cpu, joined([future.result() for future in asked]))
        times[(times <= ends - WINDOW_SECONDS) | (times > ends)] = np.nan
    return times


def _uneven(cpu: Answer, counts: Answer) -> set[tuple[str, str]]:
    even = {
        _identity(labels)
        for labels, count in zip(counts.labels, counts.column, strict=True)
        if count in _REGULAR
    }
    return {
        pod_key(labels)
        for labels, values in zip(cpu.labels, cpu.values, strict=True)
        # One that begins with the day may have all of the day's samples.
        if np.isnan(values[0]) or _identity(labels) not in even
    }


def _batches(names: Collection[str], pods: int, number: int) -> Iterator[str | None]:
    """Regular expressions that name the pods, or None for one question about all of them."""
    if number == 0 and len(names) > max(_FEW * pods, _PODS_AT_ONCE):
        yield None
        return
    chosen = sorted(names)
    for first in range(0, len(chosen), _PODS_AT_ONCE):
        yield quoted("|".join(re.escape(name) for name in chosen[first : first + _PODS_AT_ONCE]))


def _place(times: FloatArray, cpu: Answer, answer: Answer) -> None:
    """Put an answer's rows where the same series stands in `cpu`."""
    rows = {name: row for row, name in enumerate(_numbered(cpu))}
    for values, name in zip(answer.values, _numbered(answer), strict=True):
        row = rows.get(name)
        if row is not None:
            times[row] = np.where(np.isnan(times[row]), values, times[row])


def _numbered(answer: Answer) -> Iterator[tuple[Hashable, int]]:
    """Each series' labels, with a number where two servers give the same ones."""
    seen: Counter[Hashable] = Counter()
    for labels in answer.labels:
        name = _identity(labels)
        yield name, seen[name]
        seen[name] += 1


def _identity(labels: Labels) -> Hashable:
    # Functions drop the metric's name.
    return frozenset(item for item in labels.items() if item[0] != "__name__")
