"""One branch and one pull request that are brought forward, beside what other people do."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rightsize.forge import MARKER, forge_of
from tests.tiny_mesh import Tiny, tiny_snapshot

VALUES = """\
# of the mesh team
global:
  proxy:
    resources:
      requests: {cpu: 100m, memory: 128Mi}
      limits: {cpu: 2000m, memory: 1024Mi}
"""
FORGE = """\
#!{python}
import json, sys
from pathlib import Path
words, state = sys.argv[1:], Path({state!r})
known = json.loads(state.read_text())
known["calls"].append(words)
def option(*names):
    return next(words[words.index(n) + 1] for n in names if n in words)
fails = known.get("fails")
if fails:
    state.write_text(json.dumps(known))
    sys.exit(fails)
if words[1] == "list":
    print(known.get("answer") or json.dumps(
        [r for r in known["requests"] if r["branch"] == option("--head", "--source-branch")]))
else:
    text = (Path(option("--body-file")).read_text() if "--body-file" in words
            else option("--description"))
    if words[1] == "create":
        number = len(known["requests"]) + 1
        known["requests"].append({{
            "number": number, "iid": number, "body": text, "description": text,
            "title": option("--title"), "url": f"https://forge/{{number}}",
            "web_url": f"https://forge/{{number}}",
            "branch": option("--head", "--source-branch")}})
        print(f"creating...\\nhttps://forge/{{number}}")
    else:
        request = next(r for r in known["requests"] if str(r["number"]) == words[2])
        request["body"] = request["description"] = text
