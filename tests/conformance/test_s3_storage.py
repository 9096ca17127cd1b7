"""The conformance suite of storages on S3; what is counted; and what becomes of a store that fails, as an error tells it."""

import http.server
import itertools
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from headwater.core.errors import LogError
from headwater.log.storage import ObjectMissing, Storage, StorageFull, StorageUnavailable
from headwater.testing.storage_conformance import StorageConformance, refused

pytest.importorskip("obstore", reason="obstore is not installed; `make setup` does")
pytest.importorskip("moto", reason="moto is not installed; `make setup` does")

from headwater.log.stores.objects import ObjectStorage
from tests.conformance.s3_server import OPTIONS, s3_server

_numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def place(server: str) -> str:
    """The name of a place in the store where nothing is yet."""
    name = f"site-{next(_numbers)}"
    with urllib.request.urlopen(urllib.request.Request(f"{server}/{name}", method="PUT")) as answer:
        assert answer.status == 200
    return name


class TestS3Storage(StorageConformance):
    rounds = 10
    prefix = ""

    @pytest.fixture(autouse=True)
    def _place(self, server: str, place: str) -> None:
        self.server, self.place = server, place

    def open(self) -> Storage:
        return ObjectStorage(f"s3://{self.place}{self.prefix}", {**OPTIONS, "endpoint": self.server})


class TestS3StorageUnderAPrefix(TestS3Storage):
    prefix = "/logs/site-1"
    rounds = 3


def test_requests_are_counted_by_kind(server: str, place: str) -> None:
    storage = ObjectStorage(f"s3://{place}", {**OPTIONS, "endpoint": server})
    for number in range(5):
        storage.put(f"a/{number}", b"x")
    storage.put("a/0", b"taken")
    storage.get("a/0")
    storage.get("a/0", 5, 10)
    with pytest.raises(ObjectMissing):
        storage.get("a/9")
    storage.delete("a/4")
    storage.list("a")
    assert storage.list("a", after="1") == ["2", "3"]
    assert storage.list("", after="Z") == ["a/"]
    # Behind Z there is a directory: one request to see that, and one to list by directories.
    assert dict(storage.requests) == {"PUT": 6, "GET": 3, "DELETE": 1, "LIST": 4}


def test_a_list_of_many_pages_counts_each(server: str, place: str) -> None:
    storage = ObjectStorage(f"s3://{place}", {**OPTIONS, "endpoint": server})
    for number in range(1001):
        storage.put(f"a/{number:04}", b"")
    before = storage.requests["LIST"]
    assert len(storage.list("a")) == 1001
    assert storage.requests["LIST"] - before == 2
    assert len(storage.list("a", after="0")) == 1001
    assert storage.requests["LIST"] - before == 4
    assert len(storage.list("a", after="0005")) == 995
    assert storage.requests["LIST"] - before == 5


def test_where_the_store_itself_is_missing_no_object_is(server: str) -> None:
    storage = ObjectStorage("s3://no-such-place.test", {**OPTIONS, "endpoint": server})
    for call in (lambda: storage.put("a", b"x"), lambda: storage.get("a"), lambda: storage.list("a")):
        with refused(StorageUnavailable, "s3://no-such-place.test/a", "404 NoSuchBucket"):
            call()


@contextmanager
def _answering(status: int, body: str = "", length: int | None = None) -> Iterator[str]:
    """A server that gives every request that one answer. ``length``: what it says of the body, where that is not so."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", "Mon, 23 Nov 2026 20:00:00 GMT")
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_PUT = do_DELETE = do_POST = do_HEAD = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "error", "words"),
    [
        (500, "InternalError", StorageUnavailable, "500 InternalError"),
        (503, "SlowDown", StorageUnavailable, "503 SlowDown"),
        (403, "SignatureDoesNotMatch", StorageUnavailable, "403 SignatureDoesNotMatch"),
        (409, "ConditionalRequestConflict", StorageUnavailable, "409 ConditionalRequestConflict"),
        (501, "NotImplemented", StorageUnavailable, "501 NotImplemented"),
        (507, "XMinioStorageFull", StorageFull, "507 XMinioStorageFull"),
        (403, "QuotaExceeded", StorageFull, "403 QuotaExceeded"),
    ],
)
def test_an_error_of_the_store_is_told_by_its_status_and_code(
    status: int, code: str, error: type[StorageUnavailable], words: str
) -> None:
    body = f"<Error><Code>{code}</Code><AWSAccessKeyId>test-key</AWSAccessKeyId><StringToSign>test-secret</StringToSign></Error>"
    with _answering(status, body) as url:
        storage = ObjectStorage("s3://site.test", {**OPTIONS, "endpoint": url})
        with pytest.raises(error) as caught:
            storage.put("a/b", b"x")
        assert str(caught.value) == f"s3://site.test/a/b: PUT: the store answered {words}"
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        if status != 409:
            for call in (lambda: storage.get("a/b"), lambda: storage.list("a/b"), lambda: storage.delete("a/b")):
                with refused(error, words):
                    call()
        # Asked once each: what may have been done is not to be done again unasked.
        assert storage.requests["PUT"] == 1


def test_a_taken_name_is_what_the_store_says_so_of() -> None:
    with _answering(412, "<Error><Code>PreconditionFailed</Code></Error>") as url:
        assert ObjectStorage("s3://site.test", {**OPTIONS, "endpoint": url}).put("a", b"x") is False


def test_an_answer_that_is_cut_off_is_no_object() -> None:
    with _answering(200, "half", length=8) as url:
        storage = ObjectStorage("s3://site.test", {**OPTIONS, "endpoint": url}, request_s_max=2)
        with refused(StorageUnavailable, "s3://site.test/a: GET"):
            storage.get("a")


def test_a_store_that_does_not_answer_is_unavailable_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        storage = ObjectStorage("s3://site.test", {**OPTIONS, "endpoint": url}, request_s_max=0.3)
        for kind, call in (("PUT", lambda: storage.put("a", b"x")), ("GET", lambda: storage.get("a"))):
            with refused(StorageUnavailable, f"s3://site.test/a: {kind}: no answer within 0.3 s"):
                call()
    gone = ObjectStorage("s3://site.test", {**OPTIONS, "endpoint": url})  # Nobody listens there any more.
    with refused(StorageUnavailable, "s3://site.test/a: PUT: the store cannot be reached"):
        gone.put("a", b"x")


def test_what_is_no_object_store_is_refused_without_its_secrets() -> None:
    for url in ("file:///x", "http://127.0.0.1/x", "memory:///", "x"):
        with refused(LogError, "s3://, gs://, az://"):
            ObjectStorage(url)
    with pytest.raises(LogError) as caught:
        ObjectStorage("s3://test-user:test-secret@site.test/x?k=test-key", {"no_such_option": "test-secret"})
    assert "s3://site.test/x" in str(caught.value)
    assert "test-" not in str(caught.value)
