"""Certificate authorities that run out, and no plan to rotate them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from rightsize.audit.model import Sources
from rightsize.audit.registry import Hit, absent, at, rule
from rightsize.audit.tree import Node, Place

NEAR = timedelta(days=90)
LEAF_NEAR = timedelta(days=14)
"""Issuers of 90-day certificates renew 30 days before: this late, nothing renewed it."""
VERY_NEAR = timedelta(days=30)
_MAKE = "make -f tools/certs/Makefile.selfsigned.mk root-ca cluster1-cacerts"
_ROTATION = re.compile(r"rotat|renew", re.IGNORECASE)


@rule("ca-expiry")
def expiry(sources: Sources) -> Iterator[Hit]:
    for certificate in sources.certificates:
        left = certificate.expires - sources.now
        if left > NEAR or not certificate.is_authority:
            continue
        state = "ran out" if left.total_seconds() < 0 else "runs out"
        named = f" {certificate.subject}" if certificate.subject else ""
        yield at(
            certificate.place,
            f"certificate{named} {state} on {certificate.expires:%Y-%m-%d}",
            f"{_MAKE}  # then replace secret cacerts, old and new root together first",
            severity="error" if left < VERY_NEAR else "warning",
        )


@rule("certificate-expiry")
def leaf_expiry(sources: Sources) -> Iterator[Hit]:
    for certificate in sources.certificates:
        left = certificate.expires - sources.now
        if certificate.is_authority or left > LEAF_NEAR:
            continue
        state = "ran out" if left.total_seconds() < 0 else "runs out"
        yield at(
            certificate.place,
            f"certificate {certificate.subject} {state} on {certificate.expires:%Y-%m-%d}",
            "# renew it where it was issued, and replace its Secret; a cert-manager Certificate "
            "renews it in time",
            severity="error" if left.total_seconds() < 0 else "warning",
        )


@rule("ca-no-rotation")
def no_rotation(sources: Sources) -> Iterator[Hit]:
    place = _own_authority(sources)
    if place is None or _rotates(sources):
        return
    yield absent(
        place,
        "a rotation of the CA in secret cacerts (a cert-manager Certificate, a CronJob, or a step)",
        "# a cert-manager Certificate with isCA: true, secretName: cacerts, renewBefore: 720h",
    )


@rule("certificate-never-renewed")
def short_lived(sources: Sources) -> Iterator[Hit]:
    for command in sources.commands:
        for words in command.stages("openssl"):
            if "-x509" not in words or "-days" not in words[:-1]:
                continue
            days = words[words.index("-days") + 1]
            if days.isdigit() and int(days) <= NEAR.days:
                yield at(command.place_of("-days"), command.text, "-days 3650  # a root CA")


def _own_authority(sources: Sources) -> Node | Place | None:
    for obj in sources.of_kind("Secret"):
        if obj.name == "cacerts":
            return obj.root
    for command in sources.commands:
        if "cacerts" in command.text and "create" in command.text.split():
            return command.place_of("cacerts")
    return None


def _rotates(sources: Sources) -> bool:
    managed = any(
        obj.root.text_of("spec", "secretName") in ("cacerts", "istio-ca-secret")
        for obj in sources.of_kind("Certificate")
    )
    jobs = any(_ROTATION.search(obj.name) for obj in sources.of_kind("CronJob", "Job"))
    text = any(_ROTATION.search(line) for _, line in sources.prose)
    return managed or jobs or text
