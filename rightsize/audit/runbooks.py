"""Shell scripts and Markdown runbooks: their commands, and the YAML and Corefiles inside."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from rightsize.audit.model import Command
from rightsize.audit.tree import Place

SHELL_LANGUAGES = frozenset(
    {
        "",
        "text",
        "plaintext",
        "fish",
        "ksh",
        "powershell",
        "sh",
        "bash",
        "shell",
        "console",
        "zsh",
        "terminal",
        "shell-session",
    }
)
YAML_LANGUAGES = frozenset({"yaml", "yml", "json"})
_FENCE = re.compile(
    r"^(?P<indent>[ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)*)(?P<fence>`{3,}|~{3,})\s*(?P<info>[^`]*)$"
)
"""A block may begin right after the marker of a list's item; it never ends so."""
_HEREDOC = re.compile(r"<<(?P<dash>-?)\s*(?P<quote>[\"']?)\\?(?P<word>\w+)(?P=quote)")
_PROGRAMS = ("istioctl", "kubectl", "helm", "aws", "eksctl", "make", "openssl")
_INLINE = re.compile(r"`([^`\n]+)`")
_INDENTED = re.compile(rf"^(?:(?: {{4,}}|\t)(?:[$%] )?|\s*[$%] )(?:{'|'.join(_PROGRAMS)})\s")
"""A code block of Markdown that is indented and not fenced, or a line after a prompt."""
_ADVISES_AGAINST = re.compile(
    r"\b(never|not|no|instead of|removed|gone|wrong|avoid|deprecated)\b|n't\b", re.IGNORECASE
)
"""A sentence that names a command to warn of it."""
_PROMPT = re.compile(r"^\s*(?:[$%]|[\w@.:~-]+[$#])\s+")
_NEW_LINE = "\u2028"
"""Stands for a continued line among the words; shlex takes it for a word."""
_REDIRECTION = re.compile(r"\d?>&\d|&>>?\s*\S+")
_OPERATORS = frozenset({"|", "||", "&&", ";", "&", "|&"})
_NEXT_WORDS = frozenset({"then", "do", "else", "{", "(", "!", "sudo", "time", "exec", "watch"})


@dataclass(frozen=True, slots=True)
class Block:
    """A text inside of a file, with the lines of the file that stand before it."""

    text: str
    line_offset: int
    language: str


@dataclass(frozen=True, slots=True)
class Runbook:
    """A script or a Markdown file, taken apart."""

    commands: tuple[Command, ...]
    blocks: tuple[Block, ...]
    """YAML, JSON and Corefile text: heredocs and code blocks."""
    prose: tuple[tuple[int, str], ...]
    """Lines of text by number."""


def read_shell(text: str, file: str, *, line_offset: int = 0) -> Runbook:
    """Take a shell script apart; comments are no commands, heredocs are blocks."""
    commands: list[Command] = []
    blocks: list[Block] = []
    prose: list[tuple[int, str]] = []
    for number, line, heredoc in _logical_lines(text):
        if line.lstrip().startswith("#"):
            prose.append((number + line_offset, line))
        commands += _commands(line, file, number + line_offset)
        if heredoc is not None:
            blocks.append(Block(heredoc.text, heredoc.line_offset + line_offset, ""))
    return Runbook(tuple(commands), tuple(blocks), tuple(prose))


def read_markdown(text: str, file: str) -> Runbook:
    """Take Markdown apart: fenced blocks by language, commands in `inline code`, prose."""
    commands: list[Command] = []
    blocks: list[Block] = []
    prose: list[tuple[int, str]] = []
    for block in _fenced(text, prose):
        if block.language in SHELL_LANGUAGES and not _looks_like_data(block):
            inner = read_shell(block.text, file, line_offset=block.line_offset)
            commands += inner.commands
            blocks += inner.blocks
            prose += inner.prose
        else:
            blocks.append(block)
    for number, line in prose:
        if _INDENTED.match(line):
            commands += _commands(line.strip(), file, number)
        elif not _ADVISES_AGAINST.search(line):
            for match in _INLINE.finditer(line):
                if match[1].split(" ", 1)[0] in _PROGRAMS:
                    commands += _commands(match[1], file, number)
    return Runbook(tuple(commands), tuple(blocks), tuple(prose))


