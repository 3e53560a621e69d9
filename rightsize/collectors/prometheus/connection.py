"""How to reach a server: address, credentials, certificates, and the secrets to keep quiet."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from rightsize.config import PrometheusSettings
from rightsize.errors import InputFileError, UsageError

_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|.*?)\s*')


@dataclass(frozen=True)
class Connection:
    """One server, ready to be asked. `name` is its address without credentials."""

    url: str
    name: str
    auth: AuthBase | None
    headers: Mapping[str, str] = field(repr=False)
    verify: bool | str
    certificate: str | tuple[str, str] | None
    proxies: Mapping[str, str] = field(repr=False)
    timeout: float
    secrets: frozenset[str] = field(repr=False)

    def quiet(self, text: str) -> str:
        """Return `text` with every secret of this connection blanked."""
        secrets = set(self.secrets)
        if isinstance(self.auth, BearerToken):
            secrets.add(self.auth.last)
        for secret in sorted(secrets, key=len, reverse=True):
            if secret:
                text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
        return text


class BearerToken(AuthBase):
    """Sends a bearer token; one from a file is read for every request, since such files rotate."""

    def __init__(self, token: str | None, path: Path | None) -> None:
        self._token, self._path = token, path
        self.last = token or ""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._path is not None:
            self.last = _secret_file(self._path)
        request.headers["Authorization"] = f"Bearer {self.last}"
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
        SigV4Auth(self._credentials.get_frozen_credentials(), "aps", self._region).add_auth(plain)
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
    if not settings.url:
        raise UsageError(
            "no metrics server given", hint="add --prometheus-url http://prometheus:9090"
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
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            "the metrics server's address is no http or https URL",
            hint="write it as http://prometheus.monitoring:9090",
        )
    host = parts.netloc.rpartition("@")[2]
    path = re.sub(r"/(graph|query|api/v1.*)?/*$", "", parts.path)
    address = urlunsplit((parts.scheme, host, path, "", ""))
    headers = dict(_header(text) for text in settings.headers)
    secrets = set(headers.values())
    if settings.tenant is not None:
        headers["X-Scope-OrgID"] = settings.tenant
    auth, more = _auth(settings, environment, parts.username, parts.password)
    if settings.proxy and "@" in settings.proxy:
        secrets |= {settings.proxy, unquote(urlsplit(settings.proxy).password or "")}
    return Connection(
        url=address,
        name=address,
        auth=auth,
        headers=headers,
        verify=_verification(settings),
        certificate=_certificate(settings),
        proxies={"http": settings.proxy, "https": settings.proxy} if settings.proxy else {},
        timeout=settings.timeout_seconds,
        secrets=frozenset((secrets | more) - {""}),
    )


def _auth(
    settings: PrometheusSettings,
    environment: Mapping[str, str],
    url_user: str | None,
    url_password: str | None,
) -> tuple[AuthBase | None, set[str]]:
    user = settings.username or (unquote(url_user) if url_user else None)
    bearer = settings.bearer_token_env is not None or settings.bearer_token_file is not None
    if sum((user is not None, bearer, settings.sigv4_region is not None)) > 1:
        raise UsageError(
            "more than one way to sign in",
            hint="choose a bearer token, or a user name, or --sigv4-region",
        )
    if settings.sigv4_region is not None:
        return SignedByAws(settings.sigv4_region), set()
    if settings.bearer_token_file is not None:
        return BearerToken(None, settings.bearer_token_file), {
            _secret_file(settings.bearer_token_file)
        }
    if settings.bearer_token_env is not None:
        token = _secret_variable(settings.bearer_token_env, environment)
        return BearerToken(token, None), {token}
    if user is None:
        return None, set()
    password = unquote(url_password or "")
    if settings.password_file is not None:
        password = _secret_file(settings.password_file)
    elif settings.password_env is not None:
        password = _secret_variable(settings.password_env, environment)
    basic = HTTPBasicAuth(user.encode(), password.encode())
    return basic, {password}


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UsageError("a header is written as 'Name: value'")
    return name.strip(), value.strip()


def _secret_variable(name: str, environment: Mapping[str, str]) -> str:
    if not environment.get(name):
        raise UsageError(f"the environment variable {name} is not set, or empty")
    return environment[name].strip()


def _secret_file(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(f"the secret cannot be read ({_reason(error)})", path=path) from error


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
        with path.open("rb"):
            return path
    except OSError as error:
        raise InputFileError(f"cannot be read ({_reason(error)})", path=path) from error


def _reason(error: Any) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
