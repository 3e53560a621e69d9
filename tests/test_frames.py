"""Frames within answers that are kept: they come back as they were, or are not kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from rightsize.frames import KeptFrame, digest


@dataclass(frozen=True, eq=False)
class Holder:
    frame: KeptFrame


KIND = TypeAdapter(Holder)
FRAME = pd.DataFrame(
    {
        "time": pd.date_range("2026-10-01", periods=3, freq="h", tz="UTC"),
        "nodes": [1, 2, 3],
        "usd": [0.1, np.nan, 1e-17],
        "there": [True, False, True],
        "pod": ["a", "b", ""],
        "zone": np.array(["x", "y", "z"], dtype=object),
    }
)


def test_a_frame_comes_back_with_its_types_and_values():
    for frame in (FRAME, FRAME.iloc[:0].reset_index(drop=True)):
        again = KIND.validate_json(KIND.dump_json(Holder(frame)), strict=True).frame
        pd.testing.assert_frame_equal(again, frame, check_exact=True, check_index_type=False)


@pytest.mark.parametrize(
    "frame",
    [
        FRAME.set_index("pod"),
        FRAME.iloc[1:],
        FRAME.assign(pod=["a", None, "c"]),
        FRAME.assign(z=1j),
    ],
    ids=["index", "rows", "none", "complex"],
)
def test_what_would_not_come_back_is_refused(frame):
    with pytest.raises(ValueError, match=r"index of its own|no text"):
        KIND.dump_json(Holder(frame))


def test_a_digest_says_types_and_values():
    others = [FRAME.assign(nodes=[1.0, 2.0, 3.0]), FRAME.assign(nodes=[1, 2, 4]), FRAME[["nodes"]]]
    found = {digest(frame) for frame in (FRAME, FRAME.copy(), *others)}
    assert len(found) == 4
