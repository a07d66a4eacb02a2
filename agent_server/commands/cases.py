"""`vouch cases`: work off the queue in a terminal. Who works is the name of the key in VOUCH_CLIENT_API_KEY."""

import argparse
import contextlib
from collections.abc import Callable, Sequence

import grpc

from agent_server.commands.client import Ask, asking, tell
from contract.abuse_types import ABUSE_TYPES
from contract.fields import short_names
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from runtime.process.commands import command
from runtime.process.terminal import plain

_STATUSES = short_names(cases.CaseStatus.DESCRIPTOR)
_ORDERS = short_names(cases.CaseOrder.DESCRIPTOR)
_WORK_FIRST = (cases.CASE_STATUS_OPEN, cases.CASE_STATUS_CLAIMED, cases.CASE_STATUS_RESOLVED)
_MOST_LISTED = 1000
_VERDICTS = {name: number for name, number in short_names(pb.Decision.DESCRIPTOR).items() if name != "review"}


def parser() -> argparse.ArgumentParser:
    """The actions and their options."""
    result = argparse.ArgumentParser(prog="vouch cases", description="Work off cases.")
    actions = result.add_subparsers(dest="action", required=True)
    listed = actions.add_parser("list", help="the queue: open cases first, the most urgent of them on top")
    listed.add_argument("--status", choices=sorted(_STATUSES), help="only cases in this state")
    listed.add_argument("--order", choices=sorted(_ORDERS), default="priority", help="(default: priority)")
    listed.add_argument("--most", type=int, default=20, metavar="N", help="so many cases (default: 20)")
    actions.add_parser("next", help="take the most urgent case")
    watched = actions.add_parser("watch", help="what happens to cases, until it is interrupted")
    watched.add_argument("--cursor", type=int, default=0, metavar="N", help="behind this change; else from now on")
    for action, text in (
        ("show", "a case with its order and history"),
        ("claim", "take a case for ten minutes"),
        ("renew", "keep a claim"),
        ("release", "give a case back"),
        ("resolve", "decide a case"),
        ("comment", "comment on a case"),
    ):
        sub = actions.add_parser(action, help=text)
        sub.add_argument("case_id", help="id of the case")
        if action == "resolve":
            sub.add_argument("verdict", choices=sorted(_VERDICTS))
            sub.add_argument("--abuse-type", choices=ABUSE_TYPES, default="")
            sub.add_argument("--reason-code", default="", help="a word of your own: a to z, digits, _")
            sub.add_argument("--note", default="")
        if action == "comment":
            sub.add_argument("text")
        if action in ("renew", "release", "resolve"):
            sub.add_argument("--token", type=int, required=True, help="shown when the case was claimed")
    return result


@command("vouch cases")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 done, 1 the agent refused or is away, 2 it could not run."""
    options = parser().parse_args(arguments)
    with asking(CaseServiceStub) as ask:
        try:
            _ACTIONS[options.action](options, ask)
        except grpc.RpcError as error:
            tell("vouch cases", error)
            return 1
    return 0


def _list(options: argparse.Namespace, ask: Ask) -> None:
    left = max(1, min(options.most, _MOST_LISTED))
    for status in _statuses(options):
        request = cases.ListCasesRequest(
            status=status,  # type: ignore[arg-type]
            order=_ORDERS[options.order],  # type: ignore[arg-type]
            page_size=left,
        )
        for case in ask("ListCases", request).cases:
            print(_line(case))
            left -= 1
        if not left:
            return


def _statuses(options: argparse.Namespace) -> Sequence[int]:
    """Return the states to list one after another. In order of priority a resolved case would stand before all later ones."""
    if options.status:
        return (_STATUSES[options.status],)
    if _ORDERS[options.order] == cases.CASE_ORDER_PRIORITY:
        return _WORK_FIRST
    return (cases.CASE_STATUS_UNSPECIFIED,)


def _show(options: argparse.Namespace, ask: Ask) -> None:
    whole = ask("GetCase", cases.GetCaseRequest(case_id=options.case_id))
    print(_line(whole.case))
    print(plain(whole.review.reasoning))
    for reason in whole.review.reasons:
        print(plain(f"  {reason.contribution:+.2f}  {reason.sentence}"))
    for counterfactual in whole.review.agent_analysis.counterfactuals:
        print(plain(f"  {counterfactual.sentence}"))
    for event in whole.events:
        kind = cases.CaseEventKind.Name(event.kind).removeprefix("CASE_EVENT_KIND_").lower()
        print(plain(f"{event.at.ToJsonString()}  {kind} {event.actor} {event.text}".rstrip()))


def _watch(options: argparse.Namespace, ask: Ask) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        for change in ask("WatchCases", cases.WatchCasesRequest(cursor=options.cursor)):
            if change.HasField("case"):
                kind = cases.CaseEventKind.Name(change.kind).removeprefix("CASE_EVENT_KIND_").lower()
                print(f"{change.cursor}  {kind:9} {_line(change.case)}", flush=True)


def _claim(options: argparse.Namespace, ask: Ask) -> None:
    if options.action == "next":
        answer = ask("ClaimNext", cases.ClaimNextRequest())
    else:
        answer = ask("ClaimCase", cases.ClaimCaseRequest(case_id=options.case_id))
    if not answer.HasField("case"):
        print("no case waits")
        return
    print(f"{_line(answer.case)}\nyours until {answer.case.claimed_until.ToJsonString()}, token {answer.token}")


def _renew(options: argparse.Namespace, ask: Ask) -> None:
    answer = ask("RenewClaim", cases.RenewClaimRequest(case_id=options.case_id, token=options.token))
    print(f"yours until {answer.case.claimed_until.ToJsonString()}")


def _release(options: argparse.Namespace, ask: Ask) -> None:
    print(_line(ask("ReleaseCase", cases.ReleaseCaseRequest(case_id=options.case_id, token=options.token)).case))


def _resolve(options: argparse.Namespace, ask: Ask) -> None:
    request = cases.ResolveCaseRequest(
        case_id=options.case_id,
        token=options.token,
        verdict=_VERDICTS[options.verdict],  # type: ignore[arg-type]
        abuse_type=options.abuse_type,
        reason_code=options.reason_code,
        note=options.note,
    )
    print(_line(ask("ResolveCase", request).case))


def _comment(options: argparse.Namespace, ask: Ask) -> None:
    ask("CommentCase", cases.CommentCaseRequest(case_id=options.case_id, text=options.text))


_ACTIONS: dict[str, Callable[[argparse.Namespace, Ask], None]] = {
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
    return plain(f"{case.case_id}  {status:8} {amount}, {loss}, {score}, due {due}  {case.transaction_id}")


def _money(value: float, case: cases.Case) -> str:
    return f"{value:,.2f} {case.currency}".rstrip()
