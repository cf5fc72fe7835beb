"""Finding containers, and telling one from another."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import wait_until
from lab.container import Container as Space
from lab.namespace import Namespace
from netns.support import Run
from tulle.errors import UserError
from tulle.host.container import exists, find_container


def test_all_ways_to_name_a_container_agree(run: Run, container: Space) -> None:
    process = container.start("sleep", "60")
    wait_until(lambda: process.pid in container.pids())
    try:
        names = [container.reference, f"netns:{container.path}", str(container.path), f"pid:{process.pid}"]
        found = [run(find_container(name)) for name in names]
    finally:
        process.kill()
        process.wait()
    assert len({one.namespace for one in found}) == 1
    assert {one.ident for one in found} == {found[0].namespace}


def test_an_engines_ident_is_kept(run: Run, container: Space) -> None:
    assert run(find_container(container.reference, ident="abc")).ident == "abc"


def test_two_containers_differ(run: Run, make_container: Callable[[], Space]) -> None:
    assert (
        run(find_container(make_container().reference)).namespace
        != run(find_container(make_container().reference)).namespace
    )


def test_a_container_made_anew_differs_from_the_old(run: Run, container: Space) -> None:
    """Even where the kernel uses the inode number again, as it likes to."""
    seen = set()
    for _ in range(5):
        seen.add(run(find_container(container.reference)).namespace)
        container.delete()
        container.create()
    assert len(seen) == 5


def test_whether_it_exists(run: Run, container: Space) -> None:
    found = run(find_container(container.reference))
    assert run(exists(found))
    container.delete()
    assert not run(exists(found))
    container.create()
    assert not run(exists(found))


def test_what_is_not_there_is_said(run: Run) -> None:
    with pytest.raises(UserError, match="start the container first") as refused:
        run(find_container("netns:e2-never-made"))
    assert refused.value.status == 404
    with pytest.raises(UserError) as refused:
        run(find_container(f"pid:{2**22 + 1}"))
    assert refused.value.status == 404


def test_the_hosts_own_network_is_refused(run: Run, host: Namespace) -> None:
    with pytest.raises(UserError, match="this host's own network; use expose"):
        run(find_container(str(host.path)))


def test_what_is_no_namespace_is_refused(run: Run, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    for path in (plain, tmp_path):
        with pytest.raises(UserError, match="is not a network namespace"):
            run(find_container(str(path)))


def test_no_descriptor_stays_open(run: Run, container: Space) -> None:
    """It would keep a dead container's network alive."""
    found = run(find_container(container.reference))
    before = set(os.listdir("/proc/self/fd"))
    run(exists(found))
    assert set(os.listdir("/proc/self/fd")) == before
