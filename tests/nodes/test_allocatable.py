"""What a node offers agrees with what EKS, AWS's max-pods list and Karpenter say of it."""

import numpy as np
import pandas as pd
import pytest

from rightsize.nodes.allocatable import (
    CNI_MODES,
    CniMode,
    allocatable,
    infer_mode,
    kube_reserved_cpu,
    max_pods,
)
from rightsize.prices.catalogue import instance_types

TYPES = instance_types()
MEBIBYTE = 2**20

# Karpenter's published table for AL2023: millicores, Mi, pods.
PUBLISHED = {
    "a1.medium": (940, 1392, 8),
    "a1.xlarge": (3920, 6525, 58),
    "a1.4xlarge": (15890, 27322, 234),
    "a1.metal": (15890, 27322, 234),
    "c1.medium": (1930, 1122, 12),
    "c3.large": (1930, 2878, 29),
    "c3.4xlarge": (15890, 25487, 234),
    "c4.8xlarge": (35840, 53903, 234),
    "c5.large": (1930, 3114, 29),
    "c6i.xlarge": (3920, 6584, 58),
    "m5.large": (1930, 6903, 29),
    "m5.xlarge": (3920, 14162, 58),
    "m5.4xlarge": (15890, 57691, 234),
    "m6g.large": (1930, 6844, 29),
    "t3.medium": (1930, 3246, 17),
}


def one(name: str) -> pd.DataFrame:
    return TYPES[TYPES["instance_type"] == name]


def slots(name: str, mode: str, **options: bool) -> float:
    return float(max_pods(one(name), mode, **options)[0])


@pytest.mark.parametrize(("name", "figures"), PUBLISHED.items())
def test_allocatable_is_what_karpenter_publishes(name: str, figures: tuple[int, int, int]) -> None:
    row = allocatable(one(name)).iloc[0]
    assert (round(row["cpu"] * 1000), row["memory"] / MEBIBYTE, row["pods"]) == figures


def test_max_pods_agree_with_every_row_of_the_published_list() -> None:
    listed = TYPES[TYPES["published_max_pods"].notna()]
    assert len(listed) == 1391
    np.testing.assert_array_equal(max_pods(listed, "default"), listed["published_max_pods"])


def test_reserved_cpu_grows_in_the_documented_steps() -> None:
    vcpu = np.array([1, 2, 4, 8, 16, 64], dtype=float)
    expected = [0.06, 0.07, 0.08, 0.09, 0.11, 0.23]
    np.testing.assert_allclose(kube_reserved_cpu(vcpu), expected)


def test_custom_networking_loses_the_primary_interface() -> None:
    assert (slots("m5.large", "default"), slots("m5.large", "custom")) == (29, 20)
    assert (slots("m5.xlarge", "default"), slots("m5.xlarge", "custom")) == (58, 44)


def test_prefixes_give_sixteen_addresses_for_one_up_to_what_aws_advises() -> None:
    assert slots("t3.nano", "prefix") == 2 * 1 * 16 + 2
    assert slots("m5.large", "prefix") == 110
    assert slots("m5.16xlarge", "prefix") == 250
    assert slots("t3.small", "custom+prefix") == 2 * 3 * 16 + 2


def test_prefixes_change_nothing_on_machines_without_nitro() -> None:
    assert slots("c4.large", "prefix") == slots("c4.large", "default")


def test_ipv6_is_limited_by_the_advice_alone_and_needs_nitro() -> None:
    assert (slots("t3.nano", "ipv6"), slots("m5.16xlarge", "ipv6")) == (110, 250)
    assert np.isnan(slots("c4.large", "ipv6"))


def test_security_groups_for_pods_give_one_interface_to_the_trunk() -> None:
    assert slots("c5.4xlarge", "security-groups") == 7 * 29 + 2
    assert slots("t3.medium", "security-groups") == slots("t3.medium", "default")


def test_the_advised_cap_can_be_put_on_plain_addresses() -> None:
    assert slots("m5.4xlarge", "default") == 234
    assert slots("m5.4xlarge", "default", cap=True) == 110
    assert slots("m5.24xlarge", "default", cap=True) == 250


def test_a_type_whose_interfaces_are_unknown_has_unknown_slots() -> None:
    unknown = one("m5.large").assign(max_enis=np.nan)
    for mode in CNI_MODES:
        assert np.isnan(max_pods(unknown, mode)).all()
    assert np.isnan(allocatable(unknown)["memory"]).all()


def test_slots_set_by_hand_win_and_leave_the_reserved_memory() -> None:
    few = allocatable(one("m5.large"), pods=10).iloc[0]
    assert few["pods"] == 10
    assert few["memory"] / MEBIBYTE == 6903


@pytest.mark.parametrize(
    ("seen", "mode"),
    [(58, "default"), (110, "prefix"), (44, "custom"), (57, None)],
)
def test_the_mode_is_read_from_what_nodes_report(seen: int, mode: str | None) -> None:
    nodes = pd.DataFrame({"instance_type": ["m5.xlarge"], "allocatable_pods": [seen]})
    assert infer_mode(nodes, TYPES) == mode


def test_two_types_settle_a_mode_that_one_leaves_open() -> None:
    nodes = pd.DataFrame(
        {"instance_type": ["m5.xlarge", "t3.nano"], "allocatable_pods": [110.0, 110.0]}
    )
    assert infer_mode(nodes, TYPES) == "ipv6"


@pytest.mark.parametrize("mode", ["prefix", "custom", "custom+prefix", "security-groups", "ipv6"])
def test_the_memory_set_aside_is_that_of_the_classic_slots_in_every_mode(mode: CniMode) -> None:
    classic = allocatable(one("m5.large"))["memory"].iloc[0]
    assert allocatable(one("m5.large"), mode)["memory"].iloc[0] == classic
