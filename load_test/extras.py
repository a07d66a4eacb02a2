"""Columns of a dataset that the serving model reads beside the fields, so that they are sent along."""

from dataclasses import dataclass

import httpx

from load_test.keys import key_headers

MODEL_INFO = "/api/v1/model/info"
SECONDS = 5.0


@dataclass(frozen=True)
class ModelExtras:
    """Names of the extras that a model reads."""

    numbers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


def model_extras(*urls: str) -> ModelExtras:
    """What the model behind the first of `urls` that tells of one reads; nothing where none does."""
    for url in urls:
        try:
            answer = httpx.get(url.rstrip("/") + MODEL_INFO, headers=key_headers(url), timeout=SECONDS)
            answer.raise_for_status()
            values = answer.json()
            return ModelExtras(tuple(values["extra_numbers"]), tuple(values["extra_texts"]))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
            continue
    return ModelExtras()
