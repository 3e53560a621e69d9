"""Options that say how to reach a metrics server, shared by `collect` and `doctor`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, get_type_hints

import typer

from rightsize.config import PrometheusSettings, load_settings
from rightsize.errors import UsageError
from rightsize.output.console import error_console

if TYPE_CHECKING:
    from rightsize.collectors.kube import ApiServer


class PrometheusSettingsOf(Protocol):
    """From the settings file, and settings given beside the options, to the settings in force."""

    def __call__(self, file: Path | None, **more: object) -> PrometheusSettings: ...


Url = Annotated[
    list[str] | None,
    typer.Option(
        "--prometheus-url",
        help="Address of Prometheus or of what speaks its API; repeat for several servers of one "
        "mesh.",
    ),
]
Matcher = Annotated[
    list[str] | None, typer.Option(help="Label matcher added to every query, such as cluster=prod.")
]
Tenant = Annotated[str | None, typer.Option(help="Tenant, sent as X-Scope-OrgID.")]
Header = Annotated[list[str] | None, typer.Option(help="Further header, 'Name: value'.")]
BearerTokenEnv = Annotated[
    str | None, typer.Option(help="Environment variable that holds a bearer token.")
]
BearerTokenFile = Annotated[Path | None, typer.Option(help="File that holds a bearer token.")]
Username = Annotated[str | None, typer.Option(help="User name of basic authentication.")]
PasswordEnv = Annotated[
    str | None, typer.Option(help="Environment variable that holds the password.")
]
PasswordFile = Annotated[Path | None, typer.Option(help="File that holds the password.")]
Sigv4Region = Annotated[
    str | None,
    typer.Option(help="Sign with AWS credentials for this region (Amazon Managed Prometheus)."),
]
CaFile = Annotated[Path | None, typer.Option(help="Certificate authorities to trust.")]
ClientCert = Annotated[Path | None, typer.Option(help="Client certificate for mutual TLS.")]
ClientKey = Annotated[Path | None, typer.Option(help="Key of the client certificate.")]
Insecure = Annotated[
    bool | None, typer.Option("--insecure", help="Do not check the server's certificate.")
]
Proxy = Annotated[str | None, typer.Option(help="HTTP proxy to go through.")]
InFlight = Annotated[int | None, typer.Option(help="Requests at once to a server (2).")]
Timeout = Annotated[float | None, typer.Option(help="Seconds for one answer (120).")]
Compress = Annotated[
    bool | None, typer.Option("--compress", help="Ask for gzip: for slow lines only.")
]
AllowPartial = Annotated[
    bool | None, typer.Option("--allow-partial", help="Keep answers that the server calls partial.")
]


_OPTIONS: dict[str, tuple[str, object]] = {
    "prometheus_url": ("url", Url),
    "matcher": ("matchers", Matcher),
    "tenant": ("tenant", Tenant),
    "header": ("headers", Header),
    "bearer_token_env": ("bearer_token_env", BearerTokenEnv),
    "bearer_token_file": ("bearer_token_file", BearerTokenFile),
    "username": ("username", Username),
    "password_env": ("password_env", PasswordEnv),
    "password_file": ("password_file", PasswordFile),
    "sigv4_region": ("sigv4_region", Sigv4Region),
    "ca_file": ("ca_file", CaFile),
    "client_cert": ("client_cert", ClientCert),
    "client_key": ("client_key", ClientKey),
    "insecure": ("insecure", Insecure),
    "proxy": ("proxy", Proxy),
    "in_flight": ("in_flight", InFlight),
    "timeout": ("timeout_seconds", Timeout),
    "compress": ("compress", Compress),
    "allow_partial": ("allow_partial", AllowPartial),
}
"""By parameter: the setting it overrides, and the option."""


Through = Annotated[
    str | None,
    typer.Option(
        "--prometheus",
        help="Reach it through the cluster's API server: auto, or NAMESPACE/SERVICE:PORT, a path "
        "after it. auto where a cluster is given and no address.",
    ),
]


def through_cluster(
    settings: PrometheusSettings, wanted: str | None, cluster: ApiServer | None
) -> PrometheusSettings:
    """Settings that reach the metrics server, through the cluster where that is asked for.

    Raises
    ------
    UsageError
        If it is asked for and there is no cluster, or an address as well.
    """
    if wanted is None and (settings.url or cluster is None):
        return settings
    if cluster is None:
        raise UsageError(
            "--prometheus goes through a cluster",
            hint="add --kube-context CTX, or give --prometheus-url",
        )
    if settings.url:
        raise UsageError(
            "--prometheus and an address name two ways to one server",
            hint="leave out --prometheus-url, and url in the settings file",
        )
    from rightsize.collectors.kube import metrics_service, through

    service = metrics_service(cluster, wanted or "auto")
    error_console().print(
        f"Metrics server: {service.title} through {cluster.name}", markup=False, soft_wrap=True
    )
    return through(cluster, service, settings)


def with_prometheus(command: Callable[..., None]) -> Callable[..., None]:
    """Add these options to a command, which gets one function for them: `prometheus_settings`.

    The address stands first in its help, the others last. `prometheus_settings(file, **more)`
    merges what was given into the settings file's; None and empty lists mean "not given".
    """
    hints = get_type_hints(command, include_extras=True)
    kept = [
        parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "prometheus_settings"
    ]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, (_, option) in _OPTIONS.items()
    ]

    @functools.wraps(command)
    def wrapper(**given: object) -> None:
        flags = {setting: given.pop(name) for name, (setting, _) in _OPTIONS.items()}

        def prometheus_settings(file: Path | None, **more: object) -> PrometheusSettings:
            named = {k: None if v == [] else v for k, v in {**flags, **more}.items()}
            return load_settings(file, flags={"prometheus": named}).prometheus

        command(**given, prometheus_settings=prometheus_settings)

    own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in kept]
    shown = [added[0], *own, *added[1:]]
    wrapper.__dict__["__signature__"] = inspect.Signature(shown)
    wrapper.__annotations__ = {p.name: p.annotation for p in shown}
    return wrapper
