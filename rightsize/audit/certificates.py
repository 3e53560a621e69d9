"""Expiry of X.509 certificates, read from their DER without a cryptography library."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s*(.*?)-----END CERTIFICATE-----", re.DOTALL)
_NOT_AFTER = re.compile(
    r"notAfter\s*[=:]\s*[\"']?(\w{3}\s+\d{1,2}\s[\d:]{8}\s\d{4}\sGMT|[\d-]{10}T[\d:]{8}Z)"
)
_CONTEXT_0 = 0xA0
_UTC_TIME = 0x17
_AUTHORITY = bytes.fromhex("0603551D13")
"""OBJECT IDENTIFIER 2.5.29.19, basicConstraints; cA TRUE is `01 01 FF` inside of it."""
_COMMON_NAME = bytes.fromhex("0603550403")
"""OBJECT IDENTIFIER 2.5.4.3, commonName (RFC 5280, appendix A)."""


def pem_certificates(text: str) -> Iterator[tuple[int, str, datetime]]:
    """Line (from 0), subject's common name and expiry of every PEM certificate of a text.

    Blocks that are no certificate are passed over.
    """
    for block in _PEM.finditer(text):
        try:
            der = base64.b64decode("".join(block[1].split()), validate=True)
            subject, expires = _subject_and_expiry(der)
        except (binascii.Error, ValueError, IndexError):
            continue
        yield text.count("\n", 0, block.start()), subject, expires


def authorities(text: str) -> dict[int, bool]:
    """Line (from 0) of every PEM certificate -> whether it may sign others."""
    found = {}
    for block in _PEM.finditer(text):
        try:
            der = base64.b64decode("".join(block[1].split()), validate=True)
        except (binascii.Error, ValueError):
            continue
        at = der.find(_AUTHORITY)
        value = der[at + len(_AUTHORITY) : at + len(_AUTHORITY) + 16] if at >= 0 else b""
        # A critical extension has a TRUE of its own before the octet string with cA.
        inside = value.partition(b"\x04")[2]
        found[text.count("\n", 0, block.start())] = b"\x01\x01\xff" in inside
    return found


def stated_expiries(text: str) -> Iterator[tuple[int, datetime]]:
    """Line (from 0) and time of each `notAfter` that openssl or cert-manager printed."""
    for stated in _NOT_AFTER.finditer(text):
        words = " ".join(stated[1].split())
        form = "%Y-%m-%dT%H:%M:%SZ" if "T" in words[:11] else "%b %d %H:%M:%S %Y GMT"
        try:
            expires = datetime.strptime(words, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        yield text.count("\n", 0, stated.start()), expires


def _subject_and_expiry(der: bytes) -> tuple[str, datetime]:
    """RFC 5280, 4.1: serial, algorithm, issuer, validity (notBefore, notAfter), subject."""
    certificate = _inside(der, 0)
    body = _inside(certificate, 0)
    position = _after(body, 0) if body[0] == _CONTEXT_0 else 0
    for _ in range(3):
        position = _after(body, position)
    validity = _inside(body, position)
    end = _after(validity, 0)
    subject = _inside(body, _after(body, position))
    return _common_name(subject), _time(validity[end], _inside(validity, end).decode("ascii"))


def _time(tag: int, text: str) -> datetime:
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text, form).replace(tzinfo=UTC)


def _common_name(subject: bytes) -> str:
    found = subject.find(_COMMON_NAME)
    if found < 0:
        return ""
    return _inside(subject, found + len(_COMMON_NAME)).decode("utf-8", "replace")


def _header(data: bytes, position: int) -> tuple[int, int]:
    """Start and end of the content of the element at `position` (X.690, 8.1.3)."""
    length = data[position + 1]
    start = position + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    if start + length > len(data):
        raise ValueError("the element is cut off")
    return start, start + length


def _inside(data: bytes, position: int) -> bytes:
    start, end = _header(data, position)
    return data[start:end]


def _after(data: bytes, position: int) -> int:
    return _header(data, position)[1]
