"""What a figure depends on besides the code: the machine, the commit, and the form of the model."""

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
_UNKNOWN: Final = "unknown"


def describe_run(model: str = "") -> dict[str, Any]:
    """Return what was measured on what: cores, processor, memory, kernel, Python, commit, and the form of the model."""
    described = {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "processor": _read(Path("/proc/cpuinfo"), r"model name\s*:\s*(.+)"),
        "memory_gb": round(int(_read(Path("/proc/meminfo"), r"MemTotal:\s*(\d+)", "0")) / 1e6, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": commit(),
    }
    return described | ({"model": model} if model else {})


def commit() -> str:
    """Return the commit of the code, followed by + if files differ from it."""
    found = _git("rev-parse", "--short=7", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results", ":!docs")
    return f"{found or _UNKNOWN}{'+' if changed else ''}"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _read(path: Path, pattern: str, otherwise: str = _UNKNOWN) -> str:
    """Return the first group of a pattern in a file of the kernel; not all systems have them."""
    try:
        found = re.search(pattern, path.read_text())
    except OSError:
        return otherwise
    return found[1].strip() if found else otherwise
