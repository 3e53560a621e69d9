"""Kubernetes quantities read and written as Kubernetes does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightsize.quantity import (
    MEBIBYTE,
    format_cpu,
    format_memory,
    parse_quantity,
    round_up_cpu,
    round_up_memory,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("100m", 0.1),
        ("2", 2.0),
        (2, 2.0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("128Mi", 128 * 2**20),
        ("1.5Gi", 1.5 * 2**30),
        ("128M", 128e6),
        ("1e3", 1000.0),
        ("1E", 1e18),
        ("12E2", 1200.0),
        ("100n", 1e-7),
        ("3u", 3e-6),
        ("2k", 2e3),
        ("2M", 2e6),
        ("2G", 2e9),
        ("2T", 2e12),
        ("2P", 2e15),
        ("3Ki", 3 * 1024),
        ("3Ti", 3 * 1024**4),
        ("3Pi", 3 * 1024**5),
        ("3Ei", 3 * 1024**6),
    ],
)
def test_a_quantity_is_read(text, value):
    assert parse_quantity(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["1.5Gi ", " 1", "abc", "", "1.5 Gi", "1gi", "--1", "1mm", True])
def test_what_the_api_server_refuses_is_refused(text):
    with pytest.raises(ValueError, match="quantity"):
        parse_quantity(text)


@given(st.integers(1, 10**6))
def test_cpu_survives_writing_and_reading(milli):
    assert parse_quantity(format_cpu(milli / 1000)) == pytest.approx(milli / 1000)


@given(st.integers(1, 10**6))
def test_memory_survives_writing_and_reading(mebibytes):
    assert parse_quantity(format_memory(mebibytes * MEBIBYTE)) == mebibytes * MEBIBYTE


@given(st.floats(0.001, 64))
def test_rounding_cpu_never_lowers_it_and_adds_at_most_a_step(cores):
    rounded = round_up_cpu(cores)
    assert cores - 1e-9 <= rounded <= max(cores * 1.26, cores + 0.0011)
    assert round_up_cpu(rounded) == pytest.approx(rounded)


@given(st.floats(4 * MEBIBYTE, 2**36))
def test_rounding_memory_never_lowers_it_and_adds_at_most_a_quarter(size):
    rounded = round_up_memory(size)
    assert size - 1 <= rounded <= size * 1.26 + 4 * MEBIBYTE
    assert rounded % (4 * MEBIBYTE) == 0


@pytest.mark.parametrize(
    ("cores", "text"),
    [(0.999, "999m"), (1.0, "1"), (1.001, "1001m"), (2.0, "2"), (12.0, "12"), (0.0, "0m")],
)
def test_whole_cores_are_written_without_m(cores, text):
    assert format_cpu(cores) == text


@pytest.mark.parametrize(
    ("mebibytes", "text"),
    [(1023, "1023Mi"), (1024, "1Gi"), (1025, "1025Mi"), (3072, "3Gi"), (0, "0Mi")],
)
def test_whole_gibibytes_are_written_in_gi(mebibytes, text):
    assert format_memory(mebibytes * MEBIBYTE) == text


@pytest.mark.parametrize(
    ("milli", "step"),
    [(0.3, 1), (13.2, 1), (19.5, 1), (20.5, 5), (96, 5), (101, 10), (491, 10), (501, 50),
     (951, 50), (1001, 100), (3901, 100), (4001, 500), (9001, 500)],
)  # fmt: skip
def test_cpu_is_rounded_up_in_steps_that_grow_with_it(milli, step):
    assert round_up_cpu(milli / 1000) * 1000 == pytest.approx(-(-milli // step) * step)


@pytest.mark.parametrize(
    ("mebibytes", "step"),
    [(1, 4), (61, 4), (65, 8), (249, 8), (257, 16), (497, 16), (513, 32), (993, 32), (1025, 128),
     (3969, 128), (4097, 256), (9001, 256)],
)  # fmt: skip
def test_memory_is_rounded_up_in_steps_that_grow_with_it(mebibytes, step):
    assert round_up_memory(mebibytes * MEBIBYTE) == -(-mebibytes // step) * step * MEBIBYTE


@pytest.mark.parametrize("text", ["9" * 5000, "1e400", "1e999999999", "9999999999E"])
def test_a_larger_number_is_what_the_api_server_stores_of_it(text):
    assert parse_quantity(text) == parse_quantity(str(2**63 - 1))
    assert parse_quantity(f"-{text}") == -parse_quantity(text)


def test_an_exponent_beyond_32_bits_is_no_quantity():
    with pytest.raises(ValueError, match="not a Kubernetes quantity"):
        parse_quantity("1e99999999999")


def test_an_error_of_a_sum_is_no_millicore_more() -> None:
    assert format_cpu(0.1 * 3 / 10) == "30m"
    assert format_cpu(0.03 + 1e-12) == "30m"
    assert format_cpu(0.03 + 1e-8) == "31m"
