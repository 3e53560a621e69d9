"""A branch that holds the base and one change, brought forward and never rewritten.

The user's own checkout is left alone: files are changed in a worktree of the base that is removed
again. What was pushed before stays in the branch's history: a new commit has the branch and, where
the base moved on, the base as its parents, and as its content the base with the change.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rightsize.border import below, scratch_folder
from rightsize.errors import InputFileError, OutputError, UsageError
from rightsize.forge.programs import run, succeeds
from rightsize.secrets import register_address

TRAILER = "Proposed-by: rightsize pull-request"
"""Ends the message of each commit of ours: where others are on the branch, it is left alone."""

_AUTHOR = ["-c", "user.name=rightsize", "-c", "user.email=rightsize@localhost"]
"""Where git knows nobody, as in a fresh pipeline."""


@dataclass(frozen=True)
class Repository:
    """A git repository with the branch that is to be changed."""

    top: Path
    remote: str | None
    base: str

    @classmethod
    def of(cls, file: Path, base: str | None = None, remote: str = "origin") -> Repository:
        """The repository that a file lies in.

        Raises
        ------
        UsageError
            If it lies in none, or the base is not known.
        """
        folder = file.resolve().parent
        if not folder.is_dir() or not succeeds(["git", "rev-parse", "--git-dir"], folder):
            raise UsageError(
                f"{file} lies in no git repository", hint="clone it, and give its files"
            )
        top = Path(run(["git", "rev-parse", "--show-toplevel"], folder).strip())
        there = remote in run(["git", "remote"], top).split()
        if there:
            register_address(run(["git", "remote", "get-url", remote], top).strip())
        found = base or _default_branch(top, remote if there else None)
        if not succeeds(["git", "check-ref-format", "--branch", found], top):
            raise UsageError(f"{found!r} is no branch", hint="give --base")
        return cls(top, remote if there else None, found)

    @property
    def address(self) -> str:
        """Of the remote; empty without one."""
        return (
            run(["git", "remote", "get-url", self.remote], self.top).strip() if self.remote else ""
        )

    def within(self, file: Path) -> Path:
        """A file's path below the top.

        Raises
        ------
        UsageError
            If it lies elsewhere.
        """
        try:
            return file.resolve().relative_to(self.top.resolve())
        except ValueError as error:
            raise UsageError(
                f"{file} lies outside of {self.top}", hint="one pull request is for one repository"
            ) from error

    def head(self, branch: str) -> str | None:
        """The newest commit of a branch, of the remote's where there is one; None without."""
        if self.remote is None:
            where = ["git", "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"]
            return run(where, self.top).strip() if succeeds(where, self.top) else None
        reference = f"refs/heads/{branch}"
        listed = run(["git", "ls-remote", self.remote, reference], self.top).split()
        if not listed:
            return None
        run(["git", "fetch", "--quiet", "--no-tags", self.remote, reference], self.top)
        if run(["git", "rev-parse", "--is-shallow-repository"], self.top).strip() == "true":
            # A pipeline's clone: without the commits between, who made them cannot be seen.
            run(["git", "fetch", "--quiet", "--no-tags", "--unshallow", self.remote], self.top)
        return listed[0]


@dataclass(frozen=True)
class Branch:
    """What became of the branch."""

    name: str
    commit: str | None
    """None where the base holds the change already."""
    moved: bool
    """It got a new commit."""
    files: tuple[str, ...]
    """What differs from the base."""


def _default_branch(top: Path, remote: str | None) -> str:
    if remote is not None:
        said = run(["git", "ls-remote", "--symref", remote, "HEAD"], top)
        match = re.match(r"ref: refs/heads/(\S+)\tHEAD", said)
        if match is not None:
            return match[1]
    current = run(["git", "branch", "--show-current"], top).strip()
    if not current:
        raise UsageError("no branch is checked out", hint="give --base main")
    return current


