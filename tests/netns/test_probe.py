"""The probe of the machine, on this one and on ones that are made to lack something."""

import ctypes
import os
import subprocess
import sys

import pytest

from netns.support import Run
from tulle.errors import UserError
from tulle.host import netlink, nft, probe
from tulle.host.probe import Missing


def lacking(found: list[Missing]) -> set[str]:
    return {one.name for one in found}


def test_what_other_tests_use_is_here(run: Run) -> None:
    assert not [str(one) for one in run(probe.missing()) if one.needed]


def test_nothing_is_left_behind(run: Run) -> None:
    before = os.listdir("/sys/class/net")
    run(probe.missing())
    assert os.listdir("/sys/class/net") == before


def test_a_missing_driver_is_named_with_a_remedy(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(attributes: netlink.Attributes) -> netlink.Request:
        return netlink.Request(netlink.NEWLINK, 0, {}, [("IFLA_IFNAME", "not-there")])

    monkeypatch.setattr(netlink, "new_link", refuse)
    assert lacking(run(probe.missing())) >= {"the bridge driver", "the veth driver", "the vxlan driver"}
    with pytest.raises(
        UserError, match="the bridge driver is missing: load the kernel module bridge"
    ) as refused:
        run(probe.require())
    assert refused.value.status == 503


def test_a_missing_program_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nft, "_PATH", "/nowhere")
    with pytest.raises(UserError, match="nft is missing: install the package nftables"):
        run(probe.require())


def test_what_is_not_needed_is_told_but_not_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str | None, **_options: object) -> ctypes.CDLL:
        if name == "libbpf.so.1":
            raise OSError("cannot open shared object file")
        return real(name, **_options)

    real = ctypes.CDLL
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert "libbpf.so.1" in lacking(run(probe.require()))


def test_somebody_else_than_root_is_told_so() -> None:
    script = "import asyncio; from tulle.host import probe; print(*asyncio.run(probe.missing()))"
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", script]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if "ermission denied" in done.stderr:
        pytest.skip("another user cannot read this checkout")
    assert done.stdout.startswith("root is missing: start as root"), done.stderr
