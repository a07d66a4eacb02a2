"""`vouch policy`: check a policy before it serves, show what it says, and find out what it would have done."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import pyarrow as pa
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import Connection

from agent_server.commands.ages import age, long_ago
from agent_server.commands.client import command_channel, tell
from agent_server.commands.policy_report import figures_of, page, write_page
from agent_server.decisions.comparing import Comparison, Judged, compare
from agent_server.decisions.policy import Policy
from agent_server.feedback.labels import known_labels
from agent_server.ledger import LedgerError, reading
from agent_server.ledger.chain import Kind
from agent_server.ledger.queries import DECIDED
from agent_server.ledger.records import answer_of, order_of
from agent_server.ledger.schema import ENTRIES
from agent_server.policies.current import current_policy
from agent_server.policies.document import read_policy
from agent_server.policies.nodes import PolicyError
from agent_server.settings import AgentSettings, policy_of
from contract.fields import short_names
from contract.messages import messages
from contract.prices import Prices
from contract.tables import TableError, read_batches
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import scoring_service_pb2 as scoring
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from runtime.access.loopback import require_encryption
from runtime.process.commands import command
from runtime.process.terminal import plain

_AT_ONCE = 512
_SECONDS = 60.0
_DECISIONS = short_names(pb.Decision.DESCRIPTOR)
_EFFECTS = {number: name for name, number in short_names(pb.RuleEffect.DESCRIPTOR).items()}


def parser() -> argparse.ArgumentParser:
    """The actions and their options."""
    result = argparse.ArgumentParser(prog="vouch policy", description="Policies.")
    actions = result.add_subparsers(dest="action", required=True)
    for action, text in (
        ("check", "whether it can serve; else what is wrong, with line and column"),
        ("show", "thresholds, rules and lists as they are read"),
        ("test", "what it would have done, beside the policy of today"),
    ):
        sub = actions.add_parser(action, help=text)
        sub.add_argument("file", type=Path, nargs="?" if action == "show" else None, help="the policy, YAML")
        if action == "test":
            source = sub.add_mutually_exclusive_group(required=True)
            source.add_argument("--dataset", type=Path, help="orders, with labels if there are; the scorer has to run")
            source.add_argument("--ledger", action="store_true", help="the orders of the ledger, with their scores")
            sub.add_argument("--html", type=Path, metavar="FILE", help="write it as a page with pictures too")
            sub.add_argument("--since", type=age, metavar="7d", help="only orders decided since (with --ledger)")
    return result


@command("vouch policy", PolicyError, LedgerError, TableError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 done, 1 the scorer is away or there are no orders, 2 the policy is broken."""
    options = parser().parse_args(arguments)
    settings = AgentSettings.read()
    if options.file is None:
        policy = current_policy(settings.policy, policy_of(settings)).policy
    else:
        policy, _ = read_policy(options.file, policy_of(settings))
    if options.action == "check":
        print(plain(f"{options.file}: {policy.version}, digest {policy.digest}"))
        return 0
    if options.action == "show":
        _show(policy)
        return 0
    today = current_policy(settings.policy, policy_of(settings)).policy
    orders = _from_ledger(settings, options.since) if options.ledger else _from_dataset(settings, options.dataset)
    try:
        comparison = compare(today, policy, orders, Prices())
    except grpc.RpcError as error:
        tell("vouch policy", error, f"the scorer at {settings.scorer} cannot be reached (VOUCH_AGENT_SCORER)")
        return 1
    if not comparison.orders:
        print("there are no orders to test it on")
        return 1
    _tell(comparison)
    if options.html is not None:
        try:
            write_page(options.html, page(comparison, today, policy, Prices()))
        except OSError as error:
            raise PolicyError(options.html, f"the page cannot be written: {error.strerror}") from error
    return 0


def _show(policy: Policy) -> None:
    print(f"approve from {policy.approve_from:g}, deny up to {policy.deny_up_to:g}, ", end="")
    print(f"{policy.minimum_evidence} informative fields needed, unscored: {policy.unscored}")
    for rule in policy.rules.rules if policy.rules else ():
        how = [_EFFECTS[rule.effect]] + (["shadow"] if rule.shadow else [])
        print(plain(f"{rule.name} ({', '.join(how)}): {' '.join(rule.condition.text.split())}"))
        print(plain(f"    {rule.reason}"))
    print(f"digest {policy.digest}")


