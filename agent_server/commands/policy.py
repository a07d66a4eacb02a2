"""`vouch policy`: check a policy file, show it, and compare its decisions with those of the current policy."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import Connection

from agent_server.commands.ages import days_ago, parse_days
from agent_server.commands.client import command_channel, print_error
from agent_server.commands.policy_report import figures, render_page, write_page
from agent_server.decisions.comparison import Comparison, ScoredOrder, compare
from agent_server.decisions.completion import counts_from_proto, with_completed
from agent_server.decisions.policy import Policy
from agent_server.feedback.labels import known_labels
from agent_server.ledger import LedgerError, reading
from agent_server.ledger.chain import Kind
from agent_server.ledger.queries import DECIDED
from agent_server.ledger.records import answer_of, order_of
from agent_server.ledger.schema import ENTRIES
from agent_server.policies.current import current_policy
from agent_server.policies.document import read_policy
from agent_server.policies.yaml_reader import PolicyError
from agent_server.settings import AgentSettings, policy_of
from contract.fields import short_names
from contract.messages import messages
from contract.prices import Prices
from enrichment.rate_files import read_money
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import scoring_service_pb2 as scoring
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from runtime.access.loopback import require_encryption
from runtime.extras import needs_extra
from runtime.process.command_line import NEGATIVE, NOT_NOW, OK, CommandParser
from runtime.process.commands import command
from runtime.process.output import print_json
from runtime.process.terminal import escape_unprintable

_AT_ONCE = 512
_SECONDS = 60.0
_DECISIONS = short_names(pb.Decision.DESCRIPTOR)
_EFFECTS = {number: name for name, number in short_names(pb.RuleEffect.DESCRIPTOR).items()}


class DatasetError(Exception):
    """The file of orders cannot be read. The message says why."""


def parser() -> CommandParser:
    """Return the parser of the command line."""
    result = CommandParser(
        prog="vouch policy",
        description="Check, show and test policies.",
        examples=(
            "vouch policy check policy.yaml",
            "vouch policy show",
            "vouch policy test policy.yaml --ledger --since 7d",
        ),
    )
    actions = result.add_subparsers(dest="action", required=True)
    unavailable = {NEGATIVE: "there are no orders to test it on", NOT_NOW: "the scorer is unavailable; try again"}
    for action, text, examples, codes in (
        (
            "check",
            "check that the policy is valid; errors name line and column",
            ("vouch policy check policy.yaml", "vouch policy check policy.yaml --json"),
            {NEGATIVE: "the policy is invalid"},
        ),
        (
            "show",
            "show thresholds and rules as they are read; without a file, of the current policy",
            ("vouch policy show", "vouch policy show policy.yaml --json"),
            {},
        ),
        (
            "test",
            "compare its decisions with those of the current policy",
            (
                "vouch policy test policy.yaml --dataset orders.csv",
                "vouch policy test policy.yaml --ledger --since 7d --html report.html",
            ),
            unavailable,
        ),
    ):
        sub = actions.add_parser(action, help=text, examples=examples, codes=codes)
        sub.add_json_option()
        sub.add_argument("file", type=Path, nargs="?" if action == "show" else None, help="policy file, YAML")
        if action == "test":
            source = sub.add_mutually_exclusive_group(required=True)
            source.add_argument("--dataset", type=Path, help="orders, with or without labels; needs a running scorer")
            source.add_argument(
                "--ledger", action="store_true", help="orders of the ledger, with their recorded scores"
            )
            sub.add_argument(
                "--html", type=Path, metavar="FILE", help="also write the result as an HTML page with charts"
            )
            sub.add_argument("--since", type=parse_days, metavar="7d", help="only orders decided since (with --ledger)")
    return result


@command("vouch policy", PolicyError, LedgerError, DatasetError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    settings = AgentSettings.read()
    if options.action == "check":
        return _check(options, settings)
    if options.file is None:
        policy = current_policy(settings.policy, policy_of(settings)).policy
    else:
        policy, _ = read_policy(options.file, policy_of(settings))
    if options.action == "show":
        if options.json:
            print_json(_as_json(policy))
        else:
            _print_policy(policy)
        return OK
    today = current_policy(settings.policy, policy_of(settings)).policy
    orders = _from_ledger(settings, options.since) if options.ledger else _from_dataset(settings, options.dataset)
    try:
        comparison = compare(today, policy, orders, Prices())
    except grpc.RpcError as error:
        unreachable = f"scorer at {settings.scorer} cannot be reached (VOUCH_AGENT_SCORER)"
        return print_error("vouch policy", error, unreachable)
    if not comparison.orders:
        print("no orders to test the policy on")
        return NEGATIVE
    if options.json:
        print_json(_comparison_as_json(comparison))
    else:
        _print_comparison(comparison)
    if options.html is not None:
        try:
            write_page(options.html, render_page(comparison, today, policy, Prices()))
        except OSError as error:
            raise PolicyError(options.html, f"page cannot be written: {error.strerror}") from error
    return OK


def _check(options: argparse.Namespace, settings: AgentSettings) -> int:
    """Say whether a policy file is valid. A file that cannot be read at all raises PolicyError."""
    if not options.file.is_file():
        raise PolicyError(options.file, "there is no such file")
    try:
        policy, _ = read_policy(options.file, policy_of(settings))
    except PolicyError as error:
        if options.json:
            print_json({"ok": False, "file": str(options.file), "problem": str(error)})
        else:
            print(escape_unprintable(f"vouch policy: {error}"), file=sys.stderr)
        return NEGATIVE
    rules = len(policy.rules.rules) if policy.rules else 0
    if options.json:
        print_json({"ok": True, "file": str(options.file), **_as_json(policy)})
    else:
        counted = f"{rules} rule{'' if rules == 1 else 's'}"
        print(escape_unprintable(f"{options.file}: ok, {counted}, {policy.version}, digest {policy.digest}"))
    return OK


def _as_json(policy: Policy) -> dict[str, Any]:
    return {
        "version": policy.version,
        "digest": policy.digest,
        "approve_from": policy.approve_from,
        "deny_up_to": policy.deny_up_to,
        "minimum_evidence": policy.minimum_evidence,
        "unscored": str(policy.unscored),
        "rules": [
            {
                "name": rule.name,
                "effect": _EFFECTS[rule.effect],
                "shadow": rule.shadow,
                "condition": rule.condition.text,
                "reason": rule.reason,
            }
            for rule in (policy.rules.rules if policy.rules else ())
        ],
    }


def _comparison_as_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "orders": comparison.orders,
        "labelled": comparison.labelled,
        "days": comparison.days,
        "moves": {
            word: {other: comparison.moves[decision, then] for other, then in _DECISIONS.items()}  # type: ignore[index]
            for word, decision in _DECISIONS.items()
        },
        "figures": {name: {"current": now, "tested": then} for name, now, then in figures(comparison)},
        "rules": dict(comparison.then.rules),
        "failed_rules": dict(comparison.then.failed),
    }


def _print_policy(policy: Policy) -> None:
    print(f"approve from {policy.approve_from:g}, deny up to {policy.deny_up_to:g}, ", end="")
    print(f"{policy.minimum_evidence} informative fields needed, unscored: {policy.unscored}")
    for rule in policy.rules.rules if policy.rules else ():
        how = [_EFFECTS[rule.effect]] + (["shadow"] if rule.shadow else [])
        print(escape_unprintable(f"{rule.name} ({', '.join(how)}): {' '.join(rule.condition.text.split())}"))
        print(escape_unprintable(f"    {rule.reason}"))
    print(f"digest {policy.digest}")


def _from_ledger(settings: AgentSettings, since: int | None) -> Iterator[ScoredOrder]:
    """Yield the decisions that no reviewer made, with their predictions and the labels of their orders."""
    with reading(settings.ledger_url) as connection:
        truth = _known_labels(connection)
        after, latest = 0, days_ago(since) if since is not None else 0
        chosen = DECIDED.where(ENTRIES.c.kind == int(Kind.DECISION), ENTRIES.c.at >= latest)
        while rows := connection.execute(
            chosen.where(ENTRIES.c.sequence > after).order_by(ENTRIES.c.sequence).limit(_AT_ONCE)
        ).all():  # fmt: skip
            for row in rows:
                answer = answer_of(row)
                if answer.decision_maker == pb.DECISION_MAKER_HUMAN:
                    continue  # the earlier decision on the order is the policy's
                prediction = answer.ml_prediction if answer.HasField("ml_prediction") else None
                order = with_completed(order_of(row), answer.completed_fields)
                counts = counts_from_proto(answer.history_counts)
                yield ScoredOrder(order, prediction, row.at, truth.get(row.transaction_id), counts)
            after = rows[-1].sequence


def _known_labels(connection: Connection) -> dict[str, bool]:
    """Return whether an order was abuse, by transaction id, for labelled orders."""
    return {label.transaction_id: label.is_abuse for label in known_labels()(connection)}


def _from_dataset(settings: AgentSettings, path: Path) -> Iterator[ScoredOrder]:
    """Yield the orders of a file, scored by the running scorer; the time of each decision is that of the order."""
    money = read_money(settings.base_currency, settings.exchange_rates)
    metadata = (("x-api-key", settings.scorer_key),) if settings.scorer_key else None
    if metadata:
        advice = "set VOUCH_AGENT_SCORER_TLS_CA"
        require_encryption(settings.scorer, encrypted=settings.scorer_tls is not None, advice=advice)
    with command_channel(settings.scorer, settings.scorer_tls) as channel:
        stub = ScoringServiceStub(channel)
        for batch in _read_batches(path):
            for start in range(0, batch.num_rows, _AT_ONCE):
                rows = batch.slice(start, _AT_ONCE)
                orders = [money.with_rate(order) for order in messages(rows)]
                labels = rows["is_abuse"].to_pylist() if "is_abuse" in rows.schema.names else [None] * len(orders)
                request = scoring.PredictBatchRequest(
                    transactions=orders,
                    explain_level=scoring.EXPLAIN_LEVEL_NONE,
                    error_policy=scoring.BATCH_ERROR_POLICY_FAIL_ITEM,
                )
                answer = stub.PredictBatch(request, timeout=_SECONDS, metadata=metadata)
                for order, label, result in zip(orders, labels, answer.results, strict=True):
                    if result.WhichOneof("outcome") == "prediction":
                        yield ScoredOrder(order, result.prediction, order.timestamp.ToMicroseconds(), label)


def _read_batches(path: Path) -> Iterator[Any]:
    """Yield the record batches of a file. Raises DatasetError, and MissingExtra without Arrow."""
    with needs_extra("vouch policy test --dataset", "tables"):
        from contract.tables import TableError, read_batches
    try:
        yield from read_batches(path)
    except TableError as error:
        raise DatasetError(str(error)) from error


def _print_comparison(comparison: Comparison) -> None:
    console = Console(highlight=False)
    days = f"{comparison.days:,.0f}"
    console.print(f"{_orders(comparison.orders)} over {days} day{'' if days == '1' else 's'}, ", end="")
    console.print(f"{comparison.labelled:,} of them labelled")
    moves = Table(title="orders by decision: current policy in rows, tested policy in columns")
    for title in ("", *_DECISIONS):
        moves.add_column(title, justify="right")
    for word, decision in _DECISIONS.items():
        counts = (comparison.moves[decision, other] for other in _DECISIONS.values())  # type: ignore[index]
        moves.add_row(word, *(f"{count:,}" for count in counts))
    console.print(moves)
    table = Table()
    for title in ("", "current", "tested"):
        table.add_column(title, justify="right")
    for title, *values in figures(comparison):
        table.add_row(title, *(f"{value:,.0f}" for value in values))
    console.print(table)
    for name, count in comparison.then.rules.most_common():
        console.print(escape_unprintable(f"{name}: {_orders(count)}"), markup=False)
    for name, count in comparison.then.failed.most_common():
        console.print(
            escape_unprintable(f"{name}: could not be evaluated for {_orders(count)}, and did not match"), markup=False
        )


def _orders(count: int) -> str:
    return f"{count:,} order{'' if count == 1 else 's'}"
