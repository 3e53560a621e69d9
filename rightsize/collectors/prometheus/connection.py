"""How to reach a server: address, credentials, certificates, and the secrets to keep quiet."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import requests
from pydantic import ConfigDict
from requests.auth import AuthBase, HTTPBasicAuth

from rightsize.border import open_file, read_file
from rightsize.config import PrometheusSettings
from rightsize.errors import InputFileError, UsageError
from rightsize.secrets import (
    register,
    register_address,
    register_header,
    register_sign_in,
    register_unless_path,
)

_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|.*?)\s*')


@dataclass(frozen=True)
class Connection:
    """One server, ready to be asked. `name` is its address without credentials."""

    url: str
    name: str
    auth: AuthBase | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    verify: bool | str
    certificate: str | tuple[str, str] | None
    proxies: Mapping[str, str] = field(repr=False)
    timeout: float
    get_only: bool = False
    """It lets nothing but GET through."""
    refused_hint: str | None = None
    """What to do where it refuses (401, 403)."""


class ThroughApiServer(PrometheusSettings):
    """Settings of a server that is reached in a way of its own."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    place: Connection


class BearerToken(AuthBase):
    """Sends a bearer token; one from a file is read for every request, since such files rotate."""

    def __init__(self, token: str | None, path: Path | None) -> None:
        self._token, self._path = token, path

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self._token if self._path is None else _secret_file(self._path)
        request.headers["Authorization"] = f"Bearer {token}"
        return request


class SignedByAws(AuthBase):
    """Signs requests with the AWS credentials that boto3 finds (Signature Version 4)."""

    def __init__(self, region: str) -> None:
        import boto3

        self._region = region
        self._credentials = boto3.Session().get_credentials()
        if self._credentials is None:
            raise UsageError(
                "no AWS credentials to sign requests with",
                hint="set AWS_PROFILE, or run where an IAM role is to be had",
            )

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        plain = AWSRequest(
            method=request.method,
            url=request.url,
            data=request.body,
            headers={"Content-Type": request.headers.get("Content-Type", "")},
        )
        keys = self._credentials.get_frozen_credentials()
        register(keys.secret_key, keys.token)
        SigV4Auth(keys, "aps", self._region).add_auth(plain)
        for name, value in plain.headers.items():
            request.headers[name] = value
        return request


def connections(
    settings: PrometheusSettings, environment: Mapping[str, str] | None = None
) -> list[Connection]:
    """Make one connection for each address of `settings`.

    Raises
    ------
    UsageError
        Without an address, for one that is none, and for ways to sign in that exclude each other.
    InputFileError
        If a secret's or certificate's file cannot be read.
    """
    if isinstance(settings, ThroughApiServer):
        return [settings.place]
    if not settings.url:
        raise UsageError(
            "no metrics server given",
            hint="add --prometheus-url http://prometheus:9090, or --kube-context to find it in a "
            "cluster",
        )
    values = os.environ if environment is None else environment
    return [_connection(url, settings, values) for url in settings.url]


def matchers(settings: PrometheusSettings) -> str:
    """Return the extra label matchers as PromQL text, `cluster="prod"` each ending in a comma.

    Raises
    ------
    UsageError
        If one is no label matcher.
    """
    texts = []
    for text in settings.matchers:
        match = _MATCHER.fullmatch(text)
        if match is None:
            raise UsageError(
                f"not a label matcher: {text!r}", hint='write it as cluster=prod or env=~"a|b"'
            )
        label, operator, value = match.groups()
        texts.append(f"{label}{operator}{value if value.startswith(chr(34)) else quoted(value)},")
    return "".join(texts)


