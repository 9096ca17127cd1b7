"""Hashes of VARCHAR. Arguments are not NULL."""

from __future__ import annotations

import hashlib

from headwater.kernel.functions.numbers import Failed


def md5(text: str) -> str:
    """The MD5 digest in lower-case hexadecimal digits."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def md5_number_lower(text: str, divisor: int | None = None) -> int | float:
    """The lower 64 bits of the MD5 digest, as a double; with a divisor what is left of the exact number divided by it."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    number = int.from_bytes(digest[8:], "little")
    if divisor is None:
        return float(number)
    if divisor == 0:
        raise Failed
    return number % abs(divisor)
