"""Whatever the graph of hosts that reach each other, if it is connected: all pairs talk, nothing doubles.

Six hosts whose switch takes one shape after the other. In the random ones packets of some pairs pass one way
only, which is of no use to anybody, and must do no harm.
"""

import itertools
import random
from collections.abc import Generator

import pytest
from test_underlays import Broadcaster, Link, Network, all_pairs_talk, heard_everywhere

from lab import Lab, wait_until

HOSTS = range(1, 7)
Shape = tuple[list[Link], list[Link]]
"""Links, and pairs of which the first sends in vain (though there is a link)."""


def line() -> Shape:
    return list(itertools.pairwise((3, 1, 5, 2, 6, 4))), []


def star() -> Shape:
    return [(4, other) for other in HOSTS if other != 4], []


def random_graph(seed: int) -> Shape:
    """A tree, two links more, and two that carry packets one way only."""
    chance = random.Random(seed)
    order = chance.sample(HOSTS, len(HOSTS))
    tree = [(chance.choice(order[:at]), order[at]) for at in range(1, len(order))]
    others = [pair for pair in itertools.combinations(HOSTS, 2) if not {pair, pair[::-1]} & set(tree)]
    more = chance.sample(others, 4)
    return [*tree, *more], [link[:: chance.choice((1, -1))] for link in more[2:]]


SHAPES = {"line": line(), "star": star()} | {f"random {seed}": random_graph(seed) for seed in range(2)}


@pytest.fixture(scope="module")
def network() -> Generator[Network]:
    with Lab() as lab:
        hosts = lab.make_hosts(len(HOSTS))
        for at in range(0, len(hosts), 2):  # all at once would keep a small machine busy for long
            for host in hosts[at : at + 2]:
                host.begin_launch("--ipalloc-init", f"consensus={len(hosts)}", *hosts[: host.number - 1])
            for host in hosts[at : at + 2]:
                host.wait_ready()
        lab.wait_connected(hosts)
        made = Network(lab, hosts, [], [])
        for host in hosts:
            made.boxes.append(host.container("box"))
            made.addresses.append(host.attach(made.boxes[-1]))
        yield made


def take_shape(network: Network, shape: Shape) -> None:
    """Change the switch, and have the hosts try again at once what was hopeless in the shape before."""
    links, one_way = shape
    network.use(links, one_way)
    for number, host in zip(HOSTS, network.hosts, strict=True):
        others = [network.hosts[other - 1].address for one, other in links if one == number]
        if others:
            host.tulle("connect", *others)


def assert_each_hears_each_once(network: Network) -> None:
    """While a carrier takes over from another a broadcast may be lost, but none may ever come twice."""
    senders = [Broadcaster(network, number) for number in HOSTS]
    with heard_everywhere(network) as heard:

        def all_hear() -> bool:
            sent = {sender.send() for sender in senders}
            wait_until(lambda: all(sent <= one.keys() for one in heard), 5)
            return True

        for _ in range(3):
            wait_until(all_hear, 60, "each hears each")
    assert [set(one.values()) for one in heard] == [{1}] * len(heard)
    for sender in senders:
        sender.close()


@pytest.mark.parametrize("name", SHAPES)
def test_all_pairs_talk_and_hear_each_other_once(network: Network, name: str) -> None:
    links, one_way = SHAPES[name]
    take_shape(network, (links, one_way))
    useless = {frozenset(pair) for pair in one_way}
    network.wait_for([link for link in links if frozenset(link) not in useless])
    wait_until(lambda: all_pairs_talk(network), 60, "all pairs ping")
    assert_each_hears_each_once(network)
