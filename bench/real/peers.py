"""Fits one peer in its own environment: `peers.py NAME SEED ARRAYS OUTPUT` writes its scores of the last rows.

It is a script outside the project's modules, which its environment does not have. The "tuned" settings come from
published benchmarks of this table; rounds are chosen on the last fifth of the rows to fit, and the model is then fitted
on all of them.
"""

import json
import os
import sys
import time
from typing import Any

import numpy as np

THREADS = min(2, int(os.environ.get("OMP_NUM_THREADS", "2")))


def lightgbm(values: Any, labels: Any, seed: int) -> Any:
    """Fit with defaults."""
    import lightgbm as lgb

    return lgb.LGBMClassifier(random_state=seed, n_jobs=THREADS, verbose=-1).fit(values, labels)


def lightgbm_tuned(values: Any, labels: Any, seed: int) -> Any:
    """Fit with small steps, small trees, rounds by average precision."""
    import lightgbm as lgb

    options: dict[str, Any] = {
        "learning_rate": 0.02, "num_leaves": 15, "min_child_samples": 20, "reg_lambda": 5.0, "max_bin": 1023,
        "subsample": 0.8, "subsample_freq": 1, "colsample_bytree": 0.5, "random_state": seed, "n_jobs": THREADS,
        "verbose": -1,
    }  # fmt: skip
    first = int(len(labels) * 0.8)
    tried = lgb.LGBMClassifier(n_estimators=3000, **options).fit(
        values[:first], labels[:first], eval_set=[(values[first:], labels[first:])], eval_metric="average_precision",
        callbacks=[lgb.early_stopping(200, first_metric_only=False, verbose=False)],
    )  # fmt: skip
    return lgb.LGBMClassifier(n_estimators=max(tried.best_iteration_, 100), **options).fit(values, labels)


def xgboost(values: Any, labels: Any, seed: int) -> Any:
    """Fit with defaults except smaller steps."""
    import xgboost as xgb

    return xgb.XGBClassifier(
        n_estimators=400, learning_rate=0.05, subsample=0.8, colsample_bytree=0.5, random_state=seed, n_jobs=THREADS
    ).fit(values, labels)


def catboost(values: Any, labels: Any, seed: int) -> Any:
    """Fit with defaults: 1,000 rounds."""
    from catboost import CatBoostClassifier

    return CatBoostClassifier(random_seed=seed, thread_count=THREADS, verbose=False, allow_writing_files=False).fit(
        values, labels
    )


def hist_gradient_boosting(values: Any, labels: Any, seed: int) -> Any:
    """Fit with defaults."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(random_state=seed).fit(values, labels)


def logistic_regression(values: Any, labels: Any, seed: int) -> Any:
    """Fit on standardised columns."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=seed)).fit(values, labels)


def explainable_boosting(values: Any, labels: Any, seed: int) -> Any:
    """Fit an EBM: single columns, four bags; pairs were measured to be twice as slow and not better here."""
    from interpret.glassbox import ExplainableBoostingClassifier

    return ExplainableBoostingClassifier(interactions=0, outer_bags=4, n_jobs=THREADS, random_state=seed).fit(
        values, labels
    )


PEERS = {
    peer.__name__: peer
    for peer in (
        lightgbm, lightgbm_tuned, xgboost, catboost, hist_gradient_boosting, logistic_regression, explainable_boosting,
    )
}  # fmt: skip


def main(name: str, seed: int, arrays: str, output: str) -> None:
    """Fit one peer, write P(abuse) of the rows to measure on, and print the seconds of fitting."""
    table = np.load(arrays)
    values, labels, first = table["values"], table["labels"], int(table["to_fit"])
    begun = time.perf_counter()
    model = PEERS[name](values[:first], labels[:first], seed)
    seconds = time.perf_counter() - begun
    np.save(output, np.asarray(model.predict_proba(values[first:])[:, 1], dtype=np.float64))
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
