"""How a daemon begins and how it ends."""

import asyncio
import contextlib
import logging
import random
import secrets
import shutil
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from tulle.api.daemon import DnsService
from tulle.api.server import ApiServer
from tulle.daemon.bootstrap import Bootstrap, Observer, Seed
from tulle.daemon.containers import Containers
from tulle.daemon.daemon import Daemon, Services
from tulle.daemon.docker import open_docker, services_of
from tulle.daemon.engine import Engine, now
from tulle.daemon.files import ContainerFiles
from tulle.daemon.identity import (
    machine_record,
    made_elsewhere,
    name_of_bridge,
    name_record,
    new_uid,
    random_name,
    saved_name,
    this_machine,
)
from tulle.daemon.kernel import Kernel, own_resolver
from tulle.daemon.notify import notify
from tulle.daemon.options import LaunchOptions
from tulle.daemon.targets import restored_targets, targets_record
from tulle.datapath.sleeve.carrier import SleeveCarrier
from tulle.datapath.vxlan import VxlanCarrier
from tulle.errors import StorageError, UserError
from tulle.host import netcheck, probe
from tulle.host.attachments import Attachment
from tulle.host.bridge import mac_of_bridge
from tulle.host.dns_server import DnsServer
from tulle.host.own_addresses import OwnAddresses
from tulle.host.store import Record, Store
from tulle.ipam import config as ipam_config
from tulle.ipam.allocator import Allocator
from tulle.ipam.config import IpamConfig
from tulle.mesh.mesh import Mesh, MeshConfig
from tulle.mesh.peername import PeerName, format_name
from tulle.names.nameserver import Nameserver
from tulle.names.resolver import Resolver
from tulle.node.keys import PublicKeys
from tulle.node.node import Node, Parts
from tulle.node.records import restored_acquaintances, restored_short_id
from tulle.node.shortcuts import Shortcuts

log = logging.getLogger(__name__)

RECONCILE_INTERVAL = 60.0
STATE_FILE = "tulle.db"


@dataclass(slots=True)
class _Mourner:
    """Takes news of dead containers before there is anybody to give them to."""

    containers: Containers | None = None

    def gone(self, attachment: Attachment) -> None:
        if self.containers is not None:
            self.containers.gone(attachment)


async def live(options: LaunchOptions, ready: asyncio.Event | None = None) -> None:
    """Be a daemon until told to stop. Raises UserError or StorageError if it cannot begin."""
    async with AsyncExitStack() as ends:
        daemon = await _begin(options, ends)
        _stop_on_signals(daemon.ending)
        daemon.ready = True
        notify("READY=1")
        if ready is not None:
            ready.set()
        await daemon.ending.wait()
        notify("STOPPING=1")
        log.info("ending")
        removing = daemon.remove_everything
    if removing:
        remove_state(options)


async def _begin(options: LaunchOptions, ends: AsyncExitStack) -> Daemon:
    """Bring everything up; ``ends`` takes it down again, in the opposite order."""
    store = Store(Path(options.state_dir) / STATE_FILE)
    ends.callback(store.close)
    for lack in await probe.require():
        log.warning("%s", lack)
    if options.ipalloc_range is not None:
        await netcheck.check_range(options.ipalloc_range, options.bridge)

    rng = random.SystemRandom()
    records = store.load()
    name = await _own_name(options, store, records, rng)
    for note in store.notes:
        log.error("%s", note)

    mourner = _Mourner()
    kernel = await Kernel.open(options, name, mourner.gone)
    ends.push_async_callback(kernel.end)
    node = Node(_parts(options, name, records, rng), store.commit, now(), kernel.path.tables)
    engine = Engine(node, kernel)
    dns = dns_service(options)
    services = Services(
        engine,
        kernel,
        lambda addresses, names: Containers(
            addresses, names, ContainerFiles(dns, options.resolv_conf), kernel.ports
        ),
    )
    docker = open_docker(options, services.containers, records, store.commit)
    server = await _start_dns(options, node, dns, rng)
    daemon = Daemon(options, engine, kernel, store, dns, server, services, docker)
    ends.push_async_callback(_end, daemon, engine, services, server)

    await engine.links.listen(options.host or "", options.port)
    kernel.on_frame(engine.frame_received)
    kernel.watch_groups(engine.groups_joined)
    kernel.start_sleeve(engine.sleeve_reported)
    whereabouts = OwnAddresses(engine.moved, options.bridge)
    ends.push_async_callback(whereabouts.stop)
    await whereabouts.start()
    targets = restored_targets(records) if options.resume else list(options.peers)
    node.connect(targets, True, now())
    store.commit([targets_record(targets)])
    engine.pump()
    await services.containers.start(names_lost=store.lost)
    mourner.containers = services.containers
    engine.spawn(kernel.join_again())
    await services.exposures.adopt()
    engine.spawn(_reconcile_for_ever(services))

    api = ApiServer(
        daemon,
        options.socket,
        http=options.http_addr,
        status=options.status_addr,
        metrics=options.metrics_addr,
    )
    await api.start()
    ends.push_async_callback(api.stop)
    if docker is not None:
        docker.add(*services_of(docker, daemon, options, store, records, kernel.route))
        ends.push_async_callback(docker.stop)
        await docker.start()
    kernel.ephemeral = False
    log.info("%s (%s) is ready on port %d", format_name(name), options.nickname, options.port)
    return daemon


