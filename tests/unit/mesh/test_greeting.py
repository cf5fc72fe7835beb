"""What two ends tell of themselves, and what makes them part."""

from ipaddress import ip_network

import hypothesis.strategies as st
import pytest
from hypothesis import given

from mesh.builders import config
from tulle.errors import BadMessage
from tulle.mesh.greeting import (
    Unacceptable,
    check_identity,
    common_carriers,
    features,
    read_features,
)

GOOD = features(config(2, carriers=("fastdp", "sleeve")), 77, 123, "10.0.0.1")


def test_what_we_tell_is_what_the_protocol_knows() -> None:
    assert GOOD == {
        "PeerNameFlavour": "mac",
        "Name": "00:00:00:00:00:02",
        "NickName": "h2",
        "UID": "1002",
        "ConnID": "123",
        "ShortID": "77",
        "Trusted": "false",
        "Overlays": "fastdp sleeve",
        "TopologyPush": "true",
        "PeerRecords": "1",
        "Deflate": "1",
    }
    assert "ShortID" not in features(config(2), None, 123, "10.0.0.1")


def test_trust_goes_by_the_others_address() -> None:
    trusting = config(2, trusted_subnets=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
    assert features(trusting, None, 1, "10.9.9.9")["Trusted"] == "true"
    assert features(trusting, None, 1, "fd00::1")["Trusted"] == "true"
    assert features(trusting, None, 1, "192.0.2.1")["Trusted"] == "false"


def test_reading_back() -> None:
    greeting = read_features(GOOD)
    assert (greeting.name, greeting.nickname, greeting.uid, greeting.conn_id) == (2, "h2", 1002, 123)
    assert (greeting.short_id, greeting.trusted, greeting.carriers) == (77, False, ("fastdp", "sleeve"))
    assert greeting.tells_all


def test_what_may_be_missing() -> None:
    few = {key: GOOD[key] for key in ("PeerNameFlavour", "Name", "NickName", "UID", "ConnID")}
    greeting = read_features(few)
    assert (greeting.short_id, greeting.trusted, greeting.carriers) == (None, False, ("sleeve",))
    assert not greeting.tells_all


@pytest.mark.parametrize(
    "wrong",
    [
        {"PeerNameFlavour": "hash"},
        {"PeerNameFlavour": None},
        {"Name": "nobody"},
        {"Name": "00:00:00:00:00:00"},
        {"Name": None},
        {"NickName": None},
        {"NickName": "x" * 256},
        {"NickName": "a\nb"},
        {"UID": "0"},
        {"UID": "-1"},
        {"UID": "1e3"},
        {"UID": str(1 << 64)},
        {"UID": "٣"},
        {"UID": None},
        {"ConnID": ""},
        {"ConnID": None},
        {"ShortID": "4096"},
        {"ShortID": "x"},
        {"Trusted": "maybe"},
    ],
)
def test_bad_features(wrong: dict[str, str | None]) -> None:
    values = {key: value for key, value in {**GOOD, **wrong}.items() if value is not None}
    with pytest.raises(BadMessage):
        read_features(values)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.text(max_size=30)))
def test_any_features_are_read_or_bad(values: dict[str, str]) -> None:
    try:
        read_features({**GOOD, **values})
    except BadMessage:
        return


def test_our_own_address_and_a_stranger_with_our_name() -> None:
    ours = config(2)
    theirs = read_features(GOOD)
    with pytest.raises(Unacceptable, match="this host itself") as caught:
        check_identity(ours, theirs)
    assert caught.value.for_ever
    with pytest.raises(Unacceptable, match="same name as we, 00:00:00:00:00:02") as caught:
        check_identity(config(2, uid=5), theirs)
    assert caught.value.for_ever
    check_identity(config(3), theirs)


def test_common_carriers_are_in_our_order() -> None:
    theirs = read_features({**GOOD, "Overlays": "b a c"})
    assert common_carriers(config(1, carriers=("a", "b", "z")), theirs) == ("a", "b")
    with pytest.raises(Unacceptable, match="no carriers in common") as caught:
        common_carriers(config(1, carriers=("z",)), theirs)
    assert not caught.value.for_ever


@pytest.mark.parametrize(
    ("said", "translated"),
    [
        ({}, False),
        ({"From": "10.0.0.2", "Sees": "10.0.0.1"}, False),
        ({"From": "192.168.1.2", "Sees": "10.0.0.1"}, True),
        ({"From": "10.0.0.2", "Sees": "198.51.100.7"}, True),
        ({"From": "nonsense"}, True),
    ],
)
def test_a_nat_shows_in_what_both_ends_see(said: dict[str, str], translated: bool) -> None:
    assert read_features(GOOD | said).is_translated("10.0.0.1", "10.0.0.2") is translated
