"""Where sizes are written in values of Istio's charts: the table of paths and its traps."""

from __future__ import annotations

from pathlib import Path

import pytest

from rightsize.errors import AmbiguousChartError, InputFileError, UsageError
from tests.patch.patching import (
    GATEWAY,
    ISTIOD,
    SIDECAR,
    change,
    differences,
    patch_all,
    patch_text,
)


def test_the_mesh_default_goes_to_global_proxy(tmp_path: Path) -> None:
    text = "global:\n  proxy:\n    resources:\n      requests:\n        cpu: 100m\n"
    patched = patch_text(tmp_path, text, SIDECAR)
    assert patched.text_after == (
        "global:\n  proxy:\n    resources:\n      requests:\n        cpu: 35m\n"
        "        memory: 64Mi\n      limits:\n        cpu: 1000m\n        memory: 256Mi\n"
    )


def test_the_mesh_default_notes_who_else_it_sizes(tmp_path: Path) -> None:
    patched = patch_text(tmp_path, "global:\n  proxy: {logLevel: info}\n", SIDECAR)
    assert any("istio-init" in note and "Gateway API" in note for note in patched.notes)


def test_istiod_goes_to_pilot_resources_in_a_file_that_sets_neither(tmp_path: Path) -> None:
    patched = patch_text(tmp_path, "meshConfig: {}\nsidecarInjectorWebhook: {}\n", ISTIOD)
    assert [c.path for c in patched.changes] == [
        "pilot.resources.requests.cpu",
        "pilot.resources.requests.memory",
    ]
    assert patched.added == ("added `pilot` under the top level",)


def test_top_level_resources_count_from_1_24_on(tmp_path: Path) -> None:
    text = "autoscaleMin: 2\nresources:\n  requests:\n    cpu: 500m\n    memory: 2Gi\n"
    patched = patch_text(tmp_path, text, ISTIOD, istio_version="1.24.6")
    assert differences(patched) == [
        "-    cpu: 500m",
        "-    memory: 2Gi",
        "+    cpu: 250m",
        "+    memory: 1Gi",
    ]


def test_top_level_resources_are_ignored_before_1_24(tmp_path: Path) -> None:
    text = "traceSampling: 1\nresources:\n  requests:\n    cpu: 500m\n"
    patched = patch_text(tmp_path, text, ISTIOD, istio_version="1.22")
    assert patched.changes[0].path == "pilot.resources.requests.cpu"
    assert "`resources.requests.cpu` is ignored by Istio before 1.24" in patched.notes


def test_top_level_resources_of_an_unknown_release_are_refused(tmp_path: Path) -> None:
    text = "traceSampling: 1\nresources:\n  requests:\n    cpu: 500m\n"
    with pytest.raises(AmbiguousChartError, match=r"(?s)values.yaml:4:10: .*--istio-version"):
        patch_text(tmp_path, text, ISTIOD)


def test_pilot_wins_over_the_top_level(tmp_path: Path) -> None:
    text = (
        "resources:\n  requests: {cpu: 400m, memory: 3Gi}\n"
        "pilot:\n  resources:\n    requests:\n      cpu: 500m\n"
    )
    patched = patch_text(tmp_path, text, ISTIOD, istio_version="1.30.3")
    assert {c.path: c.new for c in patched.changes} == {
        "pilot.resources.requests.cpu": "250m",
        "resources.requests.memory": "1Gi",
    }


@pytest.mark.parametrize("profile", ["profile: demo\n", "global: {profile: demo}\n"])
def test_with_a_profile_istiod_goes_to_pilot(tmp_path: Path, profile: str) -> None:
    text = profile + "resources:\n  requests:\n    cpu: 500m\n    memory: 2Gi\n"
    patched = patch_text(tmp_path, text, ISTIOD, chart="istiod", istio_version="1.30")
    assert {c.path for c in patched.changes} == {
        "pilot.resources.requests.cpu",
        "pilot.resources.requests.memory",
    }
    assert any("profile demo outranks" in note for note in patched.notes)


