"""Good and bad files: what is reported of each, and that a bad one stops no other."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rightsize.audit.audit import audit
from rightsize.audit.certificates import pem_certificates
from rightsize.audit.reading import read_files

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAULTY = "pilot:\n  autoscaleMin: 2\n  sharding: {strategy: isolation}\n"


def audited(*paths, **options):
    return audit(read_files(paths, **options), now=NOW)


def certificate(expires: datetime, name: str = "Root CA") -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(expires - timedelta(days=365))
        .not_valid_after(expires)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("name", "content", "reported", "line"),
    [
        ("broken.yaml", b"a: 1\nb: [1, 2\nc: 3\n", "is no YAML", 3),
        ("tabs.yaml", b"a:\n\tb: 1\n", "is no YAML", 2),
        ("chart.yaml", b"a: 1\n{{- if .Values.x }}\nb: 2\n{{- end }}\n", "Helm template", 2),
        ("image.yaml", b"\x89PNG\0\0", "binary", None),
        ("latin.yaml", b"a: 1\nb: caf\xe9\n", "not UTF-8", 2),
    ],
)
def test_a_bad_file_is_reported_with_its_place_and_the_others_are_audited(
    tmp_path, name, content, reported, line
):
    bad, good = tmp_path / name, tmp_path / "values.yaml"
    bad.write_bytes(content)
    good.write_text(FAULTY)
    result = audited(bad, good)
    assert reported in result.problems[0].text
    assert result.problems[0].line == line
    assert [finding.rule for finding in result.findings] == ["value-ignored"]


def test_a_missing_file_is_a_problem(tmp_path):
    assert "cannot be read" in audited(tmp_path / "none.yaml").problems[0].text


def test_an_empty_file_has_neither_findings_nor_problems(tmp_path):
    path = tmp_path / "values.yaml"
    path.write_text("# nothing\n")
    result = audited(path)
    assert not result.findings
    assert not result.problems


def test_an_alias_bomb_is_a_problem(tmp_path):
    path = tmp_path / "bomb.yaml"
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30)]
    path.write_text("\n".join(lines))
    assert "too large" in audited(path).problems[0].text


def test_a_folder_is_read_and_its_templates_are_noted(tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("name: istiod\nversion: 1.24.6\n")
    (tmp_path / "templates" / "a.yaml").write_text("{{ .Values.a }}: 1\n")
    (tmp_path / "values.yaml").write_text(FAULTY)
    result = audited(tmp_path)
    assert not result.problems
    assert "Helm templates" in result.notes[0].text
    assert len(result.findings) == 1


def test_a_merged_anchor_counts_where_it_is_written(tmp_path):
    path = tmp_path / "values.yaml"
    path.write_text(
        "x-bad: &bad\n  PILOT_CACHE_SQUASH: '5'\npilot:\n  autoscaleMin: 2\n  env:\n    <<: *bad\n"
    )
    (finding,) = audited(path).findings
    assert (finding.rule, finding.place.line) == ("env-never-existed", 2)


def test_windows_line_ends_and_a_byte_order_mark_keep_the_lines(tmp_path):
    path = tmp_path / "values.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + FAULTY.replace("\n", "\r\n").encode())
    assert [finding.place.line for finding in audited(path).findings] == [3]


def test_json_values_are_read(tmp_path):
    path = tmp_path / "values.json"
    path.write_text('{"pilot": {"autoscaleMin": 2,\n "sharding": {}}}')
    assert [finding.place.line for finding in audited(path).findings] == [2]


def test_the_release_given_decides_what_is_ignored(tmp_path):
    path = tmp_path / "istiod.yaml"
    path.write_text("autoscaleMin: 2\nresources: {requests: {memory: 2Gi}}\n")
    assert not audited(path, version=(1, 24)).findings
    rules = {finding.rule for finding in audited(path, version=(1, 22)).findings}
    assert rules == {"top-level-resources-ignored"}


def test_a_variable_is_reported_when_its_release_does_not_read_it(tmp_path):
    path = tmp_path / "istiod.yaml"
    path.write_text("pilot:\n  autoscaleMin: 2\n  env: {ENABLE_NATIVE_SIDECARS: 'true'}\n")
    assert not audited(path, version=(1, 24)).findings
    rules = [finding.rule for finding in audited(path, version=(1, 18)).findings]
    assert rules == ["env-not-in-release"]


def test_a_certificate_is_read_from_pem(tmp_path):
    text = "# ours\n" + certificate(datetime(2027, 5, 6, 7, 8, 9, tzinfo=UTC), "Mesh root")
    assert list(pem_certificates(text)) == [
        (1, "Mesh root", datetime(2027, 5, 6, 7, 8, 9, tzinfo=UTC))
    ]


def test_a_certificate_beyond_2050_is_read(tmp_path):
    expires = datetime(2060, 1, 1, tzinfo=UTC)
    assert next(pem_certificates(certificate(expires)))[2] == expires


@pytest.mark.parametrize(
    ("days", "severity"), [(-1, "error"), (10, "error"), (60, "warning"), (400, None)]
)
def test_a_ca_near_its_expiry_is_found_in_the_secret(tmp_path, days, severity):
    pem = certificate(NOW + timedelta(days=days))
    path = tmp_path / "secret.yaml"
    path.write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: cacerts, namespace: istio-system}\n"
        f"data:\n  root-cert.pem: {base64.b64encode(pem.encode()).decode()}\n"
    )
    found = [(f.rule, f.severity, f.place.line) for f in audited(path).findings]
    assert found == ([("ca-expiry", severity, 5)] if severity else [])


def test_garbage_that_looks_like_a_certificate_is_passed_over(tmp_path):
    text = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n"
    assert list(pem_certificates(text)) == []


CHARTS = {
    "own": ("name: istiod\nappVersion: 1.22.8\n", True),
    "umbrella": (
        "name: mesh\nversion: 1.99.0\ndependencies:\n- {name: istiod, version: 1.22.8}\n",
        True,
    ),
    "newer": ("name: mesh\ndependencies:\n- {name: istiod, version: ~1.24.0}\n", False),
    "source tree": ("name: istiod\nversion: 1.0.0\n", False),
}


@pytest.mark.parametrize("name", CHARTS)
def test_the_release_is_taken_from_the_chart_beside(tmp_path, name):
    text, ignored = CHARTS[name]
    (tmp_path / "Chart.yaml").write_text(text)
    path = tmp_path / "values.yaml"
    values = "{autoscaleMin: 2, resources: {requests: {memory: 2Gi}}}\n"
    path.write_text(f"istiod: {values}" if "dependencies" in text else values)
    rules = {finding.rule for finding in audited(path).findings}
    assert rules == ({"top-level-resources-ignored"} if ignored else set())


def test_the_release_of_ztunnel_is_not_taken_for_istiods(tmp_path):
    (tmp_path / "ztunnel.yaml").write_text("redirectMode: iptables\ntag: 1.18.7\n")
    (tmp_path / "istiod.yaml").write_text(
        "pilot:\n  autoscaleMin: 2\n  env: {ENABLE_NATIVE_SIDECARS: 'true'}\n"
    )
    assert not audited(tmp_path).findings


def test_the_release_of_istiods_values_holds_for_the_other_files(tmp_path):
    (tmp_path / "istiod.yaml").write_text("pilot: {autoscaleMin: 2}\nglobal: {tag: 1.18.7}\n")
    script = tmp_path / "tune.sh"
    script.write_text("kubectl set env deploy/istiod ENABLE_NATIVE_SIDECARS=true\n")
    assert [f.rule for f in audited(tmp_path).findings] == ["env-not-in-release"]


def rules_of(tmp_path, text: str) -> list[tuple[int, str]]:
    path = tmp_path / "runbook.md"
    path.write_text(text)
    return [(f.place.line, f.rule) for f in audited(path).findings]


def test_a_pipe_at_the_end_of_a_line_goes_on_in_the_next(tmp_path):
    text = "```sh\nistioctl proxy-config endpoints $pod |\n  grep SYNCED\n```\n"
    assert rules_of(tmp_path, text) == [(2, "command-grep-synced")]


def test_a_code_block_may_begin_after_the_marker_of_a_list(tmp_path):
    text = (
        "1. Rotate:\n2. ```console\n   $ istioctl x create-cert\n   ```\n- ```yaml\n  pilot:\n"
        "    sharding: {strategy: x}\n  ```\n\n```sh\nistioctl x create-cert\n```\n"
    )
    assert sorted(rules_of(tmp_path, text)) == [
        (3, "command-create-cert"), (7, "value-ignored"), (11, "command-create-cert"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("spec:\n  values:\n    pilot:\n      sharding: {strategy: x}\n", 4),
        ("values:\n  pilot:\n    sharding: {strategy: x}\n", 3),
    ],
    ids=["a spec", "values"],
)
def test_a_piece_of_an_istio_operator_is_read_without_its_kind(tmp_path, text, line):
    assert rules_of(tmp_path, f"```yaml\n{text}```\n") == [(line + 1, "value-ignored")]


def test_json_in_a_command_is_reported_once(tmp_path):
    words = """aws eks update-addon --configuration-values '{"env":{"ENABLE_CUSTOM_NETWORKING":"true"}}'"""
    found = rules_of(tmp_path, f"```sh\n{words}\n```\n")
    assert found == [(2, "vpc-cni-custom-networking")]


def test_a_corefile_in_the_patch_of_a_command_is_read(tmp_path):
    corefile = r".:53 {\n kubernetes cluster.local {\n upstream\n }\n cache 30\n}\n"
    words = f"""kubectl patch configmap coredns -p '{{"data":{{"Corefile":"{corefile}"}}}}'"""
    assert rules_of(tmp_path, f"```sh\n{words}\n```\n") == [(2, "coredns-upstream")]


@pytest.mark.parametrize("words", ["create-cert", "x create-cert", "experimental create-cert -n a"])
def test_create_cert_never_existed_anywhere(tmp_path, words):
    found = rules_of(tmp_path, f"Run `istioctl {words}` first.\n")
    assert found == [(1, "command-create-cert")]


def test_the_configuration_of_a_collector_is_no_gateways(tmp_path):
    text = "exporters: {otlp: {}}\nservice: {pipelines: {traces: {}}}\n"
    assert rules_of(tmp_path, f"```yaml\n{text}```\n") == []


def test_creating_a_namespace_and_labelling_it_is_no_loop(tmp_path):
    path = tmp_path / "setup.sh"
    path.write_text(
        'kubectl get namespace "$ns" >/dev/null 2>&1 || kubectl create namespace "$ns"\n'
        'kubectl label namespace "$ns" istio-injection=enabled\n'
    )
    assert not audited(path).findings


def test_a_budget_of_one_environment_is_not_joined_to_a_workload_of_another(tmp_path):
    for name in ("dev", "prod"):
        (tmp_path / name).mkdir()
    (tmp_path / "dev" / "web.yaml").write_text(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 1\n"
        "  template:\n    metadata: {labels: {app: web}}\n    spec: {}\n"
    )
    (tmp_path / "prod" / "pdb.yaml").write_text(
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: web}\n"
        "spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}\n"
    )
    assert not audited(tmp_path).findings


@pytest.mark.parametrize(("days", "rules"), [(60, []), (10, ["certificate-expiry"])])
def test_a_server_certificate_is_no_authority_of_the_mesh(tmp_path, days, rules):
    pem = certificate(NOW + timedelta(days=days))
    path = tmp_path / "tls.yaml"
    path.write_text(
        "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {name: web-tls}\n"
        f"data:\n  tls.crt: {base64.b64encode(pem.encode()).decode()}\n"
    )
    found = audited(path).findings
    assert [f.rule for f in found] == rules
    assert not any("cacerts" in f.fix for f in found)


def test_a_name_newer_than_the_tables_is_no_error_and_is_not_renamed(tmp_path):
    path = tmp_path / "values.yaml"
    path.write_text("pilot: {autoscaleMin: 2, env: {PILOT_ENABLE_SHINY_LATE_THING: 'x'}}\n")
    (finding,) = audited(path).findings
    assert finding.severity == "info"
    assert "newer" in finding.evidence
    assert "PILOT_ENABLE" in finding.fix
    assert finding.fix.startswith("#")


def test_defaults_of_a_vendored_chart_are_not_the_users_choices(tmp_path):
    chart = tmp_path / "charts" / "gateway"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("name: gateway\ndescription: deploying Istio gateways\n")
    (chart / "values.yaml").write_text("autoscaling: {minReplicas: 1}\npodDisruptionBudget: {}\n")
    assert not audited(tmp_path).findings


CHART = "name: shop\nversion: 1.0.0\n"


@pytest.mark.parametrize("place", ["templates/a/hpa.yaml", "files/inject.yaml", "templates/x.yaml"])
def test_templates_of_a_chart_in_a_folder_are_passed_over_with_a_note(tmp_path, place):
    (tmp_path / "Chart.yaml").write_text(CHART)
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_text("{{- if .Values.istio }}\nkind: X\n{{- end }}\n")
    (tmp_path / "values.yaml").write_text("pilot: {env: {}}\n")
    sources = read_files([tmp_path])
    assert not sources.problems
    assert any("Helm templates are not audited" in note.text for note in sources.notes)


def test_a_strangers_malformed_file_in_a_folder_is_a_note(tmp_path):
    (tmp_path / "tslint.json").write_text('{"a": [1,}')
    (tmp_path / "mesh.yaml").write_text("pilot: {env: {}}\n")
    sources = read_files([tmp_path])
    assert not sources.problems
    assert [n.file for n in sources.notes] == [str(tmp_path / "tslint.json")]


@pytest.mark.parametrize("text", ['{"istio": [1,}', "pilot: [\n"])
def test_a_malformed_file_that_names_istio_is_a_problem_in_a_folder_too(tmp_path, text):
    (tmp_path / "mesh.yaml").write_text(text)
    assert read_files([tmp_path]).problems


def test_a_malformed_file_that_was_named_is_a_problem(tmp_path):
    (tmp_path / "tslint.json").write_text('{"a": [1,}')
    assert read_files([tmp_path / "tslint.json"]).problems


@pytest.mark.parametrize("name", ["files/profile-demo.yaml", "values.yaml", "README.md"])
def test_defaults_of_any_of_istios_own_charts_are_no_choice_of_the_users(tmp_path, name):
    chart = "name: istio-default\nversion: 1.0.0\nsources: [https://github.com/istio/istio]\n"
    (tmp_path / "Chart.yaml").write_text(chart)
    (tmp_path / "templates").mkdir()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("meshConfig: {accessLogFile: /dev/stdout}\n")
    assert not audit(read_files([tmp_path / name]), now=NOW).findings


def test_a_variable_in_a_here_document_is_the_shells(tmp_path):
    (tmp_path / "apply.sh").write_text(
        "kubectl apply -f - <<EOF\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
        "metadata: {name: a}\nspec:\n  host: ${HOST}\nEOF\n"
    )
    assert not audit(read_files([tmp_path / "apply.sh"]), now=NOW).findings


@pytest.mark.parametrize("many", [False, True])
def test_definitions_of_resources_are_objects_and_no_values_of_an_unknown_chart(tmp_path, many):
    one = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "spec": {"versions": []},
    }
    listed = {"apiVersion": "v1", "kind": "List", "items": [one, one]}
    (tmp_path / "crds.json").write_text(json.dumps(listed if many else one))
    read = read_files([tmp_path / "crds.json"])
    assert (read.is_strange, read.strangers, read.notes) == (False, [], [])


def test_progress_counts_every_file_of_all_folders(tmp_path):
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("kind: Namespace\napiVersion: v1\n")
    seen = []
    read_files([tmp_path], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("head", ["", "---\n", "# Source: istiod\n\n", "# a\n---\n# b\n"])
def test_yaml_from_a_pipe_has_no_suffix(tmp_path, head):
    (tmp_path / "63").write_text(f"{head}pilot:\n  sharding: {{strategy: isolation}}\n")
    assert [f.rule for f in audited(tmp_path / "63").findings] == ["value-ignored"]


@pytest.mark.parametrize("text", ["#!/bin/sh\n", "set -e\n"])
def test_a_script_without_a_suffix_stays_a_script(tmp_path, text):
    (tmp_path / "run").write_text(f"{text}istioctl x create-cert\n")
    assert [f.rule for f in audited(tmp_path / "run").findings] == ["command-create-cert"]
