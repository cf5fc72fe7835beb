import asyncio
from collections.abc import Callable
from pathlib import Path

import dns.message
import dns.rcode
import pytest
from fake_dns import Reaction, World, first_cut, free_port, resolv_conf, says, silent, world

from tulle.host import dns_upstream as module
from tulle.host.dns_upstream import Upstream, is_reply

QUERY = dns.message.make_query("www.Example.org.", "TXT", id=77).to_wire()
LONG = 60.0


def upstream(
    path: Path, port: int, *, timeout: float = LONG, is_self: Callable[[str], bool] = lambda address: False
) -> Upstream:
    return Upstream(path, timeout, is_self, port)


def understood(reply: bytes) -> str:
    """The text of a reply to QUERY, or its error."""
    message = dns.message.from_wire(reply)
    assert message.id == 77
    if message.rcode() != dns.rcode.NOERROR:
        return dns.rcode.to_text(message.rcode())
    return str(message.answer[0][0])


async def forward(
    tmp_path: Path, *, tcp: bool = False, **reactions: Reaction
) -> tuple[str, dict[str, World]]:
    """What a query gets when the servers react like this."""
    port = free_port()
    async with world(port, **reactions) as worlds:
        servers = [f"127.0.0.{number}" for number in range(2, 2 + len(reactions))]
        reply = await upstream(resolv_conf(tmp_path, *servers), port).forward(QUERY, tcp)
        return understood(reply), worlds


async def test_the_query_is_passed_on_with_another_id_and_the_reply_with_its_own(tmp_path: Path) -> None:
    text, worlds = await forward(tmp_path, first=says("hello"), second=says("no"))
    assert text == '"hello"'
    (asked,) = worlds["first"].asked
    assert asked[2:] == QUERY[2:]
    assert worlds["second"].asked == []


async def test_ids_differ_from_query_to_query(tmp_path: Path) -> None:
    port = free_port()
    async with world(port, first=says("x")) as worlds:
        asked = upstream(resolv_conf(tmp_path, "127.0.0.2"), port)
        for _ in range(20):
            await asked.forward(QUERY, False)
        assert len({query[:2] for query in worlds["first"].asked}) > 15


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.FORMERR])
async def test_after_an_error_the_next_server_is_asked_at_once(
    tmp_path: Path, rcode: dns.rcode.Rcode
) -> None:
    text, _ = await forward(tmp_path, first=says("", rcode=rcode), second=says("hello"))
    assert text == '"hello"'


async def test_no_such_name_is_an_answer(tmp_path: Path) -> None:
    text, worlds = await forward(tmp_path, first=says("", rcode=dns.rcode.NXDOMAIN), second=says("no"))
    assert text == "NXDOMAIN"
    assert worlds["second"].asked == []


async def test_when_all_fail_the_last_error_is_the_answer(tmp_path: Path) -> None:
    text, worlds = await forward(
        tmp_path, first=says("", rcode=dns.rcode.SERVFAIL), second=says("", rcode=dns.rcode.REFUSED)
    )
    assert text == "REFUSED"
    assert [len(each.asked) for each in worlds.values()] == [1, 1]


async def test_a_dead_server_costs_a_moment_and_is_then_asked_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NEXT_AFTER", 0.05)
    port = free_port()
    async with world(port, first=silent, second=says("hello")) as worlds:
        asked = upstream(resolv_conf(tmp_path, "127.0.0.2", "127.0.0.3"), port)
        assert understood(await asked.forward(QUERY, False)) == '"hello"'
        assert asked.servers() == ["127.0.0.3", "127.0.0.2"]
        assert understood(await asked.forward(QUERY, False)) == '"hello"'
        assert len(worlds["first"].asked) == 1


async def test_a_server_that_is_back_is_asked_in_its_turn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NEXT_AFTER", 0.05)
    monkeypatch.setattr(module, "AVOIDED_FOR", 0.0)
    port = free_port()
    async with world(port, first=silent, second=says("second")) as worlds:
        asked = upstream(resolv_conf(tmp_path, "127.0.0.2", "127.0.0.3"), port)
        assert understood(await asked.forward(QUERY, False)) == '"second"'
        worlds["first"].reaction = says("first")
        assert understood(await asked.forward(QUERY, False)) == '"first"'


async def test_a_server_that_is_not_there_is_passed_over_at_once(tmp_path: Path) -> None:
    port = free_port()
    async with world(port, only=says("hello")):
        asked = upstream(resolv_conf(tmp_path, "127.0.0.9", "127.0.0.2"), port)
        assert understood(await asked.forward(QUERY, False)) == '"hello"'


async def test_a_lost_datagram_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEXT_AFTER", 0.05)
    lost: list[bytes] = []

    def lossy(query: bytes, tcp: bool) -> bytes | None:
        lost.append(query)
        return None if len(lost) == 1 else says("hello")(query, tcp)

    text, _ = await forward(tmp_path, only=lossy)
    assert text == '"hello"'


