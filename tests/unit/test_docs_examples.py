"""The example channel of docs/architecture.md works, and is as short as the text says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.mesh.channel import Broadcast
from tulle.mesh.peername import PeerName

PATH = Path(__file__).parents[2] / "docs" / "examples" / "notes_channel.py"
NOW = Instant(0.0, 0.0)
SENDER = PeerName(1)


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notes_channel", PATH)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = load()


def test_it_takes_less_than_fifty_lines() -> None:
    assert len(PATH.read_text().splitlines()) < 50


def test_a_note_reaches_another_peer_once() -> None:
    here, there = example.Notes("here"), example.Notes("there")
    here.write("greeting", "hello")
    (outgoing,) = here.outbox
    assert outgoing == Broadcast(frozenset({"greeting"}))
    (payload,) = here.encode_some("weave", outgoing.keys, NOW)
    assert there.merge("weave", payload, SENDER, True, NOW).fresh == {"greeting"}
    assert there.merge("weave", payload, SENDER, True, NOW).fresh == frozenset()
    assert there.notes["greeting"].text == "hello"


writing = st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.text(max_size=3)), max_size=8)


@given(writing, st.permutations(range(3)))
def test_the_order_of_news_does_not_matter(writes: list[tuple[int, str, str]], order: list[int]) -> None:
    peers = [example.Notes(str(number)) for number in range(3)]
    for number, title, text in writes:
        peers[number].write(title, text)
    states = [payload for peer in peers for payload in peer.encode_all("weave", NOW)]
    for peer in peers:
        for number in order:
            peer.merge("weave", states[number], SENDER, False, NOW)
    assert peers[0].notes == peers[1].notes == peers[2].notes


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x81\xa1a\x01", b"\x91" * 2000])
def test_bad_bytes_are_refused(payload: bytes) -> None:
    with pytest.raises(BadMessage):
        example.Notes("here").merge("weave", payload, SENDER, False, NOW)
    with pytest.raises(BadMessage):
        example.Notes("here").receive("weave", payload, SENDER, NOW)
