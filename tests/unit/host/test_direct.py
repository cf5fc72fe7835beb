"""The loop that serves busy descriptors by itself does all that a loop does beside it."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator

import pytest

from lab.wait import wait_until
from tulle.host.direct import DirectLoop, add_reader


class Pipe:
    """Always has something to read until ``empty`` is called."""

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()
        os.write(self._writing, b"x")
        self.served = 0
        self.hundredth = asyncio.Event()

    def serve(self) -> bool:
        self.served += 1
        if self.served == 100:
            self.hundredth.set()
        return self.served == 100

    def empty(self) -> None:
        os.read(self.reading, 1)

    def close(self) -> None:
        os.close(self.reading)
        os.close(self._writing)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    with asyncio.Runner(loop_factory=DirectLoop) as runner:
        runner.run(main())


def test_what_is_served_is_served_again_and_again_until_it_is_left(pipe: Pipe) -> None:
    async def work() -> None:
        leave = add_reader(pipe.reading, pipe.serve)
        await pipe.hundredth.wait()
        leave()
        served = pipe.served
        await asyncio.sleep(0.01)
        assert pipe.served == served

    run(work)


def test_timers_and_other_readers_have_their_turn_beside_a_busy_one(pipe: Pipe) -> None:
    async def work() -> None:
        leave = add_reader(pipe.reading, pipe.serve)
        await asyncio.sleep(0.001)
        other, told = Pipe(), asyncio.Event()
        asyncio.get_running_loop().add_reader(other.reading, told.set)
        await told.wait()
        asyncio.get_running_loop().remove_reader(other.reading)
        other.close()
        thread = await asyncio.to_thread(lambda: "a thread's result")
        assert thread == "a thread's result"
        leave()

    run(work)


def test_work_that_a_served_one_gives_the_loop_is_done_though_nothing_else_happens(pipe: Pipe) -> None:
    async def work() -> None:
        loop, told = asyncio.get_running_loop(), asyncio.Event()

        def serve() -> bool:
            pipe.empty()
            loop.call_soon(told.set)
            return True

        add_reader(pipe.reading, serve)
        await told.wait()

    run(work)


def test_a_mistake_in_a_served_one_is_told_and_ends_nothing(
    pipe: Pipe, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        def serve() -> bool:
            pipe.empty()
            raise ValueError("our mistake")

        add_reader(pipe.reading, serve)
        await asyncio.to_thread(wait_until, lambda: "our mistake" in caplog.text, 10, "the mistake is told")

    run(work)


def test_another_loop_serves_as_it_does_its_readers(pipe: Pipe) -> None:
    async def main() -> None:
        leave = add_reader(pipe.reading, pipe.serve)
        await pipe.hundredth.wait()
        leave()
        leave_late = add_reader(pipe.reading, pipe.serve)
        asyncio.get_running_loop().call_soon(leave_late)
        await asyncio.sleep(0)

    asyncio.run(main())


def test_leaving_after_the_loop_is_closed_does_nothing(pipe: Pipe) -> None:
    leaving: list[Callable[[], None]] = []

    async def work() -> None:
        leaving.append(add_reader(pipe.reading, pipe.serve))

    run(work)
    leaving[0]()
