"""The ``lifter`` command: parses, calls, prints.  Every fault is one ``error:`` line and exit code 2."""

import json
import os
import sys
import warnings
from dataclasses import fields
from typing import Any

import click

from lifter.config import OUTPUTS, PRECISIONS, PRESETS, Config, load_config
from posesynth.cli import Commands, Size, run_command
from posesynth.errors import InputError


def main(args: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    warnings.filterwarnings("ignore", module="lightning_fabric")
    run_command(lifter, "lifter", args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="posesynth", message="%(version)s")
def lifter() -> None:
    """Train a 2D-to-3D network on synthetic poses, and lift real 2D keypoints with it."""


@lifter.command()
@click.option("--skeleton", metavar="NAME|FILE", help="What to train on: a built-in skeleton or a YAML file.")
@click.option("--preset", type=click.Choice(list(PRESETS)), default="default", show_default=True)
@click.option("--config", "config_file", metavar="FILE", help="A YAML of settings that replace the preset's.")
@click.option("--out", required=True, metavar="FOLDER", help="The run: made if new, gone on with if begun.")
@click.option("--steps", type=Size(1), help="Steps of training.")
@click.option("--batch", type=Size(2), help="Samples a step.")
@click.option("--seed", type=Size(0, 2**64), help="Of the samples and of the first weights.")
@click.option("--learning-rate", type=float, help="Of Adam.")
@click.option("--width", type=Size(1), help="Of the network's layers.")
@click.option("--output", type=click.Choice(OUTPUTS), help="What the network predicts: depth, or the paper's angles.")
@click.option("--precision", type=click.Choice(PRECISIONS), help="Of the network's arithmetic.")
@click.option("--from", "source", metavar="-|SET", help="Samples of a pipe (posesynth stream) or a stored set.")
@click.option("--init", metavar="MODEL", help="Begin with the weights of a model or run of the same joints.")
def train(preset: str, config_file: str | None, out: str, source: str | None, init: str | None, **given: Any) -> None:
    """Train a network.  The same command again goes on where it was stopped."""
    config = PRESETS[preset]
    if config_file is not None:
        config = load_config(config_file, config)
    values = {name: value for name, value in given.items() if value is not None}
    if source is not None and "skeleton" in values:
        raise InputError("--skeleton: the samples of --from bring theirs; expected one of the two")
    config = config.with_values(**values)
    _train(config, out, source, init)


def _train(config: Config, out: str, where: str | None, init: str | None) -> None:
    from tqdm import tqdm

    try:
        from lifter.sources import source_of
        from lifter.train import Stopped
        from lifter.train import train as run
    except ModuleNotFoundError as error:
        raise InputError(f"training needs {error.name}: pip install 'posesynth[lifter]'") from None
    source = None if where is None else source_of(where)
    first = os.environ.get("RANK", "0") == "0"
    with tqdm(total=config.samples, unit=" samples", unit_scale=True, disable=None if first else True) as bar:

        def show(step: int, losses: dict[str, float]) -> None:
            bar.update(step * config.batch - bar.n)
            bar.set_postfix({name: f"{losses[name]:.4f}" for name in ("L_sym", "L_el", "L_ed")})

        try:
            summary = run(config, out, source=source, init=init, progress=show)
        except Stopped as stopped:
            bar.close()
            print(f"{out}: {stopped}", file=sys.stderr)
            sys.exit(128 + stopped.number)
    if first:
        share = 100 * summary.waiting / max(summary.seconds, 1e-9)
        figures = ", ".join(f"{name} {summary.validation[name]:.4f}" for name in ("L_sym", "L_el", "L_ed"))
        print(f"{out}: {summary.samples} samples; validation {figures}; {summary.seconds:.1f} s, {share:.1f} % of it waiting")
        _draw_curves(out)


def _draw_curves(out: str) -> None:
    try:
        from lifter.draw import learning_curves

        path = os.path.join(out, "curves.png")
        learning_curves(os.path.join(out, "log.jsonl"), path)
        print(f"drawn: {path}")
    except (ModuleNotFoundError, InputError) as error:
        print(f"not drawn: {error}", file=sys.stderr)
