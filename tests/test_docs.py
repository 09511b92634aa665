"""The documentation runs: README and docs/, page by page, each from top to bottom in a directory with only examples/.

``python`` fences run in one namespace a page, ``bash`` fences in the page's directory, and a ``yaml`` fence whose
first line is ``# NAME.yaml`` is written to that file.  A fence that cannot run here says why, in the page:
``<!-- skip: next "writes 8 GB" -->``.
"""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import SkipTest

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def run_bash(example: Example) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", example.parsed],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode:
        raise AssertionError(f"{example.path}:{example.line}: exit {done.returncode}\n{done.stdout}{done.stderr}")


def write_yaml(example: Example) -> None:
    name = re.match(r"# (\w[\w-]*\.yaml)\n", example.parsed)
    if name:
        Path(name[1]).write_text(example.parsed)


SYBIL = Sybil(
    parsers=[
        SkipParser(),
        PythonCodeBlockParser(),
        CodeBlockParser("bash", run_bash),
        CodeBlockParser("yaml", write_yaml),
    ]
)


def run_page(page: Path) -> None:
    """Every example of a page in order; fails at the first that does."""
    for example in SYBIL.parse(page).examples():
        with contextlib.suppress(SkipTest):
            example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("examples").symlink_to(ROOT / "examples")
    run_page(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    targets = [t for t in LINK.findall(page.read_text()) if "://" not in t]
    missing = [t for t in targets if not (page.parent / t).exists()]
    assert not missing


def test_every_command_and_option_is_told() -> None:
    from posesynth.cli import posesynth

    page = (ROOT / "docs" / "cli.md").read_text()
    for name, command in posesynth.commands.items():
        assert f"## {name}\n" in page
        for parameter in command.params:
            for option in parameter.opts:
                assert not option.startswith("--") or f"`{option}`" in page or f" {option} " in page, f"{name} {option}"


@pytest.mark.parametrize(
    "fence", ["```python\n1 / 0\n```", "```python\nassert 1 == 2\n```", "```bash\nfalse\nexit 0\n```"]
)
def test_a_fence_that_fails_is_noticed(fence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.md").write_text(f"# Page\n\n{fence}\n")
    with pytest.raises((AssertionError, ZeroDivisionError)):
        run_page(tmp_path / "page.md")
