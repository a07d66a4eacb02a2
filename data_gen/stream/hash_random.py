"""Random numbers as a function of seed, owner and purpose: the same in any order and process."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Owners = NDArray[np.uint64]
"""People, devices, cards and similar entities, each identified by a number."""


def mix_bits(words: Owners) -> Owners:
    """Return well-mixed words (the finaliser of SplitMix64; Steele, Lea, Flood, 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


class HashRandom:
    """The random numbers of one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def words(self, owners: NDArray[Any], purpose: str) -> Owners:
        """Return 64 bits for each owner."""
        key = hashlib.sha256(f"{self._seed} {purpose}".encode()).digest()
        first, second = (np.uint64(int.from_bytes(key[at : at + 8], "little")) for at in (0, 8))
        return mix_bits(mix_bits(owners.astype(np.uint64) + first) ^ second)

    def uint16(self, owners: NDArray[Any], purpose: str) -> NDArray[np.uint16]:
        """Return a number from 0 to 65535 for each owner."""
        return (self.words(owners, purpose) >> np.uint64(48)).astype(np.uint16)

    def below(self, owners: NDArray[Any], purpose: str, limits: NDArray[np.int64] | int) -> NDArray[np.int64]:
        """Return a number from 0 to limit - 1 for each owner, for limits up to 2**31."""
        return ((self.words(owners, purpose) >> np.uint64(32)).astype(np.int64) * limits) >> 32

    def up_to(self, owners: NDArray[Any], purpose: str, limit: int) -> NDArray[np.int64]:
        """Return a number from 0 to limit - 1 for each owner, for one limit up to 2**52."""
        fractions = (self.words(owners, purpose) >> np.uint64(11)) * 2.0**-53
        return np.minimum((fractions * limit).astype(np.int64), limit - 1)

    def happens(self, owners: NDArray[Any], purpose: str, chance: float) -> NDArray[np.bool_]:
        """Return True for this fraction of the owners."""
        return self.uint16(owners, purpose) < round(chance * 65536)
