"""The volumes that an instance starts with are all paid for; a pod's volume is not one of them."""

from __future__ import annotations

import pandas as pd

from rightsize.collectors.aws.instances import first_volumes

START = pd.Timestamp("2026-03-02T12:00:00Z")
LATER = START + pd.Timedelta(hours=1)


def test_a_second_volume_attached_in_the_same_second_counts() -> None:
    rows = [("i-1", START, 2.0, "gp2"), ("i-1", START, 20.0, "gp3"), ("i-1", LATER, 500.0, "io2")]
    volumes = pd.DataFrame(rows, columns=["instance_id", "attached", "root_gib", "root_type"])
    assert first_volumes(volumes).to_dict("records") == [
        {"instance_id": "i-1", "root_gib": 22.0, "root_type": "gp3"}
    ]


def test_without_volumes_there_is_no_row() -> None:
    none = pd.DataFrame([], columns=["instance_id", "attached", "root_gib", "root_type"])
    assert first_volumes(none).empty
