"""The mark on a function of one's own that rules may call. It imports nothing, so that `import headwater` stays quick."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_Function = TypeVar("_Function", bound=Callable[..., object])


def udf(function: _Function) -> _Function:
    """Lets rules call ``function`` by its name: `@headwater.udf` on a function of a file in `udfs/`, annotated with lists.

    Headwater reads the mark and the annotations from the text of the file; the function itself stays as it is.
    """
    return function
