"""Other people's forward chains that drop what they do not know, as Docker's does.

An accept in our own table cannot overrule a drop in another one, so what concerns the bridge is accepted at
the head of those chains too. Bridged traffic comes by there as well where the kernel is told to show it to
the IP layer, which Docker does.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network

from tulle.host import nft
from tulle.host.nft import Command, NftRefused

_MARK = "tulle: "
_FAMILIES = ("ip", "inet")


async def admit(bridge: str, exposed: Iterable[IPv4Network], own_table: str) -> None:
    """Have traffic within the bridge, and to and from ``exposed`` networks, accepted in every such chain.

    Chains may come and go meanwhile: what a call misses, the next one finds. Raises NftRefused.
    """
    wanted = _accepts(bridge, sorted(set(exposed)))
    for chain in await _dropping_chains(own_table):
        there = await _ours_in(chain)
        changes = [
            *(_delete(chain, rule) for rule in there if rule["comment"] not in wanted),
            *(
                {"insert": {"rule": _place(chain) | {"comment": comment, "expr": expressions}}}
                for comment, expressions in wanted.items()
                if comment not in [rule["comment"] for rule in there]
            ),
        ]
        if changes:
            await nft.apply(changes)


async def withdraw(own_table: str) -> None:
    """Take our accepts out of all those chains. Raises NftRefused."""
    for chain in await _dropping_chains(own_table):
        changes = [_delete(chain, rule) for rule in await _ours_in(chain)]
        if changes:
            await nft.apply(changes)


async def _dropping_chains(own_table: str) -> list[Command]:
    chains = [entry["chain"] for entry in await nft.list_chains() if "chain" in entry]
    return [
        chain
        for chain in chains
        if chain.get("hook") == "forward"
        and chain.get("policy") == "drop"
        and chain["family"] in _FAMILIES
        and chain["table"] != own_table
    ]


async def _ours_in(chain: Command) -> list[Command]:
    try:
        listed = await nft.list_chain(chain["family"], chain["table"], chain["name"])
    except NftRefused:
        return []  # it went meanwhile
    rules = [entry["rule"] for entry in listed if "rule" in entry]
    return [rule for rule in rules if rule.get("comment", "").startswith(_MARK)]


def _accepts(bridge: str, networks: list[IPv4Network]) -> dict[str, list[Command]]:
    """Expressions by comment. The counters are there because iptables expects one in every rule it shows."""
    coming, going = (
        {"match": {"op": "==", "left": {"meta": {"key": key}}, "right": bridge}}
        for key in ("iifname", "oifname")
    )
    end: list[Command] = [{"counter": {"packets": 0, "bytes": 0}}, {"accept": None}]
    accepts = {f"{_MARK}within {bridge}": [coming, going, *end]}
    if networks:
        accepts[f"{_MARK}out of {bridge}"] = [coming, *end]
    for network in networks:
        prefix = {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}
        inside = {
            "match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": prefix}
        }
        accepts[f"{_MARK}into {network}"] = [going, inside, *end]
    return accepts


def _place(chain: Command) -> Command:
    return {"family": chain["family"], "table": chain["table"], "chain": chain["name"]}


def _delete(chain: Command, rule: Command) -> Command:
    return {"delete": {"rule": _place(chain) | {"handle": rule["handle"]}}}
