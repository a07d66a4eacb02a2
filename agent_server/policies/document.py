"""Reads a policy file.

    thresholds: {approve: 0.7, deny: 0.4}
    lists:
      trusted_users: [u-1, u-2]
      blocked_devices: {file: blocked_devices.txt}
    rules:
      - name: blocked-device
        when: order.device_id in lists.blocked_devices
        then: deny
        reason: The device was used for abuse before.

The settings of the agent apply to everything that the file leaves out.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import yaml

from agent_server.conditions.cost import MAX_POLICY_STEPS
from agent_server.conditions.language import ConditionError, Language
from agent_server.conditions.policy_rules import Rule, Rules
from agent_server.conditions.satisfiability import is_satisfiable
from agent_server.conditions.trials import check_evaluates
from agent_server.decisions.policy import INFORMATIVE, Policy, RandomisedApprovals, Unscored
from agent_server.policies.yaml_reader import PolicyError, Reader
from generated.vouch.v1 import agent_service_pb2 as pb
from runtime.files import MIB, read_file

_POLICY_KEYS: Final = (
    "thresholds", "minimum_evidence", "agent_decides", "unscored", "randomised_approvals", "due_within", "two_reviewers",
    "review_budget", "lists", "rules",
)  # fmt: skip
_RULE_KEYS: Final = ("name", "when", "then", "reason", "until", "mode")
_EFFECTS: Final[Mapping[str, pb.RuleEffect]] = {
    "approve": pb.RULE_EFFECT_APPROVE,
    "deny": pb.RULE_EFFECT_DENY,
    "review": pb.RULE_EFFECT_REVIEW,
}
_MAX_RULES, _MAX_CONDITION_LENGTH, _MAX_REVIEWS = 1000, 4096, 1_000_000
MAX_POLICY_BYTES: Final = 4 * MIB
MAX_LIST_BYTES: Final = 64 * MIB
MAX_TOTAL_LIST_BYTES: Final = 128 * MIB
"""Maximum size of all lists of a policy together."""
_is_slug = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII).fullmatch
_is_word = re.compile(r"[a-z_][a-z0-9_]{0,63}", re.ASCII).fullmatch
_UNREACHABLE = "rule {name} is unreachable; the earlier rule {earlier} matches the same orders"


def read_policy(
    path: Path, defaults: Policy, on_failure: Callable[[str, str], None] = lambda rule, kind: None
) -> tuple[Policy, tuple[Path, ...]]:
    """Return the policy in a file, and the files of its lists. `on_failure` as in `Rules`. Raises PolicyError."""
    try:
        content = read_file(path, MAX_POLICY_BYTES)
    except OSError as error:
        raise PolicyError(path, f"policy file cannot be read: {error.strerror}") from error
    reader = Reader(path)
    root = reader.root(content)
    values = reader.mapping(root, _POLICY_KEYS) if root is not None else {}
    policy = _with_settings(reader, values, defaults)
    lists, files = _read_lists(reader, values.get("lists"))
    language = Language(lists)
    rules: list[Rule] = []
    steps = 0
    for node in reader.sequence(values["rules"]) if "rules" in values else []:
        rules.append(_read_rule(reader, node, language, policy, rules))
        if len(rules) > _MAX_RULES:
            raise reader.error(node, f"more than {_MAX_RULES} rules")
        steps += rules[-1].condition.cost.steps
        if steps > MAX_POLICY_STEPS:
            message = f"with rule {rules[-1].name} the rules take up to {steps:,} steps per order"
            raise reader.error(
                node, f"{message}, the limit is {MAX_POLICY_STEPS:,}; shorten lists, strings and patterns"
            )
    content_hash = hashlib.sha256(content)
    for name in sorted(lists):
        content_hash.update(f"\n{name}\n".encode() + "\n".join(sorted(lists[name])).encode())
    return replace(
        policy, rules=Rules(language, rules, lists, on_failure, policy.base_currency), content=content_hash.hexdigest()
    ), files


def _with_settings(reader: Reader, values: Mapping[str, yaml.Node], policy: Policy) -> Policy:
    changed: dict[str, Any] = {}
    if "minimum_evidence" in values:
        changed["minimum_evidence"] = reader.count(values["minimum_evidence"], len(INFORMATIVE))
    if "agent_decides" in values:
        changed["agent_decides"] = reader.flag(values["agent_decides"])
    if "unscored" in values:
        changed["unscored"] = cast(Unscored, reader.choice(values["unscored"], ("review", "deny", "error")))
    if "thresholds" in values:
        changed["approve_from"], changed["deny_up_to"] = _read_thresholds(reader, values["thresholds"], policy)
    if "randomised_approvals" in values:
        changed["randomised"] = _read_randomised(reader, values["randomised_approvals"], policy)
    if "due_within" in values:
        changed["due_seconds"] = reader.duration(values["due_within"])
    if "two_reviewers" in values:
        changed["two_reviewers_from"] = _read_two_reviewers(reader, values["two_reviewers"], policy)
    if "review_budget" in values:
        budget = reader.exact_mapping(values["review_budget"], ("per_day",))
        changed["reviews_a_day"] = reader.count(budget["per_day"], _MAX_REVIEWS)
    return replace(policy, **changed)


def _read_two_reviewers(reader: Reader, node: yaml.Node, policy: Policy) -> float:
    amount = reader.amount(reader.exact_mapping(node, ("from",))["from"])
    if not policy.named_reviewers:
        raise reader.error(node, "two_reviewers needs API keys with names; set VOUCH_AGENT_API_KEYS")
    return amount


def _read_randomised(reader: Reader, node: yaml.Node, policy: Policy) -> RandomisedApprovals | None:
    values = reader.exact_mapping(node, ("share", "up_to"))
    share, up_to = reader.share(values["share"]), reader.amount(values["up_to"])
    if share == 0:
        return None
    if not policy.randomising_key:
        raise reader.error(node, "randomised_approvals needs a secret key; set VOUCH_AGENT_RANDOMISING_KEY")
    return RandomisedApprovals(share, up_to, policy.randomising_key)


def _read_thresholds(reader: Reader, node: yaml.Node, policy: Policy) -> tuple[float, float]:
    """Return the thresholds (approve, deny). One that is missing is that of `policy`."""
    values = reader.mapping(node, ("approve", "deny"))
    if not values:
        raise reader.error(node, "expected approve, deny or both")
    approve = reader.share(values["approve"]) if "approve" in values else policy.approve_from
    deny = reader.share(values["deny"]) if "deny" in values else policy.deny_up_to
    if deny >= approve:
        raise reader.error(node, f"deny ({deny:g}) must be below approve ({approve:g})")
    return approve, deny


def _read_lists(reader: Reader, node: yaml.Node | None) -> tuple[dict[str, frozenset[str]], tuple[Path, ...]]:
    lists: dict[str, frozenset[str]] = {}
    files: list[Path] = []
    bytes_left = MAX_TOTAL_LIST_BYTES
    for name, value in reader.mapping(node).items() if node is not None else ():
        if not _is_word(name):
            raise reader.error(value, f"invalid list name {name!r}; use a to z, digits and _")
        if isinstance(value, yaml.SequenceNode):
            lists[name] = frozenset(reader.text(entry) for entry in reader.sequence(value))
            continue
        named = reader.mapping(value, ("file",))
        if "file" not in named:
            raise reader.error(value, "expected a list of entries, or {file: name}")
        path = reader.path.parent / reader.text(named["file"], 1024)
        files.append(path)
        try:
            content = read_file(path, min(MAX_LIST_BYTES, bytes_left))
            bytes_left -= len(content)
            lists[name] = list_entries(content)
        except (OSError, UnicodeDecodeError) as error:
            message = getattr(error, "strerror", None) or "it is not UTF-8"
            raise reader.error(named["file"], f"list {name} cannot be read from {path}: {message}") from error
    return lists, tuple(files)


def list_entries(content: bytes) -> frozenset[str]:
    """Return the entries of a list file: one per line; # starts a comment. Raises UnicodeDecodeError."""
    lines = content.decode("utf-8-sig").splitlines()
    return frozenset(entry for line in lines if (entry := line.partition("#")[0].strip()))


