"""docs/automation.md: action, workflow and GitLab job are valid, use documented commands, and run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import typer
import yaml

from rightsize.cli import app
from tests.deploy.job_shell import calendar, job_environment, program, run_script, shell_faults
from tests.servers.require import require_program

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "automation"
ACTION = yaml.safe_load((FOLDER / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "name" in step}
GITLAB = yaml.safe_load((FOLDER / "gitlab-ci.yml").read_text())
GITLAB_SCRIPT = GITLAB["rightsize"]["script"][0]
MARKER = "<!-- rightsize: updated in place -->"
WORKFLOWS = [FOLDER / "pull-request.yaml", *sorted((ROOT / ".github" / "workflows").iterdir())]
HEADLINE = "**Requests worth 40 USD a month less; 2 requests go down by 50% at the most.**"
# Notes its calls; `recommend` patches the file it is given in place, and answers with $CODE.
STAND_IN = f"""#!/bin/sh
echo "$@" >> "$CALLS"
case "$1" in
  recommend)
    case "$*" in *--in-place*) echo "patched: true" >> mesh/values.yaml ;; esac
    echo '{HEADLINE}'; echo; echo '## Sizes'; exit "${{CODE:-0}}" ;;
  report)
    case "$*" in *--summary*) echo 'Mesh cost review' ;; esac
    while [ "$1" != -o ]; do shift; done
    mkdir -p "$2"; touch "$2/index.html" ;;