def test_a_copy_of_the_shipped_file_is_patched_inside_its_wrapper(tmp_path: Path) -> None:
    text = (
        "_internal_defaults_do_not_set:\n  autoscaleMin: 1\n  resources:\n    requests:\n"
        "      cpu: 500m\n      memory: 2048Mi\n"
    )
    patched = patch_text(tmp_path, text, ISTIOD)
    assert len(differences(patched)) == 4
    assert any("asks not to set" in note for note in patched.notes)


def test_a_profile_outranks_the_wrapper(tmp_path: Path) -> None:
    text = (
        "profile: demo\n_internal_defaults_do_not_set:\n  autoscaleMin: 1\n  resources:\n"
        "    requests:\n      cpu: 500m\n  global:\n    proxy: {resources: {requests: {cpu: 1}}}\n"
    )
    patched = patch_text(tmp_path, text, ISTIOD, SIDECAR)
    assert {c.path.split(".resources")[0] for c in patched.changes} == {"pilot", "global.proxy"}


@pytest.mark.parametrize(
    ("wrapper", "release"), [("defaults", "1.24"), ("_internal_defaults_do_not_set", "1.22")]
)
def test_a_wrapper_that_the_release_does_not_read_is_refused(
    tmp_path: Path, wrapper: str, release: str
) -> None:
    text = f"{wrapper}:\n  pilot:\n    resources: {{}}\n"
    with pytest.raises(InputFileError, match=f"values.yaml:1:1: `{wrapper}` is not read"):
        patch_text(tmp_path, text, ISTIOD, istio_version=release)


def test_istiod_bounds_are_set_and_replica_count_is_reported_to_be_ignored(tmp_path: Path) -> None:
    bounded = change("istiod", of="istio-system/istiod", bounds=(2, 4, 70))
    text = "pilot:\n  autoscaleMin: 1\n  autoscaleMax: 3\n  replicaCount: 3\n"
    patched = patch_text(tmp_path, text, bounded)
    assert patched.text_after == (
        "pilot:\n  autoscaleMin: 2\n  autoscaleMax: 4\n  replicaCount: 3\n"
        "  cpu:\n    targetAverageUtilization: 70\n"
    )
    assert any("pilot.replicaCount is ignored" in note for note in patched.notes)


def test_bounds_are_not_written_where_autoscaling_is_off(tmp_path: Path) -> None:
    bounded = change("gateway", "50m", of="ns/gw", bounds=(2, 4, 70))
    text = "service: {}\nautoscaling:\n  enabled: false\nresources:\n  requests:\n    cpu: 100m\n"
    patched = patch_text(tmp_path, text, bounded, chart="gateway")
    assert differences(patched) == ["-    cpu: 100m", "+    cpu: 50m"]
    assert any("autoscaling.enabled is false" in note for note in patched.notes)


def test_a_null_block_is_filled_and_never_emitted(tmp_path: Path) -> None:
    patched = patch_text(tmp_path, "pilot:\n  resources: null  # as before\n  env: {}\n", ISTIOD)
    assert patched.text_after == (
        "pilot:\n  resources:  # as before\n    requests:\n      cpu: 250m\n      memory: 1Gi\n"
        "  env: {}\n"
    )


def test_a_null_value_is_replaced_where_it_stands(tmp_path: Path) -> None:
    text = "pilot:\n  resources:\n    requests:\n      cpu:\n      memory: ~\n"
    patched = patch_text(tmp_path, text, ISTIOD)
    assert patched.text_after == (
        "pilot:\n  resources:\n    requests:\n      cpu: 250m\n      memory: 1Gi\n"
    )


def test_a_size_of_none_stays_as_it_is(tmp_path: Path) -> None:
    text = "pilot:\n  resources:\n    limits: {cpu: 4}\n    requests: {cpu: 1, memory: 1Gi}\n"
    patched = patch_text(tmp_path, text, change("istiod", "500m", None, None, None))
    assert differences(patched) == [
        "-    requests: {cpu: 1, memory: 1Gi}",
        "+    requests: {cpu: 500m, memory: 1Gi}",
    ]


def test_an_equal_value_in_another_unit_is_left_alone(tmp_path: Path) -> None:
    text = "pilot:\n  resources:\n    requests: {cpu: 0.25, memory: 1024Mi}\n"
    assert not patch_text(tmp_path, text, ISTIOD).changed


