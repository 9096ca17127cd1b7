"""Ids and randomness. Everything asks here, so that a seed repeats a run."""

from __future__ import annotations

import os
import random
import uuid
from typing import TypeAlias

Random: TypeAlias = random.Random
"""A generator as `seeded_random` gives it."""


def new_id() -> str:
    """A new random id: 32 hexadecimal digits."""
    return uuid.UUID(bytes=os.urandom(16), version=4).hex


def new_write_key() -> str:
    """A new write key: `wk_` and 24 hexadecimal digits."""
    return f"wk_{os.urandom(12).hex()}"


def seeded_random(seed: int) -> Random:
    """A generator of its own that repeats from its seed."""
    return random.Random(seed)
