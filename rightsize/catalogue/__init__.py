"""Bundled EC2 instance types and prices, each with its source and date."""

from rightsize.catalogue.tables import (
    SHAPES_AS_OF,
    generation_of,
    instance_types,
    on_demand_prices,
    priced_regions,
    priced_types,
)

__all__ = [
    "SHAPES_AS_OF",
    "generation_of",
    "instance_types",
    "on_demand_prices",
    "priced_regions",
    "priced_types",
]
