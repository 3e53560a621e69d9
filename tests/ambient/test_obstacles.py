"""Every feature of sidecars that ambient mode lacks is found in objects, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import textwrap
from pathlib import Path

import pandas as pd
import pytest

from rightsize.ambient.facts import features
from rightsize.ambient.obstacles import object_obstacles
from rightsize.ambient.pod_settings import annotation_hits, pod_hits
from rightsize.ambient.study import study_ambient
from rightsize.audit.reading import read_files
from tests.ambient.test_waypoints import calls
from tests.tiny_mesh import Tiny, tiny_snapshot

SOURCE = os.environ.get("RIGHTSIZE_ISTIO_SOURCE")
ROOT = "apiVersion: {group}\nkind: {kind}\nmetadata: {{name: x, namespace: shop}}\nspec:\n"
NET, SEC = "networking.istio.io/v1", "security.istio.io/v1"


def found(tmp_path: Path, text: str, release=(1, 28)):
    path = tmp_path / "objects.yaml"
    path.write_text(textwrap.dedent(text))
    return object_obstacles(read_files([path]), release)


def obj(group: str, kind: str, spec: str) -> str:
    return ROOT.format(group=group, kind=kind) + textwrap.indent(textwrap.dedent(spec), "  ")


def workload(kind: str, annotations: str, spec: str = "") -> str:
    return (
        f"apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: web, namespace: shop}}\n"
        f"spec:\n  template:\n    metadata:\n      annotations: {annotations}\n"
        f"    spec: {{{spec}}}\n"
    )


IN_THE_WAY = {
    "envoy-filter": obj(NET, "EnvoyFilter", "configPatches: [{match: {context: SIDECAR_INBOUND}}]"),
    "virtual-machine": obj(NET, "WorkloadEntry", "address: 10.0.0.1"),
    "custom-authorization": obj(SEC, "AuthorizationPolicy", "action: CUSTOM"),
    "http-authorization": obj(
        SEC, "AuthorizationPolicy", "rules: [{to: [{operation: {paths: [/admin]}}]}]"
    ),
    "request-authentication": obj(SEC, "RequestAuthentication", "jwtRules: []"),
    "wasm-plugin": obj("extensions.istio.io/v1alpha1", "WasmPlugin", "url: oci://x"),
    "telemetry-selector": obj(
        "telemetry.istio.io/v1", "Telemetry", "selector: {matchLabels: {app: web}}"
    ),
    "virtual-service": obj(NET, "VirtualService", "hosts: [web]\nhttp: [{retries: {attempts: 3}}]"),
    "mesh-route": obj(
        "gateway.networking.k8s.io/v1", "HTTPRoute", "parentRefs: [{kind: Service, name: web}]"
    ),
    "destination-rule": obj(
        NET, "DestinationRule", "host: web\ntrafficPolicy: {outlierDetection: {}}"
    ),
    "sidecar-scope": obj(NET, "Sidecar", "egress: [{hosts: [./*]}]"),
    "proxy-config": obj(NET, "ProxyConfig", "concurrency: 4"),
    "mtls-disable": obj(SEC, "PeerAuthentication", "portLevelMtls: {80: {mode: DISABLE}}"),
    "multi-cluster": obj(NET, "Gateway", "servers: [{tls: {mode: AUTO_PASSTHROUGH}}]"),
    "network-policy": obj(
        "networking.k8s.io/v1", "NetworkPolicy", "ingress: [{ports: [{port: 8080}]}]"
    ),
    "security-group-pods": obj(
        "vpcresources.k8s.aws/v1beta1", "SecurityGroupPolicy", "podSelector: {}"
    ),
    "capture-exclusion": workload(
        "Deployment", '{traffic.sidecar.istio.io/excludeOutboundPorts: "3306"}'
    ),
    "inbound-bypass": workload("Deployment", '{ambient.istio.io/bypass-inbound-capture: "true"}'),
    "spire": workload("Deployment", '{inject.istio.io/templates: "sidecar,spire"}'),
    "host-network": workload("DaemonSet", "{}", "hostNetwork: true"),
    "headless-service": workload("StatefulSet", "{}"),
    "dry-run": (
        f"apiVersion: {SEC}\nkind: AuthorizationPolicy\n"
        "metadata: {name: x, namespace: shop, annotations: {istio.io/dry-run: 'true'}}\n"
        "spec: {rules: [{from: [{source: {principals: [a]}}]}]}\n"
    ),
}


@pytest.mark.parametrize("feature", IN_THE_WAY)
def test_each_feature_is_found_where_it_is_used(tmp_path, feature):
    one = [o for o in found(tmp_path, IN_THE_WAY[feature]) if o.feature.id == feature]
    assert len(one) == 1
    assert one[0].where.startswith(str(tmp_path / "objects.yaml:1"))
    assert one[0].namespace == (None if feature == "multi-cluster" else "shop")


def test_certificates_for_the_application_are_read_as_yaml():
    config = {"proxy.istio.io/config": "proxyMetadata: {OUTPUT_CERTS: /etc/certs}"}
    assert {hit.feature for hit in annotation_hits(config)} == {"proxy-config", "pod-certificate"}
    words = {"proxy.istio.io/config": "concurrency: 2 # OUTPUT_CERTS"}
    assert [hit.feature for hit in annotation_hits(words)] == ["proxy-config"]


HARMLESS = {
    "a filter of a gateway": obj(
        NET, "EnvoyFilter", "configPatches: [{match: {context: GATEWAY}}]"
    ),
    "a filter for gateway pods": obj(
        NET, "EnvoyFilter", "workloadSelector: {labels: {istio: ingressgateway}}"
    ),
    "layer 4 authorization": obj(
        SEC,
        "AuthorizationPolicy",
        """
        rules:
        - from: [{source: {principals: [a], ipBlocks: [10.0.0.0/8]}}]
          to: [{operation: {ports: ["80"]}}]
          when: [{key: destination.port, values: ["80"]}]
        """,
    ),
    "a policy of a waypoint": obj(
        SEC,
        "AuthorizationPolicy",
        "targetRefs: [{kind: Service, name: web}]\nrules: [{to: [{operation: {paths: [/]}}]}]",
    ),
    "a policy of the ingress gateway": obj(
        SEC, "RequestAuthentication", "selector: {matchLabels: {istio: ingressgateway}}"
    ),
    "a route of a gateway": obj(NET, "VirtualService", "hosts: [web]\ngateways: [shop/public]"),
    "a rule that only says mutual TLS": obj(
        NET, "DestinationRule", "host: web\ntrafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"
    ),
    "strict mutual TLS": obj(SEC, "PeerAuthentication", "mtls: {mode: STRICT}"),
    "a policy that lets HBONE in": obj(
        "networking.k8s.io/v1", "NetworkPolicy", "ingress: [{ports: [{port: 15008}, {port: 80}]}]"
    ),
    "an egress policy": obj(
        "networking.k8s.io/v1", "NetworkPolicy", "policyTypes: [Egress]\negress: []"
    ),
    "another maker's Sidecar": obj("example.com/v1", "Sidecar", "egress: []"),
    "a gateway's own template": workload("Deployment", "{inject.istio.io/templates: gateway}"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_ambient_mode_has_too_is_no_obstacle(tmp_path, name):
    assert found(tmp_path, HARMLESS[name]) == ()


def test_a_route_is_about_the_namespace_of_the_called_service(tmp_path):
    spec = "hosts: [pay.payments.svc.cluster.local]\nhttp: [{timeout: 1s}]"
    assert found(tmp_path, obj(NET, "VirtualService", spec))[0].namespace == "payments"


def test_a_policy_of_the_root_namespace_holds_for_the_whole_mesh(tmp_path):
    text = IN_THE_WAY["envoy-filter"].replace("namespace: shop", "namespace: istio-system")
    assert found(tmp_path, text)[0].namespace is None


@pytest.mark.parametrize(
    ("release", "feature"),
    [((1, 24), "multi-cluster-none"), ((1, 25), "multi-cluster"), ((1, 40), "multi-cluster")],
)
def test_the_release_decides_which_fact_holds(tmp_path, release, feature):
    found_here = found(tmp_path, IN_THE_WAY["multi-cluster"], release)
    assert [one.feature.id for one in found_here] == [feature]


def test_pods_on_fargate_cannot_join():
    pods = pd.DataFrame(
        {
            "namespace": ["shop"] * 2,
            "pod": ["a", "b"],
            "workload_kind": ["Deployment"] * 2,
            "workload": ["web", "cart"],
            "annotations": [None, None],
            "host_network": [None, False],
            "node": ["fargate-1", "node-1"],
        }
    )
    nodes = pd.DataFrame({"node": ["fargate-1", "node-1"], "kind": ["fargate", None]})
    rows = list(pod_hits(pods, pods[["namespace", "pod"]], nodes))
    assert [(workload, hit.feature) for _, _, workload, hit in rows] == [("web", "fargate")]


def test_every_detector_names_a_feature_of_the_table():
    assert set(IN_THE_WAY) <= set(features())
    for feature in features().values():
        assert bool(feature.marker) == bool(feature.paths)
        assert feature.page.startswith("https://")
        assert feature.first <= feature.last


@pytest.mark.skipif(
    SOURCE is None, reason="RIGHTSIZE_ISTIO_SOURCE names no checkout of istio/istio"
)
@pytest.mark.parametrize("release", ["1.24.6", "1.26.8", "1.28.6", "1.30.3"])
def test_each_marker_is_in_the_source_at_the_releases_claimed(release):
    minor = tuple(int(part) for part in release.split(".")[:2])
    for feature in features().values():
        if not feature.marker or not feature.first <= minor <= feature.last:
            continue
        words = ["grep", "-q", "-F", "-e", feature.marker, release, "--", feature.paths]
        done = subprocess.run(["git", "-C", str(SOURCE), *words], check=False)
        assert done.returncode == 0, feature.id


def test_what_an_object_says_is_not_said_of_its_pods_again(tmp_path):
    traffic = calls(("shop/db", "shop/db", "tcp", 1.0))
    sets = [
        Tiny("db", "shop", kind="StatefulSet", days=1),
        Tiny("own", "shop", kind="StatefulSet", days=1),
    ]
    mesh = tiny_snapshot(tmp_path / "s", *sets, days=1, more={"traffic": traffic})
    path = tmp_path / "objects.yaml"
    path.write_text(workload("StatefulSet", "{}").replace("name: web", "name: db"))
    study = study_ambient(mesh, read_files([path]))
    assert [(one.subject, one.where) for one in study.obstacles] == [
        ("StatefulSet shop/db", f"{path}:1"),
        ("StatefulSet shop/own", "snapshot"),
    ]
