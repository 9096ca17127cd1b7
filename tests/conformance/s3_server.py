"""A real S3 server on loopback: moto's, which answers one request after the other.

moto honours `If-None-Match: *`, but looks and puts in two steps: with a thread for each request two of eight puts at once may
both be told that they won. Taken one by one its answers are S3's.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

OPTIONS = {"access_key_id": "test-key", "secret_access_key": "test-secret", "region": "us-east-1"}


@contextmanager
def s3_server() -> Iterator[str]:
    """The server's URL."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