state.write_text(json.dumps(known))
"""


class Team:
    """A remote with values on main, a clone of it, and a forge's program."""

    def __init__(self, folder: Path, program: str | None = "gh", host: str = "github.com") -> None:
        self.folder, self.clone = folder, folder / "clone"
        self.state = folder / "forge.json"
        self.know(requests=[], calls=[])
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        git = shutil.which("git")
        assert git is not None
        (self.bin / "git").symlink_to(git)
        if program:
            file = self.bin / program
            file.write_text(FORGE.format(python=sys.executable, state=str(self.state)))
            file.chmod(file.stat().st_mode | stat.S_IXUSR)
        (folder / "home").mkdir()
        remote = folder / host / "team" / "mesh.git"
        self.git("init", "--quiet", "--bare", "-b", "main", remote, at=folder)
        self.git("clone", "--quiet", remote, self.clone, at=folder)
        (self.clone / "mesh").mkdir()
        self.commit("mesh/values.yaml", VALUES)
        tiny_snapshot(folder / "s", Tiny(pods=3), Tiny("pay", pods=3))

    def environment(self) -> dict[str, str]:
        who = {
            f"GIT_{role}_{key}": "T@x"
            for role in ("AUTHOR", "COMMITTER")
            for key in ("NAME", "EMAIL")
        }
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        quiet = {"GIT_CONFIG_NOSYSTEM": "1", "HOME": str(self.folder / "home")}
        return inherited | who | quiet | {"PATH": f"{self.bin}"}

    def git(self, *words: object, at: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *map(str, words)], cwd=at or self.clone, env=self.environment(),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def know(self, **what: object) -> None:
        there = json.loads(self.state.read_text()) if self.state.exists() else {}
        self.state.write_text(json.dumps(there | what))

    def knows(self) -> dict:
        return json.loads(self.state.read_text())

    def commit(self, name: str, text: str, branch: str = "main", message: str = "m") -> None:
        (self.clone / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "--quiet", "-m", message)
        self.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")

    def propose(self, *words: object, file: str = "mesh/values.yaml"):
        command = [sys.executable, "-c", "from rightsize.cli import run; run()", "pull-request"]
        command += ["-f", self.clone / file, "--snapshot", self.folder / "s", *words]
        command += ["--out", self.folder / "out", "--chart", "istiod", "--istio-version", "1.24"]
        return subprocess.run(
            [str(word) for word in command], cwd=self.folder, env=self.environment(),
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def proposed(self, name: str = "mesh/values.yaml", branch: str = "rightsize/sizes") -> str:
        self.git("fetch", "--quiet", "origin")
        return self.git("show", f"origin/{branch}:{name}")


@pytest.fixture
def team(tmp_path):
    return Team(tmp_path)


def test_a_branch_is_pushed_and_a_request_made_and_the_checkout_is_left_alone(team):
    (team.clone / "mesh" / "values.yaml").write_text("not committed")
    done = team.propose()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "https://forge/1\n"
    assert "cpu: 50m" in team.proposed()
    assert "# of the mesh team" in team.proposed()
    (request,) = team.knows()["requests"]
    assert request["body"].startswith(MARKER)
    assert "### Risk" in request["body"]
    assert request["body"].splitlines()[1].startswith("**Requests worth")
    assert str(team.folder) not in request["body"]
    assert team.git("status", "--short") == "M mesh/values.yaml"
    assert team.git("branch", "--show-current") == "main"
    assert team.git("worktree", "list").count("\n") == 0


def test_run_again_the_same_request_is_updated_and_nothing_is_pushed_twice(team):
    team.propose()
    first = team.git("ls-remote", "origin", "rightsize/sizes")
    done = team.propose()
    assert done.returncode == 0, done.stderr
    assert "is up to date" in done.stderr
    assert "Updated: https://forge/1" in done.stderr
    assert team.git("ls-remote", "origin", "rightsize/sizes") == first
    assert len(team.knows()["requests"]) == 1


def test_a_base_that_moved_on_comes_into_the_branch_without_a_force(team):
    team.propose()
    before = team.git("ls-remote", "origin", "rightsize/sizes").split()[0]
    team.commit("mesh/values.yaml", VALUES + "pilot:\n  autoscaleMin: 3\n")
    done = team.propose()
    assert done.returncode == 0, done.stderr
    assert "autoscaleMin: 3" in team.proposed()
    assert "cpu: 50m" in team.proposed()
    team.git("merge-base", "--is-ancestor", before, "origin/rightsize/sizes")
    assert (
        team.git("diff", "--name-only", "origin/main", "origin/rightsize/sizes")
        == "mesh/values.yaml"
    )


@pytest.mark.parametrize("how", ["--no-ff", "--squash"])
def test_after_a_merge_the_next_change_is_a_request_of_its_own(team, how):
    team.propose()
    team.git("fetch", "--quiet")
    team.git("merge", "--quiet", how, "-m", "merged", "origin/rightsize/sizes")
    if how == "--squash":
        team.git("commit", "--quiet", "-m", "squashed")
    team.git("push", "--quiet", "origin", "main")
    done = team.propose()
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing to propose" in done.stderr
    team.know(requests=[])
    team.commit("mesh/values.yaml", VALUES.replace("100m", "200m"))
    done = team.propose()
    assert done.returncode == 0, done.stderr
    assert len(team.knows()["requests"]) == 1


def test_a_shallow_clone_as_pipelines_make_it_sees_what_is_ours(team):
    team.propose()
    team.commit("mesh/values.yaml", VALUES + "# moved on\n")
    remote = team.folder / "github.com" / "team" / "mesh.git"
    shallow = team.folder / "shallow"
    team.git("clone", "--quiet", "--depth", "1", f"file://{remote}", shallow, at=team.folder)
    team.clone = shallow
    done = team.propose()
    assert done.returncode == 0, done.stderr
    assert "# moved on" in team.git("show", "FETCH_HEAD:mesh/values.yaml", at=_fetched(team))


def test_a_pipeline_of_which_git_knows_nobody_proposes_as_rightsize(team, monkeypatch):
    known = team.environment()
    strange = {k: v for k, v in known.items() if not k.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))}
    monkeypatch.setattr(team, "environment", lambda: strange | {"EMAIL": ""})
    team.git("config", "user.useConfigOnly", "true")
    done = team.propose()
    assert done.returncode == 0, done.stderr
    _fetched(team)
    assert team.git("log", "-1", "--format=%an", "FETCH_HEAD") == "rightsize"


def _fetched(team: Team) -> Path:
    team.git("fetch", "--quiet", "origin", "rightsize/sizes")
    return team.clone


def test_commits_of_others_on_the_branch_are_not_undone(team):
    team.propose()
    team.git("checkout", "--quiet", "-b", "mine", "origin/main")
    team.git("fetch", "--quiet")
    team.git("reset", "--quiet", "--hard", "origin/rightsize/sizes")
    team.commit("note.md", "a reviewer's", "rightsize/sizes", "Reviewer's fix")
    done = team.propose()
    assert done.returncode == 7
    assert "1 commits of others" in done.stderr
    assert "Reviewer's fix" in done.stderr
    assert team.proposed("note.md") == "a reviewer's"


