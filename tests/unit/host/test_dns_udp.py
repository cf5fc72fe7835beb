import socket

import dns.message
import pytest
from fake_dns import asking, resolver

from tulle.host.dns_udp import Send, UdpPort


async def test_answers_are_sent_and_the_rest_is_handed_on() -> None:
    handed: list[tuple[bytes, Send]] = []
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    target = bound.getsockname()
    port = UdpPort(bound, resolver(), lambda *each: handed.append(each))
    port.start()
    foreign = dns.message.make_query("www.example.org.", "A").to_wire()
    async with asking() as (transport, client):
        for query in (b"junk", foreign, dns.message.make_query("db.", "A").to_wire()):
            transport.sendto(query, target)
        answer, _ = await client.replies.get()
        assert dns.message.from_wire(answer).answer
        ((query, send),) = handed
        assert query == foreign
        send(b"late")
        assert await client.replies.get() == (b"late", target)
    assert port.queries == 3
    assert port.unsent == 0
    port.close()


async def test_an_error_of_receiving_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    port = UdpPort(bound, resolver(), lambda query, send: None)
    failures = iter([OSError("down")])

    def failing_once(*arguments: object) -> int:
        raise next(failures)

    with monkeypatch.context() as patch:
        patch.setattr(port._datagrams, "serve", failing_once)
        port._turn()
    port.start()
    async with asking() as (transport, client):
        transport.sendto(dns.message.make_query("db.", "A").to_wire(), bound.getsockname())
        assert dns.message.from_wire((await client.replies.get())[0]).answer
    port.close()


def test_the_buffer_is_enlarged_as_far_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unprivileged(socket.socket):
        def setsockopt(self, level: int, option: int, value: int) -> None:  # type: ignore[override]
            if option == 33:
                raise PermissionError
            super().setsockopt(level, option, value)

    bound = Unprivileged(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    before = bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    port = UdpPort(bound, resolver(), lambda query, send: None)
    assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= before
    port._datagrams.close()