async def _own_name(
    options: LaunchOptions, store: Store, records: Sequence[Record], rng: random.Random
) -> PeerName:
    """The name that was given, or saved, or left in the kernel by a daemon whose state is lost; or a new one.

    It is kept from now on, with the machine that it belongs to.
    """
    former = saved_name(records)
    if former is None and store.lost:
        mac = await mac_of_bridge(options.bridge)
        former = name_of_bridge(mac) if mac is not None else None
        if former is not None:
            store.notes.append(f"the name of this host, {format_name(former)}, is known from its bridge")
    machine = this_machine()
    if made_elsewhere(records, machine):
        store.notes.append(
            f"the state in {options.state_dir} was written on another machine: if this is a copy of a host"
            " that still runs, stop this daemon, remove that directory and launch it again, or both claim the"
            " same name and the same addresses; if it was moved here, all is well"
        )
    name = options.name or former or random_name(rng)
    store.commit([name_record(name), machine_record(machine)])
    return name


async def _end(daemon: Daemon, engine: Engine, services: Services, server: DnsServer | None) -> None:
    engine.tickets.fail_all(UserError("the daemon is ending", 503))
    if server is not None:
        await server.stop()
    await engine.close()
    if daemon.remove_everything:
        services.containers.remove_files()


def _parts(options: LaunchOptions, name: PeerName, records: Sequence[Record], rng: random.Random) -> Parts:
    uid = new_uid(rng)
    short_id = restored_short_id(records)
    mesh = Mesh(
        MeshConfig(
            name=name,
            nickname=options.nickname,
            uid=uid,
            port=options.port,
            password=options.password.encode() if options.password else None,
            conn_limit=options.conn_limit or 10_000,
            discovery=not options.no_discovery,
            short_id=short_id,
            acquaintances=restored_acquaintances(records),
            trusted_subnets=options.trusted_subnets,
            carriers=("sleeve",) if options.no_fastdp else ("fastdp", "sleeve"),
        ),
        rng,
    )
    sleeve = SleeveCarrier(name, options.mtu, options.port)
    return Parts(
        mesh=mesh,
        ipam=_allocator(options, name, uid, records, rng),
        names=None if options.no_dns else Nameserver(name, options.dns_domain, records),
        vxlan=VxlanCarrier(None, options.mtu, options.port + 1, rng.getrandbits(64)),
        sleeve=sleeve,
        shortcuts=None if options.no_discovery else Shortcuts(mesh, sleeve, options.ipalloc_range, rng),
        keys=_keys(options, name, uid, rng),
    )


def _keys(options: LaunchOptions, name: PeerName, uid: int, rng: random.Random) -> PublicKeys | None:
    if not options.password:
        return None
    return PublicKeys(name, uid, options.password.encode(), options.mtu, rng)


def _allocator(
    options: LaunchOptions, name: PeerName, uid: int, records: Sequence[Record], rng: random.Random
) -> Allocator | None:
    universe, subnet = options.ipalloc_range, options.default_subnet
    if universe is None or subnet is None:
        return None
    config = IpamConfig(name, uid, universe, subnet, _bootstrap(options.ipalloc_init))
    return Allocator(config, rng, records)


def _bootstrap(chosen: Bootstrap) -> ipam_config.Consensus | ipam_config.Seed | ipam_config.Observer:
    if isinstance(chosen, Seed):
        return ipam_config.Seed(chosen.peers)
    if isinstance(chosen, Observer):
        return ipam_config.Observer()
    return ipam_config.Consensus(chosen.size)


def dns_service(options: LaunchOptions) -> DnsService | None:
    """Where containers find the resolver; None with names turned off."""
    if options.no_dns:
        return None
    listen = options.dns_listen_address
    if listen is not None:
        return DnsService(options.dns_domain, IPv4Address(str(listen.host)), listen.port)
    resolver = own_resolver(options)
    assert resolver is not None
    return DnsService(options.dns_domain, resolver, 53)


async def _start_dns(
    options: LaunchOptions, node: Node, dns: DnsService | None, rng: random.Random
) -> DnsServer | None:
    if dns is None or node.names is None:
        return None
    resolver = Resolver(node.names, options.dns_ttl, random.Random(secrets.randbits(64)))
    server = DnsServer(
        resolver,
        (str(dns.address), dns.port),
        Path(options.resolv_conf),
        options.dns_fallback_timeout,
    )
    await server.start()
    return server


async def _reconcile_for_ever(services: Services) -> None:
    while True:
        await asyncio.sleep(RECONCILE_INTERVAL)
        try:
            services.containers.reconcile()
        except (UserError, StorageError) as error:
            log.error("addresses and names could not be made to agree with the containers: %s", error)


def _stop_on_signals(ending: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)


def remove_state(options: LaunchOptions) -> None:
    """Delete the saved state, and what containers need to wait for us. No daemon may have it open."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(options.wait_directory)
    for suffix in ("", "-wal", "-shm"):
        Path(options.state_dir, STATE_FILE + suffix).unlink(missing_ok=True)
    log.info("left the network; nothing of it remains on this machine")
