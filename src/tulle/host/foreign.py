"""Other people's forward chains that drop what they do not know, as Docker's does.

An accept in our own table cannot overrule a drop in another one, so what concerns the bridge is accepted at
the head of those chains too. Bridged traffic comes by there as well where the kernel is told to show it to
the IP layer, which Docker does.
"""

from tulle.host import nft
from tulle.host.admitted import FIRST_WORD, MARK, Admitted
from tulle.host.expressions import ACCEPT, field, match, meta, prefix
from tulle.host.marks import ROUTED, STRANGE
from tulle.host.nft import Command, NftRefused

_FAMILIES = ("ip", "inet")


async def admit(admitted: Admitted, own_table: str) -> None:
    """Have it accepted in every such chain, in the right place.

    Chains may come and go meanwhile: what a call misses, the next one finds. Raises NftRefused.
    """
    wanted = _accepts(admitted)
    for chain in await _dropping_chains(own_table):
        changes = _changes(chain, await _rules_of(chain), wanted)
        if changes:
            await nft.apply(changes)


def _changes(chain: Command, there: list[Command], wanted: dict[str, list[Command]]) -> list[Command]:
    """Nothing where our rules stand together in their place, else all of them anew."""
    first_words = [number for number, rule in enumerate(there) if _jumps_to(rule, FIRST_WORD)]
    start = first_words[-1] + 1 if first_words else 0
    ours = [number for number, rule in enumerate(there) if _is_ours(rule)]
    in_place = ours == list(range(start, start + len(wanted)))
    if in_place and [there[number]["comment"] for number in ours] == list(wanted):
        return []
    place = _place(chain) | ({"index": first_words[-1]} if first_words else {})
    verb = "add" if first_words else "insert"
    return [
        *(
            {verb: {"rule": place | {"comment": comment, "expr": expressions}}}
            for comment, expressions in reversed(wanted.items())
        ),
        *(_delete(chain, there[number]) for number in ours),
    ]


async def withdraw(own_table: str) -> None:
    """Take our accepts out of all those chains. Raises NftRefused."""
    for chain in await _dropping_chains(own_table):
        changes = [_delete(chain, rule) for rule in await _rules_of(chain) if _is_ours(rule)]
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


async def _rules_of(chain: Command) -> list[Command]:
    try:
        listed = await nft.list_chain(chain["family"], chain["table"], chain["name"])
    except NftRefused:
        return []  # it went meanwhile
    return [entry["rule"] for entry in listed if "rule" in entry]


def _is_ours(rule: Command) -> bool:
    return str(rule.get("comment", "")).startswith(MARK)


def _jumps_to(rule: Command, chain: str) -> bool:
    return any(one.get("jump", {}).get("target") == chain for one in rule["expr"] if "jump" in one)


def _accepts(admitted: Admitted) -> dict[str, list[Command]]:
    """Expressions by comment. The counters are there because iptables expects one in every rule it shows."""
    bridge = admitted.bridge
    coming, going = (match(meta(key), bridge) for key in ("iifname", "oifname"))
    end: list[Command] = [{"counter": {"packets": 0, "bytes": 0}}, ACCEPT]
    accepts = {f"{MARK}within {bridge}": [coming, going, *end]}
    if admitted.exposed:
        accepts[f"{MARK}out of {bridge}"] = [coming, match(meta("mark"), STRANGE, "!="), *end]
    for network in admitted.exposed:
        accepts[f"{MARK}into {network}"] = [going, match(field("ip", "daddr"), prefix(network)), *end]
    if admitted.routed:
        accepts[f"{MARK}outward of {bridge}"] = [coming, match(meta("mark"), ROUTED), *end]
        accepts[f"{MARK}homeward of {bridge}"] = [going, match(meta("mark"), ROUTED), *end]
    return accepts


def _place(chain: Command) -> Command:
    return {"family": chain["family"], "table": chain["table"], "chain": chain["name"]}


def _delete(chain: Command, rule: Command) -> Command:
    return {"delete": {"rule": _place(chain) | {"handle": rule["handle"]}}}
