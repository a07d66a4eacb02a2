"""Where a fault came from, in words that hold nothing of an order."""

import traceback


def traceback_frames(error: BaseException) -> list[str]:
    """File, line and function of each step to an error. Not its message, which could hold a value of an order."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
