"""Objects of an object store: S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage, by `obstore`.

A put is one request with `If-None-Match: *` (or the store's own form of it), which the store refuses where the name is taken.
There are no appends: a store keeps an object as it was put. Nothing is asked twice here: a put whose answer was lost may have
been done, and its repetition would be told that the name is taken, by itself.
"""

from __future__ import annotations

import builtins
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from headwater.core.errors import LogError
from headwater.core.limits import STORAGE_CONNECT_S_MAX, STORAGE_REQUEST_S_MAX
from headwater.log.storage import ObjectMissing, StorageFull, StorageUnavailable
from headwater.log.stores.names import check_directory, check_name, check_range, is_part

if TYPE_CHECKING:
    from obstore.store import ClientConfig

T = TypeVar("T")
Kind = Literal["PUT", "GET", "LIST", "DELETE"]
_SCHEMES = ("s3", "gs", "az")
_PAGE = 1000  # What one request lists at most: S3's limit. The others list as much or more.
_STATUS = re.compile(r"status code: (\d{3})( [A-Za-z ]+)?")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_FULL = {"507", "QuotaExceeded", "XMinioStorageFull"}
_NO_STORE = {"NoSuchBucket", "ContainerNotFound"}


class ObjectStorage:
    """A `Storage` under a URL: `s3://name.example/prefix`; so with `gs://`, and with `az://`, which has the account first.

    ``options`` are obstore's for that kind of store (endpoint, region, keys …); without keys it looks where the store's own tools
    do (environment, role of the machine). ``requests`` counts what was asked by kind, whatever the answer: stores charge for it.
    """

    appends = False

    def __init__(self, url: str, options: Mapping[str, Any] | None = None, request_s_max: float = STORAGE_REQUEST_S_MAX) -> None:
        at = urlsplit(url)
        if at.scheme not in _SCHEMES:
            raise LogError(
                f"no object store is known for {at.scheme}://; there are {', '.join(f'{known}://' for known in _SCHEMES)}"
            )
        self.name = f"{at.scheme}://{at.hostname or ''}{at.path}".rstrip("/")
        self.requests: Counter[Kind] = Counter()
        self._guard = threading.Lock()
        self._request_s_max = request_s_max
        client: ClientConfig = {
            "timeout": timedelta(seconds=request_s_max),
            "connect_timeout": timedelta(seconds=min(STORAGE_CONNECT_S_MAX, request_s_max)),
            "allow_http": str((options or {}).get("endpoint", "")).startswith("http://"),
        }
        config: Any = dict(options or {})
        try:
            self._store = from_url(url, config=config, client_options=client, retry_config={"max_retries": 0})
        except (BaseError, ValueError, TypeError) as e:
            # Not its text, which may quote an option.
            raise LogError(f"{self.name}: no object store can be made of this URL and its options ({type(e).__name__})") from None

    def put(self, name: str, data: bytes, sync: bool = True) -> bool:
        """See `Storage`. What a store answers for is durable, with ``sync`` or without."""
        check_name(name)
        try:
            self._ask("PUT", name, lambda: obstore.put(self._store, name, data, mode="create", use_multipart=False))
        except ObjectMissing as e:
            raise StorageUnavailable(str(e)) from None
        except AlreadyExistsError as e:
            if "status code: 409" in str(e):
                # Somebody else is at it: whether the name is taken is not known yet.
                self._fail("PUT", name, e)
            return False
        return True

    def append(self, name: str, at: int, data: bytes, sync: bool = True) -> None:
        """See `Storage`. Raises LogError: there are none."""
        raise LogError(f"{self.name}: an object store keeps objects as they were put; nothing can be appended to {name}")

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Storage`."""
        check_name(name)
        check_range(start, length)
        # A range must not be empty; whether the object is there is asked for all the same.
        end = None if length is None else start + max(length, 1)

        def read() -> bytes:
            if end is not None:
                return bytes(obstore.get_range(self._store, name, start=start, end=end))
            return bytes(obstore.get(self._store, name, options={"range": {"offset": start}} if start else None).bytes())

        data = self._ask("GET", name, read, past_end=b"")
        return data if length is None else data[:length]

    def list(self, directory: str, after: str = "") -> builtins.list[str]:
        """See `Storage`. One request for a thousand names; with ``after`` it begins there where no directory lies behind."""
        check_directory(directory)
        entries = self._list_from(directory, after) if after else None
        if entries is None:
            entries = self._list_all(directory)
        return sorted(entry for entry in entries if entry > after and is_part(entry.removesuffix("/")))

    def delete(self, name: str) -> None:
        """See `Storage`."""
        check_name(name)
        try:
            self._ask("DELETE", name, lambda: obstore.delete(self._store, name))
        except ObjectMissing:
            return

    def _list_all(self, directory: str) -> builtins.list[str]:
        found = self._ask("LIST", directory, lambda: obstore.list_with_delimiter(self._store, directory or None))
        entries = [_last(each["path"]) for each in found["objects"]]
        entries += [f"{_last(prefix)}/" for prefix in found["common_prefixes"]]
        self._count("LIST", (len(entries) - 1) // _PAGE if entries else 0)
        return entries

    def _list_from(self, directory: str, after: str) -> builtins.list[str] | None:
        """The objects behind a name; None where there are directories, whose every object would be listed."""
        prefix = f"{directory}/" if directory else ""
        pages = obstore.list(self._store, directory or None, offset=f"{prefix}{after}", chunk_size=_PAGE)
        entries: list[str] = []
        while page := self._ask("LIST", directory, lambda: next(pages, None)):
            for each in page:
                entry = each["path"].removeprefix(prefix)
                if "/" in entry:
                    return None
                entries.append(entry)
            if len(page) < _PAGE:
                break
        return entries

    def _ask(self, kind: Kind, name: str, request: Callable[[], T], past_end: T | None = None) -> T:
        self._count(kind, 1)
        try:
            return request()
        except AlreadyExistsError:
            raise
        except (BaseError, OSError) as e:
            if past_end is not None and "status code: 416" in str(e):
                return past_end
            self._fail(kind, name, e)

    def _count(self, kind: Kind, requests: int) -> None:
        with self._guard:
            self.requests[kind] += requests

    def _fail(self, kind: Kind, name: str, error: Exception) -> NoReturn:
        """Raises what the error means. Of its text only status and code: the rest may quote keys, signatures and addresses."""
        text = str(error)
        status, code = _STATUS.search(text), _CODE.search(text)
        said = {found.group(1) for found in (status, code) if found}
        if isinstance(error, FileNotFoundError) and not said & _NO_STORE:
            raise ObjectMissing(f"{self.name}/{name}: there is no such object") from None
        if status:
            what = f"the store answered {status.group(1)} {code.group(1) if code else (status.group(2) or '').strip()}".rstrip()
        elif "kind: Timeout" in text:
            what = f"no answer within {self._request_s_max:g} s"
        elif "kind: Connect" in text:
            what = "the store cannot be reached"
        else:
            what = f"the request failed ({type(error).__name__})"
        raise (StorageFull if said & _FULL else StorageUnavailable)(f"{self.name}/{name}: {kind}: {what}") from None


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
