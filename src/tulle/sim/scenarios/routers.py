"""Hosts behind routers that translate addresses, firewalls between hosts: frames take another way."""

from itertools import combinations

from tulle.sim.checks import AllGranted, FramesPass, Meet, NoErrors, Settle
from tulle.sim.nat import Kind, can_meet
from tulle.sim.operations import Filter, Heal, RestartRouter
from tulle.sim.plan import Plan
from tulle.sim.scenario import scenario
from tulle.sim.settings import Settings, Site

Pairs = tuple[tuple[int, int], ...]


def some_sites(plan: Plan, hosts: range) -> tuple[Site, ...]:
    """These hosts, one or two behind each router."""
    sites, rest = [], list(hosts)
    while rest:
        size = plan.rng.choice((1, 1, 2))
        here, rest = tuple(rest[:size]), rest[size:]
        lifetime = plan.rng.choice((20.0, 30.0, 120.0))
        sites.append(Site(here, plan.rng.choice(tuple(Kind)), lifetime, plan.rng.random() < 0.5))
    return tuple(sites)


def who_meet(settings: Settings) -> Pairs:
    """The pairs of hosts whose routers let them send to each other."""
    home = {host: site for site in settings.sites for host in site.hosts}

    def may(one: int, other: int) -> bool:
        here, there = home.get(one), home.get(other)
        return here is None or there is None or here is there or can_meet(here.kind, there.kind)

    return tuple(pair for pair in combinations(range(1, settings.hosts + 1), 2) if may(*pair))


def _cluster(plan: Plan) -> Pairs:
    """One host in the open, which all know, and three to five that are not."""
    size = plan.rng.randrange(4, 7)
    settings = Settings(hosts=size, targets=1, sleeve=True, sites=some_sites(plan, range(2, size + 1)))
    plan.cluster(settings)
    for host in plan.hosts:
        plan.launch(host, "all")
    plan.do(Settle(90), AllGranted(), FramesPass())
    return who_meet(settings)


@scenario("behind-routers", "S28")
def behind_routers(plan: Plan) -> None:
    """Hosts behind routers of every kind are one network with a host in the open: each pair whose routers let
    it exchanges frames directly within 20 seconds, all others over relays, and it stays so.
    """
    pairs = _cluster(plan)
    plan.do(Meet(pairs))
    for _ in range(8):
        plan.wait(15)
        plan.do(FramesPass(), Meet(pairs, 0))
    plan.do(Settle(), NoErrors())


@scenario("router-restarts", "S28")
def router_restarts(plan: Plan) -> None:
    """Routers restart and forget every connection: frames between all hosts pass again within ten seconds,
    and directly where that was possible within 30.
    """
    pairs = _cluster(plan)
    plan.do(Meet(pairs))
    sites = len(plan.settings.sites)
    for _ in range(3):
        plan.wait(plan.rng.random() * 40)
        plan.do(*(RestartRouter(site) for site in plan.rng.sample(range(1, sites + 1), 1 + sites // 2)))
        plan.wait(10)
        plan.do(FramesPass(), Meet(pairs, 30))
    plan.do(Settle())


@scenario("tunnels-blocked", "S28")
def tunnels_blocked(plan: Plan) -> None:
    """A firewall between hosts lets no tunnels through: frames go by the sleeve within four seconds. One that
    lets no UDP through: they go over others. When it is gone they take the best way again.
    """
    plan.cluster(Settings(hosts=plan.rng.randrange(3, 6), sleeve=True, frames=True))
    plan.launch(1)
    plan.do(Settle(), FramesPass())
    pairs = list(combinations(plan.hosts, 2))
    barred = plan.rng.sample(pairs, plan.rng.randrange(1, len(pairs)))
    plan.do(*(Filter(*pair) for pair in barred))
    plan.wait(4)
    plan.do(FramesPass(), Meet(tuple(pairs), 0))
    one, other = plan.rng.choice(barred)
    plan.do(Filter(one, other, datagrams=True))
    plan.wait(4)
    plan.do(FramesPass(), Settle(90), Heal())
    plan.wait(4)
    plan.do(FramesPass(), Meet(tuple(pairs), 60), Settle(90))
