"""Names: known everywhere at once, gone everywhere at once, and answered also alone."""

from tulle.sim.checks import Balanced, NoErrors, Resolves, Settle
from tulle.sim.operations import Crash, End, Heal, Partition, Start
from tulle.sim.plan import Plan
from tulle.sim.scenario import scenario
from tulle.sim.settings import Settings


@scenario("names-within-a-second", "S47", "S48")
def names_within_a_second(plan: Plan) -> None:
    """A name resolves on every host within a second after its container was attached, and no longer a second
    after it ended.
    """
    plan.cluster(Settings(hosts=plan.rng.randrange(2, 9)))
    plan.do(Settle())
    plan.launch(1)
    plan.do(Settle())
    for number in range(15):
        host = plan.some_host()
        ident = plan.launch(host, f"n{number}")
        plan.wait(1)
        plan.do(Resolves(f"n{number}", 1), End(host, ident))
        plan.wait(1)
        plan.do(Resolves(f"n{number}", 0))


@scenario("load-balancing", "S48")
def load_balancing(plan: Plan) -> None:
    """Several containers with one name are answered in turn: each is first in its share of 10,000 answers,
    within 3 %; one that ended is not answered a second later.
    """
    plan.cluster(Settings(hosts=4))
    plan.do(Settle())
    idents = {host: plan.launch(host, "web") for host in plan.hosts}
    plan.do(Settle(), Balanced("web", 4))
    gone = plan.some_host()
    plan.do(End(gone, idents[gone]))
    plan.wait(1)
    plan.do(Resolves("web", 3), Balanced("web", 3))


@scenario("alone-with-its-names", "S46", "S49")
def alone_with_its_names(plan: Plan) -> None:
    """Cut off from all others every host still answers: at once the names of all, later those of its own
    containers, and never one whose host is gone for good.
    """
    plan.cluster(Settings(hosts=4))
    plan.do(Settle())
    for host in plan.hosts:
        plan.launch(host, "all")
        plan.launch(host, f"own{host}")
    plan.do(Settle(), Resolves("all", 4))
    plan.do(Partition(tuple((host,) for host in plan.hosts)))
    plan.wait(1)
    plan.do(Resolves("all", 4))
    plan.do(Settle(90))
    for host in plan.hosts:
        plan.do(Resolves("all", 1, (host,)), Resolves(f"own{host}", 1, (host,)))
    plan.do(Heal(), Settle(90), Resolves("all", 4), NoErrors())
    lost = plan.some_host()
    plan.do(Crash(lost, power=True))
    plan.wait(70)
    plan.do(Resolves(f"own{lost}", 0), Resolves("all", 3), Start(lost), Settle(90))
