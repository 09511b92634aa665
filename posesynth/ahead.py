"""Results made ahead of their use on threads, handed out in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(make: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Generator[Result, None, None]:
    """``make(item)`` for each item in order, while `threads` threads are at work on those to come.

    At most ``held(threads)`` results exist at a time, the one being used included.  An exception of `make` is
    raised in its turn.  Closing the iterator stops the threads and waits for what they have begun.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="posesynth")
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(make, item))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def held(threads: int) -> int:
    """How many results of `ahead` can be alive at once: with so many buffers, taken in turn, none is overwritten."""
    return 2 * threads + 2
