"""What the processes that tests start and kill run; they are forked off a server that has everything compiled."""

import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from posesynth import InputError, load_skeleton, sample
from posesynth.store import Plan, generate

sample(load_skeleton("quadruped"), threads=1)  # loads the kernels, and starts no thread

WRITES = ("open", "write", "pwrite", "fsync", "replace", "unlink", "mkdir", "rmdir", "ftruncate", "posix_fallocate")
"""What a run asks of the system when it changes something on disk."""


def start(target: Callable[..., None], *args: Any) -> BaseProcess:
    """A process that runs target(*args)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["store_child", "zarr", "h5py"])
    process = context.Process(target=target, args=args)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))  # the server looks nowhere else
        process.start()
    return process


def run(plan: Plan, path: str, log: str, **options: Any) -> None:
    """generate, as the command line has it: exit 2 and a line in `log` for each fault."""
    with Path(log).open("w") as file, redirect_stderr(file):
        try:
            generate(plan, path, **options)
        except InputError as error:
            for line in error.lines:
                print("error:", line, file=sys.stderr)
            sys.exit(2)


def run_with_small_files(plan: Plan, path: str, log: str, limit: int) -> None:
    """As `run`, where no file may grow beyond `limit` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    run(plan, path, log)


def die_at(plan: Plan, path: str, step: int, torn: bool) -> None:
    """generate, killed before its change number `step` to the disk; torn: after half of it, if that is a write."""
    left = [step]

    def deadly(name: str) -> Callable[..., Any]:
        call = getattr(os, name)

        def wrapper(*args: Any, **options: Any) -> Any:
            if name == "open" and not args[1] & os.O_CREAT:
                return call(*args, **options)
            left[0] -= 1
            if left[0] < 0:
                if torn and name in ("write", "pwrite"):
                    call(args[0], memoryview(args[1])[: len(args[1]) // 2], *args[2:])
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **options)

        return wrapper

    for name in WRITES:
        setattr(os, name, deadly(name))
    with ThreadPoolExecutor(1) as executor:
        generate(plan, path, executor=executor, in_flight=1)


def run_shards(plan: Plan, path: str, cut: tuple[int, int]) -> None:
    """One job of an array."""
    generate(plan, path, shards=cut)
