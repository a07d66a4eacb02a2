"""MLServer with the same LightGBM model, in its own virtual environment: the closest well-known product."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = ("mlserver", "mlserver-lightgbm")
HOME = Path(".tools/mlserver")
_REQUEST = """
import sys
from mlserver.grpc import dataplane_pb2 as pb
values = [float(value) for value in sys.argv[1:]]
tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP64", shape=[1, len(values)])
tensor.contents.fp64_contents.extend(values)
sys.stdout.buffer.write(pb.ModelInferRequest(model_name="vouch", inputs=[tensor]).SerializeToString())
"""
PATH = "/inference.GRPCInferenceService/ModelInfer"


def install() -> Path:
    """Return its Python, installing it if necessary. Raises CalledProcessError if packages cannot be installed."""
    python = HOME / "bin" / "python"
    if not (HOME / "bin" / "mlserver").exists():
        uv = shutil.which("uv") or ".tools/uv/bin/uv"
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(HOME)], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", *PACKAGES], check=True, env={**os.environ, "VIRTUAL_ENV": str(HOME)}
        )
    return python


def request(python: Path, row: list[float]) -> bytes:
    """Return a request for one row of features, as bytes."""
    done = subprocess.run(
        [str(python), "-c", _REQUEST, *(repr(value) for value in row)], check=True, capture_output=True
    )
    return done.stdout


def command(folder: Path, model: Path, port: int, ports: tuple[int, int]) -> list[str]:
    """Return the command that serves a model; write its configuration to `folder`."""
    settings = {
        "host": "127.0.0.1",
        "grpc_port": port,
        "http_port": ports[0],
        "metrics_port": ports[1],
        "parallel_workers": 0,
        "debug": False,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    shutil.copy(model, folder / "model.bst")
    implementation = {"name": "vouch", "implementation": "mlserver_lightgbm.LightGBMModel"}
    (folder / "model-settings.json").write_text(json.dumps(implementation | {"parameters": {"uri": "./model.bst"}}))
    return [str((HOME / "bin" / "mlserver").resolve()), "start", str(folder)]
