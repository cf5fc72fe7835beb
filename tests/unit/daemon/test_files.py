"""The files that a named namespace finds names by."""

from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from tulle.api.containers import parse_container
from tulle.api.daemon import AttachRequest, DnsService
from tulle.daemon import files as module
from tulle.daemon.files import ContainerFiles
from tulle.host import resolv_conf

DNS = DnsService("tulle.internal.", IPv4Address("169.254.53.53"), 53)
ADDRESS = IPv4Interface("10.40.0.1/16")


class Etc:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.host_conf = root / "host.conf"
        self.host_conf.write_text("nameserver 9.9.9.9\nsearch corp.example\n")

    def files(self, dns: DnsService | None = DNS) -> ContainerFiles:
        return ContainerFiles(dns, str(self.host_conf))

    def write(self, dns: DnsService | None = DNS, ident: str = "netns:box", **changes: Any) -> None:
        self.files(dns).write(AttachRequest(parse_container(ident), **changes), [ADDRESS])

    def read(self, name: str) -> str:
        return (self.root / "box" / name).read_text()


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Etc:
    monkeypatch.setattr(module, "NETNS_DIRECTORY", tmp_path)
    for function in (resolv_conf.write_for_namespace, resolv_conf.remove_for_namespace, resolv_conf.is_ours):
        monkeypatch.setattr(function, "__defaults__", (tmp_path,))
    return Etc(tmp_path)


def test_a_resolver_is_written_renewed_and_removed(etc: Etc) -> None:
    etc.write()
    assert "nameserver 169.254.53.53\nsearch tulle.internal corp.example\n" in etc.read("resolv.conf")
    etc.files(DnsService("other.example.", IPv4Address("10.0.0.1"), 53)).renew("netns:box")
    assert "nameserver 10.0.0.1\nsearch other.example corp.example\n" in etc.read("resolv.conf")
    etc.files().remove("netns:box")
    assert not (etc.root / "box").exists()


@pytest.mark.parametrize("dns", [None, DnsService("a.b.", IPv4Address("10.0.0.1"), 5353)])
def test_a_resolver_that_is_off_or_cannot_be_named_is_taken_out(etc: Etc, dns: DnsService | None) -> None:
    etc.write()
    etc.files(dns).renew("netns:box")
    assert not (etc.root / "box").exists()
    etc.write(dns)
    assert not (etc.root / "box").exists()


def test_files_of_others_are_left_alone(etc: Etc, caplog: pytest.LogCaptureFixture) -> None:
    box = etc.root / "box"
    box.mkdir()
    for name in ("resolv.conf", "hosts"):
        (box / name).write_text("theirs\n")
    etc.write(rewrite_hosts=True)
    etc.files().renew("netns:box")
    etc.files().remove("netns:box")
    assert (etc.read("resolv.conf"), etc.read("hosts")) == ("theirs\n", "theirs\n")
    assert caplog.text.count("not ours") == 2


@pytest.mark.parametrize("hostname", [None, "box", "box.tulle.internal", "box.tulle.internal."])
def test_a_hosts_file_has_the_long_and_the_short_name(etc: Etc, hostname: str | None) -> None:
    etc.write(
        hostname=hostname,
        rewrite_hosts=True,
        without_dns=True,
        extra_hosts=(("db", IPv4Address("10.1.1.1")),),
    )
    assert etc.read("hosts").endswith("::1\tlocalhost\n10.40.0.1\tbox.tulle.internal box\n10.1.1.1\tdb\n")
    etc.files().remove("netns:box")
    assert not (etc.root / "box").exists()


def test_extra_hosts_alone_name_nothing_else(etc: Etc) -> None:
    etc.write(dns=None, extra_hosts=(("db", IPv4Address("10.1.1.1")),))
    assert "box" not in etc.read("hosts")


@pytest.mark.parametrize("ident", ["netns:/run/x", "pid:7", "weave:expose", "0123abcd"])
def test_what_is_no_named_namespace_has_no_files(etc: Etc, ident: str) -> None:
    files = etc.files()
    files.renew(ident)
    files.remove(ident)
    assert list(etc.root.iterdir()) == [etc.host_conf]


def test_a_directory_that_cannot_be_written_is_a_line_in_the_log(
    etc: Etc, caplog: pytest.LogCaptureFixture
) -> None:
    (etc.root / "box").write_text("a file in the way")
    etc.write()
    etc.files().remove("netns:box")
    assert "could not be written" in caplog.text
