"""Live prices win over bundled ones; what nobody gave stays unknown."""

import numpy as np
import pandas as pd

from rightsize.prices.shapes import priced_catalogue


def live(*rows: tuple[str, str, str | None, float, int]) -> pd.DataFrame:
    """`(type, option, zone, USD/h, day of March)`."""
    return pd.DataFrame(
        {
            "instance_type": [name for name, *_ in rows],
            "region": "us-east-1",
            "purchase_option": [option for _, option, *_ in rows],
            "zone": [zone for *_, zone, _, _ in rows],
            "usd_per_hour": [usd for *_, usd, _ in rows],
            "source": "aws",
            "as_of": [pd.Timestamp(2026, 3, day, tz="UTC") for *_, day in rows],
        }
    )


def price(catalogue: pd.DataFrame, name: str, column: str = "usd_per_hour") -> float:
    return float(catalogue.set_index("instance_type").loc[name, column])


def test_bundled_prices_serve_and_say_their_date() -> None:
    catalogue, said = priced_catalogue("us-east-1")
    assert price(catalogue, "m5.large") == 0.096
    assert said == ("bundled on-demand prices of us-east-1: karpenter, 2026-07-20",)


def test_the_newest_live_price_wins() -> None:
    prices = live(("m5.large", "on-demand", None, 0.1, 2), ("m5.large", "on-demand", None, 0.09, 1))
    catalogue, said = priced_catalogue("us-east-1", prices)
    assert price(catalogue, "m5.large") == 0.1
    assert price(catalogue, "m5.xlarge") == 0.192
    assert "2026-03-02" in said[0]


def test_spot_is_priced_by_the_mean_of_its_zones_and_unknown_elsewhere() -> None:
    prices = live(
        ("m5.large", "spot", "us-east-1a", 0.03, 2), ("m5.large", "spot", "us-east-1b", 0.05, 2)
    )
    catalogue, _ = priced_catalogue("us-east-1", prices)
    assert price(catalogue, "m5.large", "spot_usd_per_hour") == 0.04
    assert np.isnan(price(catalogue, "m5.xlarge", "spot_usd_per_hour"))


def test_a_price_of_zero_counts_as_none() -> None:
    catalogue, _ = priced_catalogue("us-east-1", live(("m5.large", "on-demand", None, 0.0, 2)))
    assert price(catalogue, "m5.large") == 0.096


def test_without_a_region_nothing_is_priced() -> None:
    catalogue, said = priced_catalogue(None)
    assert catalogue["usd_per_hour"].isna().all()
    assert "--region" in said[0]


def test_a_region_without_bundled_prices_says_so() -> None:
    catalogue, said = priced_catalogue("cn-north-1")
    assert catalogue["usd_per_hour"].isna().all()
    assert said == ("there are no bundled prices of cn-north-1",)
