"""The Helm chart: rendered by Helm 3 and 4, valid, confined, and its jobs run on a snapshot."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date
from functools import cache
from pathlib import Path

import boto3
import pytest
import typer
import yaml
from cloudcoil.models.kubernetes.batch.v1 import CronJob
from cloudcoil.models.kubernetes.core.v1 import ConfigMap, PersistentVolumeClaim, ServiceAccount
from cloudcoil.models.kubernetes.networking.v1 import NetworkPolicy
from cloudcoil.models.kubernetes.rbac.v1 import ClusterRole, ClusterRoleBinding

from rightsize.cli import app
from rightsize.collectors.kube import cluster_role
from rightsize.quantity import parse_quantity
from tests.deploy.job_shell import calendar, job_environment, program, run_script, shell_faults
from tests.review.two_months import OCTOBER, SEPTEMBER, Month, written
from tests.servers.aws import moto_server
from tests.servers.require import require_program

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "chart"
KINDS = {one.__name__: one for one in (ClusterRole, ClusterRoleBinding, ConfigMap, CronJob,
         NetworkPolicy, PersistentVolumeClaim, ServiceAccount)}  # fmt: skip
GIVEN = {
    "cluster": "two-months",
    "prometheus": {"url": "http://prometheus-server.monitoring:9090"},
    "image": {"repository": "registry.example/rightsize", "tag": "0.1.0"},
    "aws": {"region": "eu-west-1", "roleArn": "arn:aws:iam::123456789012:role/rightsize"},
}
S3 = GIVEN | {
    "storage": {"kind": "s3", "s3": {"bucket": "snapshots", "prefix": "mesh"}},
    "aws": {"region": "eu-west-1", "identity": "pod-identity"},
    "prometheus": GIVEN["prometheus"] | {"tokenSecret": {"name": "prometheus"},
                                         "matchers": ['cluster="$(touch pwned)"']},
    "recommend": {"valuesConfigMap": "mesh-values", "args": ["--max-cut=0.2"]},
    "image": GIVEN["image"] | {"digest": "sha256:" + "0" * 64},
    "alerts": {"enabled": True, "labels": {"release": "prometheus"}},
}  # fmt: skip
ALONE = GIVEN | {
    "aws": {"enabled": False, "identity": "none"},
    "kubernetes": {"enabled": False},
    "networkPolicy": {"enabled": False},
    "serviceAccount": {"create": False, "name": "theirs"},
    "storage": {"kind": "volume", "volume": {"existingClaim": "theirs"}},
    "collect": {"enabled": False},
}
CASES = {"volume": GIVEN, "s3": S3, "alone": ALONE}


def helm(program: str, *words: str, values: dict) -> subprocess.CompletedProcess[str]:
    command = [require_program(program), *words, str(CHART), "-f", "-", "-n", "rs"]
    text = json.dumps(values)
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@cache
def rendered(case: str, program: str = "helm", name: str = "rightsize") -> list[dict]:
    done = helm(program, "template", name, values=CASES[case])
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def kind(case: str, name: str) -> list[dict]:
    return [one for one in rendered(case) if one["kind"] == name]


def jobs(case: str) -> dict[str, dict]:
    return {one["metadata"]["name"].rsplit("-", 1)[1]: one for one in kind(case, "CronJob")}


def pod(job: dict) -> dict:
    return job["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def container(job: dict) -> dict:
    (found,) = pod(job)["containers"]
    return found


def environment(job: dict) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container(job)["env"]}


EVERY_JOB = [(case, job) for case in CASES for job in ("collect", "recommend", "report")
             if (case, job) != ("alone", "collect")]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_helm_3_and_4_render_the_same_objects(case):
    assert rendered(case, "helm3") == rendered(case)


@pytest.mark.parametrize("program", ["helm", "helm3"])
def test_helm_finds_no_fault_in_it(program):
    done = helm(program, "lint", "--strict", values=S3)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("case", CASES)
def test_objects_follow_kubernetes_own_schema(case):
    for found in rendered(case):
        if found["kind"] in KINDS:
            model = KINDS[found["kind"]].model_validate(found)
            kept = json.loads(model.model_dump_json(by_alias=True, exclude_unset=True))
            assert kept == found  # A field that Kubernetes does not have is dropped.
    assert {one["kind"] for one in rendered(case)} <= {*KINDS, "PrometheusRule"}


@pytest.mark.parametrize(("case", "name"), EVERY_JOB)
def test_pods_may_do_nothing_but_write_to_their_volumes(case, name):
    job = jobs(case)[name]
    spec, one = pod(job), container(job)
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] != 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = {mount["mountPath"] for mount in one["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/data", "/tmp"}
    mounted = {mount["name"] for mount in one["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}
    assert environment(job)["HOME"] == "/tmp"
    # The Kubernetes API is open to the nightly snapshot alone.
    assert spec["automountServiceAccountToken"] == (name == "collect")


@pytest.mark.parametrize(("case", "name"), EVERY_JOB)
def test_jobs_do_not_pile_up(case, name):
    spec = jobs(case)[name]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["successfulJobsHistoryLimit"] <= 3
    assert spec["failedJobsHistoryLimit"] <= 3
    assert spec["jobTemplate"]["spec"]["ttlSecondsAfterFinished"] == 7 * 86400
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] <= 4 * 3600


@pytest.mark.parametrize(("case", "name"), EVERY_JOB)
def test_requests_stand_below_limits(case, name):
    resources = container(jobs(case)[name])["resources"]
    request, limit = (parse_quantity(resources[k]["memory"]) for k in ("requests", "limits"))
    assert 0.4 * limit <= request <= limit
    assert "cpu" not in resources["limits"]


def test_numbers_are_not_written_as_floats():
    done = helm("helm", "template", "x", values=GIVEN | {"collect": {"days": 400}})
    assert not re.search(r"\de\+\d", done.stdout)


def test_names_fit_a_cron_job_under_every_release():
    for name in ("r", "a" * 53, "long-release-name-that-goes-on-and-on-for-fifty3"):
        for one in rendered("s3", "helm", name):
            assert len(one["metadata"]["name"]) <= (52 if one["kind"] == "CronJob" else 63)


def test_the_network_policy_holds_for_the_jobs_pods_and_lets_nobody_in():
    for case, more in (("volume", set()), ("s3", {80})):
        (policy,) = (one["spec"] for one in kind(case, "NetworkPolicy"))
        for job in jobs(case).values():
            labels = job["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
            assert policy["podSelector"]["matchLabels"].items() <= labels.items()
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert "ingress" not in policy
        ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
        assert ports == {53, 9090, 443} | more
    # The agent of Pod Identity, on the pod's own node.
    blocks = [to["ipBlock"]["cidr"] for rule in policy["egress"] for to in rule.get("to", [])
              if "ipBlock" in to]  # fmt: skip
    assert blocks == ["169.254.170.23/32", "fd00:ec2::23/128"]


def test_the_role_is_on_the_service_account_for_irsa_alone():
    accounts = {case: kind(case, "ServiceAccount") for case in CASES}
    (irsa,), (pod_identity,) = accounts["volume"], accounts["s3"]
    role = {"eks.amazonaws.com/role-arn": GIVEN["aws"]["roleArn"]}
    assert irsa["metadata"]["annotations"] == role
    assert "annotations" not in pod_identity["metadata"]
    assert accounts["alone"] == []
    assert not irsa["automountServiceAccountToken"]
    assert pod(jobs("alone")["report"])["serviceAccountName"] == "theirs"


def test_the_cluster_role_allows_the_calls_of_the_program_and_nothing_more():
    (role,), (binding,) = kind("volume", "ClusterRole"), kind("volume", "ClusterRoleBinding")
    assert role["rules"] == cluster_role()["rules"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"][0]["namespace"] == "rs"
    assert kind("alone", "ClusterRole") == []


def test_the_volume_outlives_the_release():
    (claim,) = kind("volume", "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert kind("s3", "PersistentVolumeClaim") == kind("alone", "PersistentVolumeClaim") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cluster": ""}, "cluster"),
        ({"cluster": "a b; rm"}, "cluster"),
        ({"image": {"repository": "registry.example/rightsize"}}, "image.tag or image.digest"),
        ({"prometheus": {"url": "http://user:secret@prometheus"}}, "url"),
        ({"prometheus": {"url": "http://p", "token": "secret"}}, "token"),
        ({"aws": {"identity": "irsa"}}, "aws.roleArn"),
        ({"aws": {"accessKey": "secret"}}, "accessKey"),
        ({"storage": {"kind": "s3"}}, "bucket"),
        ({"storage": {"kind": "disk"}}, "kind"),
        ({"collect": {"schedule": "nightly"}}, "schedule"),
        ({"report": {"resources": {"limits": {"memory": "lots"}}}}, "memory"),
        ({"colect": {}}, "colect"),
    ],
)
def test_values_that_cannot_be_meant_are_refused_by_name(change, said):
    for version in ("helm", "helm3"):
        done = helm(version, "template", "rightsize", values=GIVEN | change)
        assert done.returncode != 0
        assert said in done.stderr


def test_a_digest_names_the_image_whatever_the_tag():
    assert container(jobs("s3")["report"])["image"].endswith("0.1.0@sha256:" + "0" * 64)
    assert container(jobs("volume")["report"])["image"] == "registry.example/rightsize:0.1.0"


def test_a_token_is_a_file_of_the_nightly_pod_alone():
    token = "--bearer-token-file=/secrets/prometheus/token"
    found = {name: token in container(job)["args"] for name, job in jobs("s3").items()}
    assert found == {"collect": True, "recommend": False, "report": False}
    (volume,) = (v for v in pod(jobs("s3")["collect"])["volumes"] if "secret" in v)
    assert volume["secret"]["items"] == [{"key": "token", "path": "token"}]


@pytest.mark.parametrize(("case", "name"), EVERY_JOB)
def test_every_script_passes_shellcheck_and_holds_no_value(case, name):
    text = container(jobs(case)[name])["args"][0]
    assert shell_faults(text, "sh", require_program("shellcheck")) == ""
    for value in ("two-months", "registry.example", "prometheus-server", "pwned"):
        assert value not in text
    assert set(re.findall(r"\$([A-Z_]+)", text)) <= set(environment(jobs(case)[name]))


@pytest.mark.parametrize(("case", "name"), EVERY_JOB)
def test_every_call_is_one_the_program_understands(case, name):
    text, _, *options = container(jobs(case)[name])["args"]
    group = typer.main.get_command(app)
    found = re.findall(r"^rightsize (.+)$", text, flags=re.M)
    assert found
    for line in found:
        words = line.split(" > ")[0].replace('"$DAYS"', "14").replace('"', "").split()
        given = [one for word in words for one in (options if word == "$@" else [word])]
        with group.get_command(None, given[0]).make_context(given[0], given[1:]):
            pass


def test_the_alerts_fire_when_a_job_is_late_or_gone(tmp_path):
    (rule,) = kind("s3", "PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    last, made = (
        f'{name}{{namespace="rs", cronjob="rightsize-%s"}}'
        for name in ("kube_cronjob_status_last_successful_time", "kube_cronjob_created")
    )
    series = [
        {"series": made % "collect", "values": "0+0x40"},
        {"series": last % "collect", "values": "0+86400x30 2592000+0x10"},
        # Never succeeded.
        {"series": made % "report", "values": "0+0x40"},
    ]

    def pending(job: str, day: int, firing: int) -> dict:
        name = f'cronjob="rightsize-{job}"' if job != "gone" else ""
        alert = "RightsizeJobIsGone" if job == "gone" else "RightsizeJobHasNotSucceeded"
        expression = f'count(ALERTS{{alertname="{alert}",{name}}})'
        samples = [{"labels": "{}", "value": firing}] if firing else []
        return {"expr": expression, "eval_time": f"{day}d", "exp_samples": samples}

    cases = [pending("collect", 30, 0), pending("collect", 35, 1), pending("report", 34, 0),
             pending("report", 37, 1), pending("gone", 3, 1)]  # fmt: skip
    test = {"interval": "1d", "input_series": series, "promql_expr_test": cases}
    files = {"rule_files": ["rules.yaml"], "evaluation_interval": "1d", "tests": [test]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(files))
    command = [require_program("promtool"), "test", "rules", "test.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def shell(tmp_path_factory) -> dict[str, str]:
    return job_environment(tmp_path_factory.mktemp("job"))


def run_job(case: str, name: str, cwd: Path, env: dict[str, str]) -> str:
    job = jobs(case)[name]
    text, _, *options = container(job)["args"]
    of_job = {k: v for k, v in environment(job).items() if k not in ("HOME", "MPLCONFIGDIR")}
    return run_script(text, cwd, env | of_job, *options).stdout


def test_the_monthly_job_reports_the_month_that_ended(tmp_path, shell):
    days = Month(SEPTEMBER, 2), Month(OCTOBER, 2), Month(date(2026, 11, 1), 1)
    written(tmp_path / "snapshots" / "two-months", *days)
    # A job that started late, or was tried again, still means the month before.
    env = shell | {"PATH": calendar(tmp_path, "2026-11-05") + shell["PATH"],
                   "WRITTEN": str(tmp_path / "written")}  # fmt: skip
    shown = run_job("volume", "report", tmp_path, env)
    folder = tmp_path / "reports" / "two-months" / "2026-10"
    assert (folder / "index.html").exists()
    answers = f"{tmp_path}/snapshots/two-months/.answers/"
    places = (f"{tmp_path}/reports", answers, shell["MPLCONFIGDIR"], shell["TMPDIR"], "/dev/null")
    opened = (tmp_path / "written").read_text().splitlines()
    assert any(name.startswith(f"{folder}/.rightsize.") for name in opened)
    assert [name for name in opened if not name.startswith(places)] == []
    assert shown.startswith("Mesh cost review, October 2026")
    assert len(shown.splitlines()) <= 10


def test_the_weekly_job_leaves_sizes_alerts_and_a_dashboard(tmp_path, shell):
    written(tmp_path / "snapshots" / "two-months", Month(OCTOBER, 2))
    env = shell | {"PATH": calendar(tmp_path, "2026-11-02") + shell["PATH"]}
    run_job("volume", "recommend", tmp_path, env)
    folder = tmp_path / "recommendations" / "two-months" / "2026-11-02"
    found = {path.name for path in folder.iterdir()}
    assert found == {"recommendation.json", "alerts.yaml", "dashboard.json"}
    assert json.loads((folder / "recommendation.json").read_text())["cluster"] == "two-months"


def test_jobs_share_a_bucket(tmp_path, shell):
    """What the nightly job pushed the monthly job reads on another node, and its report lands there."""
    with moto_server() as address:
        aws = {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "a"}
        store = boto3.client("s3", endpoint_url=address, region_name="eu-west-1",
                             aws_access_key_id="a", aws_secret_access_key="a")  # fmt: skip
        place = {"LocationConstraint": "eu-west-1"}
        store.create_bucket(Bucket="snapshots", CreateBucketConfiguration=place)
        scripts = tmp_path / "scripts"
        scripts.mkdir()
        (config_map,) = kind("s3", "ConfigMap")
        (scripts / "object-store.py").write_text(config_map["data"]["object-store.py"])
        night, month = tmp_path / "night", tmp_path / "month"
        month.mkdir()
        written(night / "snapshots" / "two-months", Month(OCTOBER, 2))
        env = shell | aws | {"BUCKET": "snapshots", "AWS_REGION": "eu-west-1",
                             "PATH": calendar(tmp_path, "2026-11-02") + shell["PATH"]}  # fmt: skip
        copy = f"{sys.executable} {scripts}/object-store.py"
        prefix = "mesh/snapshots/two-months snapshots/two-months"
        pushed = [run_script(f"{copy} push {prefix}", night, env).stderr for _ in range(2)]
        assert "0 files" not in pushed[0]
        assert "push: 0 files" in pushed[1]  # What is there is not sent again.
        job = jobs("s3")["report"]
        text = container(job)["args"][0].replace("/scripts/", f"{scripts}/")
        stand_in = '#!/bin/sh\n[ -d "$3" ]; mkdir -p "$7"; touch "$7/index.html" "$7/.half"\n'
        program(tmp_path / "stand-in" / "rightsize", stand_in)
        env["PATH"] = f"{tmp_path}/stand-in:{env['PATH']}"
        run_script(text, month, env | {"CLUSTER": "two-months", "PREFIX": "mesh"})
        assert (month / "snapshots" / "two-months" / "manifest.json").exists()
        keys = [one["Key"] for one in store.list_objects_v2(Bucket="snapshots")["Contents"]]
        assert "mesh/reports/two-months/2026-10/index.html" in keys
        assert not any("/." in key for key in keys)
        # A key that climbs out of the folder is not written.
        store.put_object(Bucket="snapshots", Key="mesh/evil/../../x", Body=b"")
        out = run_script(f"{copy} pull mesh/evil evil", month, env, code=1)
        assert "would leave" in out.stderr


def test_the_manifest_goes_last():
    code = (CHART / "files" / "object-store.py").read_text()
    names: dict = {"__name__": "object_store"}
    exec(code, names)
    files = [Path("a/manifest.json"), Path("a/usage/2026-10-01.parquet"), Path("z")]
    assert sorted(files, key=names["_order"])[-1] == files[0]
