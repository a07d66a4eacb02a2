"""`vouch cases`: work on cases in a terminal. The reviewer is the name of the key in VOUCH_CLIENT_API_KEY."""

import argparse
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from agent_server.commands.client import CallMethod, open_client, print_error
from contract.abuse_types import ABUSE_TYPES
from contract.fields import short_names
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from runtime.process.command_line import NEGATIVE, NOT_NOW, OK, CommandParser
from runtime.process.commands import command
from runtime.process.output import print_json, print_json_line, to_dict, to_dicts
from runtime.process.terminal import escape_unprintable

_STATUSES = short_names(cases.CaseStatus.DESCRIPTOR)
_ORDERS = short_names(cases.CaseOrder.DESCRIPTOR)
_WORK_FIRST = (cases.CASE_STATUS_OPEN, cases.CASE_STATUS_CLAIMED, cases.CASE_STATUS_RESOLVED)
_MAX_LISTED = 1000
_VERDICTS = {name: number for name, number in short_names(pb.Decision.DESCRIPTOR).items() if name != "review"}


_CODES = {NEGATIVE: "the agent refused the call", NOT_NOW: "the agent is unavailable; try again"}


def parser() -> CommandParser:
    """Return the parser of the command line."""
    result = CommandParser(
        prog="vouch cases",
        description="Work on cases. The reviewer is the name of the key in VOUCH_CLIENT_API_KEY.",
        examples=(
            "vouch cases list --status open",
            "vouch cases next",
            "vouch cases resolve case-1 deny --token 1 --abuse-type payment_fraud",
            "vouch cases list --json",
        ),
        codes=_CODES,
    )
    result.add_json_option()
    actions = result.add_subparsers(dest="action", required=True)
    listed = actions.add_parser(
        "list",
        help="list cases: open ones first, by urgency",
        examples=("vouch cases list --status open --most 50", "vouch cases list --order newest --json"),
        codes=_CODES,
    )
    listed.add_argument("--status", choices=sorted(_STATUSES), help="only cases in this state")
    listed.add_argument("--order", choices=sorted(_ORDERS), default="priority", help="sort order (default: priority)")
    listed.add_argument("--most", type=int, default=20, metavar="N", help="maximum number of cases (default: 20)")
    actions.add_parser("next", help="claim the most urgent case", examples=("vouch cases next",), codes=_CODES)
    watched = actions.add_parser(
        "watch",
        help="print changes of cases until interrupted; with --json one line of JSON for each",
        examples=("vouch cases watch", "vouch cases watch --cursor 120 --json"),
        codes=_CODES,
    )
    watched.add_argument("--cursor", type=int, default=0, metavar="N", help="start after this change (default: now)")
    for action, text, example in (
        ("show", "show a case with its decision and events", "case-1"),
        ("claim", "claim a case; the lease is ten minutes by default", "case-1"),
        ("renew", "renew the lease of a claim", "case-1 --token 1"),
        ("release", "release a claimed case", "case-1 --token 1"),
        ("resolve", "resolve a case with a verdict", "case-1 approve --token 1 --note 'called the customer'"),
        ("comment", "comment on a case", "case-1 'waiting for the customer'"),
    ):
        sub = actions.add_parser(action, help=text, examples=(f"vouch cases {action} {example}",), codes=_CODES)
        sub.add_argument("case_id", help="id of the case")
        if action == "resolve":
            sub.add_argument("verdict", choices=sorted(_VERDICTS), help="your decision")
            sub.add_argument("--abuse-type", choices=ABUSE_TYPES, default="", help="kind of abuse, if you know it")
            sub.add_argument("--reason-code", default="", help="your own code: a to z, digits, _")
            sub.add_argument("--note", default="", help="note for colleagues")
        if action == "comment":
            sub.add_argument("text", help="the comment")
        if action in ("renew", "release", "resolve"):
            sub.add_argument(
                "--token", type=int, required=True, help="token that was printed when the case was claimed"
            )
    return result


@command("vouch cases")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    with open_client(CaseServiceStub) as call:
        try:
            _ACTIONS[options.action](options, call)
        except grpc.RpcError as error:
            return print_error("vouch cases", error)
    return OK


def _list(options: argparse.Namespace, call: CallMethod) -> None:
    left, found = max(1, min(options.most, _MAX_LISTED)), list[cases.Case]()
    for status in _statuses(options):
        request = cases.ListCasesRequest(
            status=status,  # type: ignore[arg-type]
            order=_ORDERS[options.order],  # type: ignore[arg-type]
            page_size=left,
        )
        page = call("ListCases", request).cases
        found += page
        left -= len(page)
        if not left:
            break
    if options.json:
        print_json(to_dicts(found))
    for case in () if options.json else found:
        print(_line(case))


