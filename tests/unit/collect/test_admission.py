"""Token buckets: what comes in time is taken, more than that waits, and who waits long enough is taken again."""

import pytest

from headwater.collect.admission import Admission, Allowance
from headwater.core.limits import RATE_BURST_S, RETRY_AFTER_JITTER_S


def test_a_burst_and_then_the_rate():
    allowance = Allowance(100, now_s=0)
    allowance.take(int(100 * RATE_BURST_S))
    wait_s = allowance.wait_s(0)
    assert wait_s == pytest.approx(0.01)
    assert allowance.wait_s(wait_s) == 0
    allowance.take(301)
    assert allowance.wait_s(1.0) > 1.9
    assert allowance.wait_s(4.0) == 0


def test_over_a_long_time_not_more_than_the_rate_is_taken():
    allowance, taken = Allowance(1000, now_s=0), 0
    for ms in range(60_000):
        if not allowance.wait_s(ms / 1000):
            allowance.take(20)
            taken += 20
    assert 60_000 <= taken <= 60_000 + 1000 * RATE_BURST_S + 20


def test_nobody_saves_more_than_a_burst():
    allowance = Allowance(10, now_s=0)
    assert allowance.wait_s(1000) == 0
    allowance.take(int(10 * RATE_BURST_S))
    assert allowance.wait_s(1000) > 0


def test_apps_are_apart_and_a_new_rate_begins_anew():
    admission = Admission()
    assert admission.retry_after_s("a", 10, 0) is None
    admission.took("a", 1000)
    waits = {admission.retry_after_s("a", 10, 0) for _ in range(200)}
    assert min(waits) >= 95
    assert max(waits) <= 96 + RETRY_AFTER_JITTER_S
    assert len(waits) > 1, "all who are sent away come back together"
    assert admission.retry_after_s("b", 10, 0) is None
    assert admission.retry_after_s("a", 20, 0) is None
    admission.took("unlimited", 5)
