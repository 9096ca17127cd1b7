"""Rules for every test: on CI a skipped test has failed, since CI installs all that a test may need."""

import os

import pytest


def _is_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true")


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
