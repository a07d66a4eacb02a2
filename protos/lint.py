"""Run buf lint, format and breaking on the contract, offline: buf reads images that protoc writes.

python protos/lint.py [--against GIT_REF]    (default: the last commit, if it has a contract)
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUF = shutil.which("buf", path=str(Path(sys.executable).parent)) or "buf"
CONFIG = str(ROOT / "protos" / "buf.yaml")


def run(*command: str) -> int:
    """Run a command in the project's folder; return its exit code."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", default="HEAD", help="commit whose contract must stay compatible")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        image, before = Path(folder) / "image.binpb", Path(folder) / "before.binpb"
        if run(sys.executable, "protos/generate.py", "--image", str(image)):
            return 1
        failed = run(BUF, "lint", str(image), "--config", CONFIG)
        failed |= run(BUF, "format", "protos", "--diff", "--exit-code")
        command = ["git", "show", f"{options.against}:generated/descriptor_set.binpb"]
        shown = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        if shown.returncode == 0:
            before.write_bytes(shown.stdout)
            failed |= run(BUF, "breaking", str(image), "--against", str(before), "--config", CONFIG)
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
