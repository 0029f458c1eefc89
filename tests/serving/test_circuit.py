"""The circuit breaker: when an upstream that has failed is asked again."""

from patchwright.serving.circuit import FAILURES, LONGEST_PAUSE_S, Circuit


def test_who_is_gone_is_not_asked_any_more() -> None:
    circuit = Circuit()
    assert circuit.lets_in
    circuit.failed(gone=True)
    assert (circuit.state, circuit.lets_in) == ("open", False)


def test_failures_in_a_row_open_it_and_others_do_not() -> None:
    circuit = Circuit()
    for _ in range(FAILURES - 1):
        circuit.failed(gone=False)
    circuit.succeeded()
    for _ in range(FAILURES - 1):
        circuit.failed(gone=False)
    assert circuit.state == "closed"
    circuit.failed(gone=False)
    assert circuit.state == "open"


def test_half_open_it_lets_one_request_in_at_a_time_until_one_succeeds() -> None:
    circuit = Circuit()
    circuit.failed(gone=True)
    circuit.probed(answers=True)
    assert circuit.lets_in
    with circuit.asked():
        assert not circuit.lets_in
    assert circuit.lets_in
    with circuit.asked():
        circuit.succeeded()
        assert circuit.lets_in
    assert circuit.state == "closed"


def test_a_pause_doubles_while_it_fails_and_begins_anew_after_a_success() -> None:
    circuit = Circuit(first_pause_s=1)
    circuit.failed(gone=True)
    pauses = [circuit.pause_s]
    for _ in range(3):
        circuit.probed(answers=False)
        pauses.append(circuit.pause_s)
    circuit.probed(answers=True)
    circuit.failed(gone=False)
    pauses.append(circuit.pause_s)
    for _ in range(5):
        circuit.probed(answers=False)
    assert [*pauses, circuit.pause_s] == [1, 2, 4, 8, 16, LONGEST_PAUSE_S]
    circuit.succeeded()
    assert circuit.pause_s == 1


def test_a_probe_that_a_request_was_faster_than_does_not_open_it_again() -> None:
    circuit = Circuit(first_pause_s=1)
    circuit.failed(gone=True)
    circuit.succeeded()
    circuit.probed(answers=False)
    assert (circuit.state, circuit.pause_s) == ("closed", 1)


def test_a_request_that_was_sent_before_does_not_open_it_twice() -> None:
    circuit = Circuit(first_pause_s=1)
    circuit.failed(gone=True)
    circuit.failed(gone=True)
    assert (circuit.state, circuit.pause_s) == ("open", 1)
