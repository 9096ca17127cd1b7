"""Functions of NULL."""

from __future__ import annotations

from headwater.rules.functions.declaration import COMMON, Function, Signature

FUNCTIONS = (
    Function(
        "coalesce",
        (Signature((COMMON,), COMMON, variadic=True),),
        "The first argument that is not NULL. What comes after it is not computed, and cannot fail.",
        "coalesce(user_id, device_id)",
        ("ifnull", "nvl"),
    ),
    Function(
        "nullif",
        (Signature((COMMON, COMMON), COMMON),),
        "NULL where both arguments are equal, else the first.",
        "nullif(context.network, 'none')",
    ),
)
