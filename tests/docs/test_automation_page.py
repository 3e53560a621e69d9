"""docs/automation.md: manifests and workflow are valid, use documented commands, and run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import typer
import yaml
from cloudcoil.models.kubernetes.batch.v1 import CronJob
from cloudcoil.models.kubernetes.core.v1 import PersistentVolumeClaim, ServiceAccount
from cloudcoil.models.kubernetes.networking.v1 import NetworkPolicy

from rightsize.cli import app
from tests.review.two_months import OCTOBER, SEPTEMBER, Month, written
from tests.servers.require import require_program

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "automation"
KINDS = {
    "CronJob": CronJob,
    "NetworkPolicy": NetworkPolicy,
    "PersistentVolumeClaim": PersistentVolumeClaim,
    "ServiceAccount": ServiceAccount,
}
OBJECTS = list(yaml.safe_load_all((FOLDER / "cronjobs.yaml").read_text()))
JOBS = {o["metadata"]["name"]: o for o in OBJECTS if o["kind"] == "CronJob"}
WORKFLOW = yaml.safe_load((FOLDER / "pull-request.yaml").read_text())
STEPS = {step["name"]: step for step in WORKFLOW["jobs"]["review"]["steps"] if "name" in step}
NAMES = {"CLUSTER": "two-months", "REGION": "eu-west-1"}
# The program, with each file it opens for writing listed in $WRITTEN.
WATCHED = """
import os, sys
told = os.open(os.environ["WRITTEN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def tell(event, given):
    if event == "open" and given[2] & (os.O_WRONLY | os.O_RDWR) and isinstance(given[0], str):
        os.write(told, (os.path.abspath(given[0]) + "\\n").encode())
sys.dont_write_bytecode = True  # An image has its bytecode already.
sys.addaudithook(tell)
from rightsize.cli import run
run()
"""


def pod(job: dict) -> dict:
    return job["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def script(job: dict) -> str:
    """What the job's container runs, with the words filled in."""
    (container,) = pod(job)["containers"]
    assert container["command"] == ["sh", "-ec"]
    (text,) = container["args"]
    return re.sub("CLUSTER|REGION", lambda word: NAMES[word[0]], text)


def scripts() -> Iterator[str]:
    yield from (script(job) for job in JOBS.values())
    yield from (step["run"] for step in STEPS.values())


def commands() -> Iterator[list[str]]:
    """Every call of rightsize in manifests, workflow and page."""
    page = (FOLDER.parent / "automation.md").read_text()
    for text in (*scripts(), *re.findall(r"^ *(rightsize .*)$", page, flags=re.M)):
        for line in text.splitlines():
            words = shlex.split(line.split(" > ")[0].split(" >> ")[0])
            if words[:1] == ["rightsize"]:
                yield words[1:]


@pytest.fixture(scope="module")
def shell(tmp_path_factory) -> dict[str, str]:
    """An environment with `rightsize` on the PATH, and a HOME that nobody can write."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "rightsize"
    program.write_text(f"#!{sys.executable}\n{WATCHED}")
    program.chmod(0o755)
    return {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": "/proc/nobody",
        "MPLCONFIGDIR": str(tmp_path_factory.mktemp("matplotlib")),
        "TMPDIR": str(tmp_path_factory.mktemp("tmp")),
        "RUNNER_TEMP": str(tmp_path_factory.mktemp("runner")),
        "WRITTEN": str(folder / "written"),
    }


def run(text: str, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["bash", "-ec", text], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def calendar(folder: Path, today: str) -> str:
    """Put a `date` on the PATH that takes this for today; return what to prepend to PATH."""
    program = folder / "bin" / "date"
    program.parent.mkdir(parents=True)
    real = shutil.which("date")
    program.write_text(
        f'#!/bin/sh\n[ "$2" = -d ] && exec {real} "$@"\nexec {real} -u -d {today} "$2"\n'
    )
    program.chmod(0o755)
    return f"{program.parent}:"


@pytest.mark.parametrize("found", OBJECTS, ids=lambda o: f"{o['kind']} {o['metadata']['name']}")
def test_manifests_follow_kubernetes_own_schema(found):
    model = KINDS[found["kind"]].model_validate(found)
    kept = json.loads(model.model_dump_json(by_alias=True, exclude_unset=True))
    assert kept == found  # A field that Kubernetes does not have is dropped.


@pytest.mark.parametrize("name", JOBS)
def test_pods_may_do_nothing_but_write_to_their_volumes(name):
    spec = pod(JOBS[name])
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}
    assert {"name": "HOME", "value": "/tmp"} in container["env"]
    assert JOBS[name]["spec"]["concurrencyPolicy"] == "Forbid"


@pytest.mark.parametrize("name", JOBS)
def test_finished_jobs_do_not_pile_up(name):
    spec = JOBS[name]["spec"]
    assert spec["successfulJobsHistoryLimit"] <= 3
    assert spec["failedJobsHistoryLimit"] <= 3
    assert spec["jobTemplate"]["spec"]["ttlSecondsAfterFinished"] == 7 * 86400


def test_the_network_policy_holds_for_the_jobs_pods_and_lets_nobody_in():
    (policy,) = (o["spec"] for o in OBJECTS if o["kind"] == "NetworkPolicy")
    for job in JOBS.values():
        labels = job["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {53, 9090, 443}


def test_images_and_actions_are_named_by_digest():
    image = re.findall(r"^FROM (\S+)", (FOLDER / "Dockerfile").read_text(), flags=re.M)
    assert len(image) == 2
    assert all(re.search(r":3\.12\.\d+-\S+@sha256:[0-9a-f]{64}$", name) for name in image)
    for file in (FOLDER / "pull-request.yaml", ROOT / ".github" / "workflows" / "test.yaml"):
        used = re.findall(r"uses: (.*)", file.read_text())
        assert used
        assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", name) for name in used), used
    for job in JOBS.values():
        (container,) = pod(job)["containers"]
        assert container["image"].endswith("@sha256:DIGEST")


def test_the_alerts_fire_35_days_after_the_last_success_or_when_a_job_is_gone(tmp_path):
    last = 'kube_cronjob_status_last_successful_time{namespace="rightsize", cronjob="%s"}'
    made = 'kube_cronjob_created{namespace="rightsize", cronjob="%s"}'
    days = "0+0x36"
    series = [
        {"series": made % "rightsize-collect", "values": days},
        {"series": last % "rightsize-collect", "values": "0+86400x36"},
        # Never succeeded.
        {"series": made % "rightsize-report", "values": days},
    ]
    late = {"alertname": "RightsizeJobHasNotSucceeded"}
    gone = {"alertname": "RightsizeJobIsGone"}
    tests = [
        {
            "interval": "1d",
            "input_series": series,
            "alert_rule_test": [
                {"eval_time": "34d", **late, "exp_alerts": []},
                {"eval_time": "34d", **gone, "exp_alerts": []},
            ],
            "promql_expr_test": [
                {
                    "expr": 'ALERTS{alertname="RightsizeJobHasNotSucceeded"}',
                    "eval_time": "36d",
                    "exp_samples": [
                        {
                            "labels": 'ALERTS{alertname="RightsizeJobHasNotSucceeded", '
                            'alertstate="pending", cronjob="rightsize-report", '
                            'namespace="rightsize", severity="warning"}',
                            "value": 1,
                        }
                    ],
                }
            ],
        },
        {
            "interval": "1d",
            "input_series": series[:2],
            "promql_expr_test": [
                {
                    "expr": 'count(ALERTS{alertname="RightsizeJobIsGone"})',
                    "eval_time": "3d",
                    "exp_samples": [{"labels": "{}", "value": 1}],
                }
            ],
        },
    ]
    file = tmp_path / "test.yaml"
    rules = [str(FOLDER / "job-alerts.yaml")]
    file.write_text(
        yaml.safe_dump({"rule_files": rules, "evaluation_interval": "1d", "tests": tests})
    )
    command = [require_program("promtool"), "test", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_role_is_bound_by_the_service_account():
    (account,) = (o for o in OBJECTS if o["kind"] == "ServiceAccount")
    assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]
    assert not account["automountServiceAccountToken"]
    assert all(pod(job)["serviceAccountName"] == "rightsize" for job in JOBS.values())


def test_the_workflow_follows_githubs_schema():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    command += ["vendor.github-workflows", str(FOLDER / "pull-request.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("text", list(scripts()))
def test_every_script_is_shell(text):
    done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_call_is_one_the_program_understands(words):
    group = typer.main.get_command(app)
    given = [("out" if "$" in word else word) for word in words]
    group.get_command(None, given[0]).make_context(given[0], given[1:])


def test_there_are_calls_of_each_kind():
    assert {words[0] for words in commands()} == {"collect", "recommend", "report", "prices"}


def test_the_monthly_job_reports_the_month_that_ended(tmp_path, shell):
    days = Month(SEPTEMBER, 2), Month(OCTOBER, 2), Month(date(2026, 11, 1), 1)
    written(tmp_path / "snapshots" / "two-months", *days)
    # A job that started late, or was tried again, still means the month before.
    path = calendar(tmp_path, "2026-11-05")
    env = shell | {"PATH": path + shell["PATH"], "WRITTEN": str(tmp_path / "written")}
    done = run(script(JOBS["rightsize-report"]), tmp_path, env)
    assert (tmp_path / "reports" / "2026-10" / "index.html").exists()
    places = (f"{tmp_path}/reports", shell["MPLCONFIGDIR"], shell["TMPDIR"], os.devnull)
    written_files = (tmp_path / "written").read_text().splitlines()
    beside = f"{tmp_path}/reports/2026-10/.report.json."
    assert any(name.startswith(beside) for name in written_files)
    assert [name for name in written_files if not name.startswith(places)] == []
    assert done.stdout.startswith("Mesh cost review, October 2026")
    assert len(done.stdout.splitlines()) <= 10


def test_the_workflow_opens_a_pull_request_with_values_and_report(tmp_path, shell):
    work, origin, told = tmp_path / "work", tmp_path / "origin.git", tmp_path / "gh.txt"
    written(work / "snapshots" / "mesh", Month(date(2026, 10, 20), 12))
    (work / "mesh").mkdir()
    (work / "mesh" / "values.yaml").write_text(
        "global:\n  proxy:\n    resources:\n      requests:\n"
        "        cpu: 500m # one default\n        memory: 1Gi\n"
    )
    (work / ".gitignore").write_text("snapshots/\n")
    path = calendar(tmp_path, "2026-11-02")
    (tmp_path / "bin" / "gh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {told}\n')
    (tmp_path / "bin" / "gh").chmod(0o755)
    git = "git -c user.name=a -c user.email=a@example.com"
    env = shell | {
        "PATH": path + shell["PATH"],
        "VALUES": WORKFLOW["env"]["VALUES"],
        "GITHUB_RUN_ID": "7",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    run(f"git init -q --bare {origin}; git init -q; git add .; {git} commit -qm one; "
        f"git remote add origin {origin}", work, env)  # fmt: skip
    for name in ("Recommend", "Report", "Open a pull request"):
        run(STEPS[name]["run"], work, env)
    assert "cpu: 250m # one default" in (work / "mesh" / "values.yaml").read_text()
    pushed = run("git ls-tree -r --name-only rightsize/2026-11-02-7", origin, env).stdout
    assert "mesh/values.yaml" in pushed
    assert "reports/2026-10/index.html" in pushed
    body = Path(told.read_text().splitlines()[-1]).read_text()
    assert "Mesh cost review, October 2026" in body
    assert "shop/web" in body or "mesh default" in body


def test_the_workflow_opens_none_when_nothing_changed(tmp_path, shell):
    env = shell | {
        "VALUES": "mesh/values.yaml",
        "GITHUB_RUN_ID": "7",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    git = "git -c user.name=a -c user.email=a@example.com"
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "one").touch()
    run(
        f"git init -q; mkdir mesh; touch mesh/values.yaml; git add .; {git} commit -qm one",
        tmp_path,
        env,
    )
    assert "Nothing changed." in run(STEPS["Open a pull request"]["run"], tmp_path, env).stdout


def test_the_checks_exit_code_is_the_documented_one():
    codes = (FOLDER.parent / "exit-codes.md").read_text()
    page = (FOLDER.parent / "automation.md").read_text()
    (code,) = re.findall(r"exit code (\d+)", page)
    assert re.search(rf"^\| {code} \|.*change", codes, flags=re.M | re.I)


def test_codes_on_the_page_are_those_of_the_program():
    page = (FOLDER.parent / "automation.md").read_text()
    codes = (FOLDER.parent / "exit-codes.md").read_text()
    listed = re.findall(r"^\| (\d+) \| `(\w+)` \|", page, flags=re.M)
    assert len(listed) == 7
    for code, name in listed:
        assert re.search(rf"^\| {code} \| `?{name}`? \|", codes, flags=re.M), name
