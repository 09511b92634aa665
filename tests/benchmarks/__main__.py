"""Run the benchmarks: ``python -m tests.benchmarks [SECTION ...]``; all of them without a name.

Each section runs in a process of its own: an OpenMP pool that one starts must not meet the forks of another.
BENCH_DIR names a folder on the disk to be measured (default: here).
"""

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module

SECTIONS = {
    "generation": "generation",
    "joints": "generation",
    "streaming": "streaming",
    "pipe": "streaming",
    "storage": "storage",
    "memory": "storage",
    "start": "storage",
}


def main(names: list[str]) -> None:
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise SystemExit(f"error: no section is called '{unknown[0]}'; expected {', '.join(SECTIONS)}")
    if len(names) == 1:
        section: Callable[[], None] = getattr(import_module(f"tests.benchmarks.{SECTIONS[names[0]]}"), names[0])
        section()
        return
    from .measure import machine

    print(f"{machine()}\npython -m tests.benchmarks {' '.join(names)}".rstrip(), flush=True)
    for name in names or SECTIONS:
        print(f"\n## {name}\n", flush=True)
        subprocess.run([sys.executable, "-m", "tests.benchmarks", name], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
