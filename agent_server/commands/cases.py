"""`vouch cases`: work on cases in a terminal. The reviewer is the name of the key in VOUCH_CLIENT_API_KEY."""

import argparse
import contextlib
from collections.abc import Callable, Sequence

import grpc

from agent_server.commands.client import CallMethod, open_client, print_error
from contract.abuse_types import ABUSE_TYPES
from contract.fields import short_names
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from runtime.process.commands import command
from runtime.process.terminal import escape_unprintable

_STATUSES = short_names(cases.CaseStatus.DESCRIPTOR)
_ORDERS = short_names(cases.CaseOrder.DESCRIPTOR)
_WORK_FIRST = (cases.CASE_STATUS_OPEN, cases.CASE_STATUS_CLAIMED, cases.CASE_STATUS_RESOLVED)
_MAX_LISTED = 1000
_VERDICTS = {name: number for name, number in short_names(pb.Decision.DESCRIPTOR).items() if name != "review"}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(prog="vouch cases", description="Work on cases.")
    actions = result.add_subparsers(dest="action", required=True)
    listed = actions.add_parser("list", help="list cases: open ones first, by urgency")
    listed.add_argument("--status", choices=sorted(_STATUSES), help="only cases in this state")
    listed.add_argument("--order", choices=sorted(_ORDERS), default="priority", help="(default: priority)")
    listed.add_argument("--most", type=int, default=20, metavar="N", help="maximum number of cases (default: 20)")
    actions.add_parser("next", help="claim the most urgent case")
    watched = actions.add_parser("watch", help="print changes of cases until interrupted")
    watched.add_argument("--cursor", type=int, default=0, metavar="N", help="start after this change (default: now)")
    for action, text in (
        ("show", "show a case with its decision and events"),
        ("claim", "claim a case; the lease is ten minutes by default"),
        ("renew", "renew the lease of a claim"),
        ("release", "release a claimed case"),
        ("resolve", "resolve a case with a verdict"),
        ("comment", "comment on a case"),
    ):
        sub = actions.add_parser(action, help=text)
        sub.add_argument("case_id", help="id of the case")
        if action == "resolve":
            sub.add_argument("verdict", choices=sorted(_VERDICTS))
            sub.add_argument("--abuse-type", choices=ABUSE_TYPES, default="")
            sub.add_argument("--reason-code", default="", help="your own code: a to z, digits, _")
            sub.add_argument("--note", default="")
        if action == "comment":
            sub.add_argument("text")
        if action in ("renew", "release", "resolve"):
            sub.add_argument(
                "--token", type=int, required=True, help="token that was printed when the case was claimed"
            )
    return result


@command("vouch cases")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 done, 1 the agent refused or is unavailable, 2 it could not run."""
    options = parser().parse_args(arguments)
    with open_client(CaseServiceStub) as call:
        try:
            _ACTIONS[options.action](options, call)
        except grpc.RpcError as error:
            print_error("vouch cases", error)
            return 1
    return 0


def _list(options: argparse.Namespace, call: CallMethod) -> None:
    left = max(1, min(options.most, _MAX_LISTED))
    for status in _statuses(options):
        request = cases.ListCasesRequest(
            status=status,  # type: ignore[arg-type]
            order=_ORDERS[options.order],  # type: ignore[arg-type]
            page_size=left,
        )
        for case in call("ListCases", request).cases:
            print(_line(case))
            left -= 1
        if not left:
            return


def _statuses(options: argparse.Namespace) -> Sequence[int]:
    """Return the states to list, in order. Sorted by priority alone, old resolved cases would come first."""
    if options.status:
        return (_STATUSES[options.status],)
    if _ORDERS[options.order] == cases.CASE_ORDER_PRIORITY:
        return _WORK_FIRST
    return (cases.CASE_STATUS_UNSPECIFIED,)


def _show(options: argparse.Namespace, call: CallMethod) -> None:
    whole = call("GetCase", cases.GetCaseRequest(case_id=options.case_id))
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
            if change.HasField("case"):
                kind = cases.CaseEventKind.Name(change.kind).removeprefix("CASE_EVENT_KIND_").lower()
                print(f"{change.cursor}  {kind:9} {_line(change.case)}", flush=True)


def _claim(options: argparse.Namespace, call: CallMethod) -> None:
    if options.action == "next":
        answer = call("ClaimNext", cases.ClaimNextRequest())
    else:
        answer = call("ClaimCase", cases.ClaimCaseRequest(case_id=options.case_id))
    if not answer.HasField("case"):
        print("no open case")
        return
    print(f"{_line(answer.case)}\nyours until {answer.case.claimed_until.ToJsonString()}, token {answer.token}")


def _renew(options: argparse.Namespace, call: CallMethod) -> None:
    answer = call("RenewClaim", cases.RenewClaimRequest(case_id=options.case_id, token=options.token))
    print(f"yours until {answer.case.claimed_until.ToJsonString()}")


def _release(options: argparse.Namespace, call: CallMethod) -> None:
    print(_line(call("ReleaseCase", cases.ReleaseCaseRequest(case_id=options.case_id, token=options.token)).case))


def _resolve(options: argparse.Namespace, call: CallMethod) -> None:
    request = cases.ResolveCaseRequest(
        case_id=options.case_id,
        token=options.token,
        verdict=_VERDICTS[options.verdict],  # type: ignore[arg-type]
        abuse_type=options.abuse_type,
        reason_code=options.reason_code,
        note=options.note,
    )
    print(_line(call("ResolveCase", request).case))


def _comment(options: argparse.Namespace, call: CallMethod) -> None:
    call("CommentCase", cases.CommentCaseRequest(case_id=options.case_id, text=options.text))


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
