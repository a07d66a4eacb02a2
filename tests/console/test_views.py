"""Plots: positions and shapes that match the numbers, for any names."""

from console.views.graph import MAX_ROWS, WIDE, WIDTH, graph_of, shorten
from console.views.shapes import HEIGHT, LEVELS, MAX_CELLS, heat_of, line_of, ranges, shape_of
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import scoring_service_pb2 as scoring


def links(near: int, far: int) -> pb.GetLinksResponse:
    """Return the links of an account: a device with other accounts, the first of which has a card with others."""
    found = pb.GetLinksResponse(accounts=[pb.LinkedAccount(user_id="own")])
    found.accounts.extend(pb.LinkedAccount(user_id=f"near{n}", step=1, orders=2, denied=n % 2) for n in range(near))
    found.accounts.extend(pb.LinkedAccount(user_id=f"far{n}", step=2) for n in range(far))
    found.links.add(field="device_id", value="d", user_ids=["own", *(f"near{n}" for n in range(near))])
    if far:
        found.links.add(field="card_id", value="c", user_ids=["near0", *(f"far{n}" for n in range(far))])
    return found


def test_a_graph_is_drawn_from_left_to_right() -> None:
    """Accounts and keys are in columns by their distance, each edge connects neighbours, and all is within the plot."""
    graph = graph_of(links(3, 2))
    columns = {node.full_name: node.x for node in graph.nodes}
    assert columns["own"] < columns["d"] < columns["near0"] == columns["near2"] < columns["c"] < columns["far1"]
    assert len(graph.edges) == 4 + 3
    assert all(0 <= node.x <= WIDTH - WIDE and 0 <= node.y < graph.height for node in graph.nodes)
    assert len({(node.x, node.y) for node in graph.nodes}) == len(graph.nodes)


def test_a_column_of_a_graph_is_limited() -> None:
    """A column has a limit, and the rest is counted."""
    graph = graph_of(links(50, 0))
    assert len(graph.nodes) == 1 + 1 + MAX_ROWS and graph.left_out == 50 - MAX_ROWS


def test_names_are_cut_and_print() -> None:
    """Long names end in an ellipsis; control and bidi characters are shown as unprintable."""
    assert shorten("a" * 30, 5) == "aaaa\N{HORIZONTAL ELLIPSIS}"
    assert shorten("a\N{RIGHT-TO-LEFT OVERRIDE}b\n", 9) == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"


def test_an_effect_is_a_path_of_steps() -> None:
    """One step per range, the highest on top, and a line at zero; the table has the same values."""
    shape = shape_of(scoring.FeatureEffect(feature="f", unknown=-1.0, thresholds=[1.0, 5.0], effect=[1.0, 0.0, -1.0]))
    assert shape.path.count("H") == 3 and shape.path.startswith("M 0.0 0.0") and shape.path.endswith("H 240.0")
    assert shape.zero == HEIGHT / 2
    assert shape.rows == [("unknown", -1.0), ("up to 1", 1.0), ("1 to 5", 0.0), ("above 5", -1.0)]


def test_a_fine_grid_is_averaged() -> None:
    """Sixty by two ranges become twelve rows with the grid's means, the strongest in the darkest shade."""
    grid = [float(row) * (1 if column else -1) for row in range(60) for column in range(2)]
    pair = scoring.PairEffect(
        first="a", second="b", first_thresholds=list(range(59)), second_thresholds=[0.5], effect=grid
    )
    heat = heat_of(pair)
    assert len(heat.rows) == MAX_CELLS and len(heat.columns) == 2 and len(heat.cells) == 24
    assert abs(sum(value for *_, value in heat.cells)) < 1e-9
    assert {heat.cells[-1][2], heat.cells[-2][2]} == {LEVELS, -LEVELS} and heat.cells[0][2] == 0


def test_lines_and_ranges_of_nothing() -> None:
    """Without points a line is empty; without thresholds every value is one range."""
    assert line_of([], 0.0, 0.0).path == ""
    assert line_of([(0.0, 1.0), (1.0, 0.0)], 0.0, 1.0).dots == [(0.0, 0.0), (240.0, HEIGHT)]
    assert ranges([]) == ["any value"]
