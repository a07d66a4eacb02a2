"""Parameters of training, and their defaults."""

from dataclasses import dataclass, replace

from ml_server.registry.bundle import TABLES, TREES

AUTO = "auto"
FORMS = (TABLES, TREES, AUTO)


@dataclass(frozen=True)
class Parameters:
    """Parameters of training.

    `target` is the label to learn: hard (is_abuse, abuse_type) or soft (abuse_confidence). `form` is tables over pairs,
    deeper trees, or auto: tables, unless trees gain enough on out-of-fold rows. `prevalence` is the share of abuse
    among the shop's orders, if it differs from the training data's. `holdout` is the share of the rows, the last in
    time, on which metrics are measured. `rounds` is the maximum, `time_budget` is in seconds. Values of None depend on
    the size of the minority class: see `plan_for`.
    """

    seed: int = 42
    target: str = "hard"
    form: str = AUTO
    prevalence: float | None = None
    holdout: float = 0.15
    rounds: int = 3000
    time_budget: float | None = None
    learning_rate: float | None = None
    folds: int | None = None
    bags: int | None = None
    bins: int = 64
    shrinkage: float | None = None
    sparse_copies: float = 0.5


@dataclass(frozen=True)
class Plan:
    """How to fit: `patience` is in rounds, `bags` are models that differ by their seed and are averaged, `fields` is
    the share of the features available to a tree.
    """

    learning_rate: float
    shrinkage: float
    patience: int
    folds: int
    bags: int
    depth: int = 2  # at most two features on a path: such trees are tables (see terms_of)
    leaves: int = 4
    fields: float = 0.3
    leaf: int = 20  # minimum number of rows in a leaf


def plan_for(minority: int, parameters: Parameters) -> Plan:
    """Return the plan of tables for a table by the rows of its rarer label.

    The fewer there are, the smaller the steps, and the more folds and bags, since a single fit is then mostly noise. A
    leaf with a few frauds has a small second derivative: with a shrinkage far above 5 it would need all rounds to move.
    """
    is_rare, is_plenty = minority < 1_000, minority >= 10_000
    rate = parameters.learning_rate or (0.05 if is_rare else 0.25 if is_plenty else 0.2)
    return Plan(
        learning_rate=rate,
        shrinkage=parameters.shrinkage or (5.0 if is_rare else 20.0),
        patience=round(7.5 / rate),
        folds=min(parameters.folds or (5 if is_rare else 2 if is_plenty else 3), minority),
        leaf=min(20, max(1, minority // 20)),
        bags=parameters.bags or min(max(1, -(-2_000 // minority)), 4),
    )


def deeper_plan(plan: Plan, parameters: Parameters) -> Plan:
    """Return the plan for deeper trees: each has more effect, so steps are smaller, and patience is shorter.

    Chosen on the card table of `make bench-real` and generated orders (docs/explanation/scoring.md): more depth was not
    better there and takes longer to explain, and larger steps were worse.
    """
    rate = parameters.learning_rate or 0.1
    return replace(
        plan, learning_rate=rate, patience=round(4 / rate), bags=min(plan.bags, 3), depth=3, leaves=8, fields=0.5
    )
