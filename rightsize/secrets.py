"""The one gate that every secret has to pass: console, log and manifest.

What is read as a secret is registered here, and is blanked, in each encoding in which a server, a
library or a traceback could show it, wherever text leaves the program.
"""

from __future__ import annotations

import base64
import html
import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

BLANK = "***"
_USER_INFO = re.compile(r"://(\S*)@", re.DOTALL)
_QUERY = re.compile(r"[?&]([^=&#\s]+)=([^&#\s]+)")
_IN_ENVIRONMENT = re.compile(r"AWS_ENDPOINT_URL\w*|(https?|all|no)_proxy|.*_URL", re.IGNORECASE)
_SECRET_NAME = re.compile(
    r".*(TOKEN|SECRET|PASSWORD|_KEY)(_(?!FILE|PATH|DIR|NAME|ID|URI)\w+)?", re.IGNORECASE
)
"""Variables of the forges' programs, of AWS and of what users name in their settings."""
_ENCODED = re.compile(
    r"(?i)(?:%(?:25)*[0-9a-f]{2}|\\+(?:u00|x|u0000)[0-9a-f]{2}|&(?:amp;)*#x?[0-9a-f]+;){3}"
)
"""Text of which the letters and digits too may be encoded."""
_NAMED_IN_JSON = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_SHORTEST_BASE64 = 6
"""Characters of base64 below which a piece of it would stand in other texts by chance."""
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
        lines = [value, *value.split("\n")] if value else []
        _known.update(one for one in lines if len(one) >= _SHORTEST)


def register_header(name: str, value: str) -> None:
    """The value of a header, but for tenants: their names stand in every answer."""
    scheme, _, rest = value.partition(" ")
    if _SECRET_HEADER.search(name):
        register(value, rest if scheme.lower() in ("bearer", "basic", "token") else None)
        if "cookie" in name.lower():
            register(*(one.partition("=")[2] for one in re.split(r";\s*", value)))
    elif len(value) >= _SECRET_LENGTH and name.lower() != "x-scope-orgid":
        register(value)


def register_sign_in(user: str, password: str) -> None:
    """A password, also in the base64 of basic authentication."""
    if password:
        register(password, f"{user}:{password}")


def register_address(address: str | None) -> None:
    """What stands before the last `@` of an address, whether it parses or not, and tokens of its query."""
    for name, value in _QUERY.findall(address or ""):
        if _SECRET_HEADER.search(name):
            register(value, unquote_plus(value))
    for found in _USER_INFO.findall(address or ""):
        user, colon, password = found.partition(":")
        register_sign_in(unquote(user), unquote(password))
        # Libraries repeat a part of what they take for the port, or for a host, of such an address.
        register(*(one for one in re.split(r"[/?#@:\[\]]", password) if one != password))
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
        form = _form(secret)
        if form.plain in text or _ENCODED.search(text):
            text = form.pattern.sub(BLANK, text)
        for coded in form.coded:
            text = text.replace(coded, BLANK)
    return text


def excerpt(text: str, most: int) -> str:
    """The first characters of a text without secrets: if it were cut before, a part of one could stay."""
    return blanked(text)[:most]


class _Form(NamedTuple):
    """How a secret is recognised."""

    plain: str
    """The longest piece of it that encodings of characters usually leave as it is."""
    pattern: re.Pattern[str]
    """All of it, in any encoding of its characters."""
    coded: tuple[str, ...]
    """Its hexadecimal digits, and base64 of it or of a text that it stands in; longest first."""


@lru_cache(maxsize=256)
def _form(secret: str) -> _Form:
    raw = secret.encode("utf-8", "surrogatepass")
    coded = {raw.hex(), raw.hex().upper(), *_inside_of_base64(raw)}
    coded |= {base64.b64encode(raw).decode()}
    coded |= {one.rstrip("=") for one in coded}
    coded |= {one.replace("+", "-").replace("/", "_") for one in coded}
    return _Form(
        max(re.split(r"[^A-Za-z0-9]", secret), key=len),
        re.compile("".join(map(_character, secret))),
        tuple(sorted(coded, key=len, reverse=True)),
    )


def _character(one: str) -> str:
    """A pattern of a character, as URLs, JSON, HTML or Python write it, also several times over."""
    octets = "".join(f"%(?:25)*{byte:02x}" for byte in one.encode("utf-8", "surrogatepass"))
    units = one.encode("utf-16-be", "surrogatepass").hex()
    pairs = "".join(rf"\\+u{units[at : at + 4]}" for at in range(0, len(units), 4))
    code = ord(one)
    forms = [octets, pairs, rf"\\+U{code:08x}", rf"&(?:amp;)*#(?:0*{code}|x0*{code:x});"]
    if code < 256:
        forms.append(rf"\\+x{code:02x}")
    found = [re.escape(one), f"(?i:{'|'.join(forms)})"]
    if one in "\"\\'/":
        found.append(rf"\\+{re.escape(one)}")
    if one == " ":
        found.append(r"\+")
    named = html.escape(one)
    if named != one:
        found.append(f"&(?:amp;)*{named[1:]}")
    if one in _NAMED_IN_JSON:
        found.append(rf"\\+{_NAMED_IN_JSON[one]}")
    return f"(?:{'|'.join(found)})"


def _inside_of_base64(raw: bytes) -> Iterable[str]:
    """What the base64 of a longer text has of these bytes in it, for each place that they can have."""
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        first = -(-before * 8 // 6)
        last = (before + len(raw)) * 8 // 6
        if last - first >= _SHORTEST_BASE64:
            yield coded[first:last]
