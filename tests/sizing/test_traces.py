"""Reading usage traces."""

from __future__ import annotations

import gzip

import pytest

from rightsize.errors import InputFileError
from rightsize.sizing.backtest.traces import read_traces, recommend_traces
from rightsize.sizing.policies import KRRPolicy, PeakMarginPolicy


def written(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_cores_and_bytes_are_taken_as_they_are(tmp_path, name):
    text = "series_id,timestamp,cpu_cores,memory_bytes\na,300,0.5,1024\n"
    frame = read_traces(written(tmp_path, text, name))
    assert frame[["cpu", "memory"]].values.tolist() == [[0.5, 1024.0]]
    assert str(frame["time"].iloc[0]) == "1970-01-01 00:05:00+00:00"


def test_percent_is_of_one_core_and_a_fraction_of_one_gib(tmp_path):
    text = "series_id,timestamp,cpu_percent,memory_fraction\na,300,50,0.5\n"
    row = read_traces(written(tmp_path, text)).iloc[0]
    assert (row["cpu"], row["memory"]) == (0.5, 2**29)


def test_rows_come_back_in_order_of_series_and_time(tmp_path):
    text = "series_id,timestamp,cpu_cores\nb,600,2\na,300,3\nb,300,1\nb,300,9\n"
    frame = read_traces(written(tmp_path, text))
    assert frame["cpu"].tolist() == [9.0, 2.0, 3.0]


def test_iso_times_are_read(tmp_path):
    text = "series_id,timestamp,cpu_cores\na,2026-01-05T00:00:00Z,2\n"
    assert str(read_traces(written(tmp_path, text))["time"].iloc[0]).startswith("2026-01-05")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("timestamp,cpu_cores\n1,2\n", "has no column series_id"),
        ("series_id,timestamp\na,2\n", "no usage column"),
        ("series_id,timestamp,cpu_cores\na,300,1\na,600,many\n", "t.csv:3: cpu_cores is 'many'"),
        ("series_id,timestamp,cpu_cores\na,300,-1\n", "t.csv:2: cpu_cores is"),
        ("series_id,timestamp,cpu_cores\na,soon,1\n", "'soon' is no time"),
        ("series_id,timestamp,cpu_cores,cpu_percent\na,3,1,1\n", "has both"),
        ("", "is no CSV"),
    ],
)
def test_a_bad_file_is_said_with_its_line(tmp_path, text, says):
    with pytest.raises(InputFileError, match=says):
        read_traces(written(tmp_path, text))


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InputFileError, match="cannot be read"):
        read_traces(tmp_path / "none.csv")


def test_every_series_gets_one_row_without_floors(tmp_path):
    text = "series_id,timestamp,cpu_cores,memory_bytes\na,300,0.001,10\nb,300,2,\n"
    sizes = recommend_traces(written(tmp_path, text), PeakMarginPolicy(margin=0.0))
    assert list(sizes.columns) == [
        "series_id", "cpu_request", "cpu_limit", "memory_request", "memory_limit",
    ]  # fmt: skip
    assert sizes["cpu_request"].tolist() == [0.001, 2.0]
    assert sizes["memory_request"].iloc[0] == 10.0
    assert sizes["memory_request"].isna().tolist() == [False, True]


def test_a_trace_without_memory_gets_no_memory_size(tmp_path):
    text = "series_id,timestamp,cpu_percent\na,300,10\na,600,20\n"
    sizes = recommend_traces(written(tmp_path, text), KRRPolicy())
    assert sizes["memory_limit"].isna().all()
    assert sizes["cpu_request"].iloc[0] == pytest.approx(0.195)