def test_whole_cores_stay_strings_for_the_gateway_schema(tmp_path: Path) -> None:
    text = "service: {}\nresources:\n  limits:\n    cpu: 500m\n"
    patched = patch_text(tmp_path, text, GATEWAY, chart="gateway")
    assert "    cpu: 1000m\n" in patched.text_after


def test_plain_numbers_stay_plain_numbers(tmp_path: Path) -> None:
    text = "service: {}\nresources:\n  limits:\n    cpu: 1\n"
    assert "    cpu: 1\n" in patch_text(tmp_path, text, GATEWAY, chart="gateway").text_after


def test_the_gateway_chart_has_flat_resources_and_bounds(tmp_path: Path) -> None:
    bounded = change("gateway", "50m", of="ns/gw", bounds=(2, 6, 75))
    patched = patch_text(tmp_path, "service:\n  type: NodePort\n", bounded, chart="gateway")
    assert patched.text_after == (
        "service:\n  type: NodePort\nresources:\n  requests:\n    cpu: 50m\n"
        "autoscaling:\n  minReplicas: 2\n  maxReplicas: 6\n  targetCPUUtilizationPercentage: 75\n"
    )


def test_ztunnel_is_sized_at_the_top_level_only(tmp_path: Path) -> None:
    patched = patch_text(
        tmp_path, "caAddress: x\nztunnel:\n  resources: {}\n", change("ztunnel", "150m")
    )
    assert [c.path for c in patched.changes] == ["resources.requests.cpu"]


@pytest.mark.parametrize(
    ("release", "text", "path"),
    [
        ("1.20", "cni:\n  cniBinDir: /x\n", "cni.resources.requests.cpu"),
        ("1.30", "cniBinDir: /x\nresources:\n  requests: {cpu: 1}\n", "resources.requests.cpu"),
        ("1.30", "cniBinDir: /x\n", "cni.resources.requests.cpu"),
    ],
)
def test_cni_is_sized_under_cni_or_flat_from_1_24(
    tmp_path: Path, release: str, text: str, path: str
) -> None:
    patched = patch_text(tmp_path, text, change("istio-cni", "50m"), istio_version=release)
    assert [c.path for c in patched.changes] == [path]


def test_waypoints_are_sized_from_1_24_on(tmp_path: Path) -> None:
    patched = patch_text(
        tmp_path, "pilot: {env: {}}\n", change("waypoint", "50m"), istio_version="1.24"
    )
    assert [c.path for c in patched.changes] == ["global.waypoint.resources.requests.cpu"]


def test_waypoints_before_1_24_are_not_written_and_say_so(tmp_path: Path) -> None:
    patched = patch_text(
        tmp_path, "pilot: {env: {}}\n", change("waypoint", "50m"), istio_version="1.22"
    )
    assert not patched.changed
    assert any("waypoint sizes not written" in note for note in patched.notes)


@pytest.mark.parametrize(
    "text",
    [
        "resources:\n  requests:\n    cpu: 100m\n",
        "# only a name\nname: x\nresources: {}\n",
        "replicaCount: 3\n",
        "something: else\n",
    ],
)
def test_a_file_that_could_be_for_any_chart_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(AmbiguousChartError, match="--chart"):
        patch_text(tmp_path, text, ISTIOD, GATEWAY)


def test_the_chart_flag_decides(tmp_path: Path) -> None:
    text = "resources:\n  requests:\n    cpu: 100m\n"
    patched = patch_text(tmp_path, text, ISTIOD, GATEWAY, chart="gateway")
    assert "    cpu: 50m\n" in patched.text_after


def test_an_unknown_chart_or_release_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--chart grafana"):
        patch_text(tmp_path, "a: 1\n", ISTIOD, chart="grafana")
    with pytest.raises(UsageError, match="--istio-version latest"):
        patch_text(tmp_path, "a: 1\n", ISTIOD, istio_version="latest")


def test_a_chart_yaml_beside_the_file_decides(tmp_path: Path) -> None:
    chart = "name: istiod\nversion: 1.24.6\n"
    text = "resources:\n  requests:\n    cpu: 500m\n"
    patched = patch_all(tmp_path, {"Chart.yaml": chart, "values.yaml": text}, ISTIOD, GATEWAY)
    assert "    cpu: 250m\n" in patched["values.yaml"].text_after


