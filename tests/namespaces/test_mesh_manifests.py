"""Every manifest is one that Istio's own schema holds without a field left over."""

from __future__ import annotations

import json
import re

import pytest
from cloudcoil.models.istio.networking import v1 as networking
from cloudcoil.models.istio.networking import v1beta1 as older_networking
from cloudcoil.models.istio.security import v1 as security
from ruamel.yaml import YAML

from rightsize.audit import coherent
from rightsize.audit.rules import mutual_tls
from rightsize.files.yaml_text import to_yaml
from rightsize.namespaces.destination_rules import (
    ConnectionPool,
    OutlierDetection,
    ServiceRule,
)
from rightsize.namespaces.discovery import DiscoveryScope
from rightsize.namespaces.egress import Confidence, EgressScope, RareCall
from rightsize.namespaces.injection import InjectionCandidate
from rightsize.namespaces.manifests import (
    destination_rule,
    discovery_values,
    sidecar,
    sidecar_comment,
)
from rightsize.namespaces.scope_files import _idle_runbook

SCOPE = EgressScope(
    namespace="shop",
    hosts=("shop/cart.shop.svc.cluster.local", "*/api.stripe.com", "data/*", "istio-system/*"),
    given=("istio-system/*",),
    confidence=Confidence(20, 21, 0, 0.0),
    rare=(RareCall("report", "card.pay.svc.cluster.local", 1, 3.0),),
    notes=("also calls addresses",),
)
POOL = ConnectionPool(1024, 1024, 1024, 2, 20480.0, 40.0)
OUTLIERS = OutlierDetection(10, 10, 30, 33, 50)
TCP_POOL = ConnectionPool(1024, None, None, 2, None, 40.0)


def rule(pool, outliers) -> ServiceRule:
    return ServiceRule("shop", "cart", "cart.shop.svc.cluster.local", pool, outliers, ("why",))


def accepted(model, document) -> None:
    """The schema takes the document, and gives it back whole: no field was unknown to it."""
    written = YAML(typ="safe").load(to_yaml([document]))
    read = model.model_validate(written)
    given_back = read.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    given_back = {"apiVersion": read.api_version, "kind": read.kind, **given_back}
    assert given_back == written


def test_a_sidecar():
    accepted(networking.Sidecar, sidecar(SCOPE, "1.28.3"))
    accepted(older_networking.Sidecar, sidecar(SCOPE, "1.20.8"))


@pytest.mark.parametrize(
    ("pool", "outliers"), [(POOL, OUTLIERS), (POOL, None), (None, OUTLIERS), (TCP_POOL, OUTLIERS)]
)
def test_a_destination_rule(pool, outliers):
    accepted(networking.DestinationRule, destination_rule(rule(pool, outliers), "1.30.3"))
    accepted(older_networking.DestinationRule, destination_rule(rule(pool, outliers)))


def test_the_policies_that_the_audit_writes():
    version = coherent.api_version("security", (1, 22))
    accepted(security.AuthorizationPolicy, YAML(typ="safe").load(mutual_tls.DENY.format(version)))
    accepted(security.PeerAuthentication, YAML(typ="safe").load(mutual_tls.STRICT.format(version)))


def test_the_check_itself_refuses_what_istio_does_not_know():
    wrong = {**sidecar(SCOPE), "spec": {"resources": {"cpu": "10m"}}}
    with pytest.raises(AssertionError):
        accepted(older_networking.Sidecar, wrong)


def test_discovery_selectors_have_the_shape_of_mesh_config():
    scope = DiscoveryScope("istio-discovery", "enabled", {"shop": "holds sidecar"}, (), 0, 1, ())
    text = to_yaml([discovery_values(scope)])
    assert YAML(typ="safe").load(text) == {
        "meshConfig": {"discoverySelectors": [{"matchLabels": {"istio-discovery": "enabled"}}]}
    }


def test_comments_stand_before_the_document_and_several_are_kept_apart():
    text = to_yaml([sidecar(SCOPE), sidecar(SCOPE)], comment=sidecar_comment(SCOPE))
    assert text.startswith("# Egress of namespace shop: well seen")
    assert "# Rare: report called card.pay.svc.cluster.local on 1 days." in text
    assert "# Way back: kubectl delete sidecar default -n shop" in text
    assert len(list(YAML(typ="safe").load_all(text))) == 2


def test_each_idle_sidecar_has_a_step_with_a_check_and_a_way_back():
    candidate = InjectionCandidate("shop", "batch", "StatefulSet", 3, 14, 0.3, 1e8, native=False)
    text = "\n".join(_idle_runbook([candidate]))
    patches = re.findall(r"kubectl patch statefulset batch -n shop -p '(.*?)'", text)
    labels = [json.loads(p)["spec"]["template"]["metadata"]["labels"] for p in patches]
    assert labels == [{"sidecar.istio.io/inject": "false"}, {"sidecar.istio.io/inject": None}]
    assert 'kube_pod_status_ready{namespace="shop",pod=~"batch-.*",condition="true"}' in text
    assert "Ask the owner" in text
