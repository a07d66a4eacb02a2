"""Layout of the graph of linked accounts, with the order's own account on the left."""

from dataclasses import dataclass, field

from generated.vouch.v1 import agent_service_pb2 as pb

ROW, MAX_ROWS = 24, 14
_COLUMNS = (2, 164, 326, 488, 650)
WIDE = 110
WIDTH = 764
_LABEL_LENGTH, _CUSTOMER_LABEL_LENGTH = 16, 11
_FIELD_LABELS = {
    "device_id": "device", "ip_address": "address", "card_id": "card", "email_id": "e-mail", "phone_id": "phone",
    "shipping_address_id": "ship to", "user_id": "customer",
}  # fmt: skip


@dataclass(frozen=True)
class Node:
    """An account or a key, at a position. `denied` of its `orders` are denied."""

    kind: str
    label: str
    full_name: str
    x: int
    y: int
    orders: int = 0
    denied: int = 0


@dataclass
class Graph:
    """Nodes and edges to draw within WIDTH and `height`, and the number left out. Nodes have the width WIDE."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[tuple[Node, Node]] = field(default_factory=list)
    left_out: int = 0
    height: int = ROW


def graph_of(links: pb.GetLinksResponse) -> Graph:
    """Return the graph. Columns: the account, its keys, accounts with these, their other keys, accounts with those."""
    graph, rows = Graph(), [0] * len(_COLUMNS)
    steps = {account.user_id: account.step for account in links.accounts}
    accounts: dict[str, Node] = {}

    def add_node(kind: str, full_name: str, column: int, orders: int = 0, denied: int = 0) -> Node | None:
        if rows[column] >= MAX_ROWS:
            graph.left_out += 1
            return None
        node = Node(
            kind,
            shorten(full_name, _CUSTOMER_LABEL_LENGTH if kind == "customer" else _LABEL_LENGTH),
            full_name,
            _COLUMNS[column],
            4 + rows[column] * ROW,
            orders,
            denied,
        )
        rows[column] += 1
        graph.nodes.append(node)
        return node

    for account in links.accounts:
        node = add_node("customer", account.user_id, account.step * 2, account.orders, account.denied)
        if node is not None:
            accounts[account.user_id] = node
    for link in links.links:
        nearest = min(steps.get(user, 2) for user in link.user_ids)
        drawn = [accounts[user] for user in link.user_ids if user in accounts]
        if nearest > 1 or len(drawn) < 2:
            continue  # keys that only the farthest accounts share are in the table only
        node = add_node(_FIELD_LABELS.get(link.field, link.field), link.value, nearest * 2 + 1)
        if node is not None:
            graph.edges += [(node, account) for account in drawn]
    graph.height = max(rows) * ROW + 8
    return graph


def shorten(text: str, length: int) -> str:
    """Return a name that fits into a node: cut off, and with unprintable characters replaced."""
    printable = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return printable if len(printable) <= length else printable[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"


def shared_words(shared: list[str]) -> str:
    """Return the labels of the fields that two orders share."""
    return ", ".join(_FIELD_LABELS.get(name, name) for name in shared if name != "user_id")
