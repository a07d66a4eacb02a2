"""What all commands share: examples, nearest matches, shared options, exit codes, colours, completion."""

import contextlib
import datetime as dt
import importlib
import io
import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest
import structlog
from honcho.printer import Message

import vouch
from agent_server.ledger import open_engine
from runtime.process.command_line import EXIT_CODES, CommandParser
from runtime.settings import PORT_BASE
from runtime.telemetry import logging
from stack.up import make_printer
from testing.commands import colours_in, parsers
from testing.ledger.templates import new_ledger
from testing.servers.processes import ROOT, call

ALL = list(parsers())
EXAMPLES = [example for parser in ALL for example in parser.examples]
_ELSEWHERE = {"up", "serve", "demo", "load", "review-zone", "conformance", "train", "evaluate", "cases", "reviewers"}
"""Commands whose examples are only parsed: they start or need services, or fit a model."""


def arguments_of(example: str) -> tuple[str, list[str]]:
    """Return the command and the arguments of an example, without a redirection of its output."""
    first, command, *rest = shlex.split(example.partition(" > ")[0])
    assert first == "vouch"
    return command, rest


@pytest.mark.parametrize("parser", ALL, ids=lambda parser: parser.prog)
def test_every_help_has_examples_that_parse(parser: CommandParser) -> None:
    """The help of each command and action shows examples of itself, each of which the command's own parser accepts."""
    assert parser.examples and parser.prog in parser.format_help()
    for example in parser.examples:
        assert example.startswith(parser.prog) and f"\n  {example}\n" in parser.format_help()
        command, rest = arguments_of(example)
        importlib.import_module(vouch.COMMANDS[command][0]).parser().parse_args(rest)


def test_every_argument_is_explained() -> None:
    """Each argument of each command has a text, and each action a description."""
    for parser in ALL:
        assert parser.description
        assert not [action.dest for action in parser._actions if not action.help and action.choices is None], (
            parser.prog
        )


@pytest.fixture
def shop(few: Path, small_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter a folder with the files that the examples name."""
    for name in ("orders.csv", "shop.csv"):
        shutil.copy(few, tmp_path / name)
    shutil.copytree(small_models / "tables", tmp_path / "models", symlinks=True)
    first = tmp_path / "models" / "first"
    for name in ("20250301-100000", "20250401-100000"):
        first.with_name(name).symlink_to("first")
    first.with_name("challenger").symlink_to("first")
    (tmp_path / "policy.yaml").write_text("thresholds: {approve: 0.8, deny: 0.3}\n")
    (tmp_path / "mapping.yaml").write_text("columns: {timestamp: timestamp, order_amount: order_amount}\n")
    new_ledger(tmp_path / "vouch_ledger.db")
    monkeypatch.setenv("VOUCH_AGENT_LEDGER_URL", f"sqlite:///{tmp_path / 'vouch_ledger.db'}")
    monkeypatch.setenv(PORT_BASE, "1")
    monkeypatch.delenv(PORT_BASE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_cheap_examples_run(shop: Path) -> None:
    """In a shop's folder the examples run one after another; each ends with a code that its help states."""
    failed = []
    for example in EXAMPLES:
        command, rest = arguments_of(example)
        if command in _ELSEWHERE or "--stream" in rest or "--dataset" in rest:
            continue
        done = call(command, *rest)
        owner = max((parser for parser in ALL if example.startswith(parser.prog)), key=lambda parser: len(parser.prog))
        assert done.returncode in {code for code, _ in owner.exit_codes()}, (example, done.returncode, done.stderr)
        if "--json" in rest and done.returncode != 2:
            json.loads(done.stdout)
        if done.returncode:
            failed.append(example)
    assert len(failed) < len(EXAMPLES) / 4, failed


def test_the_list_of_commands_needs_no_library() -> None:
    """`vouch --help` loads only the standard library and our modules for command lines, so that it starts quickly."""
    code = "import sys, vouch; sys.argv = ['vouch', '--help']; vouch.main(); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert loaded - sys.stdlib_module_names - {"__main__", "sitecustomize"} == {"vouch", "runtime"}
    assert len(done.stderr.split()) < 150


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("score orders.csv --outptu x.csv", "vouch score: unrecognized arguments: --outptu; did you mean --output?"),
        ("ledger backup x --fource", "vouch ledger backup: unrecognized arguments: --fource; did you mean --force?"),
        ("models compar a b", "did you mean compare?"),
        ("config agnet", "did you mean agent?"),
        ("cases list --status opne", "did you mean open?"),
        ("train --form tabels", "did you mean tables?"),
        ("validate orders.csv --zzzzzz", "vouch validate: unrecognized arguments: --zzzzzz (`vouch validate --help`)"),
        ("score --out x.csv orders.csv", "unrecognized arguments: --out"),
        ("up --replicas 99", "vouch up: --replicas must be from 1 to 8, not 99"),
        ("up --port-base 70000", "--port-base: must be a port from 1 to 65455, not '70000'"),
    ],
)
def test_a_misspelt_name_gets_the_nearest(line: str, wanted: str) -> None:
    """Options, actions and values: exit code 2 and one line with the nearest name; no option is abbreviated."""
    command, *rest = shlex.split(line)
    error = io.StringIO()
    with contextlib.redirect_stderr(error), pytest.raises(SystemExit) as caught:
        importlib.import_module(vouch.COMMANDS[command][0]).main(rest)
    assert caught.value.code == 2 and error.getvalue().count("\n") == 1
    assert wanted in error.getvalue()


