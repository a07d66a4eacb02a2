"""A policy out of its file.

    thresholds: {approve: 0.7, deny: 0.4}
    lists:
      trusted_users: [u-1, u-2]
      blocked_devices: {file: blocked_devices.txt}
    rules:
      - name: blocked-device
        when: order.device_id in lists.blocked_devices
        then: deny
        reason: The device was used for abuse before.

What the file does not say stays as the settings have it.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import yaml

from agent_server.conditions.cost import MOST_TOGETHER
from agent_server.conditions.language import ConditionError, Language
from agent_server.conditions.policy_rules import Rule, Rules
from agent_server.conditions.satisfiability import is_satisfiable
from agent_server.conditions.trials import check_evaluates
from agent_server.decisions.policy import INFORMATIVE, Policy, Randomised, Unscored
from agent_server.policies.nodes import PolicyError, Reader
from generated.vouch.v1 import agent_service_pb2 as pb
from runtime.files import MIB, read_file

_TOP: Final = (
    "thresholds", "minimum_evidence", "agent_decides", "unscored", "randomised_approvals", "due_within", "two_reviewers",
    "review_budget", "lists", "rules",
)  # fmt: skip
_OF_RULE: Final = ("name", "when", "then", "reason", "until", "mode")
_EFFECTS: Final[Mapping[str, pb.RuleEffect]] = {
    "approve": pb.RULE_EFFECT_APPROVE,
    "deny": pb.RULE_EFFECT_DENY,
    "review": pb.RULE_EFFECT_REVIEW,
}
_MOST_RULES, _LONGEST_CONDITION, _MOST_REVIEWS = 1000, 4096, 1_000_000
MOST_BYTES: Final = 4 * MIB
MOST_LIST_BYTES: Final = 64 * MIB
MOST_LISTS_BYTES: Final = 128 * MIB
"""Of all lists of a policy together."""
_slug = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII).fullmatch
_word = re.compile(r"[a-z_][a-z0-9_]{0,63}", re.ASCII).fullmatch
_SHADOWED = "{name} is never reached: {earlier} before it matches whenever it does"


def read_policy(
    path: Path, defaults: Policy, failed: Callable[[str, str], None] = lambda rule, kind: None
) -> tuple[Policy, tuple[Path, ...]]:
    """The policy in a file, and the files of its lists. Raises PolicyError. `failed` as in `Rules`."""
    try:
        content = read_file(path, MOST_BYTES)
    except OSError as error:
        raise PolicyError(path, f"the policy cannot be read: {error.strerror}") from error
    reader = Reader(path)
    root = reader.root(content)
    values = reader.mapping(root, _TOP) if root is not None else {}
    policy = _with_thresholds(reader, values, defaults)
    lists, files = _lists(reader, values.get("lists"))
    language = Language(lists)
    rules: list[Rule] = []
    steps = 0
    for node in reader.sequence(values["rules"]) if "rules" in values else []:
        rules.append(_rule(reader, node, language, policy, rules))
        if len(rules) > _MOST_RULES:
            raise reader.error(node, f"more than {_MOST_RULES} rules")
        steps += rules[-1].condition.cost.steps
        if steps > MOST_TOGETHER:
            said = f"with rule {rules[-1].name} the rules take up to {steps:,} steps for one order"
            raise reader.error(
                node, f"{said}, at most {MOST_TOGETHER:,} are allowed: shorten lists, texts and patterns"
            )
    told = hashlib.sha256(content)
    for name in sorted(lists):
        told.update(f"\n{name}\n".encode() + "\n".join(sorted(lists[name])).encode())
    return replace(policy, rules=Rules(language, rules, lists, failed), content=told.hexdigest()), files


def _with_thresholds(reader: Reader, values: Mapping[str, yaml.Node], policy: Policy) -> Policy:
    changed: dict[str, Any] = {}
    if "minimum_evidence" in values:
        changed["minimum_evidence"] = reader.count(values["minimum_evidence"], len(INFORMATIVE))
    if "agent_decides" in values:
        changed["agent_decides"] = reader.flag(values["agent_decides"])
    if "unscored" in values:
        changed["unscored"] = cast(Unscored, reader.choice(values["unscored"], ("review", "deny", "error")))
    if "thresholds" in values:
        changed["approve_from"], changed["deny_up_to"] = _thresholds(reader, values["thresholds"], policy)
    if "randomised_approvals" in values:
        changed["randomised"] = _randomised(reader, values["randomised_approvals"], policy)
    if "due_within" in values:
        changed["due_seconds"] = reader.duration(values["due_within"])
    if "two_reviewers" in values:
        changed["two_from"] = _two_reviewers(reader, values["two_reviewers"], policy)
    if "review_budget" in values:
        budget = reader.whole(values["review_budget"], ("per_day",))
        changed["reviews_a_day"] = reader.count(budget["per_day"], _MOST_REVIEWS)
    return replace(policy, **changed)


def _two_reviewers(reader: Reader, node: yaml.Node, policy: Policy) -> float:
    amount = reader.amount(reader.whole(node, ("from",))["from"])
    if not policy.named_reviewers:
        raise reader.error(node, "two reviewers are told apart by the names of their keys: VOUCH_AGENT_API_KEYS")
    return amount


def _randomised(reader: Reader, node: yaml.Node, policy: Policy) -> Randomised | None:
    values = reader.whole(node, ("share", "up_to"))
    share, up_to = reader.share(values["share"]), reader.amount(values["up_to"])
    if share == 0:
        return None
    if not policy.randomising_key:
        raise reader.error(node, "randomised approvals need a key that nobody else knows: VOUCH_AGENT_RANDOMISING_KEY")
    return Randomised(share, up_to, policy.randomising_key)


def _thresholds(reader: Reader, node: yaml.Node, policy: Policy) -> tuple[float, float]:
    """Both limits; one that is not written is the policy's."""
    values = reader.mapping(node, ("approve", "deny"))
    if not values:
        raise reader.error(node, "approve, deny or both are wanted here")
    approve = reader.share(values["approve"]) if "approve" in values else policy.approve_from
    deny = reader.share(values["deny"]) if "deny" in values else policy.deny_up_to
    if deny >= approve:
        raise reader.error(node, f"deny ({deny:g}) must be below approve ({approve:g})")
    return approve, deny


