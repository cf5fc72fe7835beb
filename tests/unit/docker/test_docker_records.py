"""What containers should have, kept on disk."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from tulle.api.addresses import AutoAddress, ManualAddress
from tulle.api.containers import ContainerRef
from tulle.api.daemon import AttachRequest
from tulle.docker.records import Membership, Memberships
from tulle.errors import StorageError
from tulle.host.store import Change, Record

ID = "ab" * 32
REF = ContainerRef(ID, "/proc/1/ns/net", "web.tulle.internal.")
AUTO, CHOSEN = IPv4Interface("10.32.0.7/12"), IPv4Interface("10.9.0.1/24")


class Disk:
    """Records as a store would have them."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], bytes] = {}
        self.full = False

    def commit(self, changes: Sequence[Change]) -> None:
        if self.full:
            raise StorageError("the disk is full")
        for change in changes:
            if change.value is None:
                del self.records[change.kind, change.key]
            else:
                self.records[change.kind, change.key] = change.value

    def load(self) -> list[Record]:
        return [Record(kind, key, value) for (kind, key), value in self.records.items()]


def test_all_of_it_comes_back_from_disk() -> None:
    disk = Disk()
    request = AttachRequest(
        REF,
        (ManualAddress(CHOSEN), AutoAddress()),
        hostname="db",
        without_dns=True,
        rewrite_hosts=True,
        no_multicast_route=True,
        extra_hosts=(("other", IPv4Address("10.0.0.9")),),
    )
    kept = Membership().after(request, [CHOSEN, AUTO])
    Memberships([], disk.commit).put(ID, kept)
    assert Memberships(disk.load(), disk.commit).get(ID) == kept
    assert kept.hostname == "db"
    assert kept.derived == "web.tulle.internal."


def test_the_same_addresses_are_asked_for_and_others_where_that_will_do() -> None:
    kept = Membership().after(AttachRequest(REF, (ManualAddress(CHOSEN),)), [CHOSEN, AUTO])
    assert kept.specs(same=True) == (ManualAddress(CHOSEN), ManualAddress(AUTO))
    assert kept.specs(same=False) == (ManualAddress(CHOSEN), AutoAddress(IPv4Network("10.32.0.0/12")))


def test_a_second_attach_adds_and_forgets_nothing_that_was_chosen() -> None:
    first = Membership().after(AttachRequest(REF, (ManualAddress(CHOSEN),), hostname="db"), [CHOSEN])
    second = first.after(AttachRequest(REF), [CHOSEN, AUTO])
    assert (second.chosen, second.hostname) == ((CHOSEN,), "db")
    assert second.without([CHOSEN]) == Membership(
        addresses=(AUTO,), hostname="db", derived="web.tulle.internal."
    )


def test_a_change_that_the_disk_refuses_has_not_happened() -> None:
    disk = Disk()
    memberships = Memberships([], disk.commit)
    memberships.put(ID, Membership(addresses=(AUTO,)))
    disk.full = True
    with pytest.raises(StorageError):
        memberships.drop(ID)
    with pytest.raises(StorageError):
        memberships.put(ID, Membership())
    assert memberships.get(ID) == Membership(addresses=(AUTO,))
    disk.full = False
    memberships.drop(ID)
    assert (memberships.idents(), disk.records) == ([], {})


@pytest.mark.parametrize("value", [b"", b"{", b'{"addresses": ["10.0.0.300/8"]}', b'{"addresses": 3}'])
def test_a_damaged_record_counts_as_an_attach_that_was_broken_off(value: bytes) -> None:
    disk = Disk()
    Memberships([], disk.commit).put(ID, Membership(addresses=(AUTO,)))
    [(kind, key)] = disk.records
    assert Memberships([Record(kind, key, value)], disk.commit).get(ID) == Membership(unfinished=True)
