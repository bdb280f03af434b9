"""The queue of writes: in order, once, never in the driver's way, and honest about what it could not deliver."""

import threading
import time

import pytest

from unblur.tracking.delivery import Delivery, attempts, patiently


class Flaky:
    """Answers only while `up` is set; keeps what arrived."""

    def __init__(self) -> None:
        self.up, self.refused = threading.Event(), threading.Event()
        self.arrived: list[tuple[int, bool]] = []

    def write(self, number: int, again: bool) -> None:
        if not self.up.is_set():
            self.refused.set()
            raise ConnectionRefusedError
        self.arrived.append((number, again))


def put(delivery: Delivery, flaky: Flaky, numbers: range) -> None:
    for number in numbers:
        delivery.put(f"trial {number}", lambda again, number=number: flaky.write(number, again))


def test_writes_arrive_in_order_once_and_only_the_first_is_marked_as_repeated() -> None:
    flaky, delivery = Flaky(), Delivery("http://h")
    put(delivery, flaky, range(50))
    assert flaky.refused.wait(60) and not delivery.flush(0.1)
    flaky.up.set()
    assert delivery.close(60) is None
    assert flaky.arrived == [(number, number == 0) for number in range(50)]


def test_close_keeps_its_time_and_says_what_is_missing() -> None:
    flaky, delivery = Flaky(), Delivery("http://h")
    put(delivery, flaky, range(7))
    begin = time.monotonic()
    complaint = delivery.close(0.2)
    assert time.monotonic() - begin < 2
    assert complaint is not None and "http://h did not take 7 writes" in complaint
    assert "(trial 0, trial 1, trial 2, trial 3, trial 4 and 2 more)" in complaint and "same command" in complaint


def test_close_does_not_wait_for_a_write_that_hangs() -> None:
    delivery, release = Delivery("http://h"), threading.Event()
    delivery.put("trial 1", lambda again: (release.wait(30), None)[1])
    complaint = delivery.close(0.1)
    release.set()
    assert complaint is not None and "trial 1" in complaint


def test_silence_is_noted_once_and_so_is_the_return(caplog: pytest.LogCaptureFixture) -> None:
    flaky, delivery = Flaky(), Delivery("http://h")
    put(delivery, flaky, range(3))
    assert flaky.refused.wait(60)
    flaky.up.set()
    delivery.close(60)
    assert [record.message.split(";")[0] for record in caplog.records] == [
        "MLflow at http://h does not answer",
        "MLflow at http://h answers again",
    ]


def test_who_is_tried_again() -> None:
    from mlflow.exceptions import MlflowException, RestException

    def rest(code: str) -> RestException:
        return RestException({"error_code": code, "message": "no"})

    assert attempts(ConnectionResetError()) == attempts(MlflowException("API request to x failed with exception y"))
    assert attempts(rest("TEMPORARILY_UNAVAILABLE")) == float("inf") == attempts(ConnectionResetError())
    assert attempts(rest("INVALID_PARAMETER_VALUE")) == attempts(rest("RESOURCE_DOES_NOT_EXIST")) == 1
    assert attempts(rest("INTERNAL_ERROR")) == 10
    assert attempts(FileNotFoundError()) == attempts(TypeError()) == 1


def test_patiently_gives_up_in_time_and_at_once_when_refused() -> None:
    tries: list[int] = []

    def fail(error: Exception) -> None:
        tries.append(1)
        raise error

    with pytest.raises(ConnectionResetError):
        patiently(lambda: fail(ConnectionResetError()), 0.5)
    assert len(tries) in (2, 3)
    tries.clear()
    with pytest.raises(TypeError):
        patiently(lambda: fail(TypeError()), 5)
    assert len(tries) == 1


def test_passwords_do_not_reach_the_complaint_or_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(again: bool) -> None:
        raise ValueError("API request to http://ann:s3cret@h/api was refused")

    delivery = Delivery("http://h")
    delivery.put("trial 1", refuse)
    complaint = delivery.close(5)
    assert complaint is not None and "http://h/api" in complaint
    assert "s3cret" not in complaint + caplog.text
