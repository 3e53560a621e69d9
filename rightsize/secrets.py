"""The one gate that every secret has to pass: console, log and manifest.

What is read as a secret is registered here, and is blanked, in each encoding in which a server, a
library or a traceback could show it, wherever text leaves the program.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus, unquote

BLANK = "***"
_USER_INFO = re.compile(r"://(\S*)@", re.DOTALL)
_IN_ENVIRONMENT = re.compile(r"AWS_ENDPOINT_URL\w*|(https?|all|no)_proxy|.*_URL", re.IGNORECASE)
_SECRET_NAME = re.compile(
    r".*(TOKEN|SECRET|PASSWORD|_KEY)(_(?!FILE|PATH|DIR|NAME|ID|URI)\w+)?", re.IGNORECASE
)
"""Variables of the forges' programs, of AWS and of what users name in their settings."""
_SHORTEST = 4
"""Characters below which a text would blank figures rather than a secret."""
_SECRET_LENGTH = 8
"""Characters from which a text that need not be a secret is taken for one."""
_SECRET_HEADER = re.compile(
    r"auth|token|key|secret|cookie|passw|session|credential|signature", re.I
)

_known: set[str] = set()


def register(*values: str | None) -> None:
    """Blank these from now on, in every encoding."""
    for value in values:
        if value:
            _known.update(one for one in _encodings(value) if len(one) >= _SHORTEST)


def register_header(name: str, value: str) -> None:
    """The value of a header, but for tenants: their names stand in every answer."""
    scheme, _, rest = value.partition(" ")
    if _SECRET_HEADER.search(name):
        register(value, rest if scheme.lower() in ("bearer", "basic", "token") else None)
    elif len(value) >= _SECRET_LENGTH and name.lower() != "x-scope-orgid":
        register(value)


def register_sign_in(user: str, password: str) -> None:
    """A password, also in the base64 of basic authentication."""
    if password:
        register(password, f"{user}:{password}")


def register_address(address: str | None) -> None:
    """What stands before the last `@` of an address, whether it parses or not."""
    for found in _USER_INFO.findall(address or ""):
        user, colon, password = found.partition(":")
        register_sign_in(unquote(user), unquote(password))
        if colon or len(found) >= _SECRET_LENGTH:
            register(password or found, found)


def register_environment(environment: Mapping[str, str] | None = None) -> None:
    """Secrets that libraries read from the environment."""
    for name, value in (os.environ if environment is None else environment).items():
        if _IN_ENVIRONMENT.fullmatch(name):
            register_address(value)
        if _SECRET_NAME.fullmatch(name) and len(value) >= 2 * _SECRET_LENGTH:
            register(value)


def blanked(text: str) -> str:
    """Return `text` without any registered secret.

    Examples
    --------
    >>> register("s3cret#1")
    >>> blanked("http://me:s3cret%231@prometheus")
    'http://me:***@prometheus'
    """
    for secret in sorted(_known, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, BLANK)
    return text


def _encodings(value: str) -> Iterable[str]:
    raw = value.encode("utf-8", "surrogatepass")
    yield value
    yield from (quote(value, safe="", errors="replace"), quote(value, errors="replace"))
    yield quote_plus(value, errors="replace")
    yield from (html.escape(value), json.dumps(value)[1:-1], repr(value)[1:-1])
    yield value.encode("unicode_escape").decode()
    yield from (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode())
    yield base64.b64encode(raw).decode().rstrip("=")
    yield from value.split("\n")
