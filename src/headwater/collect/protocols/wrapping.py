"""Takes off what clients put around JSON: forms, base64 of either alphabet, gzip. For one request at a time."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from headwater.collect.body import GZIP_MAGIC, BodyError, unpack
from headwater.collect.protocols.interface import Incoming
from headwater.core.limits import FORM_FIELDS_MAX

_JSON = (b"{", b"[")
# Base64 of gzip of JSON is the deepest that clients are known to send; old ones wrap base64 twice.
_LAYERS_MAX = 3
# From the year 2001 to 2286.
_MS = re.compile(r"[1-9][0-9]{12}")
_ONE_ALPHABET = bytes.maketrans(b"-_ ", b"+/+")


def form(body: bytes) -> dict[str, bytes]:
    """The fields of a form, as bytes; of a repeated one the last counts. Raises BodyError where there are too many."""
    pairs = body.split(b"&", FORM_FIELDS_MAX)
    if len(pairs) > FORM_FIELDS_MAX:
        raise BodyError("form_fields", f"the form has too many fields; valid are at most {FORM_FIELDS_MAX}")
    fields = (pair.partition(b"=") for pair in pairs)
    return {unquote_to_bytes(name).decode("latin-1"): unquote_to_bytes(value.replace(b"+", b" ")) for name, _, value in fields}


def json_of(body: bytes) -> bytes:
    """The JSON in a body: what it is, or what is in its base64 or gzip. A body that holds none is given back as it is.

    Raises what `unpack` raises.
    """
    inner = body
    for _ in range(_LAYERS_MAX):
        inner = inner.strip()
        if inner[:1] in _JSON:
            return inner
        if inner[:2] == GZIP_MAGIC:
            inner = unpack(inner)
            continue
        try:
            # A form that was decoded once too often has spaces for plus signs.
            text = inner.translate(_ONE_ALPHABET).rstrip(b"=")
            inner = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
        except binascii.Error:
            return body
    inner = inner.strip()
    return inner if inner[:1] in _JSON else body


def ms_in(text: str) -> bytes | None:
    """A time in ms since 1970 as clients put it into a query string, to be written into JSON; None where it is none."""
    return text.encode() if _MS.fullmatch(text) else None


def payload(incoming: Incoming) -> bytes:
    """The JSON of a request: in `data` of a form or of the query string, or else the body itself.

    The other fields of a form become parameters of the query. Raises BodyError.
    """
    body = incoming.body
    if body:
        as_form = incoming.header(b"content-type").startswith("application/x-www-form-urlencoded")
        if not body.startswith(b"data=") and not (as_form and body.lstrip()[:1] not in _JSON):
            return json_of(body)
        fields = form(body)
        if "data" not in fields:
            return json_of(body)
        incoming.query.update((name, value.decode("latin-1")) for name, value in fields.items() if name != "data")
        # That there was one says how the answer looks.
        incoming.query["data"] = ""
        return json_of(fields["data"])
    if "data" not in incoming.query:
        raise BodyError("event_missing", "there is neither a body nor `data` in the query string")
    return json_of(incoming.query["data"].encode())
