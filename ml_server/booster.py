"""LightGBM's C library without LightGBM's Python package, which would import pandas and scikit-learn.

The shared object comes with the wheel; its C API is documented. Models are read from LightGBM's text format, which runs
no code on loading.
"""

import ctypes
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_FLOAT64 = 1  # C_API_DTYPE_FLOAT64
RAW, CONTRIBUTIONS = 1, 3  # C_API_PREDICT_RAW_SCORE, C_API_PREDICT_CONTRIB
_SERIAL = b"num_threads=1"


class BoosterError(RuntimeError):
    """The C library refused; the message is its own."""


@cache
def _library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("lightgbm")
    if spec is None or not spec.submodule_search_locations:
        raise BoosterError("the package lightgbm is not installed")
    found = [path for folder in spec.submodule_search_locations for path in Path(folder).glob("lib/lib_lightgbm.*")]
    if not found:
        raise BoosterError("the package lightgbm holds no shared library")
    library = ctypes.CDLL(str(found[0]))
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library


def _call(name: str, *arguments: object) -> None:
    library = _library()
    if getattr(library, name)(*arguments):
        raise BoosterError(f"{name}: {library.LGBM_GetLastError().decode(errors='replace')}")


class _Fast:
    """A prediction of one row at a time with everything but the row set up once. Not for two threads at once."""

    def __init__(self, handle: ctypes.c_void_p, kind: int, features: int, outputs: int) -> None:
        self._row = (ctypes.c_double * features)()
        self._out = (ctypes.c_double * outputs)()
        self._length = ctypes.c_int64()
        self._config = ctypes.c_void_p()
        _call(
            "LGBM_BoosterPredictForMatSingleRowFastInit",
            handle, kind, 0, -1, _FLOAT64, features, _SERIAL, ctypes.byref(self._config),
        )  # fmt: skip
        self._predict = _library().LGBM_BoosterPredictForMatSingleRowFast
        self._predict.argtypes = [ctypes.c_void_p] * 4
        self._arguments = (self._config, ctypes.byref(self._row), ctypes.byref(self._length), ctypes.byref(self._out))

    def __call__(self, row: list[float]) -> ctypes.Array[ctypes.c_double]:
        """Outputs for one row; the array is overwritten by the next call."""
        self._row[:] = row  # type: ignore[assignment]
        if self._predict(*self._arguments):
            raise BoosterError(_library().LGBM_GetLastError().decode(errors="replace"))
        return self._out

    def close(self) -> None:
        """Give the configuration back."""
        _library().LGBM_FastConfigFree(self._config)


class Booster:
    """A model read from LightGBM's text format. `classes` outputs for each row: 1, or the number of classes."""

    def __init__(self, text: str) -> None:
        self._handle, rounds = ctypes.c_void_p(), ctypes.c_int()
        _call("LGBM_BoosterLoadModelFromString", text.encode(), ctypes.byref(rounds), ctypes.byref(self._handle))
        self.features = self._integer("LGBM_BoosterGetNumFeature")
        self.classes = self._integer("LGBM_BoosterGetNumClasses")
        self.one = _Fast(self._handle, RAW, self.features, self.classes)
        self.one_contributions = _Fast(self._handle, CONTRIBUTIONS, self.features, self.classes * (self.features + 1))

    def _integer(self, name: str) -> int:
        result = ctypes.c_int()
        _call(name, self._handle, ctypes.byref(result))
        return result.value

    def many(self, matrix: NDArray[np.float64], kind: int = RAW, threads: int = 1) -> NDArray[np.float64]:
        """Outputs for many rows: shape (rows, classes), or (rows, classes * (features + 1)) for CONTRIBUTIONS."""
        rows, width = len(matrix), self.classes * (self.features + 1 if kind == CONTRIBUTIONS else 1)
        if matrix.shape[1] != self.features:
            raise BoosterError(f"the model reads {self.features} features, not {matrix.shape[1]}")
        data, result = np.ascontiguousarray(matrix), np.empty((rows, width))
        length = ctypes.c_int64()
        _call(
            "LGBM_BoosterPredictForMat",
            self._handle, data.ctypes.data_as(ctypes.c_void_p), _FLOAT64, rows, self.features, 1, kind, 0, -1,
            f"num_threads={threads}".encode(), ctypes.byref(length), result.ctypes.data_as(ctypes.c_void_p),
        )  # fmt: skip
        return result

    def close(self) -> None:
        """Free the model."""
        self.one.close()
        self.one_contributions.close()
        _library().LGBM_BoosterFree(self._handle)
