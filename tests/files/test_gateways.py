"""Which gateway some values are for, and what contradicts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rightsize.files import tree
from rightsize.files.gateways import contradiction, gateway_signs


def signs(text: str, *, release: str | None = None, path: str | None = None):
    root = tree.parse(text)[0].root
    assert isinstance(root, tree.Mapping)
    return gateway_signs(root, release=release, path=None if path is None else Path(path))


@pytest.mark.parametrize(
    ("text", "release", "path"),
    [
        ("labels: {istio: egressgateway}\n", None, None),
        ("service: {}\n", "istio-egress", None),
        ("service: {}\n", None, "gw/egress-values.yaml"),
        ("service: {}\n", None, "istio-egress/values.yaml"),
        ("networkGateway: network1\n", None, None),
    ],
)
def test_another_gateways_file_contradicts_the_ingress_gateway(text, release, path):
    assert contradiction(signs(text, release=release, path=path), "istio-ingressgateway")


def test_signs_that_disagree_are_a_contradiction_whoever_was_measured():
    found = signs("labels: {istio: ingressgateway}\n", path="x/egress.yaml")
    assert "but" in (contradiction(found, "gw") or "")


def test_a_file_without_a_sign_or_with_the_same_one_contradicts_nothing():
    assert contradiction(signs("service: {}\n", path="gw/values.yaml"), "istio-ingress") is None
    assert contradiction(signs("name: ingress\n"), "istio-ingressgateway") is None
