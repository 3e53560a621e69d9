"""The one gate that every secret has to pass: console, log and manifest.

What is read as a secret is registered here, and is blanked, in each encoding in which a server, a
library or a traceback could show it, wherever text leaves the program.
"""

from __future__ import annotations

import base64
import contextlib
import html
import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

BLANK = "***"
_USER_INFO = re.compile(r"://(\S*)@", re.DOTALL)
_BARE_USER_INFO = re.compile(r"([^\s:@/]+:(?!//)\S*)@[^\s@]+")
"""Of an address without a scheme, as proxies may be given."""
_QUERY = re.compile(r"[?&]([^=&#\s]+)=([^&#\s]+)")
_IN_ENVIRONMENT = re.compile(r"AWS_ENDPOINT_URL\w*|(https?|all|no)_proxy|.*_URL", re.IGNORECASE)
_SECRET_NAME = re.compile(
    r".*(TOKEN|SECRET|PASSW(OR)?D|PASSPHRASE|WEBHOOK|_PASS|_DSN|_KEY)"
    r"(_(?!FILE|PATH|DIR|NAME|ID|URI)\w+)?",
    re.IGNORECASE,
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

_HEADER = re.compile(r"([A-Za-z][\w-]*):(.*)", re.DOTALL)
_IN_DOCUMENT = re.compile(
    r"(.*[-_])?(token|password|passwd|secret|secret[-_]access[-_]key|client[-_]key[-_]data|key[-_]data)",
    re.IGNORECASE,
)
"""Keys of a kubeconfig, and options and variables of the programs that it names."""
_FILES_IN_DOCUMENT = frozenset({
    "tokenFile", "client-key", "client-certificate", "certificate-authority",
    "idp-certificate-authority",
})  # fmt: skip
"""Keys of a kubeconfig whose values are files; a secret is easily written in their place."""
_LONGEST_SUFFIX = len(".token")
_NAMED = (
    r"(?<![a-z])(?:token|password|passwd|signature|client[-_]?secret|secret[-_]?(?:access[-_]?)?key"
    r"|api[-_]?key|x-amz-(?:credential|security-token))"
)
_BARE = r"""(?=[^\s"'\\&,;<>]*\d)[^\s"'\\&,;<>]{8,}"""
_SHAPES = tuple(
    re.compile(shape, re.IGNORECASE | re.DOTALL)
    for shape in (
        rf"(\b(?:bearer|basic)(?:\s|%20|\+)+){_BARE}",
        rf"""({_NAMED}["'\\]*\s*[=:]\s*\\*["'])[^"'\\\s]{{4,}}""",
        rf"""({_NAMED}["'\\]*(?:\s*[=:]\s*|%3D)){_BARE}""",
        r"(--(?:[a-z]+-)*secret\s+)[^\s\"']{8,}",
        r"""((?<![a-z])(?:token|password|passwd)\s+["']?)(?=\S*\d)(?=\S*[a-z])[^\s"']{8,}""",
        r"""(://[^\s/@:"']*:)[^\s/@"']+(?=@)""",
        r"""(://)[^\s/@:"']{16,}(?=@)""",
        r"""(hooks\.slack\.com/(?:services|workflows)/)[^\s"'\\]+""",
        r"()\b(?:eyJ[\w-]{8,}(?:\.[\w-]{8,}){1,2}|k8s-aws-v1\.[\w=%-]{8,})",
        r"()\b(?:gh[pousr]_\w{20,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,})",
        r"()-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?!-----).)*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
    )
)
"""Secrets that were never given to this program: of plugins, of sign-in pages, of other requests."""
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


def register_sent(headers: Iterable[tuple[str, str | bytes]]) -> None:
    """What a request is about to sign in with, wherever a library has found it (.netrc, profiles)."""
    for name, value in headers:
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        # A signature is one request's alone, and has a shape.
        if _SECRET_HEADER.search(name) and not text.startswith("AWS4-"):
            register_header(name, text)
            scheme, _, coded = text.partition(" ")
            if scheme.lower() == "basic":
                with contextlib.suppress(ValueError):
                    user, _, password = base64.b64decode(coded).decode().partition(":")
                    register_sign_in(user, password)


def register_sign_in(user: str, password: str) -> None:
    """A password, also in the base64 of basic authentication; a token may be sent as the user."""
    secret = password or user
    if len(secret) >= (_SHORTEST if password else _SECRET_LENGTH):
        pair = f"{user}:{password}"
        register(secret, pair, base64.b64encode(pair.encode("utf-8", "surrogatepass")).decode())


def register_address(address: str | None) -> None:
    """What stands before the last `@` of an address, whether it parses or not, and tokens of its query."""
    given = address or ""
    for name, value in _QUERY.findall(given):
        if _SECRET_HEADER.search(name):
            register(value, unquote_plus(value))
    bare = _BARE_USER_INFO.fullmatch(given)
    for found in [bare[1]] if bare else _USER_INFO.findall(given):
        user, colon, password = found.partition(":")
        register_sign_in(unquote(user), unquote(password))
        # Libraries repeat a part of what they take for the port, or for a host, of such an address.
        register(*(one for one in re.split(r"[/?#@:\[\]]", password) if one != password))
        if colon or len(found) >= _SECRET_LENGTH:
            register(password or found, found)


def register_words(words: Iterable[str]) -> None:
    """Addresses and headers among the words of a command line, also where none is expected."""
    for word in words:
        register_address(word)
        header = _HEADER.fullmatch(word)
        if header and _SECRET_HEADER.search(header[1]):
            register_header(header[1], header[2].strip())


def register_unless_path(name: str, folder: Path | None = None) -> Path | None:
    """The path of a secret's file, from a folder; None, and a secret, where it may be the secret itself."""
    given = Path(name)
    path = given if folder is None else folder / given
    with contextlib.suppress(OSError, ValueError):  # longer than a name, NUL in it
        suffixed = given.suffix[1:].isalpha() and len(given.suffix) <= _LONGEST_SUFFIX
        named = given.is_absolute() and re.fullmatch(r"[A-Za-z._-]+", given.name) is not None
        if path.exists() or ((suffixed or named) and path.parent.is_dir()):
            return path
    register(name.strip(), str(given), given.name)
    return None


def register_tree(tree: object, folder: Path | None = None) -> None:
    """Values of a document by the names of their keys, and of options in lists of arguments.

    Files that it names are looked for from `folder`, its own.
    """
    todo, seen = [tree], set()
    while todo:
        part = todo.pop()
        if id(part) in seen:  # YAML may refer to itself
            continue
        seen.add(id(part))
        if isinstance(part, Mapping):
            pairs = [(name, value) for name, value in part.items()]
            # As Kubernetes writes variables: {name: TOKEN, value: x}.
            pairs = [(part.get("name") if n == "value" else n, value) for n, value in pairs]
        elif isinstance(part, (list, tuple)):
            pairs = list(zip([None, *part], part, strict=False))
        else:
            continue
        for name, value in pairs:
            if isinstance(value, str):
                _register_named(name, value)
                if name in _FILES_IN_DOCUMENT and value:
                    register_unless_path(value, folder)
            else:
                todo.append(value)


def _register_named(name: object, value: str) -> None:
    register_address(value)
    option, _, given = value.partition("=")
    for called, one in ((name, value), (option, given)):
        if isinstance(called, str) and _IN_DOCUMENT.fullmatch(called.lstrip("-")):
            register(one.strip())


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


def guarded(text: str) -> str:
    """Return a stranger's text without registered secrets, nor what has the shape of one.

    Examples
    --------
    >>> guarded("curl -H 'Authorization: Bearer 0123456789abcdef' -> 401")
    "curl -H 'Authorization: Bearer ***' -> 401"
    """
    text = blanked(text)
    for shape in _SHAPES:
        text = shape.sub(rf"\1{BLANK}", text)
    return text


def excerpt(text: str, most: int) -> str:
    """The first characters of a text without secrets: if it were cut before, a part of one could stay."""
    return guarded(text)[:most]


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
    if 127 < code < 256:
        forms.append(rf"%(?:25)*{code:02x}")
    if code > 127:
        # UTF-8 that was read as Latin-1, as HTTP headers are.
        forms.append(re.escape(one.encode("utf-8", "surrogatepass").decode("latin-1")))
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