def _read_rule(reader: Reader, node: yaml.Node, language: Language, policy: Policy, earlier_rules: list[Rule]) -> Rule:
    values = reader.mapping(node, _RULE_KEYS)
    missing = [name for name in ("name", "when", "then", "reason") if name not in values]
    if missing:
        raise reader.error(node, f"rule has no {missing[0]}")
    name = reader.text(values["name"], 64)
    if not _is_slug(name):
        raise reader.error(values["name"], f"invalid rule name {name!r}; use a to z, digits, - and _")
    if any(rule.name == name for rule in earlier_rules):
        raise reader.error(values["name"], f"duplicate rule {name}")
    when = values["when"]
    # `when: true` is a boolean in YAML and a condition in CEL.
    text = reader.text(when, _MAX_CONDITION_LENGTH)
    try:
        condition = language.compile(text)
        if not is_satisfiable(language, condition):
            raise ConditionError("condition can never match", 1, 1)
        check_evaluates(language, condition)
    except ConditionError as error:
        raise _locate_error(reader, when, name, error) from None
    shadow = "mode" in values and reader.choice(values["mode"], ("apply", "shadow")) == "shadow"
    until = _read_time(reader, values["until"]) if "until" in values else None
    for earlier in earlier_rules if not shadow else ():
        always = earlier.condition.text in ("true", text) and earlier.until is None and not earlier.shadow
        if always:
            raise reader.error(values["name"], _UNREACHABLE.format(name=name, earlier=earlier.name))
    then, thresholds = values["then"], None
    if isinstance(then, yaml.MappingNode):
        thresholds, effect = _read_thresholds(reader, then, policy), pb.RULE_EFFECT_THRESHOLDS
    else:
        effect = _EFFECTS[reader.choice(then, _EFFECTS)]
    return Rule(name, condition, effect, reader.text(values["reason"]), until, shadow, thresholds)


def _locate_error(reader: Reader, node: yaml.Node, rule: str, error: ConditionError) -> PolicyError:
    """Return an error at a position in a condition as an error at its position in the file."""
    mark, message = node.start_mark, f"rule {rule}: {error.message}"
    line, column = mark.line + 1, mark.column + 1
    style = getattr(node, "style", None)
    if style == "|":
        first = reader.lines[line]  # the line after the |, which sets the indentation
        line, column = line + error.line, len(first) - len(first.lstrip()) + error.column
    elif node.end_mark.line == mark.line:
        column += error.column - 1 + (1 if style in ("'", '"') else 0)
    return PolicyError(reader.path, message, line, column)


def _read_time(reader: Reader, node: yaml.Node) -> int:
    """Return a date or time in microseconds since 1970. A date means its start; times are in UTC by default."""
    text = reader.text(node, 64)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise reader.error(node, "expected a date like 2026-12-31 or a time like 2026-12-31T18:00:00Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)
