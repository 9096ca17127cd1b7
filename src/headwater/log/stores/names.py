"""What an object may be called: the same in every storage, so that objects can be copied from one to another."""

from __future__ import annotations

import re
from functools import lru_cache

from headwater.core.errors import LogError
from headwater.core.limits import OBJECT_NAME_BYTES_MAX, OBJECT_NAME_PART_BYTES_MAX, OBJECT_NAMES_KNOWN_MAX

# Not a dot first: neither `.` and `..`, nor what a storage hides while it is not whole.
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_VALID = (
    f"a name has parts of 1 to {OBJECT_NAME_PART_BYTES_MAX} ASCII letters, digits, `_`, `-` and (not first) `.`, "
    f"joined by `/`, at most {OBJECT_NAME_BYTES_MAX} in all"
)


@lru_cache(OBJECT_NAMES_KNOWN_MAX)
def check_name(name: str) -> None:
    """Raises LogError for what no storage takes as the name of an object."""
    if len(name) > OBJECT_NAME_BYTES_MAX or not all(is_part(part) for part in name.split("/")):
        raise LogError(f"no name for an object: {name[:OBJECT_NAME_BYTES_MAX]!r}; {_VALID}")


def check_directory(directory: str) -> None:
    """Raises LogError for what is neither ``""`` nor could be a directory of objects."""
    if directory:
        check_name(directory)


def check_range(start: int, length: int | None) -> None:
    """Raises LogError for a range that begins before the object or has fewer bytes than none."""
    if start < 0 or (length is not None and length < 0):
        raise LogError(f"no range of an object: {length} bytes from byte {start} on; neither may be negative")


def is_part(part: str) -> bool:
    """Whether a name may have this between two slashes."""
    return len(part) <= OBJECT_NAME_PART_BYTES_MAX and _PART.fullmatch(part) is not None
