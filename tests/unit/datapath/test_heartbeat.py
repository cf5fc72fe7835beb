"""Weave Net's heartbeats: bytes, pace, acknowledgement and silence."""

from tulle.datapath.heartbeat import FAST, SILENCE, SLOW, Heartbeats, encode, is_valid


def test_the_bytes() -> None:
    payload = encode(0x0102030405060708, 1390)
    assert payload[:10].hex() == "0102030405060708056e"
    assert payload[10:] == bytes(1390 - 14 - 10)


def test_only_whole_heartbeats_of_the_link_count() -> None:
    payload = encode(5, 1390)
    assert is_valid(payload, 5)
    assert not is_valid(payload, 6)
    assert not is_valid(payload[:-1], 5)
    assert not is_valid(payload + b"\0", 5)
    assert not is_valid(b"", 5)


def test_fast_until_acknowledged_then_slow() -> None:
    beats = Heartbeats(100.0)
    assert beats.send(100.0)
    assert not beats.send(100.1)
    assert beats.next_send == 100.0 + FAST
    beats.acknowledge(100.2)
    assert beats.next_send == 100.2 + SLOW
    assert beats.send(111.0)
    assert beats.next_send == 111.0 + SLOW


def test_only_the_first_is_to_be_acknowledged() -> None:
    beats = Heartbeats(0)
    assert beats.hear(1)
    assert not beats.hear(2)
    assert not beats.hear(3)
    assert beats.hear(3 + SILENCE + 1)


def test_healthy_when_acknowledged_until_silence() -> None:
    beats = Heartbeats(0)
    beats.hear(1)
    assert not beats.healthy(1)
    beats.acknowledge(2)
    assert beats.healthy(2)
    beats.hear(30)
    assert beats.healthy(30 + SILENCE - 1)
    assert not beats.healthy(30 + SILENCE)
    beats.hear(100)
    assert beats.healthy(100)


def test_silence_counts_from_the_acknowledgement() -> None:
    beats = Heartbeats(0)
    beats.acknowledge(5)
    assert beats.healthy(5 + SILENCE - 1)
    assert not beats.healthy(5 + SILENCE)