def _looks_like_data(block: Block) -> bool:
    """A block without a language that holds YAML or a Corefile."""
    if block.language not in ("", "text", "plaintext"):
        return False
    first = next((line for line in block.text.splitlines() if line.strip()), "")
    return bool(re.match(r"^\s*[\w./-]+:(\s*$|\s+\S)", first)) or bool(
        re.match(r"^\S+\s*\{\s*$", first)
    )


def _fenced(text: str, prose: list[tuple[int, str]]) -> Iterator[Block]:
    fence, language, indent, start = "", "", "", 0
    inside: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = _FENCE.match(line)
        if not fence and match:
            fence, start, inside, indent = match["fence"], number, [], match["indent"]
            words = re.split(r"[\s{,]+", match["info"].strip().lower())
            language = words[0] if words else ""
        elif (
            fence
            and match
            and match["fence"].startswith(fence)
            and not match["info"].strip()
            and not match["indent"].strip(" \t>")
        ):
            yield Block("\n".join(inside) + "\n", start, language)
            fence = ""
        elif fence:
            # After a list's marker the lines stand as far in as the fence.
            margin = line[: len(indent)]
            inside.append(line[len(indent) :] if margin == indent or margin.isspace() else line)
        else:
            prose.append((number, line))
    if fence:
        yield Block("\n".join(inside) + "\n", start, language)


def _logical_lines(text: str) -> Iterator[tuple[int, str, Block | None]]:
    """Lines with their continuations, the line they begin on, and their heredoc."""
    lines = text.splitlines()
    index = 0
    while index < len(lines):
        start, line = index, lines[index]
        while _goes_on(line) and index + 1 < len(lines):
            index += 1
            # The break stays as a word, so that a flag is reported at its own line.
            line = f"{line.removesuffix(chr(92))} {_NEW_LINE} {lines[index]}"
        heredoc = None
        opened = None if line.lstrip().startswith("#") else _HEREDOC.search(line)
        if opened:
            body: list[str] = []
            first = index + 1
            index += 1
            while index < len(lines) and lines[index].strip() != opened["word"]:
                body.append(lines[index].lstrip("\t") if opened["dash"] else lines[index])
                index += 1
            heredoc = Block("\n".join(body) + "\n", first, "")
            line = _HEREDOC.sub(" ", line)
        yield start + 1, line, heredoc
        index += 1


def _goes_on(line: str) -> bool:
    """A backslash at the end, or a pipe that waits for its next command."""
    ends = line.rstrip().endswith(("|", "|&", "&&"))
    return line.endswith("\\") or (ends and not line.lstrip().startswith("#"))


def _commands(line: str, file: str, number: int) -> Iterator[Command]:
    """The pipelines of one logical line, each word with its own line."""
    pipeline: list[list[tuple[str, int]]] = []
    stage: list[tuple[str, int]] = []
    here = number
    for word in [*_words(_REDIRECTION.sub(" ", _PROMPT.sub("", line))), ";"]:
        if word == _NEW_LINE:
            here += 1
        elif word in _OPERATORS:
            if stage:
                pipeline.append(stage)
                stage = []
            if word not in ("|", "|&"):
                if pipeline:
                    yield _command(pipeline, file)
                pipeline = []
        elif stage or word not in _NEXT_WORDS:
            stage.append((word, here))


def _command(pipeline: list[list[tuple[str, int]]], file: str) -> Command:
    words = tuple(tuple(word for word, _ in stage) for stage in pipeline)
    lines = tuple(tuple(line for _, line in stage) for stage in pipeline)
    text = " | ".join(" ".join(stage) for stage in words)
    place = Place(file, lines[0][0], 1, " ".join(words[0][:3]), "command")
    return Command(place, text, words, lines)


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    try:
        return list(lexer)
    except ValueError:
        return re.split(r"\s+", line.strip())
