import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tulle.host import datagrams as module
from tulle.host.datagrams import COUNT, LENGTH, Client, Datagrams
from tulle.names.question import LARGEST_UDP

Bind = Callable[[str], tuple[Datagrams, int]]


@pytest.fixture
def bind() -> Iterator[Bind]:
    made: list[Datagrams] = []

    def bind(address: str) -> tuple[Datagrams, int]:
        bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind((address, 0))
        made.append(Datagrams(bound))
        return made[-1], int(bound.getsockname()[1])

    yield bind
    for each in made:
        each.close()


@pytest.fixture
def client() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(5)
        yield made


def no_other(query: bytes, result: Any, client: Client) -> None:
    raise AssertionError(query)


def test_answers_fit() -> None:
    assert LARGEST_UDP <= LENGTH


def test_without_datagrams_there_is_nothing_to_do(bind: Bind) -> None:
    served, _ = bind("127.0.0.1")
    assert served.serve(bytes.upper, no_other) == 0


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.2", "0.0.0.0"])
def test_each_answer_goes_to_where_its_question_came_from(bind: Bind, listen: str) -> None:
    served, port = bind(listen)
    target = "127.0.0.3" if listen == "0.0.0.0" else listen
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(5)]
    for number, each in enumerate(clients):
        each.settimeout(5)
        each.connect((target, port))  # replies from any other address are not let through
        each.send(b"from %d" % number)
    assert served.serve(bytes.upper, no_other) == 5
    for number, each in enumerate(clients):
        assert each.recv(100) == b"FROM %d" % number
        each.close()


def test_answers_may_have_any_length_up_to_the_limit(bind: Bind, client: socket.socket) -> None:
    served, port = bind("127.0.0.1")
    for length in (0, 1, 512, LENGTH):
        client.sendto(b"%d" % length, ("127.0.0.1", port))
    served.serve(lambda query: b"x" * int(query), no_other)
    assert [len(client.recv(LENGTH + 1)) for _ in range(4)] == [0, 1, 512, LENGTH]


def test_more_than_a_batch_is_left_for_the_next(bind: Bind, client: socket.socket) -> None:
    served, port = bind("127.0.0.1")
    for number in range(COUNT + 3):
        client.sendto(b"%d" % number, ("127.0.0.1", port))
    assert [served.serve(bytes.upper, no_other) for _ in range(3)] == [COUNT, 3, 0]
    assert [int(client.recv(10)) for _ in range(COUNT + 3)] == list(range(COUNT + 3))


@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0"])
def test_some_answers_come_later_and_some_never(bind: Bind, listen: str) -> None:
    served, port = bind(listen)
    later: list[tuple[bytes, Any, Client]] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        asking.connect(("127.0.0.1" if listen == "127.0.0.1" else "127.0.0.4", port))
        for query in (b"wait", b"now", b"never"):
            asking.send(query)
        served.serve(
            lambda query: query if query == b"now" else query.decode(), lambda *each: later.append(each)
        )
        assert asking.recv(100) == b"now"
        assert [(query, result) for query, result, _ in later] == [(b"wait", "wait"), (b"never", "never")]
        served.send(b"x" * 60_000, later[0][2])
        assert len(asking.recv(65535)) == 60_000


def test_a_long_question_loses_its_end(bind: Bind, client: socket.socket) -> None:
    served, port = bind("127.0.0.1")
    client.sendto(b"x" * (LENGTH + 50), ("127.0.0.1", port))
    seen: list[bytes] = []
    served.serve(lambda query: seen.append(query) or b"", no_other)
    assert seen == [b"x" * LENGTH]


def test_an_answer_that_cannot_be_sent_does_not_hold_up_the_others(
    bind: Bind, client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, port = bind("127.0.0.1")
    for number in range(5):
        client.sendto(b"%d" % number, ("127.0.0.1", port))
    real, calls = module.sendmmsg, []

    def failing_first(*arguments: int) -> int:
        calls.append(arguments)
        return -1 if len(calls) == 1 else int(real(*arguments))

    monkeypatch.setattr(module, "sendmmsg", failing_first)
    served.serve(bytes.upper, no_other)
    assert [client.recv(10) for _ in range(4)] == [b"1", b"2", b"3", b"4"]
    assert served.unsent == 1


def test_a_late_answer_that_cannot_be_sent_is_counted(bind: Bind) -> None:
    served, _ = bind("127.0.0.1")
    family = socket.AF_INET.to_bytes(2, "little")
    served.send(b"x", Client(family + b"\0\0" + bytes([127, 0, 0, 1]) + bytes(20), b""))
    assert served.unsent == 1


def test_an_error_of_receiving_is_raised(bind: Bind) -> None:
    served, _ = bind("127.0.0.1")
    served.close()
    with pytest.raises(OSError, match="descriptor"):
        served.serve(bytes.upper, no_other)