def _statuses(options: argparse.Namespace) -> Sequence[int]:
    """Return the states to list, in order. Sorted by priority alone, old resolved cases would come first."""
    if options.status:
        return (_STATUSES[options.status],)
    if _ORDERS[options.order] == cases.CASE_ORDER_PRIORITY:
        return _WORK_FIRST
    return (cases.CASE_STATUS_UNSPECIFIED,)


def _show(options: argparse.Namespace, call: CallMethod) -> None:
    whole = call("GetCase", cases.GetCaseRequest(case_id=options.case_id))
    if options.json:
        print_json(to_dict(whole))
        return
    print(_line(whole.case))
    print(escape_unprintable(whole.review.reasoning))
    for reason in whole.review.reasons:
        print(escape_unprintable(f"  {reason.contribution:+.2f}  {reason.sentence}"))
    for counterfactual in whole.review.agent_analysis.counterfactuals:
        print(escape_unprintable(f"  {counterfactual.sentence}"))
    for event in whole.events:
        kind = cases.CaseEventKind.Name(event.kind).removeprefix("CASE_EVENT_KIND_").lower()
        print(escape_unprintable(f"{event.at.ToJsonString()}  {kind} {event.actor} {event.text}".rstrip()))


def _watch(options: argparse.Namespace, call: CallMethod) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        for change in call("WatchCases", cases.WatchCasesRequest(cursor=options.cursor)):
            if options.json:
                print_json_line(to_dict(change))
            elif change.HasField("case"):
                kind = cases.CaseEventKind.Name(change.kind).removeprefix("CASE_EVENT_KIND_").lower()
                print(f"{change.cursor}  {kind:9} {_line(change.case)}", flush=True)


def _claim(options: argparse.Namespace, call: CallMethod) -> None:
    if options.action == "next":
        answer = call("ClaimNext", cases.ClaimNextRequest())
    else:
        answer = call("ClaimCase", cases.ClaimCaseRequest(case_id=options.case_id))
    if options.json:
        print_json(to_dict(answer))
        return
    if not answer.HasField("case"):
        print("no open case")
        return
    print(f"{_line(answer.case)}\nyours until {answer.case.claimed_until.ToJsonString()}, token {answer.token}")


def _renew(options: argparse.Namespace, call: CallMethod) -> None:
    answer = call("RenewClaim", cases.RenewClaimRequest(case_id=options.case_id, token=options.token))
    if options.json:
        print_json(to_dict(answer))
        return
    print(f"yours until {answer.case.claimed_until.ToJsonString()}")


def _release(options: argparse.Namespace, call: CallMethod) -> None:
    _print(options, call("ReleaseCase", cases.ReleaseCaseRequest(case_id=options.case_id, token=options.token)))


def _resolve(options: argparse.Namespace, call: CallMethod) -> None:
    request = cases.ResolveCaseRequest(
        case_id=options.case_id,
        token=options.token,
        verdict=_VERDICTS[options.verdict],  # type: ignore[arg-type]
        abuse_type=options.abuse_type,
        reason_code=options.reason_code,
        note=options.note,
    )
    _print(options, call("ResolveCase", request))


def _comment(options: argparse.Namespace, call: CallMethod) -> None:
    answer = call("CommentCase", cases.CommentCaseRequest(case_id=options.case_id, text=options.text))
    if options.json:
        print_json(to_dict(answer))


def _print(options: argparse.Namespace, answer: Any) -> None:
    """Print the case of an answer, or the whole answer as JSON."""
    if options.json:
        print_json(to_dict(answer))
    else:
        print(_line(answer.case))


_ACTIONS: dict[str, Callable[[argparse.Namespace, CallMethod], None]] = {
    "list": _list,
    "show": _show,
    "next": _claim,
    "watch": _watch,
    "claim": _claim,
    "renew": _renew,
    "release": _release,
    "resolve": _resolve,
    "comment": _comment,
}


def _line(case: cases.Case) -> str:
    status = cases.CaseStatus.Name(case.status).removeprefix("CASE_STATUS_").lower()
    score = f"legitimacy {case.legitimacy_score:.3f}" if case.HasField("legitimacy_score") else "no score"
    amount = f"amount {_money(case.order_amount, case)}" if case.HasField("order_amount") else "no amount"
    loss = f"expected loss {_money(case.expected_loss, case)}"
    due = case.due_at.ToJsonString()
    return escape_unprintable(f"{case.case_id}  {status:8} {amount}, {loss}, {score}, due {due}  {case.transaction_id}")


def _money(value: float, case: cases.Case) -> str:
    return f"{value:,.2f} {case.currency}".rstrip()
