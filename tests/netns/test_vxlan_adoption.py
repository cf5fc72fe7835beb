"""Daemons come and go, the data path stays: nothing is lost, and what was there is found again."""

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lab import Lab, PingStream
from lab.wait import wait_until
from netns.vxlan_lab import BRIDGE, MTU, PORT, full_mesh, make_nodes, open_path, opened
from tulle.datapath.tables import ShortId, Tables, Tree
from tulle.errors import UserError
from tulle.host.bpf import layout
from tulle.host.bpf.filters import Direction, attach, attached
from tulle.host.bpf.layout import Config, Counter
from tulle.host.bpf_object import BpfObject
from tulle.host.vxlan import Names, remove_device

OLDER = Path(__file__).parents[1] / "data" / "older-layout.bpf.o"
_DAEMON = f"""
import asyncio, sys
from tulle.host.vxlan import KernelPath
path = asyncio.run(KernelPath.ensure("{BRIDGE}", {PORT}, {MTU}))
print(path.tables.self_id, len(path.tables.routes), len(path.tables.trees), flush=True)
sys.stdin.read()
"""


def test_a_new_daemon_finds_what_was_there(lab: Lab) -> None:
    nodes = make_nodes(lab, 3)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    assert containers[0].pings("10.1.0.2", wait=5)
    one = nodes[0]
    before, macs, index = one.path.tables, one.path.macs(), one.path.tap.ifindex
    counted = one.path.counters()[Counter.LEARNED]
    one.path.close()
    one.reopen()
    assert one.path.tables == before
    assert one.path.macs().items() >= macs.items()
    assert one.path.counters()[Counter.LEARNED] >= counted > 0
    assert one.path.tap.ifindex != index
    assert not one.path.apply(before)


def test_nothing_is_lost_while_daemons_are_killed_and_started(lab: Lab, tmp_path: Path) -> None:
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    assert containers[0].pings("10.1.0.2", wait=5)
    stream = PingStream(containers[0], "10.1.0.2", tmp_path / "ping.log")
    wait_until(lambda: stream.answers > 3)
    for node in nodes:
        node.path.close()
    for _ in range(4):
        daemons = [
            subprocess.Popen(
                ["nsenter", f"--net={node.host.path}", sys.executable, "-c", _DAEMON],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for node in nodes
        ]
        for daemon, node in zip(daemons, nodes, strict=True):
            assert daemon.stdout is not None
            assert daemon.stdin is not None
            assert daemon.stdout.readline() == f"{node.number} 1 2\n"
        for daemon in daemons:
            os.kill(daemon.pid, signal.SIGKILL)
            daemon.communicate()
    sent, answered = stream.stop()
    assert sent > 10
    assert answered == sent


def test_what_the_next_daemon_must_not_do_ends_before_anything_else(lab: Lab) -> None:
    """One with a password takes over from one without: not a frame more in the clear."""
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    assert containers[0].pings("10.1.0.2", wait=5)
    one = nodes[0]
    one.path.close()
    one.path = open_path(one.host, keep=lambda found: found.without_tunnels(lambda address: False))
    assert one.path.tables == Tables(one.id, trees={ShortId(1): Tree(None)})
    for table in (one.path._maps.routes, one.path._maps.direct):
        assert [hop for _, hop in table.items() if hop is not None] == []
    sent = one.path.traffic(nodes[1].id).tx_packets
    assert not containers[0].pings("10.1.0.2", wait=1)
    assert one.path.traffic(nodes[1].id).tx_packets == sent


def test_a_path_that_is_made_again_leaves_no_descriptor_open(lab: Lab) -> None:
    (node,) = make_nodes(lab, 1)

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def lose_and_mend() -> None:
        node.host.run("ip", "link", "delete", node.path.names.vxlan)
        node.path = opened(node.host.inside(lambda: asyncio.run(node.path.made_again(PORT, MTU))))

    lose_and_mend()
    before = open_files()
    for _ in range(3):
        lose_and_mend()
    assert open_files() == before


def test_only_one_daemon_at_a_time(lab: Lab) -> None:
    (node,) = make_nodes(lab, 1)
    with pytest.raises(UserError, match="another daemon"):
        open_path(node.host)


def test_an_older_layout_is_taken_over_by_copy(lab: Lab) -> None:
    """Programs of a version whose trees were smaller and whose MAC table knew no ports."""
    nodes = make_nodes(lab, 2)
    full_mesh(nodes)
    containers = [node.container() for node in nodes]
    one = nodes[0]
    tables = one.path.tables
    one.path.close()
    one.host.inside(lambda: _put_older_programs(one.path.names.vxlan, tables))
    assert containers[0].pings("10.1.0.2", wait=5)
    one.reopen()
    assert one.path.tables == tables
    assert containers[0].pings("10.1.0.2", wait=5)


def _put_older_programs(device: str, tables: Tables) -> None:
    index = socket.if_nametoindex(device)
    with BpfObject(OLDER.read_bytes()) as older:
        older.load({})
        older.map(layout.CONFIG).set(0, Config(tables.self_id or 0, index))
        for peer, hop in tables.routes.items():
            older.map(layout.ROUTES).set(peer, hop)
        for peer, hop in tables.direct.items():
            older.map(layout.DIRECT).set(peer, hop)
        for source, tree in tables.trees.items():
            smaller = layout.pack_tree(tree)[: 8 + 16 * 128]
            older.map(layout.TREES).set_raw(struct.pack("=I", source), smaller)
        attach(index, Direction.EGRESS, older.program("from_bridge"))
        attach(index, Direction.INGRESS, older.program("from_wire"))


def test_a_device_that_is_not_ours_is_replaced(lab: Lab) -> None:
    host = lab.host()
    open_path(host).close()
    names = Names.of(BRIDGE)
    host.ip(f"link del {names.vxlan}", f"link add {names.vxlan} type vxlan id 7 dstport 4789")
    path = open_path(host)
    assert "external" in host.run("ip", "-d", "link", "show", names.vxlan).stdout
    path.close()


def test_another_mtu_is_taken_over(lab: Lab) -> None:
    host = lab.host()
    open_path(host).close()
    open_path(host, mtu=1300).close()
    assert " mtu 1300 " in host.run("ip", "link", "show", f"{BRIDGE}-vx").stdout


def test_removing_leaves_nothing(lab: Lab) -> None:
    (node,) = make_nodes(lab, 1)
    index = node.host.inside(lambda: socket.if_nametoindex(f"{BRIDGE}-vx"))
    assert node.host.inside(lambda: attached(index, Direction.EGRESS)) is not None
    node.host.inside(lambda: asyncio.run(node.path.remove()))
    node.host.inside(lambda: asyncio.run(remove_device(BRIDGE)))
    links = node.host.run("ip", "-o", "link").stdout
    assert f"{BRIDGE}-vx" not in links
    assert f"{BRIDGE}-tap" not in links


def test_a_bridge_name_must_leave_room() -> None:
    with pytest.raises(UserError, match="at most 11"):
        Names.of("twelve-chars")
    assert Names.of("eleven-char").tap == "eleven-char-tap"


def test_an_unknown_own_id_is_left_alone(lab: Lab) -> None:
    (node,) = make_nodes(lab, 1)
    full_mesh([node])
    node.path.apply(replace(node.path.tables, self_id=None))
    node.path.close()
    node.reopen()
    assert node.path.tables.self_id == ShortId(1)
