"""The flags of ``launch``, for people: what they are called, what they take and what they do.

What their values mean and may be is in ``tulle.daemon.options``; here they stay text.
"""

from typing import NamedTuple

import click

from tulle.cli.personality import Personality


class Flag(NamedTuple):
    """One flag. ``metavar`` None: a switch. ``default`` is only told; ``{...}`` in it is a personality's."""

    field: str
    metavar: str | None
    text: str
    default: str = ""
    hidden: bool = False
    short: str = ""
    """A letter that also spells it; such a flag may be given several times."""

    @property
    def spelling(self) -> str:
        return "--" + self.field.replace("_", "-")


FLAGS = (
    Flag("password", "TEXT", "Encrypt and authenticate; the same on all peers. Better: --password-file."),
    Flag("trusted_subnets", "CIDR,...", "Peers in these subnets need no encryption between each other."),
    Flag("host", "IP", "Accept mesh connections on this address only.", "all"),
    Flag("port", "PORT", "Mesh port, TCP and UDP; the next UDP port carries frames.", "6783"),
    Flag("name", "MAC", "Peer name, like 02:00:00:00:00:01.", "made at the first start and kept"),
    Flag("nickname", "TEXT", "What people call this peer.", "the host's name"),
    Flag("resume", None, "Connect to the peers of the last run."),
    Flag("no_discovery", None, "Connect only to the peers given, not to those they tell of."),
    Flag("conn_limit", "N", "Most connections to other peers; 0 for no limit.", "200"),
    Flag("no_fastdp", None, "Carry frames by the daemon (sleeve) also where the kernel could."),
    Flag(
        "no_bypass", None, "Send all frames over the bridge, for packet filters that must see them; slower."
    ),
    Flag(
        "no_pm_qos", None, "Let processors halt also while the daemon carries frames one by one; less power."
    ),
    Flag("mtu", "BYTES", "MTU of the containers' interfaces.", "1376"),
    Flag(
        "ipalloc_init",
        "MODE",
        "How the range is first divided: consensus[=N], seed=MAC,... or observer.",
        "consensus",
    ),
    Flag(
        "ipalloc_range", "CIDR", "Range of all addresses, the same on all peers; '' for none.", "10.32.0.0/12"
    ),
    Flag("ipalloc_default_subnet", "CIDR", "Where addresses come from when no subnet is named.", "the range"),
    Flag("no_dns", None, "Run no DNS server."),
    Flag("dns_domain", "DOMAIN", "Domain of the containers' names.", "{domain}"),
    Flag("dns_listen_address", "IP[:PORT]", "Where the DNS server listens.", "the bridge, port 53"),
    Flag("dns_ttl", "SECONDS", "Time to live of DNS answers.", "1"),
    Flag("dns_fallback_timeout", "TIME", "How long to wait for other DNS servers.", "5s"),
    Flag("resolv_conf", "FILE", "Where to read which other DNS servers there are.", "/etc/resolv.conf"),
    Flag(
        "http_addr", "ADDR", "Serve the control API here too, without authentication: ip:port or path.", "off"
    ),
    Flag("status_addr", "ADDR", "Serve status, report and metrics here: ip:port or path.", "off"),
    Flag("metrics_addr", "ADDR", "Serve only metrics here: ip:port or path.", "off"),
    Flag(
        "docker_api",
        "SOCKET",
        "Docker's API, a unix socket; '' for none.",
        "DOCKER_HOST or /var/run/docker.sock",
    ),
    Flag("no_plugin", None, "Offer Docker no network driver."),
    Flag(
        "plugin_name", "NAME", "Docker's name for the driver, and for the network made at first.", "{network}"
    ),
    Flag("plugin_v2", None, "Run as a plugin that Docker manages, for the networks of a swarm."),
    Flag("no_proxy", None, "Offer no Docker API proxy."),
    Flag(
        "proxy_listen",
        "ADDR",
        "Where the Docker API proxy listens, may be repeated: unix:///PATH or tcp://IP:PORT.",
        "proxy.sock beside the control socket",
        short="-H",
    ),
    Flag("hostname_from_label", "LABEL", "Proxy: a container's host name is the value of this label of it."),
    Flag(
        "hostname_match", "REGEXP", "Proxy: otherwise it is its name, of which the part that matches", "(.*)"
    ),
    Flag("hostname_replacement", "TEXT", "is replaced by this.", "$1"),
    Flag("rewrite_inspect", None, "Proxy: show the address on this network in `docker inspect`."),
    Flag("no_default_ipalloc", None, "Proxy: attach only containers with TULLE_CIDR in their environment."),
    Flag("no_rewrite_hosts", None, "Proxy: leave the containers' /etc/hosts alone."),
    Flag("no_multicast_route", None, "Proxy: do not send the containers' multicast into this network."),
    Flag("without_dns", None, "Proxy: give the containers neither our DNS server nor a host name."),
    Flag("tls", None, "Proxy: TLS for clients on TCP."),
    Flag("tlsverify", None, "Proxy: TLS, and only for clients whose certificate the CA has signed."),
    Flag("tlscacert", "FILE", "Proxy: certificate of that CA."),
    Flag("tlscert", "FILE", "Proxy: its own certificate."),
    Flag("tlskey", "FILE", "Proxy: the key of its certificate."),
    Flag("bridge", "NAME", "Name of the bridge.", "{bridge}"),
    Flag("interface", "NAME", "Name of the interface in containers.", "{interface}"),
    Flag("log_level", "LEVEL", "debug, info, warning or error.", "info"),
)


def launch_options(personality: Personality) -> list[click.Option]:
    """The flags as click knows them; without a value they are None, so that defaults stay in one place."""
    return [_option(flag, personality) for flag in FLAGS]


def _option(flag: Flag, personality: Personality) -> click.Option:
    default = flag.default.format(
        domain=personality.domain,
        bridge=personality.bridge,
        interface=personality.interface,
        network=personality.network,
    )
    told = f"{flag.text}  [default: {default}]" if default else flag.text
    variable = f"{personality.environment}_{flag.field.upper()}"
    switch = flag.metavar is None
    return click.Option(
        [*filter(None, [flag.short]), flag.spelling, flag.field],
        multiple=bool(flag.short),
        is_flag=switch,
        default=None,
        type=bool if switch else str,
        metavar=flag.metavar,
        help=told,
        envvar=variable,
        show_envvar=True,
        hidden=flag.hidden,
    )
