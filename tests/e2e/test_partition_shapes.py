"""Real daemons agree with the simulator: the same partitions and operations, judged by the same checks."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Interface

import pytest
from reported import Promises, disagreement, judge, settled

from lab import Host, Lab, wait_until
from tulle.sim.checks import AllGranted, NoErrors, Settle
from tulle.sim.operations import Block, Unblock
from tulle.sim.plan import Plan
from tulle.sim.run import run
from tulle.sim.scenario import Scenario
from tulle.sim.settings import Settings

SIZE = 5
UNIVERSE = "10.32.0.0/12"
Pairs = frozenset[tuple[int, int]]
Groups = tuple[tuple[int, ...], ...]


def apart(*groups: tuple[int, ...]) -> Pairs:
    """Nothing passes between hosts of different groups."""
    sides = itertools.permutations(groups, 2)
    return frozenset(pair for here, there in sides for pair in itertools.product(here, there))


def line(*hosts: int) -> Pairs:
    """Every host can talk to the one before and the one after it."""
    near = {frozenset(pair) for pair in itertools.pairwise(hosts)}
    return frozenset(pair for pair in itertools.permutations(hosts, 2) if frozenset(pair) not in near)


SHAPES: Mapping[str, tuple[Pairs, Groups]] = {
    "1|4": (apart((1,), (2, 3, 4, 5)), ((1,), (2, 3, 4, 5))),
    "2|3": (apart((1, 2), (3, 4, 5)), ((1, 2), (3, 4, 5))),
    "1|1|3": (apart((1,), (2,), (3, 4, 5)), ((1,), (2,), (3, 4, 5))),
    "1|2|2": (apart((1,), (2, 3), (4, 5)), ((1,), (2, 3), (4, 5))),
    "all apart": (apart((1,), (2,), (3,), (4,), (5,)), ((1,), (2,), (3,), (4,), (5,))),
    "one way": (frozenset({(2, 3)}), ((1, 2, 3, 4, 5),)),
    "line": (line(2, 4, 1, 5, 3), ((1, 2, 3, 4, 5),)),
    "whole": (frozenset(), ((1, 2, 3, 4, 5),)),
}
"""What is cut (from, to), and who can talk then, over others if need be."""

SETTLED = ("1|2|2", "all apart", "whole")
"""Where one state is awaited; elsewhere the next cut comes as soon as all know whom they reach."""


def changes(before: Pairs, after: Pairs) -> Iterator[Block | Unblock]:
    yield from (Unblock(*pair) for pair in sorted(before - after))
    yield from (Block(*pair) for pair in sorted(after - before))


def the_same_simulated(plan: Plan) -> None:
    plan.cluster(Settings(hosts=SIZE, quorum_of=SIZE))
    for host in plan.hosts:
        plan.launch(host)
    plan.do(Settle(), AllGranted())
    before: Pairs = frozenset()
    for cut, _ in SHAPES.values():
        plan.do(*changes(before, cut))
        for host in plan.hosts:
            plan.launch(host)
            plan.launch(host)
        plan.end_some()
        plan.do(AllGranted(local=0.9), Settle(90))
        before = cut
    plan.do(NoErrors())


def test_the_simulator_says_that_every_operation_succeeds_in_every_shape() -> None:
    for seed in range(3):
        assert run(Scenario("shapes", "", (), the_same_simulated, 0), seed).failure == ""


class User:
    """Somebody who works on one host, by the API as plugins and commands do."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.promises = Promises()

    def work(self, shape: int) -> None:
        """Every operation once; the daemon must do all of them now, whomever it can reach."""
        ident, spare = f"box{shape}", f"spare{shape}"
        name = f"n{shape}-{self.host.short}"
        found = self._address(ident, "POST", f"/ip/{ident}")
        released = self._address(spare, "POST", f"/ip/{spare}")
        self._release(spare)
        claimed = self._address(spare, "PUT", f"/ip/{spare}/{released}")
        assert claimed == released
        self._ask("PUT", f"/name/{ident}/{found.ip}?fqdn={name}.tulle.internal")
        self.promises.named.add((ident, name, found.ip))
        assert self.host.knows(name) == {found.ip}
        old = f"box{shape - 1}"
        if shape:
            self._ask("DELETE", f"/name/{old}")
            self.promises.named = {one for one in self.promises.named if one[0] != old}
            self._release(old)
            assert not self.host.knows(f"n{shape - 1}-{self.host.short}")

    def _address(self, ident: str, method: str, path: str) -> IPv4Interface:
        answer = self._ask(method, path).strip()
        found = IPv4Interface(answer) if answer else IPv4Interface(path.removeprefix(f"/ip/{ident}/"))
        self.promises.held.setdefault(ident, set()).add(found)
        return found

    def _release(self, ident: str) -> None:
        self._ask("DELETE", f"/ip/{ident}")
        del self.promises.held[ident]

    def _ask(self, method: str, path: str) -> str:
        status, text = self.host.http(method, path)
        assert status in (200, 204), f"{self.host.short}: {method} {path}: {status} {text}"
        return text


def cut(lab: Lab, hosts: list[Host], pairs: Iterable[tuple[int, int]]) -> None:
    address: dict[int, IPv4Address] = {host.number: host.address for host in hosts}
    lab.switch.cut((address[source], address[target]) for source, target in pairs)


def launched(lab: Lab) -> list[Host]:
    """Every host is told of all others: who was only heard of is not looked for beyond a cut."""
    hosts = lab.make_hosts(SIZE)
    for host in hosts:
        others = [other for other in hosts if other is not host]
        host.begin_launch("--ipalloc-init", f"consensus={SIZE}", *others)
    for host in hosts:
        host.wait_ready()
    return hosts


def agree(components: list[list[Host]], promises: Mapping[Host, Promises], everything: bool) -> bool:
    fault = disagreement(components, promises, everything)
    assert not fault, fault
    return True


@pytest.mark.timeout(600)
def test_real_daemons_in_every_shape(lab: Lab) -> None:
    hosts = launched(lab)
    users = [User(host) for host in hosts]
    promises = {user.host: user.promises for user in users}
    with ThreadPoolExecutor(SIZE) as pool:
        list(pool.map(lambda user: user.work(0), users))
        for number, (shape, (pairs, groups)) in enumerate(SHAPES.items(), 1):
            cut(lab, hosts, pairs)
            list(pool.map(lambda user, number=number: user.work(number), users))
            judge(settled(hosts, promises), UNIVERSE)
            components = [[hosts[number - 1] for number in group] for group in groups]
            everything = shape in SETTLED
            wait_until(
                lambda c=components, e=everything: agree(c, promises, e), 90, f"agreement in {shape}", 0.2
            )
    judge(settled(hosts, promises), UNIVERSE)
