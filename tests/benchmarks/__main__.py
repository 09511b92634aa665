"""Run the benchmarks: ``python -m tests.benchmarks [--record] [SECTION ...]``; all of them without a name.

``--record`` writes what it prints into docs/benchmarks.md.  BENCH_DIR names a folder on the disk to be measured
(default: here), BENCH_N how many samples are written to it (default: 4e6).  Each section runs in a process of its own:
an OpenMP pool that one starts must not meet the forks of another.
"""

import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from .measure import machine

SECTIONS = {
    "generation": "generation",
    "joints": "generation",
    "dependence": "generation",
    "evolution": "evolution",
    "rendering": "rendering",
    "streaming": "streaming",
    "pipe": "streaming",
    "storage": "storage",
    "memory": "storage",
    "start": "storage",
    "training": "training",
    "adaptation": "adaptation",
    "cascade": "cascade",
    "limit": "limit",
    "images": "images",
    "page": "page",
}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
MARK = "<!-- measured: written by python -m tests.benchmarks --record -->\n"


def main(arguments: list[str]) -> None:
    names = [name for name in arguments if name != "--record"]
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise SystemExit(f"error: no section is called '{unknown[0]}'; expected {', '.join(SECTIONS)}")
    if len(names) == 1:
        getattr(import_module(f"tests.benchmarks.{SECTIONS[names[0]]}"), names[0])()
        return
    parts = [f"{datetime.now(UTC):%Y-%m-%d}, {machine()}; `{' '.join(['python -m tests.benchmarks', *names])}`\n"]
    print(parts[0], flush=True)
    for name in names or SECTIONS:
        section = getattr(import_module(f"tests.benchmarks.{SECTIONS[name]}"), name)
        done = subprocess.run([sys.executable, "-m", "tests.benchmarks", name], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"error: {name} failed")
        parts.append(f"## {name.capitalize()}\n\n{section.__doc__.strip()}\n\n{done.stdout}")
        print(parts[-1], flush=True)
    if "--record" in arguments:
        head, _, _ = PAGE.read_text().partition(MARK)
        PAGE.write_text(head + MARK + "\n" + "\n".join(parts))


if __name__ == "__main__":
    main(sys.argv[1:])
