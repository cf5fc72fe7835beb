"""Hosts files of Docker containers."""

from ipaddress import IPv4Interface
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tulle.docker.hosts import rewrite_hosts, rewritten_hosts

DOCKERS = "127.0.0.1\tlocalhost web\n::1\tlocalhost\n10.9.9.9\tother\n172.17.0.2\tweb.tulle.internal web\n"
NAMES = ["web.tulle.internal", "web"]


def test_own_names_lead_to_our_addresses(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text(DOCKERS)
    inode = path.stat().st_ino
    rewrite_hosts(path, NAMES, [IPv4Interface("10.32.0.1/12")])
    assert path.read_text() == DOCKERS.replace("172.17.0.2", "10.32.0.1")
    assert path.stat().st_ino == inode


@given(st.text(max_size=200))
def test_twice_is_once(text: str) -> None:
    address = [IPv4Interface("10.32.0.1/12")]
    once = rewritten_hosts(text, NAMES, address)
    assert rewritten_hosts(once, NAMES, address) == once
    assert once.endswith("10.32.0.1\tweb.tulle.internal web\n")