def _lists(reader: Reader, node: yaml.Node | None) -> tuple[dict[str, frozenset[str]], tuple[Path, ...]]:
    lists: dict[str, frozenset[str]] = {}
    files: list[Path] = []
    left = MOST_LISTS_BYTES
    for name, value in reader.mapping(node).items() if node is not None else ():
        if not _word(name):
            raise reader.error(value, f"{name!r} is no name of a list: a to z, digits and _ are")
        if isinstance(value, yaml.SequenceNode):
            lists[name] = frozenset(reader.text(entry) for entry in reader.sequence(value))
            continue
        named = reader.mapping(value, ("file",))
        if "file" not in named:
            raise reader.error(value, "entries, or the name of a file, are wanted here")
        path = reader.path.parent / reader.text(named["file"], 1024)
        files.append(path)
        try:
            content = read_file(path, min(MOST_LIST_BYTES, left))
            left -= len(content)
            lists[name] = entries(content)
        except (OSError, UnicodeDecodeError) as error:
            said = getattr(error, "strerror", None) or "it is not UTF-8"
            raise reader.error(named["file"], f"the list {name} cannot be read from {path}: {said}") from error
    return lists, tuple(files)


def entries(content: bytes) -> frozenset[str]:
    """The entries of a list in a file: one a line; what follows # is a comment. Raises UnicodeDecodeError."""
    lines = content.decode("utf-8-sig").splitlines()
    return frozenset(entry for line in lines if (entry := line.partition("#")[0].strip()))


def _rule(reader: Reader, node: yaml.Node, language: Language, policy: Policy, before: list[Rule]) -> Rule:
    values = reader.mapping(node, _OF_RULE)
    missing = [name for name in ("name", "when", "then", "reason") if name not in values]
    if missing:
        raise reader.error(node, f"a rule needs {missing[0]}")
    name = reader.text(values["name"], 64)
    if not _slug(name):
        raise reader.error(values["name"], f"{name!r} is no name of a rule: a to z, digits, - and _ are")
    if any(rule.name == name for rule in before):
        raise reader.error(values["name"], f"there are two rules {name}")
    when = values["when"]
    # `when: true` is a truth value in YAML and a condition in CEL.
    text = reader.text(when, _LONGEST_CONDITION)
    try:
        condition = language.compile(text)
        if not is_satisfiable(language, condition):
            raise ConditionError("this can never match", 1, 1)
        check_evaluates(language, condition)
    except ConditionError as error:
        raise _in_condition(reader, when, name, error) from None
    shadow = "mode" in values and reader.choice(values["mode"], ("apply", "shadow")) == "shadow"
    until = _moment(reader, values["until"]) if "until" in values else None
    for earlier in before if not shadow else ():
        always = earlier.condition.text in ("true", text) and earlier.until is None and not earlier.shadow
        if always:
            raise reader.error(values["name"], _SHADOWED.format(name=name, earlier=earlier.name))
    then, thresholds = values["then"], None
    if isinstance(then, yaml.MappingNode):
        thresholds, effect = _thresholds(reader, then, policy), pb.RULE_EFFECT_THRESHOLDS
    else:
        effect = _EFFECTS[reader.choice(then, _EFFECTS)]
    return Rule(name, condition, effect, reader.text(values["reason"]), until, shadow, thresholds)


def _in_condition(reader: Reader, node: yaml.Node, rule: str, error: ConditionError) -> PolicyError:
    """A complaint about a place in a condition, as a place in the file."""
    mark, message = node.start_mark, f"rule {rule}: {error.message}"
    line, column = mark.line + 1, mark.column + 1
    style = getattr(node, "style", None)
    if style == "|":
        first = reader.lines[line]  # the one behind the bar: it sets the indentation
        line, column = line + error.line, len(first) - len(first.lstrip()) + error.column
    elif node.end_mark.line == mark.line:
        column += error.column - 1 + (1 if style in ("'", '"') else 0)
    return PolicyError(reader.path, message, line, column)


def _moment(reader: Reader, node: yaml.Node) -> int:
    """A day or a time in UTC, in microseconds since 1970; a day means its beginning."""
    text = reader.text(node, 64)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise reader.error(node, "a day like 2026-12-31 or a time like 2026-12-31T18:00:00Z is wanted here") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)