def test_a_request_without_the_marker_keeps_its_text(team):
    theirs = {"number": 1, "body": "mine", "url": "https://forge/1", "branch": "rightsize/sizes"}
    team.know(requests=[theirs])
    done = team.propose()
    assert done.returncode == 0, done.stderr
    assert "not ours" in done.stderr
    assert team.knows()["requests"] == [theirs]


def test_a_forks_request_of_the_same_name_is_not_ours(team):
    fork = {"number": 1, "body": MARKER, "url": "u", "branch": "rightsize/sizes"}
    team.know(requests=[fork | {"isCrossRepository": True}])
    done = team.propose()
    assert done.returncode == 0, done.stderr
    assert len(team.knows()["requests"]) == 2


def test_gitlab_is_asked_by_its_own_program(tmp_path):
    team = Team(tmp_path, "glab", "gitlab.example.com")
    for _ in range(2):
        done = team.propose()
        assert done.returncode == 0, done.stderr
        assert done.stdout == "https://forge/1\n"
    assert [call[:2] for call in team.knows()["calls"]] == [
        ["mr", "list"], ["mr", "create"], ["mr", "list"], ["mr", "update"],
    ]  # fmt: skip


def test_without_a_program_the_branch_and_the_text_are_what_is_left(tmp_path):
    team = Team(tmp_path, None)
    done = team.propose()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "rightsize/sizes\n"
    assert "cpu: 50m" in team.proposed()
    assert (tmp_path / "out" / "pull-request.md").read_text().startswith(MARKER)
    assert "open the pull request yourself" in done.stderr


def test_without_a_remote_the_branch_is_a_local_one(team):
    team.git("remote", "remove", "origin")
    assert team.propose().returncode == 0
    first = team.git("rev-parse", "rightsize/sizes")
    assert "cpu: 50m" in team.git("show", "rightsize/sizes:mesh/values.yaml")
    (team.clone / "mesh" / "values.yaml").write_text(VALUES + "# more\n")
    team.git("commit", "--quiet", "-am", "m")
    assert team.propose().returncode == 0
    team.git("merge-base", "--is-ancestor", first, "rightsize/sizes")
    team.git("checkout", "--quiet", "rightsize/sizes")
    done = team.propose("--base", "main")
    assert done.returncode in (0, 2)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--branch", "main"), 2, "no branch for a change"),
        (("--branch", "a..b"), 2, "no branch for a change"),
        (("--branch=--force",), 2, "no branch for a change"),
        (("--base", "nowhere"), 2, "no branch nowhere"),
    ],
)
def test_a_branch_that_cannot_be_is_refused_before_anything_is_done(team, words, code, said):
    done = team.propose(*words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert team.git("ls-remote", "origin").count("refs/heads") == 1


def test_files_that_are_not_in_the_repository_or_on_the_base_are_named(team):
    (team.clone / "new.yaml").write_text(VALUES)
    done = team.propose(file="new.yaml")
    assert (done.returncode, "is not on main" in done.stderr) == (3, True)
    (team.folder / "other.yaml").write_text(VALUES)
    done = team.propose(file="../other.yaml")
    assert done.returncode == 2
    assert "git repository" in done.stderr
    assert team.git("worktree", "list").count("\n") == 0


def test_a_refused_push_and_a_failing_forge_say_so(team):
    hook = team.folder / "github.com" / "team" / "mesh.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho protected by policy\nexit 1\n")
    hook.chmod(0o755)
    done = team.propose()
    assert (done.returncode, "protected by policy" in done.stderr) == (7, True)
    hook.unlink()
    team.know(fails="gh auth login first")
    done = team.propose()
    assert done.returncode == 7
    assert "gh auth login first" in done.stderr
    team.know(fails=None, answer="<html>")
    assert "auth status" in team.propose().stderr


@pytest.mark.parametrize(
    ("address", "installed", "program"),
    [
        ("git@github.com:a/b.git", ("gh", "glab"), "gh"),
        ("https://x:secret@gitlab.example.com/github/b", ("gh", "glab"), "glab"),
        ("ssh://git@gitlab.com:22/a/b", ("gh",), None),
        ("https://git.example.com/a/b", ("glab",), "glab"),
        ("", ("gh",), None),
    ],
)
def test_the_program_is_that_of_the_remotes_host(monkeypatch, address, installed, program):
    monkeypatch.setattr("shutil.which", lambda name: name if name in installed else None)
    found = forge_of(address)
    assert (found and found.program) == program
