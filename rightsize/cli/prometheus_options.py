"""Options that say how to reach a metrics server, shared by `collect` and `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rightsize.config import PrometheusSettings

Url = Annotated[
    list[str] | None,
    typer.Option(
        "--prometheus-url",
        help="Address of Prometheus or of what speaks its API; repeat for several servers of one "
        "mesh.",
    ),
]
Matcher = Annotated[
    list[str] | None,
    typer.Option(help="Label matcher added to every query, such as cluster=prod."),
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
    bool | None,
    typer.Option("--allow-partial", help="Keep answers that the server calls partial."),
]


def settings_from(
    *,
    file: Path | None,
    url: list[str] | None,
    gateways: list[str] | None,
    matchers: list[str] | None,
    tenant: str | None,
    headers: list[str] | None,
    bearer_token_env: str | None,
    bearer_token_file: Path | None,
    username: str | None,
    password_env: str | None,
    password_file: Path | None,
    sigv4_region: str | None,
    ca_file: Path | None,
    client_cert: Path | None,
    client_key: Path | None,
    insecure: bool | None,
    proxy: str | None,
    in_flight: int | None,
    timeout_seconds: float | None,
    compress: bool | None,
    allow_partial: bool | None,
) -> PrometheusSettings:
    """Merge flags into the settings; None and empty lists mean "not given"."""
    # Before any import: the parameters alone are settings.
    given = {name: value for name, value in locals().items() if name != "file"}
    from rightsize.config import load_settings

    flags = {name: None if value == [] else value for name, value in given.items()}
    return load_settings(file, flags={"prometheus": flags}).prometheus