@pytest.mark.parametrize(
    "tag",
    ["tag: 1.24.6-distroless", "image: docker.io/istio/pilot:1.24.6", "global: {tag: 1.26.0}"],
)
def test_the_release_is_reported_by_tags(tmp_path: Path, tag: str) -> None:
    text = f"{tag}\nautoscaleMin: 1\nresources:\n  requests: {{cpu: 500m}}\n"
    assert patch_text(tmp_path, text, ISTIOD).changes[0].path == "resources.requests.cpu"


def test_the_values_of_another_chart_are_refused(tmp_path: Path) -> None:
    texts = {"Chart.yaml": "name: shop\nversion: 1.0.0\n", "values.yaml": "autoscaling: {}\n"}
    with pytest.raises(AmbiguousChartError, match="Chart.yaml beside them is of shop"):
        patch_all(tmp_path, texts, GATEWAY)


def test_a_file_with_a_key_named_istiod_is_no_umbrella_by_that_alone(tmp_path: Path) -> None:
    with pytest.raises(AmbiguousChartError, match="--chart"):
        patch_text(tmp_path, "istiod:\n  extends: .deploy\n  script: [x]\n", ISTIOD)


def test_mesh_config_of_istiod_alone_tells_istiod(tmp_path: Path) -> None:
    patched = patch_text(tmp_path, "meshConfig:\n  accessLogFile: /dev/stdout\n", ISTIOD)
    assert patched.changes[0].path == "pilot.resources.requests.cpu"


def test_keys_of_two_charts_in_one_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AmbiguousChartError, match="several charts: istiod, gateway"):
        patch_text(tmp_path, "pilot: {env: {}}\nautoscaling: {}\n", ISTIOD)


def test_of_two_overlays_the_one_that_sets_the_value_is_patched(tmp_path: Path) -> None:
    base = "pilot:\n  resources:\n    requests:\n      cpu: 500m\n      memory: 2Gi\n"
    prod = "pilot:\n  resources:\n    requests:\n      cpu: 1\n"
    patched = patch_all(tmp_path, {"base.yaml": base, "prod.yaml": prod}, ISTIOD)
    assert differences(patched["base.yaml"]) == ["-      memory: 2Gi", "+      memory: 1Gi"]
    assert differences(patched["prod.yaml"]) == ["-      cpu: 1", "+      cpu: 250m"]


def test_a_null_in_the_last_overlay_is_where_the_value_goes(tmp_path: Path) -> None:
    base = "pilot:\n  resources:\n    requests: {cpu: 500m, memory: 2Gi}\n"
    prod = "pilot:\n  resources:\n"
    patched = patch_all(tmp_path, {"base.yaml": base, "prod.yaml": prod}, ISTIOD)
    assert not patched["base.yaml"].changed
    assert patched["prod.yaml"].text_after == (
        "pilot:\n  resources:\n    requests:\n      cpu: 250m\n      memory: 1Gi\n"
    )


def test_an_overlay_without_sizes_needs_no_chart(tmp_path: Path) -> None:
    texts = {"base.yaml": "pilot: {env: {A: b}}\n", "labels.yaml": "podLabels: {team: x}\n"}
    assert patch_all(tmp_path, texts, ISTIOD)["base.yaml"].changed


def test_an_umbrella_chart_is_reported_by_its_dependencies(tmp_path: Path) -> None:
    chart = (
        "name: platform\nversion: 0.1.0\ndependencies:\n"
        "- {name: istiod, version: 1.30.3}\n"
        "- {name: gateway, version: 1.30.3, alias: edge}\n- {name: redis, version: 1.0.0}\n"
    )
    text = "istiod:\n  pilot: {env: {}}\nedge:\n  labels: {}\nredis:\n  resources: {}\n"
    gateway = change("gateway", "50m", of="istio-ingress/edge")
    patched = patch_all(
        tmp_path, {"Chart.yaml": chart, "values.yaml": text}, ISTIOD, gateway, SIDECAR
    )["values.yaml"]
    assert {c.path.split(".resources")[0] for c in patched.changes} == {
        "istiod.pilot",
        "istiod.global.proxy",
        "edge",
    }


