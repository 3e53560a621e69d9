"""The percentile policy against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rightsize.sizing.policies import PercentilePolicy

MIB = 2**20
# 0.00, 0.01 ... 1.00 cores: the p-th percentile is p hundredths. Memory likewise, in MiB.
USAGE = pd.DataFrame({"cpu": np.arange(101) / 100, "memory": np.arange(101) * float(MIB)})


def test_by_default_p95_of_cpu_plus_a_fifth_and_the_memory_peak_plus_a_tenth():
    sizes = PercentilePolicy().fit(USAGE).sizes_
    assert sizes.cpu_request == pytest.approx(0.95 * 1.2)
    assert sizes.memory_request == pytest.approx(100 * MIB * 1.1)


def test_by_default_limits_are_twice_the_cpu_peak_and_one_and_a_half_of_memory():
    sizes = PercentilePolicy().fit(USAGE).sizes_
    assert sizes.cpu_limit == pytest.approx(2.0)
    assert sizes.memory_limit == pytest.approx(150 * MIB)


def test_every_percentile_and_margin_can_be_set():
    policy = PercentilePolicy(
        cpu_percentile=50,
        cpu_margin=0.5,
        memory_percentile=80,
        memory_margin=0.25,
        cpu_limit_margin=0.4,
        memory_limit_margin=0.3,
    )
    sizes = policy.fit(USAGE).sizes_
    assert sizes.cpu_request == pytest.approx(0.75)
    assert sizes.cpu_limit == pytest.approx(1.4)
    assert sizes.memory_request == pytest.approx(100 * MIB)
    assert sizes.memory_limit == pytest.approx(130 * MIB)


def test_a_limit_is_never_below_its_request():
    policy = PercentilePolicy(
        cpu_percentile=100, cpu_margin=3.0, memory_margin=3.0, cpu_limit_margin=0.0
    )
    sizes = policy.fit(USAGE).sizes_
    assert sizes.cpu_limit == sizes.cpu_request == pytest.approx(4.0)
    assert sizes.memory_limit == sizes.memory_request == pytest.approx(400 * MIB)
