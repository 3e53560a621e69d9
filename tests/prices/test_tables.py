"""The bundled catalogue says what AWS says, and says nothing where AWS does not."""

import numpy as np
import pytest

from rightsize.data_files import data_file
from rightsize.errors import UsageError
from rightsize.prices.catalogue import (
    instance_types,
    on_demand_prices,
    priced_regions,
    priced_types,
)


def price(region: str, name: str) -> float:
    prices = on_demand_prices(region).set_index("instance_type")["usd_per_hour"]
    return float(prices[name])


@pytest.mark.parametrize(
    ("name", "usd"),
    [
        ("m5.large", 0.096),
        ("m5.xlarge", 0.192),
        ("c6i.xlarge", 0.17),
        ("m6g.large", 0.077),
        ("t3.medium", 0.0416),
    ],
)
def test_prices_known_from_elsewhere_are_in_the_table(name: str, usd: float) -> None:
    assert price("us-east-1", name) == usd


def test_every_type_is_named_once() -> None:
    assert instance_types()["instance_type"].is_unique
    for region in priced_regions():
        assert on_demand_prices(region)["instance_type"].is_unique


def test_a_shape_is_read_with_its_units() -> None:
    m5 = instance_types().set_index("instance_type").loc["m5.xlarge"]
    assert (m5["vcpu"], m5["memory"], m5["arch"]) == (4, 16 * 2**30, "amd64")
    assert (m5["family"], m5["generation"], m5["size"]) == ("m5", 5, "xlarge")
    assert (m5["max_enis"], m5["ipv4_per_eni"], m5["hypervisor"]) == (4, 15, "nitro")


def test_no_price_is_zero_or_negative() -> None:
    for region in priced_regions():
        assert (on_demand_prices(region)["usd_per_hour"] > 0).all()


def test_every_price_says_where_it_is_from_and_when() -> None:
    for region in priced_regions():
        prices = on_demand_prices(region)
        assert prices["source"].notna().all()
        assert prices["as_of"].notna().all()
        assert str(prices["as_of"].dt.tz) == "UTC"


def test_an_unknown_price_is_nan_not_zero() -> None:
    priced = priced_types("us-west-2").set_index("instance_type")
    assert np.isnan(priced.loc["m5.large", "usd_per_hour"])


def test_china_has_no_dollar_price() -> None:
    assert on_demand_prices("cn-north-1").empty


@pytest.mark.parametrize("text", ["", "useast1", "us-east"])
def test_a_name_that_is_no_region_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not an AWS region"):
        on_demand_prices(text)


def test_graviton_is_arm64_and_says_so() -> None:
    types = instance_types().set_index("instance_type")
    assert types.loc["m6g.large", "arch"] == "arm64"
    assert types.loc["m5.large", "arch"] == "amd64"


def test_a_frame_can_be_changed_without_changing_the_catalogue() -> None:
    mine = instance_types()
    mine["vcpu"] = 0.0
    assert (instance_types()["vcpu"].dropna() > 0).all()


def test_the_bundled_tables_stay_small() -> None:
    for name in ("ec2_instance_types.csv.gz", "ec2_on_demand_prices.csv.gz"):
        assert data_file(name).stat().st_size < 400_000


def test_the_dedicated_surcharge_of_metal_is_marked() -> None:
    prices = on_demand_prices("us-east-1")
    metal = prices[prices["instance_type"].str.contains("metal")]
    assert set(metal["tenancy"]) == {"dedicated"}
    assert set(prices["tenancy"].drop(metal.index)) == {"shared"}
