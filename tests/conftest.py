"""Rules for every test: on CI nothing is skipped, since CI installs all that a test may need, and generated tests repeat."""

import os

import pytest
from hypothesis import settings


def _is_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true")


# Generated tests look for something new in each local run; CI says the same of the same commit. A busy machine is no failure.
settings.register_profile("explore", deadline=None)
settings.register_profile("repeat", deadline=None, derandomize=True)
settings.load_profile("repeat" if _is_ci() else "explore")


def _fail_where_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not _is_ci() or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}: skipped, and on CI nothing may be skipped: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    _fail_where_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    _fail_where_skipped(report)
    return report