def quoted(value: str) -> str:
    """Quote a label value for PromQL."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _connection(
    url: str, settings: PrometheusSettings, environment: Mapping[str, str]
) -> Connection:
    register_address(url)
    register_address(settings.proxy)
    parts = _parts(url, "the metrics server's address")
    if settings.proxy:
        _parts(settings.proxy, "the proxy's address")
    host = parts.netloc.rpartition("@")[2]
    path = re.sub(r"/(graph|query|api/v1.*)?/*$", "", parts.path)
    address = urlunsplit((parts.scheme, host, path, "", ""))
    auth = _auth(settings, environment, parts.username, parts.password)
    return Connection(
        url=address,
        name=address,
        auth=auth,
        headers=headers_of(settings),
        verify=_verification(settings),
        certificate=_certificate(settings),
        proxies={"http": settings.proxy, "https": settings.proxy} if settings.proxy else {},
        timeout=settings.timeout_seconds,
    )


def headers_of(settings: PrometheusSettings) -> dict[str, str]:
    """Further headers of every request, the tenant's among them.

    Raises
    ------
    UsageError
        If one is no header.
    """
    headers = dict(_header(text) for text in settings.headers)
    if settings.tenant is not None:
        headers["X-Scope-OrgID"] = settings.tenant
    return headers


def _parts(url: str, what: str) -> SplitResult:
    """An address in its parts; one that is none is not shown, since it may hold a password."""
    try:
        parts = urlsplit(url.strip())
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or "@" in f"{parts.path}{parts.query}{parts.fragment}" or not url.isprintable():
        raise UsageError(
            f"{what} is no http or https URL",
            hint="write it as http://prometheus.monitoring:9090; in a password # is %23, / is %2F "
            "and @ is %40, or give it with --password-file",
        )
    return parts


def _auth(
    settings: PrometheusSettings,
    environment: Mapping[str, str],
    url_user: str | None,
    url_password: str | None,
) -> AuthBase | None:
    user = settings.username or (unquote(url_user) if url_user else None)
    bearer = settings.bearer_token_env is not None or settings.bearer_token_file is not None
    if sum((user is not None, bearer, settings.sigv4_region is not None)) > 1:
        raise UsageError(
            "more than one way to sign in",
            hint="choose a bearer token, or a user name, or --sigv4-region",
        )
    if settings.sigv4_region is not None:
        return SignedByAws(settings.sigv4_region)
    if settings.bearer_token_file is not None:
        _secret_file(settings.bearer_token_file)
        return BearerToken(None, settings.bearer_token_file)
    if settings.bearer_token_env is not None:
        token = _secret_variable(settings.bearer_token_env, environment)
        return BearerToken(token, None)
    if user is None:
        return None
    password = unquote(url_password or "")
    if settings.password_file is not None:
        password = _secret_file(settings.password_file)
    elif settings.password_env is not None:
        password = _secret_variable(settings.password_env, environment)
    register_sign_in(user, password)
    return HTTPBasicAuth(user.encode(), password.encode())


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name.strip()):
        raise UsageError("a header is written as 'Name: value'")
    register_header(name.strip(), value.strip())
    return name.strip(), _sendable(value.strip(), f"the header {name.strip()}")


def _secret_variable(name: str, environment: Mapping[str, str]) -> str:
    shown = f"the environment variable {_as_name(name)}"
    if not environment.get(name):
        raise UsageError(f"{shown} is not set, or empty")
    register(environment[name].strip())
    return _sendable(environment[name].strip(), shown)


def _as_name(name: str) -> str:
    """A variable's name, unless somebody gave the secret in its place."""
    if re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", name):
        return name
    register(name)
    return "that was named (not shown: it does not look like a name, and may be the secret itself)"


_LARGEST_SECRET = 64 * 2**10
"""Bytes; tokens take some kB."""


def _secret_file(path: Path) -> str:
    try:
        secret = read_file(path, _LARGEST_SECRET).decode().strip()
    except (OSError, ValueError) as error:
        shown = register_unless_path(str(path))
        raise InputFileError(
            f"the secret cannot be read ({_reason(error)})",
            path=shown
            or "a file that is named for a secret (not shown: it may be the secret itself)",
        ) from error
    register(secret)
    return _sendable(secret, f"the secret in {path}")


def _sendable(value: str, what: str) -> str:
    """A header's value or a token as it may be sent; one that may not is never shown."""
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]", value):
        raise UsageError(
            f"{what} holds a line break or a character that no header can carry",
            hint="write it on one line, in printable characters",
        )
    return value


def _verification(settings: PrometheusSettings) -> bool | str:
    if settings.insecure:
        return False
    return str(_readable(settings.ca_file)) if settings.ca_file is not None else True


def _certificate(settings: PrometheusSettings) -> str | tuple[str, str] | None:
    if settings.client_cert is None:
        return None
    if settings.client_key is None:
        return str(_readable(settings.client_cert))
    return str(_readable(settings.client_cert)), str(_readable(settings.client_key))


def _readable(path: Path) -> Path:
    try:
        with open_file(path):
            return path
    except OSError as error:
        raise InputFileError(f"cannot be read ({_reason(error)})", path=path) from error


def _reason(error: Any) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