def test_an_umbrella_chart_is_reported_by_names_and_its_global_outranks(tmp_path: Path) -> None:
    text = (
        "global:\n  proxy:\n    resources:\n      requests: {cpu: 100m}\n"
        "istiod:\n  global:\n    proxy:\n      resources:\n        requests: {cpu: 1, memory: 1Gi}\n"
        "istio-ingress:\n  autoscaling: {}\n"
    )
    patched = patch_text(tmp_path, text, SIDECAR)
    old = {c.path: c.old for c in patched.changes}
    assert old["global.proxy.resources.requests.cpu"] == "100m"
    assert old["istiod.global.proxy.resources.requests.memory"] == "1Gi"
    assert "istiod.global.proxy.resources.requests.cpu" not in old


def test_helm_get_values_output_is_patched_as_it_is(tmp_path: Path) -> None:
    text = "USER-SUPPLIED VALUES:\nglobal:\n  proxy:\n    resources:\n      requests:\n        cpu: 1\n"
    patched = patch_text(tmp_path, text, SIDECAR)
    assert patched.text_after.startswith("USER-SUPPLIED VALUES:\nglobal:\n")
    assert "        cpu: 35m\n" not in text
    assert patched.changes[0].path == "global.proxy.resources.requests.cpu"


def test_helm_get_values_as_json_stays_json(tmp_path: Path) -> None:
    import json

    text = '{"pilot":{"resources":{"requests":{"cpu":"500m"}},"autoscaleMin":1}}\n'
    patched = patch_text(tmp_path, text, ISTIOD)
    values = json.loads(patched.text_after)
    assert values["pilot"]["resources"] == {"requests": {"cpu": "250m", "memory": "1Gi"}}


def test_two_gateways_and_one_nameless_file_are_refused(tmp_path: Path) -> None:
    other = change("gateway", "70m", of="istio-egress/egress")
    with pytest.raises(AmbiguousChartError, match="--gateway istio-ingress/gw"):
        patch_text(tmp_path, "service: {}\n", GATEWAY, other, chart="gateway")


@pytest.mark.parametrize("flag", ["egress", "istio-egress/egress"])
def test_the_gateway_flag_decides(tmp_path: Path, flag: str) -> None:
    other = change("gateway", "70m", of="istio-egress/egress")
    patched = patch_text(tmp_path, "service: {}\n", GATEWAY, other, gateway=flag)
    assert patched.changes[0].new == "70m"


def test_gateways_are_reported_by_their_names_and_by_their_files(tmp_path: Path) -> None:
    other = change("gateway", "70m", of="istio-egress/egress")
    texts = {"a.yaml": "name: gw\nservice: {}\n", "egress.yaml": "service: {}\n"}
    patched = patch_all(tmp_path, texts, GATEWAY, other, chart="gateway")
    assert patched["a.yaml"].changes[0].new == "50m"
    assert patched["egress.yaml"].changes[0].new == "70m"


REMOTE = "profile: remote\n"


@pytest.mark.parametrize(
    "text",
    [
        REMOTE,
        "global: {profile: remote}\n",
        "istiodRemote: {enabled: true}\n",
        "global: {resourceScope: cluster}\n",
    ],
)
def test_a_release_that_renders_no_istiod_gets_no_sizes_of_one(tmp_path: Path, text: str) -> None:
    patched = patch_text(tmp_path, text, ISTIOD, chart="istiod")
    assert not patched.changed


@pytest.mark.parametrize("more", ["istiodRemote: {enabledLocalInjectorIstiod: true}\n", ""])
def test_istiod_is_sized_where_a_remote_release_runs_one(tmp_path: Path, more: str) -> None:
    text = REMOTE + (more or "istiodRemote: {enabled: false}\n")
    patched = patch_text(tmp_path, text, ISTIOD, chart="istiod")
    assert patched.changed


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        (REMOTE, False),
        ("istiodRemote: {enabled: true}\n", True),
        (REMOTE + "global: {omitSidecarInjectorConfigMap: false}\n", True),
        ("global: {omitSidecarInjectorConfigMap: true}\n", False),
    ],
)
def test_the_mesh_default_goes_where_the_injector_is_configured(
    tmp_path: Path, text: str, changed: bool
) -> None:
    assert patch_text(tmp_path, text, SIDECAR, chart="istiod").changed == changed
