import pytest

from rehearsal.errors import WaitTimeout
from rehearsal.waiting import wait_until


def test_returns_the_first_true_answer():
    answers = iter([None, 0, "", "ready"])
    assert wait_until(lambda: next(answers), 30, "readiness") == "ready"


def test_asks_once_even_without_time():
    assert wait_until(lambda: 7, 0, "a number") == 7


def test_timeout_names_what_and_the_last_state():
    with pytest.raises(WaitTimeout, match=r"the pod ready did not come within 0\.03 s; last state: Pending"):
        wait_until(lambda: False, 0.03, "the pod ready", state=lambda: "Pending")


def test_timeout_without_a_state_shows_the_last_answer():
    with pytest.raises(WaitTimeout, match="last state: 0"):
        wait_until(lambda: 0, 0.01, "a number")


def test_an_exception_of_the_question_is_not_swallowed():
    def ask():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        wait_until(ask, 30, "an answer")


def test_how_often_it_asks_is_up_to_whoever_pays_for_it() -> None:
    asked: dict[float, int] = {}

    def ask(pause: float) -> bool:
        asked[pause] = asked.get(pause, 0) + 1
        return False

    for pause in (0.01, 0.3):
        with pytest.raises(WaitTimeout):
            wait_until(lambda pause=pause: ask(pause), 0.3, "nothing", longest_pause=pause)
    assert asked[0.01] > 2 * asked[0.3] > 0
