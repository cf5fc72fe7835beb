"""Removing what a daemon left on this machine, when no daemon runs that could do it."""

import socket
from pathlib import Path

from tulle.daemon.files import ContainerFiles
from tulle.daemon.life import STATE_FILE, remove_state
from tulle.daemon.options import LaunchOptions
from tulle.host import endpoints
from tulle.host.attachments import list_attached
from tulle.host.bridge import DEFAULT_RESOLVER, remove_bridge
from tulle.host.dns_detour import DnsDetour
from tulle.host.firewall import Firewall
from tulle.host.ports import Ports
from tulle.host.rules import FirewallConfig
from tulle.host.store import Store
from tulle.host.veth import Wiring
from tulle.host.vxlan import remove_device


async def remove_everything(options: LaunchOptions) -> None:
    """Interfaces, firewall table and saved state. Raises UserError if a daemon uses the state after all."""
    store = Store(Path(options.state_dir) / STATE_FILE)
    try:
        ports = Ports(Wiring(options.bridge, options.interface), lambda _gone: None)
        if _has_bridge(options.bridge):
            files = ContainerFiles(None, options.resolv_conf)
            for attachment in await list_attached(options.bridge):
                files.remove(attachment.container.ident)
            await ports.remove_all()
            await endpoints.remove_all(options.bridge)
            await DnsDetour(options.bridge, DEFAULT_RESOLVER).remove()
        await remove_device(options.bridge)
        await remove_bridge(options.bridge)
        await Firewall(FirewallConfig(options.bridge)).remove()
    finally:
        store.close()
    remove_state(options)


def _has_bridge(name: str) -> bool:
    return any(name == existing for _, existing in socket.if_nameindex())
