"""Parameters of the model of tables: class scores are sums of terms, each a table over one or two features.

Trees of depth 2 test at most two features on any path from root to leaf, so a sum of such trees is exactly a sum of
such tables (see `from_lightgbm`). Models of this form: Lou, Caruana, Gehrke, Hooker, Accurate Intelligible Models with
Pairwise Interactions, KDD 2013.
"""

import io
from dataclasses import dataclass, replace

import numpy as np

from ml_server.model.bins import GRID, Floats, Places, Thresholds, check_thresholds


@dataclass(frozen=True)
class Terms:
    """The arrays of an additive model.

    thresholds: of each feature, as in `model.bins`.
    first, second: the features of each term, shape (terms,), first < second; the same twice for a term of one feature.
    offsets: start of each term's table in `cells`, shape (terms,).
    cells: class scores, all tables row by row, shape (cells, classes).
    base: scores if every term is at its mean, shape (classes,).
    """

    thresholds: Thresholds
    first: Places
    second: Places
    offsets: Places
    cells: Floats
    base: Floats

    @property
    def bins(self) -> Places:
        """Number of bins of each feature, shape (features,)."""
        return np.array([len(array) + 1 for array in self.thresholds], dtype=np.intp)

    @property
    def sizes(self) -> Places:
        """Number of cells of each term, shape (terms,)."""
        bins = self.bins
        return np.where(self.first == self.second, bins[self.first], bins[self.first] * bins[self.second])

    def table(self, term: int) -> Floats:
        """Return the table of a term, shape (bins, classes) or (bins, bins, classes)."""
        bins, first, second = self.bins, self.first[term], self.second[term]
        shape = (bins[first],) if first == second else (bins[first], bins[second])
        return self.cells[self.offsets[term] :][: np.prod(shape)].reshape(*shape, -1)

    def on_grid(self) -> "Terms":
        """Return the terms with cells and base rounded to GRID, which changes no score by more than 1e-8.

        One order is summed by BLAS, many table by table; exact sums make both bitwise equal.
        """
        cells, base = (np.round(values / GRID) * GRID for values in (self.cells, self.base))
        return replace(self, cells=cells, base=base)

    def dump(self) -> bytes:
        """Return bytes for `parse`: a NumPy archive of plain arrays. Equal terms give equal bytes."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            allow_pickle=False,
            thresholds=np.concatenate([np.asarray(array) for array in self.thresholds]),
            bins=self.bins,
            first=self.first,
            second=self.second,
            cells=self.cells,
            base=self.base,
        )
        return buffer.getvalue()

    @classmethod
    def parse(cls, content: bytes) -> "Terms":
        """Load terms from bytes. Raises ValueError, KeyError, OSError or BadZipFile for invalid bytes."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            ends = np.cumsum(arrays["bins"] - 1)[:-1]
            thresholds = tuple(tuple(array.tolist()) for array in np.split(arrays["thresholds"], ends))
            first, second = arrays["first"].astype(np.intp), arrays["second"].astype(np.intp)
            return cls.of(thresholds, first, second, arrays["cells"], arrays["base"])

    @classmethod
    def of(cls, thresholds: Thresholds, first: Places, second: Places, cells: Floats, base: Floats) -> "Terms":
        """Return terms with consecutive tables. Raises ValueError if a lookup could leave them."""
        check_thresholds(thresholds)
        if not len(first) or first.min() < 0 or second.max() >= len(thresholds) or np.any(first > second):
            raise ValueError("a term has an unknown feature")
        terms = cls(thresholds, first, second, np.zeros_like(first), cells, base)
        ends = np.cumsum(terms.sizes)
        if cells.ndim != 2 or ends[-1] != len(cells) or base.shape != cells.shape[1:] or not np.isfinite(cells).all():
            raise ValueError("the tables need one finite score a class for each cell")
        return cls(thresholds, first, second, ends - terms.sizes, cells, base)
