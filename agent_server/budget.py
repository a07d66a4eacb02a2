"""How much of the day's budget of reviews is spent, by the ledger, and what mistakes cost at recent orders."""

import contextlib
import time
from bisect import insort
from collections import deque

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.decisions.policy import Policy
from agent_server.decisions.review_budget import cheaper_mistake, min_cost_for
from agent_server.ledger import Ledger
from agent_server.ledger.queries import Query
from agent_server.ledger.schema import CASES
from agent_server.policies.current import CurrentPolicy
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.errors import Unavailable

_DAY = 86_400 * 1_000_000
_REMEMBERED = 1000


class ReviewBudget:
    """What is spent, as the ledger had it a moment ago and as this process saw it since."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._spent = ledger, 0
        self._costs, self._in_order = deque[float](), list[float]()

    def bar(self, policy: Policy, transaction: Transaction, prediction: PredictResponse | None) -> float:
        """What a mistake on an order must cost at least for it to go to a person; 0 where the policy has no budget."""
        if not policy.reviews_a_day or prediction is None or not policy.is_open(transaction, prediction):
            return 0.0
        self._remember(cheaper_mistake(transaction, prediction.legitimacy_score)[1])
        return min_cost_for(self._in_order, self._spent / policy.reviews_a_day)

    def opened(self) -> None:
        """Hear that an order went to a person."""
        self._spent += 1

    async def look(self) -> None:
        """Ask the ledger. Raises Unavailable."""
        self._spent = await self._ledger.read_in_background(opened_since(time.time_ns() // 1000 - _DAY))

    async def refresh(self, current: CurrentPolicy) -> None:
        """Count in the ledger what is spent, where the policy has a budget."""
        if current.policy.reviews_a_day:
            with contextlib.suppress(Unavailable):  # the count of this process goes on
                await self.look()

    def _remember(self, cost: float) -> None:
        self._costs.append(cost)
        insort(self._in_order, cost)
        if len(self._costs) > _REMEMBERED:
            self._in_order.remove(self._costs.popleft())


def opened_since(at: int) -> Query[int]:
    """How many orders went to people since a moment: golden cases and second looks are none."""
    chosen = sa.select(sa.func.count()).where(CASES.c.opened_at >= at, CASES.c.round == 1, CASES.c.golden == 0)

    def read(connection: Connection) -> int:
        return int(connection.execute(chosen).scalar_one())

    return read
