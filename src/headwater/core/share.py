"""The one function that picks a share of users: for sampling, grey releases and shedding, each under its own purpose."""

from __future__ import annotations

import hashlib

SAMPLING = "sampling"
SHED = "shed"


def share(purpose: str, key: str) -> float:
    """A number in [0, 1) that is the same for the same purpose and key: md5_number_lower(purpose ‖ ':' ‖ key) / 2^64.

    md5_number_lower is DuckDB's: the lower 64 bits of the MD5 digest.
    """
    digest = hashlib.md5(f"{purpose}:{key}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "little") / 2**64
