"""Each invariant, broken on purpose: the checker says which, and names the operations."""

import pytest

from headwater.testing.simulation import History, assert_holds, check


class Clock:
    """Goes on by a second whenever somebody looks."""

    def __init__(self):
        self.at = 0.0

    def __call__(self):
        self.at += 1
        return self.at


@pytest.fixture
def history():
    return History(Clock())


def only(history, kind):
    """The text of the one violation there is, which is of that kind."""
    violations = check(history)
    assert [each.kind for each in violations] == [kind], violations
    return violations[0].text


def test_a_history_without_faults_holds(history):
    history.append("w1", "p", "a", "b").acknowledged(0)
    unknown = history.append("w2", "p", "c")
    history.append("w1", "q", "d").acknowledged(0)
    refused = history.append("w1", "p", "e")
    refused.refused()
    history.read("r", "p", 1, ["b", "c"])
    history.append("w1", "p", "f").acknowledged(3)
    history.read("r", "p", 0, ["a", "b", "c", "f"], whole=True)
    history.read("r", "q", 0, ["d"], whole=True)
    assert unknown.outcome == "unknown"
    assert check(history) == []
    assert_holds(history)


def test_lost(history):
    history.append("w1", "p", "a").acknowledged(0)
    history.append("w2", "p", "b").acknowledged(1)
    history.read("r", "p", 0, ["a"])
    history.read("r", "p", 0, ["a"], whole=True)
    text = only(history, "lost")
    assert "append 2 of 'b' to p by w2 (3.000 to 4.000 s): acknowledged at 1" in text
    assert "read 4 of p from 0 by r" in text
    with pytest.raises(AssertionError, match="lost: 'b'"):
        assert_holds(history)


def test_what_a_read_began_behind_or_came_after_is_not_lost(history):
    history.append("w", "p", "a").acknowledged(0)
    history.append("w", "p", "b").acknowledged(1)
    history.read("r", "p", 1, ["b"], whole=True)
    history.append("w", "p", "c").acknowledged(2)
    assert check(history) == []


def test_moved(history):
    history.append("w", "p", "a").acknowledged(0)
    unknown = history.append("w", "p", "b")
    history.read("r", "p", 0, ["b", "a"])
    assert unknown.outcome == "unknown"
    kinds = {each.kind: each.text for each in check(history)}
    assert set(kinds) == {"moved", "rewritten", "reordered"}
    assert "'a' both at 0: append 1" in kinds["moved"]
    assert "at 1: read 3" in kinds["moved"]


def test_duplicated(history):
    history.append("w", "p", "a")
    history.read("r", "p", 0, ["a", "a"])
    assert "'a' both at 0: read 2 of p" in only(history, "duplicated")


def test_a_value_of_one_partition_in_another(history):
    history.append("w", "p", "a").acknowledged(0)
    history.read("r", "q", 0, ["a"])
    assert "nobody appended" in only(history, "invented")


def test_rewritten(history):
    history.append("w", "p", "a")
    history.append("w", "p", "b")
    history.read("r1", "p", 0, ["a"])
    history.read("r2", "p", 0, ["b"])
    text = only(history, "rewritten")
    assert "at 0 both 'a': read 3" in text
    assert "'b': read 4" in text


def test_two_acknowledged_at_one_offset(history):
    history.append("w1", "p", "a").acknowledged(0)
    history.append("w2", "p", "b").acknowledged(0)
    kinds = {each.kind: each.text for each in check(history)}
    assert set(kinds) == {"rewritten", "reordered"}
    assert "append 1" in kinds["rewritten"]
    assert "append 2" in kinds["rewritten"]


@pytest.mark.parametrize("pairs", [[(0, "a"), (2, "b")], [(1, "a")], [(0, "a"), (0, "a")]])
def test_gap(history, pairs):
    history.append("w", "p", "a")
    history.append("w", "p", "b")
    history.read("r", "p", 0, pairs, with_offsets=True)
    assert "by r" in only(history, "gap")


def test_ghost(history):
    history.append("w", "p", "a").refused()
    history.read("r", "p", 0, ["a"])
    text = only(history, "ghost")
    assert "read 2" in text
    assert "append 1 of 'a' to p by w (1.000 to 2.000 s): refused" in text


def test_invented(history):
    history.read("r", "p", 0, ["x"])
    assert "'x', which nobody appended, at 0: read 1" in only(history, "invented")


def test_reordered_after_an_acknowledgement(history):
    history.append("w", "p", "a").acknowledged(1)
    history.append("w", "p", "b").acknowledged(0)
    text = only(history, "reordered")
    assert "'b' at 0, before 'a' at 1" in text
    assert "append 2" in text
    assert "append 1" in text


def test_reordered_after_a_read(history):
    history.append("w", "p", "a")
    history.read("r", "p", 1, ["a"])
    history.append("w", "p", "b")
    history.read("r", "p", 0, ["b", "a"])
    assert "append 3" in only(history, "reordered")


def test_appends_at_the_same_time_have_any_order(history):
    one, two = history.append("w1", "p", "a"), history.append("w2", "p", "b")
    one.acknowledged(1)
    two.acknowledged(0)
    assert check(history) == []


def test_commits(history):
    history.commit("w", "g", "p", 5).acknowledged()
    history.look("w", "g", "p").saw(5)
    history.commit("w", "g", "p", 7)
    history.look("w", "g", "q").saw(None)
    history.look("w", "g", "p").saw(7)
    assert check(history) == []


def test_a_look_that_goes_back(history):
    history.commit("w", "g", "p", 5).acknowledged()
    history.commit("w", "g", "p", 7).acknowledged()
    history.look("r", "g", "p").saw(5)
    text = only(history, "went_back")
    assert "look 3 of g in p: 5 by r" in text
    assert "commit 2 of g in p: 7" in text


def test_a_look_that_finds_nothing_any_more(history):
    history.commit("w", "g", "p", 5).acknowledged()
    history.look("r", "g", "p").saw(None)
    assert "look 2 of g in p: None" in only(history, "went_back")


def test_a_commit_that_goes_back(history):
    history.commit("w1", "g", "p", 7).acknowledged()
    history.commit("w2", "g", "p", 5).acknowledged()
    assert "commit 2 of g in p: 5 by w2" in only(history, "went_back")


def test_a_refused_commit_that_is_seen(history):
    history.commit("w", "g", "p", 5).refused()
    history.look("r", "g", "p").saw(5)
    assert "nobody committed 5" in only(history, "invented")
