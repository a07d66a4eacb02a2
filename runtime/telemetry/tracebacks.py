"""Tracebacks without data of an order."""

import traceback


def traceback_frames(error: BaseException) -> list[str]:
    """Return file, line and function of each frame, without the message, which may contain a value of an order."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
