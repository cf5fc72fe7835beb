"""The network falls apart and comes together again."""

from itertools import pairwise

from tulle.sim.checks import AllGranted, NoErrors, Resolves, Settle
from tulle.sim.operations import Block, Heal, Partition
from tulle.sim.plan import Plan
from tulle.sim.scenario import scenario
from tulle.sim.settings import Settings

Groups = tuple[tuple[int, ...], ...]


def set_partitions(hosts: tuple[int, ...]) -> list[Groups]:
    """Every way to divide hosts into groups: 15 for four of them."""
    if not hosts:
        return [()]
    first, rest = hosts[0], hosts[1:]
    found: list[Groups] = []
    for groups in set_partitions(rest):
        found.append(((first,), *groups))
        for position, group in enumerate(groups):
            found.append((*groups[:position], (first, *group), *groups[position + 1 :]))
    return found


@scenario("every-partition-of-four", "S18", "S20", "S24", "S46", "S53")
def every_partition_of_four(plan: Plan) -> None:
    """In each of the 15 partitions of four hosts every host starts containers, names them and resolves the
    names of all that it can reach; after the heal all have everything.
    """
    plan.cluster(Settings(hosts=4))
    plan.do(Settle())
    for host in plan.hosts:
        plan.launch(host, "first")
    plan.do(Settle())
    shapes = set_partitions(tuple(plan.hosts))
    plan.rng.shuffle(shapes)
    for number, groups in enumerate(shapes, 1):
        plan.do(Partition(groups))
        plan.wait(plan.rng.random() * 6)
        for host in plan.hosts:
            plan.launch(host, f"n{number}")
        plan.do(AllGranted(), Settle(90))
        for group in groups:
            plan.do(Resolves(f"n{number}", len(group), group))
        plan.wait(plan.rng.random() * 20)
        plan.do(Heal(), Settle(90), Resolves(f"n{number}", 4), Resolves("first", 4))


@scenario("flapping-partition", "S11", "S18", "S50")
def flapping_partition(plan: Plan) -> None:
    """A partition that comes and goes every two seconds for a minute, while 100 containers are started: none
    fails, and no address is given twice.
    """
    plan.cluster(Settings(hosts=5))
    plan.do(Settle())
    plan.launch(1)
    plan.do(Settle())
    begin = plan.now
    for _ in range(15):
        plan.do(Partition(plan.split(plan.rng.choice((2, 2, 3)))))
        plan.wait(2)
        plan.do(Heal())
        plan.wait(2)
    end = plan.now
    for moment in sorted(plan.rng.uniform(begin, end) for _ in range(100)):
        plan.now = moment
        plan.launch(plan.some_host())
    plan.now = end
    plan.do(AllGranted(), NoErrors())


@scenario("one-of-five-alone", "S9", "S10", "S27", "S40")
def one_of_five_alone(plan: Plan) -> None:
    """Cut off from the four others, a host goes on: it starts containers, also with addresses of their own
    choice from its share, names and ends them; and all of it is known everywhere afterwards.
    """
    plan.cluster(Settings(hosts=5))
    for host in plan.hosts:
        plan.launch(host, "before")
    plan.do(Settle(), AllGranted())
    alone = plan.some_host()
    others = tuple(host for host in plan.hosts if host != alone)
    plan.do(Partition(((alone,), others)))
    plan.wait(plan.rng.random() * 90)
    for number in range(20):
        plan.launch(alone, f"alone{number}")
        plan.launch_chosen(alone, f"chosen{number}")
        plan.launch(plan.rng.choice(others), f"others{number}")
        plan.wait(plan.rng.random())
    plan.end_some()
    plan.do(Settle(90), AllGranted(local=0.9))
    plan.do(Heal(), Settle(90), NoErrors())


@scenario("partly-connected", "S18", "S28")
def partly_connected(plan: Plan) -> None:
    """Hosts of which most pairs cannot talk: while there is a way over others, frames and news take it."""
    size = plan.rng.randrange(4, 9)
    plan.cluster(Settings(hosts=size))
    order = list(plan.hosts)
    plan.rng.shuffle(order)
    kept = {frozenset(pair) for pair in pairwise(order)}
    for one in plan.hosts:
        for other in plan.hosts:
            if one < other and frozenset((one, other)) not in kept and plan.rng.random() < 0.7:
                plan.do(Block(one, other), Block(other, one))
    for host in plan.hosts:
        plan.launch(host, "everywhere")
    plan.do(Settle(120), Resolves("everywhere", size))
