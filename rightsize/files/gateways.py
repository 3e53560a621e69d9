"""Which gateway a gateway's values are for: ingress, egress or east-west.

The gateway chart is the same for each; labels, the release, and the names of file and folder say
which it is. Signs that contradict each other, or the gateway that was measured, are a refusal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rightsize.files import tree

Role = Literal["ingress", "egress", "east-west"]
_ROLES: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("east-west", re.compile(r"east-?_?west|cross-?network", re.IGNORECASE)),
    ("egress", re.compile(r"egress", re.IGNORECASE)),
    ("ingress", re.compile(r"ingress", re.IGNORECASE)),
)


@dataclass(frozen=True)
class GatewaySign:
    """One sign of which gateway some values are for."""

    role: Role
    where: str
    """What says so: `labels.istio`, `the release istio-egress`, `the file egress.yaml`."""
    weak: bool = False
    """Counts only where nothing else says a role: a folder may hold several files."""


def role_of(name: str | None) -> Role | None:
    """The role that a name of a workload, release, label or file says; None where none.

    >>> role_of("istio-egressgateway"), role_of("istio-eastwestgateway"), role_of("gw")
    ('egress', 'east-west', None)
    """
    return next((role for role, pattern in _ROLES if pattern.search(name or "")), None)


def gateway_signs(
    values: tree.Mapping | None, *, release: str | None = None, path: Path | None = None
) -> tuple[GatewaySign, ...]:
    """Every sign of a gateway's role: values, release name, file and folder, in that order."""
    texts = [
        ("labels.istio", tree.text_at(values, ("labels", "istio"))),
        ("labels.app", tree.text_at(values, ("labels", "app"))),
        ("name", tree.text_at(values, ("name",))),
        (f"the release {release}", release),
    ]
    if path is not None:
        texts.append((f"the file {path.name}", path.stem))
    found = [GatewaySign(role, where) for where, text in texts if (role := role_of(text))]
    folder = "" if path is None else path.absolute().parent.name
    if role := role_of(folder):
        found.append(GatewaySign(role, f"the folder {folder}", weak=True))
    if tree.text_at(values, ("networkGateway",)):
        found.insert(0, GatewaySign("east-west", "networkGateway"))
    return tuple(found)


def contradiction(signs: tuple[GatewaySign, ...], workload: str | None) -> str | None:
    """What speaks against values being for a workload, or against each other; None for nothing.

    A folder that says otherwise is none by itself where the values or the release agree.
    """
    wanted = role_of(workload)
    roles = {sign.role for sign in signs if not sign.weak}
    if not roles:
        roles = {sign.role for sign in signs}
    if len(roles) > 1:
        return " but ".join(f"{sign.where} says {sign.role}" for sign in signs)
    against = [sign for sign in signs if sign.role in roles and sign.role != wanted]
    if not against or wanted is None:
        return None
    return f"{against[0].where} says {against[0].role}, {workload} is {wanted}"