def _from_ledger(settings: AgentSettings, since: int | None) -> Iterator[Judged]:
    """Decisions that no person made, with the score they rested on and what is known of their orders since."""
    with reading(settings.ledger_url) as connection:
        truth = _truth(connection)
        after, latest = 0, long_ago(since) if since is not None else 0
        chosen = DECIDED.where(ENTRIES.c.kind == int(Kind.DECISION), ENTRIES.c.at >= latest)
        while rows := connection.execute(
            chosen.where(ENTRIES.c.sequence > after).order_by(ENTRIES.c.sequence).limit(_AT_ONCE)
        ).all():  # fmt: skip
            for row in rows:
                answer = answer_of(row)
                if answer.decision_maker == pb.DECISION_MAKER_HUMAN:
                    continue  # the decision before it is the one that a policy made
                prediction = answer.ml_prediction if answer.HasField("ml_prediction") else None
                yield Judged(order_of(row), prediction, row.at, truth.get(row.transaction_id))
            after = rows[-1].sequence


def _truth(connection: Connection) -> dict[str, bool]:
    """Whether an order was abuse, by its id, where it is known."""
    return {label.transaction_id: label.is_abuse for label in known_labels()(connection)}


def _from_dataset(settings: AgentSettings, path: Path) -> Iterator[Judged]:
    """Orders of a file, scored by the scorer that runs; the moment of each decision is the order's own."""
    metadata = (("x-api-key", settings.scorer_key),) if settings.scorer_key else None
    if metadata:
        advice = "set VOUCH_AGENT_SCORER_TLS_CA"
        require_encryption(settings.scorer, encrypted=settings.scorer_tls is not None, advice=advice)
    with command_channel(settings.scorer, settings.scorer_tls) as channel:
        stub = ScoringServiceStub(channel)
        for batch in read_batches(path):
            table = pa.Table.from_batches([batch])
            for start in range(0, table.num_rows, _AT_ONCE):
                rows = table.slice(start, _AT_ONCE)
                orders = list(messages(rows))
                labels = rows["is_abuse"].to_pylist() if "is_abuse" in rows.column_names else [None] * len(orders)
                request = scoring.PredictBatchRequest(
                    transactions=orders,
                    explain_level=scoring.EXPLAIN_LEVEL_NONE,
                    error_policy=scoring.BATCH_ERROR_POLICY_FAIL_ITEM,
                )
                answer = stub.PredictBatch(request, timeout=_SECONDS, metadata=metadata)
                for order, label, result in zip(orders, labels, answer.results, strict=True):
                    if result.WhichOneof("outcome") == "prediction":
                        yield Judged(order, result.prediction, order.timestamp.ToMicroseconds(), label)


def _tell(comparison: Comparison) -> None:
    console = Console(highlight=False)
    days = f"{comparison.days:,.0f}"
    console.print(f"{_orders(comparison.orders)} over {days} day{'' if days == '1' else 's'}, ", end="")
    console.print(f"of {comparison.labelled:,} it is known what they were")
    moves = Table(title="orders by decision: rows as today, columns as it would be")
    for title in ("", *_DECISIONS):
        moves.add_column(title, justify="right")
    for word, decision in _DECISIONS.items():
        counts = (comparison.moves[decision, other] for other in _DECISIONS.values())  # type: ignore[index]
        moves.add_row(word, *(f"{count:,}" for count in counts))
    console.print(moves)
    table = Table()
    for title in ("", "today", "it would be"):
        table.add_column(title, justify="right")
    for title, *values in figures_of(comparison):
        table.add_row(title, *(f"{value:,.0f}" for value in values))
    console.print(table)
    for name, count in comparison.then.rules.most_common():
        console.print(plain(f"{name}: {_orders(count)}"), markup=False)
    for name, count in comparison.then.failed.most_common():
        console.print(plain(f"{name}: could not be evaluated for {_orders(count)}, and did not match"), markup=False)


def _orders(count: int) -> str:
    return f"{count:,} order{'' if count == 1 else 's'}"
