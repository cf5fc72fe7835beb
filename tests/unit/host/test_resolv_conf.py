import os
from pathlib import Path

import pytest

from tulle.errors import UserError
from tulle.host.resolv_conf import (
    ResolvConf,
    ResolvConfFile,
    for_container,
    parse,
    read,
    remove_for_namespace,
    write_for_namespace,
)

TEXT = "nameserver 10.0.0.1\n"


def ours() -> str:
    return for_container("10.32.0.1", "tulle.internal.", ResolvConf())


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", ResolvConf()),
        ("nameserver 1.1.1.1\nnameserver fe80::1%eth0 # x\n", ResolvConf(("1.1.1.1", "fe80::1%eth0"))),
        ("nameserver 1.1.1.1\nnameserver 1.1.1.1\n", ResolvConf(("1.1.1.1",))),
        ("search a.b c.d\n", ResolvConf(search=("a.b", "c.d"))),
        ("search a.b\ndomain c.d\n", ResolvConf(search=("c.d",))),
        ("domain c.d\nsearch a.b\n", ResolvConf(search=("a.b",))),
        ("options ndots:2\noptions edns0 trust-ad\n", ResolvConf(options=("ndots:2", "edns0", "trust-ad"))),
        ("# nameserver 1.1.1.1\n; x\nnameserver\nsortlist 1\n\0\n", ResolvConf()),
        ("  nameserver\t1.1.1.1  \n", ResolvConf(("1.1.1.1",))),
    ],
)
def test_files_are_understood(text: str, meaning: ResolvConf) -> None:
    assert parse(text) == meaning


def test_an_absent_file_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == ResolvConf()


def test_a_file_is_followed_when_it_is_rewritten_replaced_removed_and_back(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    followed = ResolvConfFile(path)
    assert followed.current() == ResolvConf()
    path.write_text("nameserver 1.1.1.1\n")
    assert followed.current().servers == ("1.1.1.1",)
    path.write_text("nameserver 2.2.2.22\n")
    assert followed.current().servers == ("2.2.2.22",)
    other = tmp_path / "other"
    other.write_text("nameserver 3.3.3.33\n")
    other.rename(path)
    assert followed.current().servers == ("3.3.3.33",)
    path.unlink()
    assert followed.current() == ResolvConf()
    path.write_text("nameserver 4.4.4.4\n")
    assert followed.current().servers == ("4.4.4.4",)


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(TEXT)
    followed = ResolvConfFile(path)
    assert followed.current() is followed.current()


def test_while_it_cannot_be_read_the_last_content_holds(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(TEXT)
    followed = ResolvConfFile(path)
    before = followed.current()
    path.unlink()
    path.mkdir()
    assert followed.current() == before


def test_a_container_searches_our_domain_first_and_then_the_hosts() -> None:
    host = ResolvConf(("1.1.1.1",), ("corp.example", "tulle.internal", "."), ("edns0", "ndots:2"))
    text = for_container("10.32.0.1", "tulle.internal.", host)
    assert parse(text) == ResolvConf(("10.32.0.1",), ("tulle.internal", "corp.example"), ("edns0", "ndots:2"))
    assert "options" not in ours()


def test_the_file_is_written_readable_and_alone(tmp_path: Path) -> None:
    assert write_for_namespace("c1", ours(), tmp_path)
    path = tmp_path / "c1" / "resolv.conf"
    assert path.read_text() == ours()
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_our_own_file_is_written_anew_and_removed_with_its_directory(tmp_path: Path) -> None:
    write_for_namespace("c1", ours(), tmp_path)
    assert write_for_namespace("c1", ours() + "# newer\n", tmp_path)
    assert remove_for_namespace("c1", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not remove_for_namespace("c1", tmp_path)


def test_a_file_of_somebody_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "c1" / "resolv.conf"
    path.parent.mkdir()
    path.write_text(TEXT)
    assert not write_for_namespace("c1", ours(), tmp_path)
    assert not remove_for_namespace("c1", tmp_path)
    assert path.read_text() == TEXT


def test_a_link_of_somebody_else_stays_even_if_it_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "c1").mkdir()
    link = tmp_path / "c1" / "resolv.conf"
    link.symlink_to("nowhere")
    assert not write_for_namespace("c1", ours(), tmp_path)
    assert link.is_symlink()


def test_what_else_is_in_the_directory_stays(tmp_path: Path) -> None:
    write_for_namespace("c1", ours(), tmp_path)
    (tmp_path / "c1" / "hosts").write_text("")
    assert remove_for_namespace("c1", tmp_path)
    assert [entry.name for entry in (tmp_path / "c1").iterdir()] == ["hosts"]


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: str, target: Path) -> None:
        raise OSError("no")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no"):
        write_for_namespace("c1", ours(), tmp_path)
    assert list((tmp_path / "c1").iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\0"])
def test_names_cannot_lead_elsewhere(name: str, tmp_path: Path) -> None:
    for act in (
        lambda: write_for_namespace(name, ours(), tmp_path),
        lambda: remove_for_namespace(name, tmp_path),
    ):
        with pytest.raises(UserError, match="namespace"):
            act()
