"""The conformance suite of logs on S3: two sites and a witness."""

import itertools
import urllib.request
from collections.abc import Iterator

import pytest

from headwater.log.interface import Log
from headwater.log.shared import LogSettings, open_log
from headwater.testing.log_conformance import LogConformance

pytest.importorskip("obstore", reason="obstore is not installed; `make setup` does")
pytest.importorskip("moto", reason="moto is not installed; `make setup` does")

from headwater.log.stores.objects import ObjectStorage
from tests.conformance.s3_server import OPTIONS, s3_server

_numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url


class TestSharedLogOnS3(LogConformance):
    sites: tuple[str, ...] = ("a",)

    @pytest.fixture(autouse=True)
    def _places(self, server: str) -> None:
        self.server, self.number = server, next(_numbers)
        for name in (*self.sites, "witness"):
            request = urllib.request.Request(f"{server}/{self._place(name)}", method="PUT")
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 200

    def _place(self, name: str) -> str:
        return f"log-{self.number}-{name}"

    def _storage(self, name: str) -> ObjectStorage:
        return ObjectStorage(f"s3://{self._place(name)}/log", {**OPTIONS, "endpoint": self.server})

    def open(self) -> Log:
        witnesses = {"witness": self._storage("witness")} if len(self.sites) == 2 else {}
        return open_log({name: self._storage(name) for name in self.sites}, witnesses, LogSettings(flush_s=0.005))


class TestSharedLogOnTwoSitesOfS3(TestSharedLogOnS3):
    sites = ("a", "b")
