"""Settings: `rightsize.toml` < environment (`RIGHTSIZE_<SECTION>_<NAME>`) < flags.

One model, documented field by field; `docs/settings.md` is written from it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rightsize import secrets
from rightsize.border import read_file, toml_of
from rightsize.errors import InputFileError, RightsizeError, UsageError

SETTINGS_FILE = "rightsize.toml"
_SETTINGS_HINT = "docs/settings.md lists every setting with its kind and default"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PolicySettings(_Section):
    """How sizes are found and how far one step may go."""

    profile: str = Field("balanced", description="named policy, of docs/policies.md")
    parameters: Mapping[str, float | int | bool] = Field(
        default_factory=dict, description="parameters of the policy that differ from the profile's"
    )
    min_days: float = Field(7.0, ge=0, description="days of history below which nothing is cut")
    min_windows: int = Field(500, ge=1, description="5-minute windows below which nothing is cut")
    min_runs: int = Field(7, ge=1, description="runs of a job below which nothing is cut")
    max_gap_share: float = Field(
        0.3, ge=0, le=1, description="share of windows missing above which nothing is cut"
    )
    max_cut: float = Field(
        0.5, gt=0, le=1, description="largest share of a request or limit cut in one step"
    )
    min_change: float = Field(
        0.1, ge=0, lt=1, description="cuts smaller than this share are not worth a rollout"
    )
    start_up: Literal["raise", "show"] = Field(
        "raise",
        description="where a rollout's start-up memory does not fit into what is free on the nodes: "
        "`raise` the memory request, or `show` it alone",
    )
    limits: Literal["raise", "fit"] = Field(
        "raise",
        description="`raise`: limits only go up, since cutting one frees no node and adds risk; "
        "`fit`: limits follow the policy",
    )
    min_cpu: float = Field(
        0.0, ge=0, description="smallest CPU request admitted (a LimitRange's min), in cores"
    )
    min_memory: float = Field(
        0.0, ge=0, description="smallest memory request admitted (a LimitRange's min), in bytes"
    )
    max_cpu: float | None = Field(
        None, gt=0, description="largest CPU limit admitted (a LimitRange's max), in cores"
    )
    max_memory: float | None = Field(
        None, gt=0, description="largest memory limit admitted (a LimitRange's max), in bytes"
    )
    max_limit_request_ratio: float | None = Field(
        None, ge=1, description="largest limit / request admitted (a LimitRange's ratio)"
    )
    quotas: Mapping[str, Mapping[str, str]] = Field(
        default_factory=dict,
        description='ResourceQuotas by namespace: `[policy.quotas.shop]`, `"requests.cpu" = "10"`',
    )
    max_overrides: int | None = Field(
        None, ge=0, description="most workloads that may get annotations of their own"
    )
    override_usd_per_month: float = Field(
        1.0, ge=0, description="upkeep of one exception: it must save more than this"
    )
    max_throttled_share: float = Field(
        0.01, ge=0, le=1, description="share of throttled CFS periods above which CPU is raised"
    )
    limit_margin: float = Field(
        0.2, ge=0, description="a limit is never below the peak seen plus this share"
    )
    floor_cpu: float = Field(0.01, ge=0, description="smallest CPU request, in cores")
    floor_memory: float = Field(40 * 2**20, ge=0, description="smallest memory request, in bytes")


class PriceSettings(_Section):
    """What is paid, where AWS is not asked or cannot know."""

    hours_per_month: float = Field(730.0, gt=0, le=744, description="hours of a month")
    commitment_usd_per_hour: float | None = Field(
        None,
        ge=0,
        description="Savings Plans commitment, in USD/h; 0 says that there is none, "
        "unset that it is unknown",
    )
    commitment_discount: float | None = Field(
        None, ge=0, lt=1, description="discount of that commitment on on-demand prices, as a share"
    )
    savings_plan: Literal["Compute", "EC2Instance"] = Field(
        "Compute", description="plan type of the listed one-year, no-upfront rates"
    )
    usd_per_cny: float | None = Field(
        None, gt=0, description="exchange rate for the China regions, where prices are in CNY"
    )
    machines: Mapping[str, Mapping[str, float]] = Field(
        default_factory=dict,
        description="on-demand prices of your own in USD/h, by region and type: "
        '`[prices.machines.eu-west-1]`, `"m5.xlarge" = 0.19`; they win over all others',
    )
    allocation: Literal["requests", "larger"] = Field(
        "requests",
        description="how machines are split: by `requests`, or by the `larger` of request and use "
        "(OpenCost's rule), which charges mesh containers that outgrow their requests",
    )
    price_drift_per_year: float = Field(
        0.05, ge=0, description="share by which a price may have changed for each year of its age"
    )
    spot_discount: float = Field(
        0.6, ge=0, lt=1, description="Spot below on demand, assumed where no Spot price is known"
    )
    root_volume_gib: float = Field(
        20.0, ge=0, description="root volume of a node, in GiB, where AWS does not report it"
    )
    access_log_bytes_per_line: float = Field(
        400.0, gt=0, description="bytes of one access-log line"
    )
    access_log_usd_per_gb: float | None = Field(
        None, ge=0, description="price of ingesting one GB (1e9 bytes) of logs; unset is unknown"
    )
    load_balancers: int | None = Field(
        None, ge=0, description="load balancers of the cluster; unset is unknown"
    )
    other_costs_file: Path | None = Field(
        None, description="your prices beside EC2, in the form of the bundled other_costs.toml"
    )
    cache_hours: float = Field(
        24.0, ge=0, description="age up to which a stored price list is used again, in hours"
    )
    max_attempts: int = Field(8, ge=1, description="attempts of one AWS request, retries included")


def _lines(value: object) -> object:
    return tuple(value.split("\n")) if isinstance(value, str) else value


_Texts = Annotated[tuple[str, ...], BeforeValidator(_lines)]


class PrometheusSettings(_Section):
    """Where metrics are asked for, and how. Secrets are named here, never written."""

    url: _Texts = Field((), description="address of the server; several for one mesh")
    matchers: _Texts = Field(
        (), description="label matchers added to every query, such as `cluster=prod`"
    )
    gateways: _Texts = Field(
        (),
        description="`namespace/workload` of gateways that cannot be distinguished from sidecars",
    )
    in_flight: int = Field(2, ge=1, le=16, description="requests at once to one server")
    timeout_seconds: float = Field(
        120.0,
        gt=0,
        le=86400,
        description="time for one answer, connecting and reading included; a question in all its "
        "pieces and repeats has three times that",
    )
    max_points: int = Field(
        5_000_000, ge=1000, description="points that one query may ask of the server"
    )
    compress: bool = Field(
        False, description="ask for gzip: costs the server four times the time, suits a slow line"
    )
    allow_partial: bool = Field(
        False, description="keep answers that the server calls partial, and say so in the snapshot"
    )
    tenant: str | None = Field(None, description="tenant, sent as X-Scope-OrgID (Mimir, Cortex)")
    headers: _Texts = Field((), description="further headers, as `Name: value`")
    bearer_token_env: str | None = Field(None, description="variable that holds a bearer token")
    bearer_token_file: Path | None = Field(
        None, description="file that holds a bearer token; read again for every request"
    )
    username: str | None = Field(None, description="user name of basic authentication")
    password_env: str | None = Field(None, description="variable that holds its password")
    password_file: Path | None = Field(None, description="file that holds its password")
    sigv4_region: str | None = Field(
        None, description="sign with AWS credentials for this region (Amazon Managed Prometheus)"
    )
    ca_file: Path | None = Field(None, description="certificates of authorities to trust")
    client_cert: Path | None = Field(None, description="client certificate for mutual TLS")
    client_key: Path | None = Field(None, description="its key, if not in the same file")
    insecure: bool = Field(False, description="do not check the server's certificate")
    proxy: str | None = Field(None, description="HTTP proxy to go through")


def _names(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


_Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


def _counts(value: object) -> object:
    """`general=3,batch=0` or a mapping, as pairs."""
    if isinstance(value, str):
        return tuple(
            tuple(part.strip() for part in pair.split("="))
            for pair in value.split(",")
            if pair.strip()
        )
    return tuple(value.items()) if isinstance(value, Mapping) else value


_Counts = Annotated[tuple[tuple[str, Annotated[int, Field(ge=0)]], ...], BeforeValidator(_counts)]


class NodeSettings(_Section):
    """Which nodes may be bought, and what they must withstand."""

    families: _Names = Field(
        (),
        description="instance families that may be used, such as `m5,c6i`; without any: m, c and r "
        "of the current generation, and the families in use",
    )
    sizes: _Names = Field(
        ("large", "xlarge", "2xlarge", "4xlarge"),
        description="sizes that may be used; without `families` types in use always may",
    )
    arch: _Names = Field(
        (), description="`amd64`, `arm64` or both; without any: those of the nodes in use"
    )
    min_generation: int = Field(5, ge=1, description="oldest generation of a family")
    capacity: Literal["on-demand", "spot", "blend"] = Field(
        "on-demand", description="what is bought; `blend` is Spot above `on_demand_share`"
    )
    on_demand_share: float = Field(
        0.5, ge=0, le=1, description="share of the pods' CPU on on-demand nodes in a blend"
    )
    max_types: int = Field(3, ge=1, description="most instance types in a mix")
    floor_per_zone: int = Field(0, ge=0, description="fewest nodes in every zone")
    group_minimum: _Counts = Field(
        (),
        description="smallest size of node groups (Auto Scaling groups) that the autoscaler may not go "
        "below, such as `general=3`",
    )
    spread: Literal["none", "host", "zone"] = Field(
        "host",
        description="how replicas of a workload are spread where it does not say so itself: on at "
        "least two nodes, or evenly over the zones",
    )
    zones: _Names = Field((), description="zones to use; without any: those of the nodes in use")
    cni_mode: Literal[
        "observed", "default", "prefix", "custom", "custom+prefix", "security-groups", "ipv6"
    ] = Field("observed", description="how the VPC CNI hands out addresses to pods")
    max_pods: int | None = Field(None, ge=1, description="pod slots of every node, set by hand")
    headroom: Literal["none", "node", "zone"] = Field(
        "node", description="what may be lost with every pod still placed"
    )
    surge: float = Field(
        0.25,
        ge=0,
        le=1,
        description="share of a workload's pods that a rollout adds, rounded up (maxSurge)",
    )
    demand: Literal["busiest", "last", "peak"] = Field(
        "busiest",
        description="pods to hold: those of the hour with the highest requests, of the last hour, "
        "or of the last hour with each workload grown to its most replicas",
    )
    time_limit: float = Field(
        6.0,
        gt=0,
        description="work for each plan, in seconds of one idle core; work is counted, not timed, so "
        "that every machine gives the same answer",
    )
    memory_overhead: float = Field(
        0.075, ge=0, lt=0.5, description="share of EC2's memory figure that the machine itself uses"
    )
    seed: int = Field(0, ge=0, description="of the random moves of the search")


def _team_rules(rules: tuple[str, ...]) -> tuple[str, ...]:
    for rule in rules:
        if not re.fullmatch(r"(label|namespace-label):\S+|namespace", rule):
            raise ValueError(f"{rule!r} is no rule: label:NAME, namespace-label:NAME or namespace")
    return rules


def _currencies(rates: Mapping[str, CurrencyRate]) -> Mapping[str, CurrencyRate]:
    for name in rates:
        if name == "USD" or not re.fullmatch(r"[A-Z]{3}", name):
            raise ValueError(
                f"{name!r} is no currency that needs a rate: a code such as EUR or JPY"
            )
    return rates


class CurrencyRate(_Section):
    """What one unit of a currency was worth, and when."""

    usd: float = Field(gt=0, allow_inf_nan=False, description="USD for one unit")
    as_of: date = Field(description="day of the rate")


class ReviewSettings(_Section):
    """What the monthly report says of teams and budgets."""

    team: Annotated[_Names, AfterValidator(_team_rules)] = Field(
        (),
        description="rules for a workload's team, tried in turn: `label:NAME` (the pods' label, else "
        "their namespace's), `namespace-label:NAME`, `namespace`; none: no showback",
    )
    spread: Literal["even", "requests", "none"] = Field(
        "requests",
        description="how costs of no team are given to teams: `even`, by `requests`, or `none`",
    )
    budget_usd_per_month: float | None = Field(
        None, gt=0, description="budget of the cluster, in USD a month; unset: none"
    )
    bill: str | None = Field(
        None, min_length=1, description="cost export that the report is held against, as `--bill`"
    )
    currencies: Annotated[Mapping[str, CurrencyRate], AfterValidator(_currencies)] = Field(
        default_factory=dict,
        description="rates of other currencies: `[review.currencies.EUR]`, `usd = 1.08`, "
        "`as_of = 2026-10-31`; the report gives the bill and the savings in each, and reads bills that "
        "are in it; without one a bill stays in its currency and is compared with nothing",
    )
    billing_account: str | None = Field(
        None, min_length=1, description="account that is billed, for `report --format focus`"
    )
    billing_account_name: str | None = Field(None, min_length=1, description="its display name")
    sub_account: str | None = Field(
        None, min_length=1, description="account of the cluster, where another one pays for it"
    )


class Settings(_Section):
    """All settings of rightsize."""

    policy: PolicySettings = PolicySettings()
    prometheus: PrometheusSettings = PrometheusSettings()
    prices: PriceSettings = PriceSettings()
    nodes: NodeSettings = NodeSettings()
    review: ReviewSettings = ReviewSettings()


def load_settings(
    path: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Mapping[str, Any]] | None = None,
) -> Settings:
    """Merge the settings file, the environment and the flags, the later ones winning.

    Parameters
    ----------
    path : Path, optional
        Settings file; without it `rightsize.toml` of the current folder, where there is one.
    environment : mapping, optional
        Instead of `os.environ`.
    flags : mapping of section to mapping of name to value, optional
        Values of command-line flags; None means "not given".

    Raises
    ------
    InputFileError
        If the file is not TOML, or holds an unknown or invalid setting.
    UsageError
        If an environment variable or a flag is unknown or invalid.
    """
    merged: dict[str, dict[str, Any]] = {}
    source = path or Path(SETTINGS_FILE)
    if path is not None or source.exists():
        merged = _read_toml(source)
        _keep_secrets(merged.get("prometheus", {}))
        _validate(merged, lambda text, hint: InputFileError(text, path=source, hint=hint))
    for name, value in (os.environ if environment is None else environment).items():
        section, _, key = name.removeprefix("RIGHTSIZE_").lower().partition("_")
        if name.startswith("RIGHTSIZE_") and section in Settings.model_fields and key:
            merged.setdefault(section, {})[key] = value
    for section, values in (flags or {}).items():
        given = {name: value for name, value in values.items() if value is not None}
        merged.setdefault(section, {}).update(given)
    _keep_secrets(merged.get("prometheus", {}))
    return _validate(merged, lambda text, hint: UsageError(text, hint=hint))


def _keep_secrets(given: Mapping[str, Any]) -> None:
    """Blank passwords and headers from here on, whether they are valid or not."""
    if not isinstance(given, Mapping):
        return
    for name in ("url", "proxy", "headers"):
        texts = given.get(name) or ()
        for text in texts if isinstance(texts, (list, tuple)) else (texts,):
            secrets.register_address(str(text))
            if name == "headers":
                header, _, value = str(text).partition(":")
                secrets.register_header(header.strip(), value.strip())


_LARGEST_BYTES = 4 * 2**20


def _read_toml(path: Path) -> dict[str, dict[str, Any]]:
    try:
        return toml_of(read_file(path, _LARGEST_BYTES))
    except OSError as error:
        raise InputFileError(
            f"cannot be read ({error.strerror})", path=path, hint=_SETTINGS_HINT
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputFileError(f"is not TOML: {error}", path=path, hint=_SETTINGS_HINT) from error


def _validate(
    values: Mapping[str, Any], error_of: Callable[[str, str], RightsizeError]
) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise error_of(f"setting {place}: {first['msg']}", _SETTINGS_HINT) from error
