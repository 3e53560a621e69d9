"""`fleet.toml`: which clusters there are, where their metrics are, and who owns them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, field_validator

from rightsize.border import open_file, path_part, printable, toml_of
from rightsize.collectors.prometheus.connection import matchers
from rightsize.config import PrometheusSettings
from rightsize.errors import InputFileError, RightsizeError, UsageError
from rightsize.secrets import register_address

FLEET_FILE = "fleet.toml"
_LARGEST_BYTES = 4 * 2**20
"""Of the file: 5,000 clusters take 1 MB."""
_MOST_CLUSTERS = 5000
_MOST_FILES = 100
_LONGEST_NAME = 100
_HINT = "docs/fleet.md shows a file with every key"
_SIGN_IN = (
    "bearer_token_env", "bearer_token_file", "username", "password_env", "password_file",
    "sigv4_region",
)  # fmt: skip
_PATHS = ("bearer_token_file", "password_file", "ca_file", "client_cert", "client_key")


def _no_line_breaks(text: str) -> str:
    if not text.isprintable() or len(text) > _LONGEST_NAME:
        raise ValueError(f"at most {_LONGEST_NAME} printable characters")
    return text


_Name = Annotated[str, AfterValidator(_no_line_breaks)]


class FleetCluster(PrometheusSettings):
    """One cluster: how its metrics are reached, as in `[prometheus]` of the settings, and more."""

    region: _Name | None = Field(None, description="AWS region, where no node says it")
    team: _Name = Field("", description="the team that owns the cluster")
    values: tuple[Path, ...] = Field(
        (), max_length=_MOST_FILES, description="values files, the last one wins"
    )
    chart: _Name | None = Field(None, description="chart of these files, where they do not say it")
    objects: tuple[Path, ...] = Field(
        (), max_length=_MOST_FILES, description="output of `kubectl get ... -o json`"
    )
    budget: _Name | None = Field(
        None,
        description="clusters that name the same budget share the requests in flight; without one, "
        "those whose addresses have the same host and port",
    )

    @field_validator("headers")
    @classmethod
    def _no_header(cls, headers: tuple[str, ...]) -> tuple[str, ...]:
        if headers:
            raise ValueError(
                "a header may hold a secret: use tenant, or one of the ways to sign in"
            )
        return headers

    @field_validator("url", "proxy")
    @classmethod
    def _no_password(cls, given: Any) -> Any:
        for address in (given,) if isinstance(given, str) else given or ():
            if "@" in address:
                raise ValueError("an address with a password: use username and password_env")
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("no http or https address")
        return given

    @property
    def prometheus(self) -> PrometheusSettings:
        """How to reach the metrics, as collecting reads it."""
        known = PrometheusSettings.model_fields
        return PrometheusSettings.model_validate(
            {name: value for name, value in dict(self).items() if name in known}
        )

    @property
    def budgets(self) -> tuple[str, ...]:
        """Names of what limits requests, one for each address in its order."""
        return tuple(self.budget or urlsplit(one).netloc.lower() for one in self.url)


@dataclass(frozen=True)
class Fleet:
    """The clusters by name, in the order of the file."""

    clusters: Mapping[str, FleetCluster]
    others: Mapping[str, FleetCluster] = field(default_factory=dict)
    """Clusters of the file that were not chosen: they share servers and values files with these."""

    def only(self, names: Iterable[str] = (), team: str | None = None) -> Fleet:
        """Those of these names and of this team.

        Raises
        ------
        UsageError
            For a name that is not there, and where none is left.
        """
        wanted = list(names) or list(self.clusters)
        for name in wanted:
            if name not in self.clusters:
                raise UsageError(f"no cluster {name!r} in the fleet", hint="fleet.toml lists them")
        kept = {n: c for n, c in self.clusters.items() if n in wanted and team in (None, c.team)}
        if not kept:
            teams = sorted({cluster.team for cluster in self.clusters.values()} - {""})
            raise UsageError(
                f"no cluster of team {team!r}", hint=f"the fleet has the teams {', '.join(teams)}"
            )
        left = {n: c for n, c in self.clusters.items() if n not in kept}
        return replace(self, clusters=kept, others={**self.others, **left})

    @cached_property
    def in_flight(self) -> dict[str, int]:
        """Requests at once by budget: the smallest that a cluster of it allows."""
        found: dict[str, int] = {}
        for cluster in (*self.clusters.values(), *self.others.values()):
            for budget in cluster.budgets:
                found[budget] = min(found.get(budget, cluster.in_flight), cluster.in_flight)
        return found


def read_fleet(path: Path) -> Fleet:
    """Read a fleet's file; what a cluster does not say is taken from `[defaults]`.

    Paths are relative to the file. A cluster that says how to sign in inherits no other way.

    Raises
    ------
    InputFileError
        If the file cannot be read, is too large, or holds something unknown or a secret.
    """
    body = _toml(path)
    defaults, clusters = body.pop("defaults", {}), body.pop("clusters", {})
    if body:
        raise _wrong(path, f"{printable(next(iter(body)))}: only [defaults] and [clusters.NAME]")
    if not isinstance(defaults, dict) or not isinstance(clusters, dict) or not clusters:
        raise _wrong(path, "no [clusters.NAME] in it")
    if len(clusters) > _MOST_CLUSTERS:
        raise _wrong(path, f"{len(clusters)} clusters, {_MOST_CLUSTERS} are read at most")
    return Fleet({name: _cluster(path, name, defaults, own) for name, own in clusters.items()})


def _toml(path: Path) -> dict[str, Any]:
    try:
        with open_file(path) as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise InputFileError(
            f"cannot be read ({error.strerror})",
            path=path,
            hint="rightsize fleet discover writes one; --fleet names another",
        ) from error
    if len(content) > _LARGEST_BYTES:
        raise _wrong(path, f"larger than {_LARGEST_BYTES >> 20} MiB")
    try:
        return toml_of(content)
    except (ValueError, RecursionError) as error:
        raise _wrong(path, f"is not TOML: {error}") from error


def _cluster(path: Path, name: str, defaults: Mapping[str, Any], own: Any) -> FleetCluster:
    place = f"clusters.{printable(name)}"
    if path_part(name) != name:
        raise _wrong(path, f"{place}: a name has letters, digits, dots, dashes and underscores")
    if not isinstance(own, dict):
        raise _wrong(path, f"{place}: is no table")
    inherited = dict(defaults)
    if any(key in own for key in _SIGN_IN):
        inherited = {key: value for key, value in inherited.items() if key not in _SIGN_IN}
    merged = inherited | own
    for key in ("url", "proxy"):
        given = merged.get(key) or ()
        for address in given if isinstance(given, list) else (given,):
            register_address(str(address))
    try:
        found = FleetCluster.model_validate(merged)
        if not found.url:
            raise _wrong(path, f"{place}: no url, nor one in [defaults]")
        matchers(found)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(printable(part) for part in first["loc"])
        raise _wrong(path, f"{place}.{key}: {first['msg']}") from error
    except RightsizeError as error:
        raise (
            error if isinstance(error, InputFileError) else _wrong(path, f"{place}: {error.what}")
        ) from error
    return found.model_copy(update=_absolute(found, path.parent))


def _absolute(cluster: FleetCluster, folder: Path) -> dict[str, Any]:
    """Its paths, from the folder of the file; a worker runs in another one."""
    root = folder.absolute()
    moved: dict[str, Any] = {
        key: root / value for key in _PATHS if (value := getattr(cluster, key)) is not None
    }
    for key in ("values", "objects"):
        moved[key] = tuple(root / one for one in getattr(cluster, key))
    return moved


def _wrong(path: Path, what: str) -> InputFileError:
    return InputFileError(what, path=path, hint=_HINT)
