"""How peers without a direct link are reached, put into the report's shape."""

from tulle.api.report import ShortcutReport
from tulle.daemon.measures import attributes, traffic
from tulle.host.vxlan import KernelPath
from tulle.mesh.mesh import Mesh
from tulle.mesh.peername import PeerName, format_name
from tulle.node.node import Node
from tulle.node.rendezvous.encounter import Path
from tulle.node.shortcuts import ShortcutView


def shortcut_reports(node: Node, kernel: KernelPath, now: float) -> list[ShortcutReport]:
    """Every peer that was looked for without a link."""
    return [_report(node, kernel, view, now) for view in node.shortcuts() if view.encounter.tries]


def _report(node: Node, kernel: KernelPath, view: ShortcutView, now: float) -> ShortcutReport:
    mesh = node.mesh
    encounter, direct = view.encounter, view.encounter.path is Path.MET
    secret, retry_at = mesh.config.password is not None, encounter.retry_at
    peer = mesh.peers().get(encounter.peer)
    return ShortcutReport(
        peer=format_name(encounter.peer),
        nick_name=mesh.nickname(encounter.peer),
        state=encounter.path.value,
        address="" if view.endpoint is None else "{}:{}".format(*view.endpoint),
        via="" if direct else _relay(mesh, encounter.peer),
        sealed=not direct and node.seals_for(encounter.peer),
        reason=encounter.reason,
        tries=encounter.tries,
        retry_in=None if retry_at is None else max(0.0, round(retry_at - now, 1)),
        attrs=attributes("sleeve" if direct else "", view.status, secret),
        traffic=traffic(kernel, peer.short_id if peer and direct else None),
    )


def _relay(mesh: Mesh, peer: PeerName) -> str:
    """The neighbour that frames for this peer go to, as people call it."""
    relay = mesh.routes.unicast.get(peer)
    return "" if relay is None or relay == peer else mesh.nickname(relay) or format_name(relay)
