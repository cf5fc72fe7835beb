"""Relaying for channels we do not have."""

from mesh.builders import at
from tulle.mesh import surrogate as module
from tulle.mesh.peername import PeerName
from tulle.mesh.surrogate import Surrogate

SENDER = PeerName(2)


def test_a_payload_is_fresh_once_and_comes_out_as_it_came() -> None:
    surrogate = Surrogate("colours")
    first = surrogate.merge("weave", b"blue", SENDER, False, at(0))
    again = surrogate.merge("weave", b"blue", SENDER, False, at(1))
    other = surrogate.merge("weave", b"red", SENDER, False, at(1))
    assert first.fresh == first.received == again.received
    assert not again.fresh
    assert surrogate.encode_some("weave", first.fresh | other.fresh, at(2)) == [b"blue", b"red"]
    assert surrogate.encode_some("weave", other.fresh, at(2)) == [b"red"]
    assert surrogate.encode_all("weave", at(2)) == []
    surrogate.receive("weave", b"", SENDER, at(2))
    assert not surrogate.outbox


def test_a_broadcast_is_always_received() -> None:
    surrogate = Surrogate("colours")
    assert surrogate.merge("weave", b"blue", SENDER, True, at(0)).received
    assert surrogate.merge("weave", b"blue", SENDER, True, at(0)).received


def test_dialects_are_not_mixed() -> None:
    surrogate = Surrogate("colours")
    weave = surrogate.merge("weave", b"blue", SENDER, False, at(0))
    native = surrogate.merge("native", b"blue", SENDER, False, at(0))
    assert native.fresh
    assert surrogate.encode_some("native", weave.fresh, at(0)) == []


def test_memory_fades() -> None:
    surrogate = Surrogate("colours")
    surrogate.merge("weave", b"blue", SENDER, False, at(0))
    assert surrogate.merge("weave", b"blue", SENDER, False, at(31)).fresh


def test_memory_is_bounded() -> None:
    surrogate = Surrogate("colours")
    chunk = bytes(module.MAX_BYTES // 4)
    keys = [
        surrogate.merge("weave", bytes((number,)) + chunk, SENDER, False, at(0)).fresh for number in range(9)
    ]
    kept = [key for key in keys if surrogate.encode_some("weave", key, at(0))]
    assert kept == keys[-3:]
    huge = surrogate.merge("weave", bytes(module.MAX_BYTES + 1), SENDER, False, at(0))
    assert surrogate.encode_some("weave", huge.fresh, at(0)) == []


def test_number_of_payloads_is_bounded() -> None:
    surrogate = Surrogate("colours")
    for number in range(module.MAX_PAYLOADS + 10):
        surrogate.merge("weave", number.to_bytes(4, "big"), SENDER, False, at(0))
    assert surrogate.merge("weave", bytes(4), SENDER, False, at(0)).fresh
