"""What a ledger's memory said, beside a replay of what the ledger holds."""

from typing import Any

import sqlalchemy as sa

from agent_server.ledger import open_engine
from agent_server.ledger.schema import ATTEMPTS, ENTRIES, MEMORY, PAYLOADS
from agent_server.memory.filling import values_of
from agent_server.memory.recall import digests
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts, DecisionPayload
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import DEFINITIONS, NEEDED, amount_units, is_known
from history.replay import Attempt, Replay, Value, texts_of


def replayed(url: str) -> list[tuple[dict[str, Value], dict[str, Value]]]:
    """By decision: what was filled in, and what a replay in the ledger's order says."""
    engine = open_engine(url)
    with engine.connect() as connection:
        since, key = connection.execute(sa.select(MEMORY.c.since, MEMORY.c.key)).one()
        # Attempts that were replaced have lost their content: it stands in the decisions about them.
        rows = {row.number: dict(row._mapping) for row in connection.execute(sa.select(ATTEMPTS))}
        decided = connection.execute(
            sa.select(ENTRIES.c.facts, ENTRIES.c.decision, PAYLOADS)
            .join(PAYLOADS, PAYLOADS.c.sequence == ENTRIES.c.sequence)
            .order_by(ENTRIES.c.sequence)
        ).all()
    engine.dispose()
    steps: list[tuple[int, int, Any]] = []
    contents: dict[int, Transaction] = {}
    kept: dict[Any, list[tuple[int, int]]] = {}
    results: dict[int, tuple[dict[str, Value], Transaction, int]] = {}
    for place, row in enumerate(decided):
        facts, payload = DecisionFacts.FromString(row.facts), DecisionPayload.FromString(row.payload)
        made = payload.transaction
        made.transaction_id, made.user_id = row.transaction_id, row.user_id
        contents[facts.memory_number] = made
        if facts.decision_maker != pb.DECISION_MAKER_HUMAN:
            results[place] = (values_of(payload.completed_fields), made, facts.memory_number)
            steps.append((facts.memory_read, 2, ("read", place)))
            kept.setdefault(digests(key, {"": row.transaction_id})[""], []).append(
                (facts.memory_kept, facts.memory_number)
            )
        steps.append((facts.memory_kept, 3 + place, ("decide", facts.memory_number, row.decision != pb.DECISION_DENY)))
    for number, attempt in rows.items():
        made_: Any = contents.get(number)
        name = attempt["transaction_id"] if made_ is None else digests(key, {"": made_.transaction_id})[""]
        before = [other for at, other in kept.get(name, ()) if at < number]  # what had been decided by then
        if before and before[-1] != number:
            steps.append((number, 0, ("remove", before[-1])))
        steps.append((number, 1, ("add", number, attempt, made_)))
    replay, compared, removed = Replay(), [], set[int]()
    for _, _, (kind, *what) in sorted(steps, key=lambda step: step[:2]):
        if kind == "add":
            number, attempt, content = what
            keys = (
                attempt if content is None else digests(key, {name: getattr(content, name) or None for name in NEEDED})
            )
            amount = attempt["amount"]
            if content is not None:
                amount = amount_units(content.order_amount) if content.HasField("order_amount") else None
            replay.add(Attempt(number, attempt["at"], texts_of(keys), amount))
        elif kind == "remove":
            if what[0] not in removed:
                replay.remove(what[0])
            removed.add(what[0])
        elif kind == "decide":
            replay.decide(what[0], counts=what[1])
        else:
            filled, made, number = results[what[0]]
            found, at = replay.values(number), made.timestamp.seconds
            texts = {name: getattr(made, name) or None for name in ("user_id", "device_id", "ip_address", "card_id")}
            known = {
                one.name: found[one.name]
                for one in DEFINITIONS
                if is_known(one, at, since, made.account_created_date.seconds, texts)
            }
            compared.append((filled, known))
    return compared