esac
"""


def scripts() -> Iterator[str]:
    yield from (step["run"] for step in STEPS.values())
    yield GITLAB_SCRIPT


def commands() -> Iterator[list[str]]:
    """Every call of rightsize in workflow and page."""
    page = (FOLDER.parent / "automation.md").read_text()
    for text in (*scripts(), *re.findall(r"^ *(rightsize .*)$", page, flags=re.M)):
        for line in text.replace("\\\n", " ").splitlines():
            line = line.strip()
            if line.startswith("rightsize "):
                words = shlex.split(line.split(" > ")[0].split(" >> ")[0])
                yield [word for word in words[1:] if word != "$@"]


@pytest.fixture
def shell(tmp_path) -> dict[str, str]:
    """A runner: a stand-in for the program, and a calendar that says 2 November 2026."""
    env = job_environment(tmp_path / "runner-home")
    program(tmp_path / "stand-in" / "rightsize", STAND_IN)
    path = f"{tmp_path}/stand-in:{calendar(tmp_path / 'calendar', '2026-11-02')}{env['PATH']}"
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "CALLS"):
        env[name] = str(tmp_path / name.lower())
        Path(env[name]).touch()
    return env | {"PATH": path}


@pytest.fixture
def work(tmp_path, shell) -> Path:
    """A clone of a repository that holds the values."""
    folder = tmp_path / "work"
    program(folder / "mesh" / "values.yaml", "a: 1\n")
    git = "git -c user.name=a -c user.email=a@example.com"
    run_script(f"git init -q --bare -b main {tmp_path}/origin.git; git init -q -b main; git add .; "
               f"{git} commit -qm one; git remote add origin {tmp_path}/origin.git", folder, shell)  # fmt: skip
    return folder


def given(shell: dict[str, str], name: str, **values: str) -> dict[str, str]:
    """The environment of a step, its inputs filled in."""
    known = {"VALUES": "mesh/values.yaml", "BRANCH": "rightsize/sizes", "EVENT": "schedule",
             "FAIL_IF_CHANGE": "false", "NUMBER": "7", "DAYS": "33", "CLUSTER": "mesh",
             "PROMETHEUS_URL": "http://p", "GITHUB_REPOSITORY": "them/mesh"}  # fmt: skip
    named = {key: known.get(key, "") for key in STEPS[name].get("env", {})}
    return shell | named | {"GITHUB_REPOSITORY": known["GITHUB_REPOSITORY"]} | values


def step(name: str, work: Path, shell: dict[str, str], code: int = 0, **values: str) -> str:
    return run_script(STEPS[name]["run"], work, given(shell, name, **values), code=code).stdout


def stand_in_gh(tmp_path: Path, *answers: tuple[str, str]) -> Path:
    """A `gh` that notes its calls and answers those that hold a text."""
    cases = "".join(f"  *'{holds}'*) echo '{answer}' ;;\n" for holds, answer in answers)
    noted = tmp_path / "gh.txt"
    text = f'#!/bin/sh\necho "$*" >> {noted}\ncase "$*" in\n{cases}  *) ;;\nesac\n'
    program(tmp_path / "stand-in" / "gh", text)
    return noted


def test_images_and_actions_are_named_by_digest():
    image = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), flags=re.M)
    assert len(image) == 2
    assert all(re.search(r":3\.12\.\d+-\S+@sha256:[0-9a-f]{64}$", name) for name in image)
    for file in (FOLDER / "action.yml", *WORKFLOWS):
        used = re.findall(r"uses: (?!\./)(.*)", file.read_text())
        assert used
        assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", name) for name in used), used


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-actions", [FOLDER / "action.yml"]),
        ("vendor.gitlab-ci", [FOLDER / "gitlab-ci.yml"]),
        ("vendor.github-workflows", WORKFLOWS),
    ],
    ids=["action", "gitlab", "workflows"],
)
def test_the_files_follow_their_published_schemas(schema, files):
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        schema,
        *map(str, files),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.servers
@pytest.mark.parametrize("text", list(scripts()), ids=[*STEPS, "gitlab"])
def test_every_script_passes_shellcheck(text):
    assert "${{" not in text  # A value of the event or the inputs is never a part of a script.
    shell = "sh" if text is GITLAB_SCRIPT else "bash"
    assert shell_faults(text, shell, require_program("shellcheck")) == ""


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_call_is_one_the_program_understands(words):
    group = typer.main.get_command(app)
    given = [("33" if "DAYS" in word else "out" if "$" in word else word) for word in words]
    group.get_command(None, given[0]).make_context(given[0], given[1:])


def test_there_are_calls_of_each_kind():
    assert {words[0] for words in commands()} >= {"collect", "recommend", "report", "prices"}


def test_a_schedule_brings_one_pull_request_with_values_and_report(tmp_path, work, shell):
    noted = stand_in_gh(tmp_path)
    for name in ("Collect", "Recommend", "Report", "Pull request"):
        step(name, work, shell, REPORTS="reports")
    branch = "rightsize/sizes"
    pushed = run_script(
        f"git ls-tree -r --name-only {branch}", tmp_path / "origin.git", shell
    ).stdout
    assert pushed.split() == ["mesh/values.yaml", "reports/2026-10/index.html"]
    assert f"pr create --base main --head {branch}" in noted.read_text()
    body = (Path(shell["RUNNER_TEMP"]) / "body.md").read_text()
    assert body.splitlines()[:2] == [MARKER, HEADLINE]
    assert "Mesh cost review" in body
    assert f"headline={HEADLINE}" in Path(shell["GITHUB_OUTPUT"]).read_text()


def test_the_pull_request_that_is_open_is_updated(tmp_path, work, shell):
    noted = stand_in_gh(tmp_path, ("pr list", "12"))
    for _ in range(2):
        run_script("git switch -q main", work, shell)
        step("Recommend", work, shell)
        step("Pull request", work, shell)
    assert noted.read_text().count("pr edit 12") == 2
    assert "pr create" not in noted.read_text()
    heads = run_script("git for-each-ref --format='%(refname)'", tmp_path / "origin.git", shell)
    assert heads.stdout.split() == ["refs/heads/rightsize/sizes"]


def test_none_is_opened_when_nothing_changed(tmp_path, work, shell):
    noted = stand_in_gh(tmp_path)
    assert "Nothing changed." in step("Pull request", work, shell)
    assert not noted.exists()


@pytest.mark.parametrize(("there", "call"), [("", "POST"), ("34", "PATCH")], ids=["new", "again"])
def test_a_pull_request_gets_one_comment(tmp_path, work, shell, there, call):
    noted = stand_in_gh(tmp_path, ("--paginate", there))
    step("Recommend", work, shell, EVENT="pull_request")
    step("Comment", work, shell)
    _, posted = noted.read_text().splitlines()
    assert f"--method {call} repos/them/mesh/issues/" in posted
    assert posted.endswith(f"body=@{shell['RUNNER_TEMP']}/body.md")
    # Its files stay as they are.
    assert (work / "mesh" / "values.yaml").read_text() == "a: 1\n"


def test_a_change_beyond_the_budget_is_shown_and_fails_the_job(work, shell):
    step("Recommend", work, shell, CODE="10", FAIL_IF_CHANGE="true", MAX_MONTHLY_INCREASE="5")
    (call,) = Path(shell["CALLS"]).read_text().splitlines()
    assert call.endswith("--in-place --fail-if-change --max-monthly-increase 5")
    assert "code=10" in Path(shell["GITHUB_OUTPUT"]).read_text()
    assert HEADLINE in Path(shell["GITHUB_STEP_SUMMARY"]).read_text()
    assert STEPS["Result"]["if"] == "steps.recommend.outputs.code == '10'"
    step("Result", work, shell, code=10)


def test_a_failure_is_no_answer(work, shell):
    step("Recommend", work, shell, CODE="21", code=21)
    assert Path(shell["GITHUB_OUTPUT"]).read_text() == ""


def test_a_long_text_is_cut_to_what_github_takes(tmp_path, work, shell):
    long = STAND_IN.replace("echo '## Sizes'", "yes '| shop/web | 50m |' | head -n 5000")
    program(tmp_path / "stand-in" / "rightsize", long)
    step("Recommend", work, shell)
    body = (Path(shell["RUNNER_TEMP"]) / "body.md").read_text()
    assert 50_000 < len(body) < 65_536
    assert "the file has the others" in body


class _GitLab(BaseHTTPRequestHandler):
    """Answers as GitLab's API does for one project; `calls` has method, path and body."""

    def _answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else {}
        path, _, query = self.path.removeprefix("/api/v4/projects/5/").partition("?")
        self.server.calls.append((self.command, path, body))
        assert self.headers["PRIVATE-TOKEN"] == "secret"
        answer, more = self.server.answers.get((self.command, path), ({}, {}))
        if "page=2" in query:
            answer, more = self.server.second, {}
        text = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(200)
        for name, value in {**more, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gitlab(work, shell) -> Iterator[Callable[..., list[tuple[str, str, dict]]]]:
    """Runs the job against a stand-in for GitLab; returns the calls that wrote."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _GitLab)
    Thread(target=server.serve_forever, daemon=True).start()
    variables = {k: v for k, v in GITLAB["variables"].items() if k.startswith("RIGHTSIZE")}
    env = shell | variables | {
        "CI_API_V4_URL": f"http://127.0.0.1:{server.server_port}/api/v4", "CI_PROJECT_ID": "5",
        "RIGHTSIZE_TOKEN": "secret", "PROMETHEUS_URL": "http://p", "PROMETHEUS_TOKEN": "",
        "CI_COMMIT_BRANCH": "main", "CI_MERGE_REQUEST_IID": "9", "NO_PROXY": "*",
    }  # fmt: skip

    def run(source: str, answers: dict, second: object = (), code: int = 0, **more: str):
        server.calls, server.answers, server.second = [], answers, list(second)
        run_script(GITLAB_SCRIPT, work, env | {"CI_PIPELINE_SOURCE": source} | more, code=code)
        return [call for call in server.calls if call[0] != "GET"]

    yield run
    server.shutdown()


NOTES = "merge_requests/9/notes"
IN_FORCE = {("GET", "repository/files/mesh%2Fvalues.yaml/raw"): ("a: 1\n", {})}


def test_gitlab_gets_one_note_on_a_merge_request(gitlab):
    ((method, path, body),) = gitlab("merge_request_event", {("GET", NOTES): ([], {})})
    assert (method, path) == ("POST", NOTES)
    assert body["body"].splitlines()[:2] == [MARKER, HEADLINE]


def test_gitlabs_note_is_found_on_any_page_and_updated(gitlab):
    first = {("GET", NOTES): ([{"id": 1, "body": "hello"}], {"X-Next-Page": "2"})}
    mine = {"id": 77, "body": f"{MARKER}\nbefore"}
    ((method, path, _),) = gitlab("merge_request_event", first, [mine], CODE="10", code=10)
    assert (method, path) == ("PUT", f"{NOTES}/77")


def test_gitlab_gets_one_merge_request_on_a_schedule(gitlab):
    commit, opened = gitlab("schedule", IN_FORCE | {("GET", "merge_requests"): ([], {})})
    assert commit[:2] == ("POST", "repository/commits")
    (action,) = commit[2]["actions"]
    assert action == {"action": "update", "file_path": "mesh/values.yaml",
                      "content": "a: 1\npatched: true\n"}  # fmt: skip
    assert commit[2]["force"]
    assert commit[2]["start_branch"] == "main"
    assert opened[:2] == ("POST", "merge_requests")
    assert opened[2]["description"].startswith(f"{MARKER}\n{HEADLINE}")


def test_gitlabs_open_merge_request_is_updated(gitlab):
    _, updated = gitlab("schedule", IN_FORCE | {("GET", "merge_requests"): ([{"iid": 3}], {})})
    assert updated[:2] == ("PUT", "merge_requests/3")


def test_gitlab_gets_none_when_nothing_changed(gitlab):
    there = {("GET", "repository/files/mesh%2Fvalues.yaml/raw"): ("a: 1\npatched: true\n", {})}
    assert gitlab("schedule", there) == []


def test_gitlab_only_collects_at_night(gitlab, shell):
    assert gitlab("schedule", {}, RIGHTSIZE_COLLECT_ONLY="true") == []
    assert Path(shell["CALLS"]).read_text().split()[0] == "collect"
    assert "recommend" not in Path(shell["CALLS"]).read_text()


def test_the_checks_exit_code_is_the_documented_one():
    codes = (FOLDER.parent / "exit-codes.md").read_text()
    page = (FOLDER.parent / "automation.md").read_text()
    (code,) = re.findall(r"exit code (\d+) when they differ", page)
    assert re.search(rf"^\| {code} \|.*change", codes, flags=re.M | re.I)


def test_codes_on_the_page_are_those_of_the_program():
    page = (FOLDER.parent / "automation.md").read_text()
    codes = (FOLDER.parent / "exit-codes.md").read_text()
    listed = re.findall(r"^\| (\d+) \| `(\w+)` \|", page, flags=re.M)
    assert len(listed) == 7
    for code, name in listed:
        assert re.search(rf"^\| {code} \| `?{name}`? \|", codes, flags=re.M), name
