"""Work in namespaces: who is moved, who is not, and what comes back."""

import asyncio
import contextlib
import os
import threading

import pytest

from lab.container import Container
from lab.namespace import Namespace
from netns.support import Run
from tulle.host import namespace
from tulle.host.container import find_container, work_inside


def here() -> os.stat_result:
    return os.stat("/proc/thread-self/ns/net")


def test_the_work_is_done_inside_and_the_loop_stays(run: Run, host: Namespace, container: Container) -> None:
    async def scenario() -> None:
        before = here()
        found = await find_container(container.reference)
        inside = await namespace.in_new_thread(lambda: work_inside(found, lambda _there: here()))
        assert namespace.same_namespace(inside, container.path.stat())
        assert namespace.same_namespace(before, host.path.stat())
        assert namespace.same_namespace(here(), before)
        assert namespace.same_namespace(await asyncio.to_thread(here), before)

    run(scenario())


def test_the_thread_comes_back_for_work_on_the_host(run: Run, host: Namespace, container: Container) -> None:
    def work() -> os.stat_result:
        work_inside(found, lambda _there: None)
        return here()

    found = run(find_container(container.reference))
    assert namespace.same_namespace(run(namespace.in_new_thread(work)), host.path.stat())


def test_a_new_namespace_is_nobody_elses(host: Namespace, run: Run) -> None:
    def work() -> str:
        namespace.enter_new()
        return namespace.identity_here()

    identities = {run(namespace.in_new_thread(work)) for _ in range(3)}
    assert len(identities | {host.inside(namespace.identity_here)}) == 4


async def test_results_and_errors_come_back() -> None:
    def fail() -> None:
        raise KeyError("reason")

    assert await namespace.in_new_thread(lambda: 7) == 7
    with pytest.raises(KeyError, match="reason"):
        await namespace.in_new_thread(fail)


async def test_a_cancelled_caller_leaves_the_work_to_its_end() -> None:
    go_on, done = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait(20)
        done.set()

    task = asyncio.create_task(namespace.in_new_thread(work))
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    go_on.set()
    assert await asyncio.to_thread(done.wait, 20)


async def test_a_descriptor_of_something_else_is_refused() -> None:
    def work() -> None:
        descriptor = os.open("/dev/null", os.O_RDONLY)
        try:
            namespace.enter(descriptor)
        finally:
            os.close(descriptor)

    with pytest.raises(OSError, match="Invalid argument"):
        await namespace.in_new_thread(work)


def test_without_cookies_the_inode_tells(monkeypatch: pytest.MonkeyPatch, host: Namespace) -> None:
    """As on kernels before 5.14."""
    monkeypatch.setattr(namespace, "_SO_NETNS_COOKIE", 9999)
    assert host.inside(namespace.identity_here).endswith(f"-i{host.path.stat().st_ino}")
