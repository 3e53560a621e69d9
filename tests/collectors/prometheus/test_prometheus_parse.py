"""Answers of the HTTP API as arrays: the fast way and the plain way agree."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightsize.collectors.errors import MalformedAnswerError
from rightsize.collectors.prometheus import parse, range_reading
from rightsize.collectors.prometheus.parse import Grid, merged, parse_instant
from rightsize.collectors.prometheus.range_reading import read_range

GRID = Grid(1_795_392_000, 300, 12)

_numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)
_labels = st.dictionaries(st.text(max_size=8), st.text(max_size=12), max_size=4)
_tricky = st.sampled_from(['{"metric":', ',"values":[[', "]]", 'x"],[1,"2', "\\", ",", "é\n"])
_series = st.tuples(
    st.dictionaries(st.sampled_from(["a", "values", "metric"]), st.one_of(_tricky, st.text())),
    _labels,
    st.dictionaries(st.integers(0, GRID.count - 1), _numbers, min_size=1),
)


def _text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else ("+Inf" if value > 0 else "-Inf")


def _body(series: list[tuple[dict[str, str], dict[str, str], dict[int, float]]]) -> bytes:
    result = [
        {
            "metric": {**labels, **tricky},
            "values": [[GRID.start + 300 * i, _text(value)] for i, value in sorted(points.items())],
        }
        for tricky, labels, points in series
    ]
    data = {"resultType": "matrix", "result": result}
    return json.dumps(
        {"status": "success", "data": data}, separators=(",", ":"), ensure_ascii=False
    ).encode()


def _pieces(body: bytes, size: int) -> list[bytes]:
    return [body[first : first + size] for first in range(0, len(body), size)]


@given(st.lists(_series, max_size=4), st.integers(1, 600))
def test_the_fast_way_reads_what_the_plain_way_reads_in_pieces_of_any_size(
    series: list[tuple[dict[str, str], dict[str, str], dict[int, float]]], size: int
) -> None:
    body = _body(series)
    reading = range_reading._RangeReading(GRID, "server", 10_000)
    assert all(reading.take(piece) for piece in _pieces(body, size))
    fast = reading.answer()
    assert fast is not None
    plain = parse.plain(body, GRID, "server", 10_000)
    assert list(fast.labels) == list(plain.labels)
    np.testing.assert_array_equal(fast.values, plain.values)
    assert fast.faults == plain.faults


@given(st.lists(_series, min_size=1, max_size=3), st.integers(1, 400), st.integers(1, 600))
def test_a_cut_answer_is_never_taken_for_a_whole_one(
    series: list[tuple[dict[str, str], dict[str, str], dict[int, float]]], missing: int, size: int
) -> None:
    body = _body(series)
    cut = body[: max(0, len(body) - missing)]
    with pytest.raises(MalformedAnswerError):
        read_range(_pieces(cut, size), GRID, server="server")


def test_spaces_and_another_order_are_read_the_plain_way() -> None:
    body = json.dumps(
        {
            "data": {
                "result": [{"values": [[GRID.start, "1.5"]], "metric": {"a": "b"}}],
                "resultType": "matrix",
            },
            "status": "success",
        }
    ).encode()
    answer = read_range(_pieces(body, 40), GRID, server="server")
    assert answer.labels == [{"a": "b"}]
    assert answer.values[0, 0] == 1.5
    assert np.isnan(answer.values[0, 1:]).all()


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(f'[{GRID.start},"abc"]', id="no number"),
        pytest.param(f'[{GRID.start},"1"],[{GRID.start}]', id="no pairs"),
        pytest.param(f'[{GRID.start - 300},"1"]', id="before its time"),
    ],
)
def test_a_point_that_is_none_makes_the_answer_malformed(points: str) -> None:
    body = (
        '{"status":"success","data":{"resultType":"matrix","result":'
        f'[{{"metric":{{}},"values":[{points}]}}]}}}}'
    ).encode()
    with pytest.raises(MalformedAnswerError):
        read_range([body], GRID, server="server")


def test_pieces_in_time_and_of_series_come_together() -> None:
    left = parse.Answer([{"a": "1"}, {"a": "2"}], np.array([[1.0, 2.0], [3.0, 4.0]]))
    right = parse.Answer([{"a": "2"}, {"a": "3"}], np.array([[5.0], [6.0]]))
    whole = merged([left, right], [0, 2], Grid(0, 300, 3))
    assert list(whole.labels) == [{"a": "1"}, {"a": "2"}, {"a": "3"}]
    np.testing.assert_array_equal(whole.values, [[1, 2, np.nan], [3, 4, 5], [np.nan, np.nan, 6]])


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"<!doctype html><html></html>", "an HTML page"),
        (b"", "nothing"),
        (b'{"status":"success"}', "no Prometheus answer"),
        (b'{"status":"success","data":{"resultType":"vector","result":[{}]}}', "no Prometheus"),
        (b"[1,2]", "no Prometheus answer"),
    ],
)
def test_anything_else_is_named_for_what_it_is(body: bytes, text: str) -> None:
    with pytest.raises(MalformedAnswerError, match=text):
        parse_instant(body, server="http://server")


def test_warnings_about_the_query_are_no_partial_answer() -> None:
    body = (
        b'{"status":"success","data":{"resultType":"vector","result":[]},'
        b'"warnings":["PromQL info: metric might not be a counter","store down"]}'
    )
    assert parse_instant(body, server="server").notes == ("store down",)
