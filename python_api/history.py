"""`vouch.history`: counts of the past for a frame of orders."""

from contract.fields import REQUIRED
from history.definitions import NAMES
from history.table import with_history
from ml_server.estimator.frames import Frame, like, to_orders

__all__ = ["NAMES", "compute"]


def compute(frame: Frame) -> Frame:
    """Return the frame with the fields of NAMES that it leaves out, computed from the rows before each row in time.

    These are the values that the agent would add. Known values stay. Rows without enough past stay null.
    """
    return like(frame, with_history(to_orders(frame, required=REQUIRED)))
