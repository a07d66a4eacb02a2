"""The graph of linked accounts: places for a template to draw, from the order's own account on the left to the right."""

from dataclasses import dataclass, field

from generated.vouch.v1 import agent_service_pb2 as pb

ROW, MOST_ROWS = 24, 14
_COLUMNS = (2, 164, 326, 488, 650)
WIDE = 110
WIDTH = 764
_SHOWN, _BESIDE_COUNTS = 16, 11
_WORDS = {"device_id": "device", "ip_address": "address", "card_id": "card", "user_id": "customer"}


@dataclass(frozen=True)
class Node:
    """An account or a key at its place; `denied` of its `orders` are."""

    kind: str
    label: str
    whole: str
    x: int
    y: int
    orders: int = 0
    denied: int = 0


@dataclass
class Graph:
    """What is drawn, within WIDTH and `height`, and how much is not; a node is WIDE."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[tuple[Node, Node]] = field(default_factory=list)
    left_out: int = 0
    height: int = ROW


def graph_of(links: pb.GetLinksResponse) -> Graph:
    """Columns: the account, its keys, the accounts that share them, their other keys, the accounts that share these."""
    graph, rows = Graph(), [0] * len(_COLUMNS)
    steps = {account.user_id: account.step for account in links.accounts}
    accounts: dict[str, Node] = {}

    def placed(kind: str, whole: str, column: int, orders: int = 0, denied: int = 0) -> Node | None:
        if rows[column] >= MOST_ROWS:
            graph.left_out += 1
            return None
        node = Node(
            kind,
            shortened(whole, _BESIDE_COUNTS if kind == "customer" else _SHOWN),
            whole,
            _COLUMNS[column],
            4 + rows[column] * ROW,
            orders,
            denied,
        )
        rows[column] += 1
        graph.nodes.append(node)
        return node

    for account in links.accounts:
        node = placed("customer", account.user_id, account.step * 2, account.orders, account.denied)
        if node is not None:
            accounts[account.user_id] = node
    for link in links.links:
        nearest = min(steps.get(user, 2) for user in link.user_ids)
        drawn = [accounts[user] for user in link.user_ids if user in accounts]
        if nearest > 1 or len(drawn) < 2:
            continue  # what only the farthest share is in the table
        node = placed(_WORDS.get(link.field, link.field), link.value, nearest * 2 + 1)
        if node is not None:
            graph.edges += [(node, account) for account in drawn]
    graph.height = max(rows) * ROW + 8
    return graph


def shortened(text: str, shown: int) -> str:
    """As much of a name as a node has room for, without what does not print."""
    printed = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return printed if len(printed) <= shown else printed[: shown - 1] + "\N{HORIZONTAL ELLIPSIS}"


def shared_words(shared: list[str]) -> str:
    """Fields in which two orders are the same, in words."""
    return ", ".join(_WORDS.get(name, name) for name in shared if name != "user_id")
