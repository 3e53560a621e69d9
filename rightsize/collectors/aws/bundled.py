"""AWS's facts, or the bundled catalogue's where AWS cannot be asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd

from rightsize.collectors.aws.cache import Cache
from rightsize.collectors.aws.collect import AWS_MARK, Asked, AwsFacts, Wanted, ask_aws
from rightsize.collectors.aws.commitments import commitment_mark, commitment_of_settings
from rightsize.collectors.aws.session import AwsSession
from rightsize.collectors.aws.tables import table_of
from rightsize.config import PriceSettings
from rightsize.errors import AmbiguousPriceError, AwsError, AwsRegionError
from rightsize.prices.catalogue import SHAPES_AS_OF, instance_types, on_demand_prices
from rightsize.snapshot import Missing


def collect_aws(
    region: str | None = None,
    wanted: Wanted | None = None,
    *,
    profile: str | None = None,
    role_arn: str | None = None,
    settings: PriceSettings | None = None,
    cache: Cache | None = None,
    live: bool = False,
) -> AwsFacts:
    """Ask AWS; where it gives no shapes or on-demand prices, the bundled catalogue does.

    Parameters
    ----------
    region : str, optional
        The cluster's region; without it the profile's or the environment's.
    wanted : Wanted, optional
        What to ask for besides prices and commitments.
    profile, role_arn : str, optional
        Profile of the credentials to use.
    live : bool
        Fail where AWS gives nothing, instead of serving the catalogue.

    Returns
    -------
    AwsFacts
        Tables of the snapshot; every bundled row has its source and date, and `missing` says so.

    Raises
    ------
    AwsRegionError
        If no region is given, or AWS has no such region.
    AwsCredentialsError, AwsRoleError
        If the named profile does not exist, or the role cannot be assumed.
    AmbiguousPriceError
        If AWS gives two prices for one machine.
    AwsError
        With `live`: why no source answered.
    """
    settings = settings or PriceSettings()
    session = AwsSession(
        region, profile=profile, role_arn=role_arn, max_attempts=settings.max_attempts
    )
    try:
        facts = ask_aws(session, wanted or Wanted(), settings=settings, cache=cache)
    except (AmbiguousPriceError, AwsRegionError):
        raise
    except AwsError as error:
        if live:
            raise
        facts = _nothing(session.region, error, settings)
    return with_catalogue(facts)


def with_catalogue(facts: AwsFacts) -> AwsFacts:
    """Return `facts` with the catalogue's shapes and on-demand prices where AWS gave none."""
    tables = dict(facts.tables)
    asked, missing = list(facts.asked), list(facts.missing)
    prices = tables.get("prices", table_of("prices", []))
    if not (prices["purchase_option"] == "on-demand").any():
        bundled = _bundled_prices(facts.region)
        tables["prices"] = table_of("prices", pd.concat([bundled, prices], ignore_index=True))
        if len(bundled):
            oldest = bundled["as_of"].min().to_pydatetime()
            asked.append(Asked("on-demand prices, bundled", len(bundled), oldest, True))
        else:
            missing.append(
                Missing(
                    f"{AWS_MARK}, bundled on-demand prices of {facts.region}",
                    "nodes there have no price, and neither have plans",
                )
            )
    if "instance_types" not in tables:
        tables["instance_types"] = _bundled_shapes()
        dated = datetime.fromisoformat(SHAPES_AS_OF).replace(tzinfo=UTC)
        rows = len(tables["instance_types"])
        asked.append(Asked("instance types, bundled", rows, dated, True))
    return replace(facts, tables=tables, asked=tuple(asked), missing=tuple(missing))


def _nothing(region: str, error: AwsError, settings: PriceSettings) -> AwsFacts:
    costs = (
        "on-demand prices and shapes come from the bundled catalogue, with their date; Spot and "
        "Savings Plans prices, the cluster's machines and the bill are unknown"
    )
    stated = settings.commitment_usd_per_hour
    held = (
        commitment_mark("unknown", "AWS was not asked")
        if stated is None
        else commitment_of_settings(stated, settings.commitment_discount)
    )
    return AwsFacts(
        region, {"commitments": held}, (), (Missing(f"{AWS_MARK}: {error.what}", costs),)
    )


def _bundled_prices(region: str) -> pd.DataFrame:
    bundled = on_demand_prices(region)
    shared = bundled[bundled["tenancy"] == "shared"]
    kept = shared[["instance_type", "usd_per_hour", "source", "as_of"]]
    return table_of(
        "prices",
        kept.assign(
            region=region,
            purchase_option="on-demand",
            source="bundled catalogue, from " + kept["source"].astype(str),
        ),
    )


def _bundled_shapes() -> pd.DataFrame:
    shapes = instance_types().rename(columns={"gpu": "gpus"})
    names = [name for name in table_of("instance_types", []).columns if name in shapes.columns]
    return table_of("instance_types", shapes[names])