def proposed(
    repository: Repository,
    files: Sequence[Path],
    name: str,
    title: str,
    change: Callable[[Path], Sequence[Path]],
) -> Branch:
    """Bring a branch to the base with a change, and push it; nothing is ever forced.

    Parameters
    ----------
    files : sequence of Path
        Those that the change reads, below the top.
    name : str
        Of the branch.
    title : str
        First line of the commit's message.
    change : callable
        Changes files below the top that it is given, and returns the paths of those.

    Raises
    ------
    UsageError
        If the branch is no name, is the base, or is checked out here.
    InputFileError
        If the base does not have a file.
    OutputError
        If git fails, or others have committed to the branch.
    """
    top = repository.top
    if not succeeds(["git", "check-ref-format", "--branch", name], top) or name == repository.base:
        raise UsageError(f"{name!r} is no branch for a change", hint="give another --branch")
    base = repository.head(repository.base)
    if base is None:
        raise UsageError(f"there is no branch {repository.base}", hint="give --base")
    head = repository.head(name)
    if head is not None:
        _refuse_others(top, base, head, name)
    with _worktree(top, base) as folder:
        for file in files:
            if not (folder / file).is_file():
                raise InputFileError(
                    f"is not on {repository.base}", path=file, hint="commit it there first"
                )
            below(folder, (folder / file).resolve().as_posix())
        _add(folder, change(folder))
        tree = run(["git", "write-tree"], folder).strip()
        changed = run(["git", "diff", "--cached", "--name-only", "-z", base], folder)
    names = tuple(one for one in changed.split("\0") if one)
    if not names:
        return Branch(name, None, moved=False, files=())
    commit = _commit(top, tree, base, head, title)
    if commit != head:
        _publish(repository, name, commit, head)
    return Branch(name, commit, moved=commit != head, files=names)


@contextlib.contextmanager
def _worktree(top: Path, commit: str) -> Iterator[Path]:
    with scratch_folder() as place:
        folder = place / "base"
        run(["git", "worktree", "add", "--quiet", "--detach", folder, commit], top)
        try:
            yield folder
        finally:
            run(["git", "worktree", "remove", "--force", folder], top)


def _add(folder: Path, paths: Sequence[Path]) -> None:
    names = [str(path.resolve().relative_to(folder.resolve())) for path in paths]
    if names:
        run(["git", "add", "--force", "--", *names], folder)


def _refuse_others(top: Path, base: str, head: str, name: str) -> None:
    form = ["--invert-grep", "--fixed-strings", f"--grep={TRAILER}", "--format=%h %s"]
    others = run(["git", "log", *form, f"{base}..{head}"], top).splitlines()
    if others:
        raise OutputError(
            f"branch {name} has {len(others)} commits of others ({others[0]}): it is left alone",
            hint="merge or close what it is for, or give another --branch",
        )


def _commit(top: Path, tree: str, base: str, head: str | None, title: str) -> str:
    """The branch's head where it holds this already, else a new commit."""
    if head is None:
        parents = [base]
    elif succeeds(["git", "merge-base", "--is-ancestor", base, head], top):
        if run(["git", "rev-parse", f"{head}^{{tree}}"], top).strip() == tree:
            return head
        parents = [head]
    elif succeeds(["git", "merge-base", "--is-ancestor", head, base], top):
        parents = [base]
    else:
        parents = [head, base]
    words = [word for parent in parents for word in ("-p", parent)]
    message = f"{title}\n\n{TRAILER}\n"
    author = [] if succeeds(["git", "var", "GIT_COMMITTER_IDENT"], top) else _AUTHOR
    commit = ["git", *author, "commit-tree", tree, *words, "-F", "-"]
    return run(commit, top, given=message).strip()


def _publish(repository: Repository, name: str, commit: str, head: str | None) -> None:
    reference = f"refs/heads/{name}"
    if repository.remote is not None:
        target = f"{commit}:{reference}"
        run(["git", "push", "--quiet", repository.remote, target], repository.top)
        return
    current = run(["git", "branch", "--show-current"], repository.top).strip()
    if current == name:
        raise UsageError(f"branch {name} is checked out here", hint="check out another one first")
    run(["git", "update-ref", reference, commit, head or "0" * len(commit)], repository.top)
