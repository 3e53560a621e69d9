"""Gateways and waypoints of the Gateway API: sized by the overlay their parametersRef names."""

from __future__ import annotations

from pathlib import Path

import pytest

from rightsize.results import Component
from tests.patch.patching import change, differences, patch_text

GATEWAY = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: istio
  infrastructure:
    parametersRef: {group: "", kind: ConfigMap, name: edge-options}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: edge-options, namespace: shop}
data:
  deployment: |
    spec:
      template:
        spec:
          containers:
          - name: istio-proxy
            resources:
              requests:
                cpu: 1  # peak season
"""


@pytest.mark.parametrize("component", ["gateway", "waypoint"])
def test_the_overlay_of_the_deployment_is_patched(tmp_path: Path, component: Component) -> None:
    patched = patch_text(
        tmp_path, GATEWAY, change(component, "50m", None, "64Mi", of="shop/edge-istio")
    )
    assert differences(patched) == [
        "-                cpu: 1  # peak season",
        "+                cpu: 50m  # peak season",
        "+                memory: 64Mi",
    ]


def test_a_gateway_without_an_overlay_is_left_and_says_how_to_pin_it(tmp_path: Path) -> None:
    text = GATEWAY.split("  infrastructure")[0]
    patched = patch_text(tmp_path, text, change("gateway", "50m", of="shop/edge-istio"))
    assert not patched.changed
    assert "parametersRef" in patched.notes[0]


def test_another_gateway_is_left_alone(tmp_path: Path) -> None:
    patched = patch_text(tmp_path, GATEWAY, change("gateway", "50m", of="shop/other-istio"))
    assert not patched.changed
    assert not patched.notes