def test_what_lists_or_checks_has_json() -> None:
    """Every command and action that lists, shows, checks or measures has `--json`."""
    words = {"list", "show", "find", "status", "verify", "compare", "config", "validate", "evaluate", "reviewers"}
    words |= {"check", "test", "watch", "next"}
    for parser in ALL:
        if parser.prog.rpartition(" ")[2] in words and parser.prog != "vouch ledger check":
            assert "--json" in parser._option_string_actions, parser.prog


def test_options_are_accepted_before_and_after_the_action() -> None:
    """An option of a command has the same value on both sides of the action's name, and keeps its default without."""
    ledger = importlib.import_module(vouch.COMMANDS["ledger"][0]).parser()
    for arguments in (["--ledger", "sqlite:///x", "check"], ["check", "--ledger", "sqlite:///x"]):
        assert ledger.parse_args(arguments).ledger == "sqlite:///x"
    models = importlib.import_module(vouch.COMMANDS["models"][0]).parser()
    assert (models.parse_args(["--json", "list"]).json, models.parse_args(["list"]).json) == (True, False)


def test_exit_codes_are_in_the_table() -> None:
    """Every code that a help explains is in the table of codes, which `vouch --help` and the reference page show."""
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in page and f"  {code:3}  {meaning}" in vouch.usage()
    assert {code for parser in ALL for code in parser.codes} <= EXIT_CODES.keys()


def test_a_damaged_ledger_is_a_negative_result(tmp_path: Path) -> None:
    """`vouch ledger check` ends with 0 for a ledger that is intact, 1 for a damaged one, 2 for no ledger."""
    url = new_ledger(tmp_path / "ledger.db")
    assert call("ledger", "check", "--ledger", url).returncode == 0
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE head SET sequence = 7")
    engine.dispose()
    damaged = call("ledger", "check", "--ledger", url)
    assert (damaged.returncode, "damaged" in damaged.stderr) == (1, True)
    assert call("ledger", "check", "--ledger", "nonsense").returncode == 2


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_are_for_terminals(variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log lines and the names of services are coloured on a terminal, but not with NO_COLOR, and never in a pipe."""
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with terminal() as (stream, read):
        monkeypatch.setattr(sys, "stderr", stream)
        for write in (print_service_line, print_log_line):
            write(stream)
            assert bool(colours_in(read())) == coloured, write
    piped = io.StringIO()
    monkeypatch.setattr(sys, "stderr", piped)
    for write in (print_service_line, print_log_line):
        write(piped)
    assert piped.getvalue().count("listening") == 2 and not colours_in(piped.getvalue())


def print_service_line(stream: TextIO) -> None:
    """Print a service's line as `vouch up` does."""
    make_printer(stream).write(Message("line", "listening", dt.datetime.now(), "agent", "32"))


def print_log_line(stream: TextIO) -> None:
    """Print a log line as a server with this standard error does."""
    before = structlog.get_config()
    try:
        logging.configure("test")
        logging.get_logger().bind().info("listening")
    finally:
        structlog.configure(**before)


@contextlib.contextmanager
def terminal() -> Iterator[tuple[TextIO, Callable[[], str]]]:
    """Yield a stream that is a terminal, and a function that returns what was printed there."""
    leading, following = pty.openpty()
    stream = os.fdopen(following, "w")

    def read() -> str:
        stream.flush()
        return os.read(leading, 65_536).decode()

    try:
        yield stream, read
    finally:
        stream.close()
        os.close(leading)


def test_bash_completes(tmp_path: Path) -> None:
    """The script for bash completes commands, actions, options and their values, and files where a file is expected."""
    script, orders = tmp_path / "vouch.bash", tmp_path / "orders.csv"
    script.write_text(call("completion", "bash").stdout)
    orders.touch()
    typed = {
        "vouch sta": ["status"],
        "vouch models com": ["compare"],
        "vouch cases list --st": ["--status"],
        "vouch cases list --status o": ["open"],
        "vouch train --form t": ["tables", "trees"],
        "vouch policy test --data": ["--dataset"],
        "vouch validate ord": ["orders.csv"],
    }
    lines = [f"source {script}", f"cd {tmp_path}"]
    for text in typed:
        words = text.split(" ")
        lines += [
            f"COMP_WORDS=({' '.join(words)}) COMP_CWORD={len(words) - 1} COMPREPLY=()",
            f'_shtab_vouch vouch "{words[-1]}" "{words[-2]}"',
            'echo "${COMPREPLY[*]}"',
        ]
    done = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert [sorted(line.split()) for line in done.stdout.splitlines()] == list(typed.values()), done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish", "tcsh"])
def test_other_shells_get_a_script_with_every_command(shell: str) -> None:
    """The scripts for other shells name every command."""
    script = call("completion", shell).stdout
    assert all(name in script for name in vouch.COMMANDS)