async def test_when_nobody_answers_in_time_the_client_gets_an_error(tmp_path: Path) -> None:
    port = free_port()
    async with world(port, only=silent):
        asked = upstream(resolv_conf(tmp_path, "127.0.0.2"), port, timeout=0.1)
        assert understood(await asked.forward(QUERY, False)) == "SERVFAIL"


async def test_without_servers_the_error_comes_at_once(tmp_path: Path) -> None:
    assert understood(await upstream(tmp_path / "none", 1).forward(QUERY, False)) == "SERVFAIL"


async def test_it_does_not_ask_itself(tmp_path: Path) -> None:
    path = resolv_conf(tmp_path, "127.0.0.1", "127.0.0.2")
    asked = upstream(path, 1, is_self=lambda address: address == "127.0.0.1")
    assert asked.servers() == ["127.0.0.2"]


async def test_the_file_is_followed(tmp_path: Path) -> None:
    asked = upstream(resolv_conf(tmp_path, "127.0.0.2"), 1)
    assert asked.servers() == ["127.0.0.2"]
    resolv_conf(tmp_path, "127.0.0.3", "127.0.0.4")
    assert asked.servers() == ["127.0.0.3", "127.0.0.4"]


async def test_nonsense_in_the_file_is_passed_over(tmp_path: Path) -> None:
    port = free_port()
    async with world(port, only=says("hello")):
        asked = upstream(resolv_conf(tmp_path, "300.1.1.1.", "127.0.0.2"), port)
        assert understood(await asked.forward(QUERY, False)) == '"hello"'


async def test_forged_replies_are_not_taken(tmp_path: Path) -> None:
    honest = says("honest")

    def forged(query: bytes, tcp: bool) -> bytes | None:
        (made,) = worlds.values()
        other = dns.message.make_query("www.example.net.", "TXT").to_wire()
        answer = honest(query, tcp)
        assert answer is not None
        for fake in (
            b"",
            b"x" * 40,
            bytes((query[0] ^ 1, query[1])) + answer[2:],
            query,
            query[:2] + other[2:],
        ):
            made.transport.sendto(fake, client_of(made))
        return answer

    def client_of(made: World) -> tuple[str, int]:
        return clients[-1]

    port = free_port()
    clients: list[tuple[str, int]] = []
    async with world(port, only=forged) as worlds:
        (made,) = worlds.values()
        receive = made.datagram_received

        def note(data: bytes, addr: tuple[str, int]) -> None:
            clients.append(addr)
            receive(data, addr)

        made.datagram_received = note  # type: ignore[method-assign]
        asked = upstream(resolv_conf(tmp_path, "127.0.0.2"), port)
        assert understood(await asked.forward(QUERY, False)) == '"honest"'


async def test_a_cut_reply_is_fetched_whole_for_a_tcp_client_and_passed_on_to_others(tmp_path: Path) -> None:
    whole, _ = await forward(tmp_path, tcp=True, only=first_cut)
    cut, _ = await forward(tmp_path, tcp=False, only=first_cut)
    assert (whole, cut) == ('"whole"', '"cut"')


async def test_a_server_that_answers_something_else_over_tcp_is_passed_over(tmp_path: Path) -> None:
    def wrong(query: bytes, tcp: bool) -> bytes | None:
        return b"\0\0\x80" + b"\0" * 20 if tcp else first_cut(query, tcp)

    text, _ = await forward(tmp_path, tcp=True, first=wrong, second=says("hello"))
    assert text == '"hello"'


async def test_too_many_at_once_get_an_error_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_IN_FLIGHT", 2)
    port = free_port()
    async with world(port, only=silent):
        asked = upstream(resolv_conf(tmp_path, "127.0.0.2"), port)
        waiting = [asyncio.create_task(asked.forward(QUERY, False)) for _ in range(2)]
        await asyncio.sleep(0)
        assert understood(await asked.forward(QUERY, False)) == "SERVFAIL"
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


SECTION = QUERY[12:].lower()
REPLY = says("x")(QUERY, False) or b""


@pytest.mark.parametrize(
    ("data", "accepted"),
    [
        (REPLY, True),
        (REPLY.replace(b"Example", b"eXAMPLE"), True),
        (REPLY.replace(b"Example", b"Exampel"), False),
        (b"\0\1" + REPLY[2:], False),
        (QUERY, False),
        (REPLY[:11], False),
        (b"", False),
        (QUERY[:2] + b"\x81\x05" + bytes(8), True),
        (QUERY[:2] + b"\x81\x00" + bytes(8), False),
        (QUERY[:2] + b"\x81\x80\0\2" + REPLY[6:], False),
    ],
)
def test_replies_are_recognised(data: bytes, accepted: bool) -> None:
    assert is_reply(data, QUERY, SECTION) is accepted
