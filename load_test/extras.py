"""Extra columns that the serving model reads in addition to the fields."""

from dataclasses import dataclass

import httpx

from load_test.keys import key_headers

MODEL_INFO = "/api/v1/model/info"
SECONDS = 5.0


@dataclass(frozen=True)
class ModelExtras:
    """Names of the extra columns of a model."""

    numbers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


def fetch_model_extras(*urls: str) -> ModelExtras:
    """Return the extras of the first URL that returns model info; empty if none does."""
    for url in urls:
        try:
            response = httpx.get(url.rstrip("/") + MODEL_INFO, headers=key_headers(url), timeout=SECONDS)
            response.raise_for_status()
            values = response.json()
            return ModelExtras(tuple(values["extra_numbers"]), tuple(values["extra_texts"]))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
            continue
    return ModelExtras()
