"""The ``posesynth`` command: parses, calls, prints.  Every fault is one ``error:`` line and exit code 2."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import click

from .command_line import Bounds, Commands, Shards, Size, count, progress_bar, run_command, told_of_compiling, write_new
from .errors import InputError


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    run_command(posesynth, "posesynth", args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="posesynth", message="%(prog)s %(version)s")
def posesynth() -> None:
    """From a one-page YAML skeleton to endless pairs of 2D poses and their 3D truth."""


def _sampling_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that change how poses become samples; each overrides the skeleton's own ``sampling``."""
    for option in reversed(
        (
            click.option("--yaw", type=Bounds(), help="Turn about the vertical, degrees.  Default: any."),
            click.option("--pitch", type=Bounds(), help="Camera above or below, degrees in -90:90.  Default: any."),
            click.option("--roll", type=Bounds(), help="Turn in the image, degrees.  Default: any."),
            click.option(
                "--distance",
                type=Bounds(),
                help="Perspective: the camera's distance in longest edges.  Default: orthographic.",
            ),
            click.option("--noise", type=float, help="Standard deviation added to p2d, in longest edges.  Default: 0."),
            click.option("--missing", type=float, help="Probability that a joint is not seen.  Default: 0."),
        )
    ):
        command = option(command)
    return command


def _skeleton(name: str, **overrides: Any) -> Any:
    from .skeleton import load_skeleton

    given = {key: value for key, value in overrides.items() if value is not None}
    return load_skeleton(name).with_sampling(**given)


_skeleton_option = click.option(
    "--skeleton", "-s", required=True, help="A built-in (see `posesynth skeletons`) or the path of a YAML file."
)
_seed_option = click.option(
    "--seed",
    type=Size(below=2**64),
    default=0,
    show_default=True,
    help="Which of the 2^64 endless sets of this skeleton: equal seeds, equal samples.",
)


_map_option = click.option("--map", "joint_map", metavar="MAP", help="A joint map: a file, or a shipped one's name.")
_asf_option = click.option(
    "--asf", help="The skeleton of AMC, the character of DeepMimic files.  Default: beside them."
)

_host_option = click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where to serve.  Beyond this machine a token is asked for."
)
_port_option = click.option(
    "--port", type=Size(0, 2**16), default=8080, show_default=True, help="0 for any that is free."
)


def _names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(","))


@posesynth.command()
@_skeleton_option
@click.option("--n", type=Size(least=1), required=True, help="How many samples: 1000, 1e6, 25M, 1.5G.")
@click.option(
    "--out", help="PATH.zarr, PATH.h5 or s3://bucket/path.zarr; a folder with --images.  Default: NAME.zarr here."
)
@_seed_option
@click.option("--shard", type=Size(least=1), default=2**20, help="Samples a shard.  Default: 2^20 (1,048,576).")
@click.option(
    "--arrays",
    default="p2d,o",
    show_default=True,
    help="What is stored, separated by commas: p2d and o always, and any of p3d (the joints in 3D), o_up (the bones "
    "of the upright pose), rotation (upright to seen), visibility (of each joint).",
)
@click.option("--dtype", type=click.Choice(["float32", "float16"]), default="float32", show_default=True)
@click.option(
    "--workers", type=click.IntRange(1, 1024), default=1, show_default=True, help="Processes that write shards."
)
@click.option("--dask", metavar="ADDRESS", help="Write shards on the workers of this Dask scheduler.")
@click.option("--shards", type=Shards(), help="Only shards A..B-1, for job arrays; whoever runs last finishes the set.")
@click.option("--images", is_flag=True, help="Write pictures of the poses and their labels instead, into a folder.")
@click.option("--size", type=int, default=256, show_default=True, help="With --images: pixels a side, 32 to 2048.")
@click.option("--backgrounds", help="With --images: a folder of photographs to stand behind the bodies.")
@_sampling_options
def generate(
    skeleton: str, n: int, out: str | None, seed: int, shard: int, arrays: str, dtype: str, workers: int,
    dask: str | None, shards: tuple[int, int] | None, images: bool, size: int, backgrounds: str | None, **sampling: Any,
) -> None:  # fmt: skip
    """Write N samples to disk or to an object store.

    Stopped or killed, the same command goes on where it was; run on a finished set, it checks it and changes
    nothing.  The bytes depend on the skeleton, the seed and the arrays alone.
    """
    _check_kind(images)
    if images:
        made = _skeleton(skeleton, **sampling)
        _generate_images(made, n, out if out is not None else f"{made.name}-images", seed, size, backgrounds)
        return
    from . import store

    if dask is not None and workers != 1:
        raise InputError("workers: are those of the cluster with --dask; expected one of the two options")
    made = _skeleton(skeleton, **sampling)
    plan = store.Plan(made, seed=seed, n=n, shard=shard, arrays=_names(arrays), dtype=dtype)
    target = out if out is not None else f"{made.name}.zarr"
    _write_set(plan, target, workers, dask, shards)


def _write_set(
    plan: Any, target: str, workers: int = 1, dask: str | None = None, shards: tuple[int, int] | None = None
) -> None:
    """Write the set of a plan, or go on with it, and tell how that went."""
    from . import store

    needed, free = store.space(plan, target)
    there = "" if free is None else f", {store.size(free)} are free"
    try:
        print(
            f"{target}: {plan.n:,} samples, {count(plan.shards, 'shard')}; needs {store.size(needed)}{there}",
            flush=True,
        )
        if dask is None:
            _make_ready()  # here once, for all processes, and before the bar measures a rate
        with progress_bar(plan.n, "samples") as bar:
            if dask is None:
                done = store.generate(plan, target, workers=workers, shards=shards, progress=bar.update)
            else:
                from . import distributed

                done = distributed.generate(plan, target, dask, shards=shards, progress=bar.update)
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
        place, left = store.target(target), "nothing was written"
        with suppress(InputError, OSError):
            if place.identity() is not None:
                left = f"the same command goes on from what is in {place.found_at}"
        print(f"stopped; {left}", file=sys.stderr)
        raise
    kept = f", {done.reused} there already" if done.reused else ""
    state = "the set is complete" if done.complete else "the other shards are still to come"
    print(f"{target}: {count(done.written, 'shard')} written{kept}; {state}")


def _check_kind(images: bool) -> None:
    """Raise InputError on an option of stored poses with --images, or of images without."""
    of_poses = ("shard", "arrays", "dtype", "workers", "dask", "shards", "noise", "missing")
    of_images = ("size", "backgrounds")
    context = click.get_current_context()
    for name in of_poses if images else of_images:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            expected = "expected none with --images" if images else "expected --images with it"
            raise InputError(f"--{name}: is for {'stored poses' if images else 'images'}; {expected}")


def _generate_images(skeleton: Any, n: int, out: str, seed: int, size: int, backgrounds: str | None) -> None:
    from .render import render, write_images

    try:
        with told_of_compiling():
            render(skeleton, seed, 0, 1, 32, threads=1)
        with progress_bar(n, "images") as bar:
            done = write_images(skeleton, out, n, seed=seed, size=size, backgrounds=backgrounds, progress=bar.update)
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
        left = f"the same command goes on from what is in {out}" if os.path.isdir(out) else "nothing was written"
        print(f"stopped; {left}", file=sys.stderr)
        raise
    kept = f", {done.reused:,} there already" if done.reused else ""
    print(f"{out}: {count(done.written, 'image')} written{kept}; the set is complete")


def _make_ready() -> None:
    """Have the kernels at hand; where none are kept yet, say so and compile them."""
    from .sampler import sample
    from .skeleton import load_skeleton

    with told_of_compiling():
        sample(load_skeleton("quadruped"), threads=1)  # one kernel serves all skeletons


@posesynth.command()
@click.option(
    "--from",
    "motions",
    multiple=True,
    required=True,
    metavar="MOTION",
    help="Poses to begin with: BVH, AMC, DeepMimic, or joint positions as CSV, NPZ, NPY or Label3D .mat.  May be given "
    "again.",
)
@_skeleton_option
@_map_option
@_asf_option
@click.option("--target", type=Size(least=1), help="How many poses there shall be.  Default: 2.5 times as many.")
@click.option("--generations", type=Size(), help="How many generations to breed, instead of --target.")
@_seed_option
@click.option("--out", required=True, help="PATH.zarr, PATH.h5 or s3://bucket/path.zarr.")
@click.option("--shard", type=Size(least=1), default=2**20, help="Samples a shard.  Default: 2^20 (1,048,576).")
@click.option("--arrays", default="p2d,o", show_default=True, help="As for generate.")
@click.option("--dtype", type=click.Choice(["float32", "float16"]), default="float32", show_default=True)
@_sampling_options
def evolve(
    motions: tuple[str, ...], skeleton: str, joint_map: str | None, asf: str | None, target: int | None,
    generations: int | None, seed: int, out: str, shard: int, arrays: str, dtype: str, **sampling: Any,
) -> None:  # fmt: skip
    """Breed new poses from real ones, within the skeleton's ranges, and write them as a data set.

    Pose after pose of the motion, then generation after generation: subtrees are exchanged, bones turned a little,
    lengths drawn anew, and what leaves the ranges is dropped.  Stopped or killed, the same command goes on.
    """
    from .ancestors import evolve as breed
    from .store import target as place

    if target is not None and generations is not None:
        raise InputError("target: is given beside --generations; expected one of the two")
    place(out)
    made, clips, mapping = _motions(skeleton, motions, joint_map, asf, **sampling)
    with told_of_compiling(), progress_bar(target, "poses") as bar:
        evolved = breed(made, clips, mapping, target=target, generations=generations, seed=seed, progress=bar.update)
    print(
        f"{count(evolved.frames, 'frame')}: {count(evolved.initial, 'initial pose')}; kept out: "
        f"{evolved.outside:,} outside the ranges, {evolved.unseen:,} without a pose"
    )
    print(f"{count(len(evolved), 'pose')} after {count(evolved.generations, 'generation')}", flush=True)
    _write_set(evolved.plan(shard=shard, arrays=_names(arrays), dtype=dtype), out)


@posesynth.command()
@_skeleton_option
@click.option("--batch", type=Size(least=1, below=2**31), default=500, show_default=True, help="Samples a batch.")
@click.option("--n", type=Size(least=1), help="Stop after N samples.  Default: never.")
@_seed_option
@click.option("--start", type=Size(below=2**64), default=0, show_default=True, help="Index of the first sample.")
@click.option("--arrays", default="p2d,o", show_default=True, help="As for generate.")
@_sampling_options
def stream(skeleton: str, batch: int, n: int | None, seed: int, start: int, arrays: str, **sampling: Any) -> None:
    """Write batches to standard output: a header, then .npy arrays, one after another.

    posesynth.read_stream reads them; docs/streaming.md says how any other language can.
    """
    from .pipe import write_stream

    try:
        os.fstat(1)
    except OSError:
        raise InputError("output: is closed; expected a pipe or a file") from None
    made = _skeleton(skeleton, **sampling)
    # Not sys.stdout, which drops what nobody reads: an endless stream ends when its reader goes.
    with open(1, "wb", buffering=0, closefd=False) as file, told_of_compiling():
        write_stream(made, file, batch_size=batch, n=n, seed=seed, start=start, arrays=_names(arrays))


@posesynth.command()
@click.argument("path")
@click.option("--repair", is_flag=True, help="Make what is damaged or missing anew.")
def verify(path: str, repair: bool) -> None:
    """Make every sample again and compare every byte; exit 1 if anything is wrong and stays so."""
    from . import store

    with suppress(InputError, OSError):  # `verify` itself tells of them
        if store.target(path).identity() is not None:
            _make_ready()
    with progress_bar(None, "B") as bar:
        report = store.verify(path, repair=repair, progress=bar.update)
    for finding in report.findings:
        print(finding)
    print(report.summary)
    if not report.good:
        raise click.exceptions.Exit(1)


@posesynth.command()
@click.argument("path", metavar="NEW.yaml", type=click.Path(path_type=Path))
@click.option("--like", "model", metavar="SKELETON", help="Begin with a copy of this one: a built-in or a file.")
@click.option(
    "--from",
    "source",
    metavar="FILE",
    help="Draft it from DeepLabCut's config.yaml, SLEAP's .json, .h5 or .slp, COCO's .json, .bvh, .urdf or MJCF .xml.",
)
@click.option("--root", metavar="JOINT", help="The root.  Default: the file's own, or the most central joint.")
@click.option("--drop", metavar="JOINT,...", default="", help="Joints to leave out.")
@click.option("--link", metavar="A-B,...", default="", help="Links to add between joints.")
@click.option("--unlink", metavar="A-B,...", default="", help="Links of the file to leave out.")
@click.option("--category", metavar="NAME", help="Which of several categories of a COCO file.")
@click.option(
    "--up",
    type=click.Choice(["x", "y", "z", "-x", "-y", "-z"]),
    help="The file's axis that points up.  Default: its format's.",
)
def new(
    path: Path, model: str | None, source: str | None, root: str | None, drop: str, link: str, unlink: str,
    category: str | None, up: str | None,
) -> None:  # fmt: skip
    """Begin a skeleton: a commented YAML with wide ranges to narrow.

    Nothing is guessed: loops, loose joints and several roots are told, with the option that settles each.
    """
    from . import drafts

    if (model is None) == (source is None):
        raise InputError("new: expected --like SKELETON or --from FILE, one of the two")
    if path.suffix not in (".yaml", ".yml"):
        raise InputError(f"{path}: ends in '{path.suffix}'; expected a new file that ends in .yaml")
    if path.exists():
        raise InputError(f"{path}: exists already; expected a new file")
    if model is not None:
        for option in ("root", "drop", "link", "unlink", "category", "up"):
            if click.get_current_context().get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE:
                raise InputError(f"--{option}: says how to read a file; expected it with --from FILE")
        write_new(path, drafts.like(model, path.stem))
        print(f"{path}: written; a copy of {model}, called {path.stem}")
    else:
        given = {"drop": drop, "link": link, "unlink": unlink}
        lists = {option: tuple(filter(None, _names(words))) for option, words in given.items()}
        draft = drafts.drafted(str(source), path.stem, root=root, category=category, up=up, **lists)
        write_new(path, draft.text)
        made = draft.skeleton
        pairs = count(len(made.symmetric), "symmetric pair")
        print(f"{path}: written from {source} ({draft.kind}); {len(made.joints)} joints, {pairs}")
        print(f"  root: {made.joints[0]}, {draft.root}")
        print(f"  ranges: {draft.ranges}")
        if draft.heading:
            print(f"  heading: {draft.heading}; --up names another axis")
        for note in draft.notes:
            print(f"  {note}")
    print(f"next: posesynth preview {path}\n      posesynth inspect {path} --png {path.with_suffix('.png')}")


@posesynth.command()
@click.argument("skeletons", nargs=-1, required=True, metavar="SKELETON...")
def validate(skeletons: tuple[str, ...]) -> None:
    """Check skeleton files; every fault of each is reported."""
    from .skeleton import load_skeleton

    faults: list[str] = []
    for name in skeletons:
        try:
            made = load_skeleton(name)
        except InputError as error:
            faults += error.lines
        else:
            print(f"{name}: good; {len(made.joints)} joints, {made.edges} edges, {len(made.symmetric)} symmetric pairs")
    if faults:
        raise InputError(*faults)


@posesynth.command()
def skeletons() -> None:
    """List the built-in skeletons."""
    from .skeleton import builtin_skeletons, load_skeleton

    for name in builtin_skeletons():
        made = load_skeleton(name)
        print(f"{name:<12}{len(made.joints):>4} joints  {made.description}")


@posesynth.command()
@click.argument("what", metavar="SKELETON_OR_DATASET")
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), help="The picture.  Default: NAME.png here.")
@_seed_option
def inspect(what: str, png: Path | None, seed: int) -> None:
    """Print the tree, ranges and counts of a skeleton or a data set, and draw sample poses."""
    from . import inspection

    if what.rstrip("/").endswith((".zarr", ".h5", ".hdf5")):
        if click.get_current_context().get_parameter_source("seed") is click.core.ParameterSource.COMMANDLINE:
            raise InputError("--seed: picks the samples of a skeleton, a data set has its own; expected none")
        with told_of_compiling():
            inspection.dataset(what, png)
    else:
        with told_of_compiling():
            inspection.skeleton(what, png, seed)


@posesynth.command()
@click.argument("what", metavar="SKELETON_OR_DATASET")
@click.argument("more", nargs=-1, metavar="")
@click.option("--motion", multiple=True, metavar="CLIP...", help="Real motion to lay over the skeleton.")
@_map_option
@_asf_option
@_host_option
@_port_option
def preview(
    what: str, more: tuple[str, ...], motion: tuple[str, ...], joint_map: str | None, asf: str | None, host: str,
    port: int,
) -> None:  # fmt: skip
    """Open a page in the browser: a skeleton's ranges under sliders, or the samples of a data set.

    The page shows what the ranges let a pose be, and how much of real motion they hold, and saves the YAML.
    """
    from . import preview as preview_

    if more and not motion:
        raise InputError(f"'{more[0][:60]}': one skeleton or data set at a time; clips come after --motion")
    if what.rstrip("/").endswith((".zarr", ".h5", ".hdf5")):
        for name, value in (("--motion", motion), ("--map", joint_map), ("--asf", asf)):
            if value:
                raise InputError(f"{name}: goes with a skeleton; a data set has its own poses")
        preview_.preview_samples(what, host, port)
    else:
        for name, value in (("--map", joint_map), ("--asf", asf)):
            if value and not motion:
                raise InputError(f"{name}: says how to read real motion; expected --motion CLIP, too")
        _make_ready()
        preview_.preview_skeleton(what, (*motion, *more), joint_map, asf, host, port)


@posesynth.command()
@click.argument("skeleton")
@click.argument("motions", nargs=-1, required=True, metavar="MOTION...")
@_map_option
@_asf_option
@click.option(
    "--fit",
    metavar="OUT.yaml",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write ranges that hold the motion.",
)
@click.option(
    "--quantile", type=float, default=0.98, show_default=True, help="Share of each bone's frames that --fit holds."
)
@click.option("--margin", type=float, default=0.0, show_default=True, help="Degrees that --fit adds at either end.")
@click.option(
    "--samples", type=Size(least=1), help="Hold N samples against the motion, too: completeness and compactness."
)
@click.option("--near", type=float, default=20.0, show_default=True, help="Degrees that --samples counts as near.")
@click.option("--json", "as_json", is_flag=True, help="Print figures for machines.")
def coverage(
    skeleton: str, motions: tuple[str, ...], joint_map: str | None, asf: str | None, fit: Path | None,
    quantile: float, margin: float, samples: int | None, near: float, as_json: bool,
) -> None:  # fmt: skip
    """Tell which share of real motion lies inside a skeleton's ranges, and where it leaks.

    MOTION: BVH, AMC, DeepMimic, or joint positions as CSV, NPZ, NPY or Label3D .mat.
    """
    import json
    from dataclasses import asdict

    from . import coverage as coverage_

    context = click.get_current_context()
    for name in ("quantile", "margin"):
        if fit is None and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise InputError(f"--{name}: says how --fit fits; expected --fit OUT.yaml with it")
    if samples is None and context.get_parameter_source("near") is click.core.ParameterSource.COMMANDLINE:
        raise InputError("--near: says what --samples counts as near; expected --samples N with it")
    made, clips, mapping = _motions(skeleton, motions, joint_map, asf)
    if fit is not None:
        text = coverage_.fit(made, clips, mapping, quantile=quantile, margin=margin)
        write_new(fit, text)
        tables = any(given for range_ in made.ranges for given in range_.given)
        kept = "; those that depend on another angle stay" if tables else ""
        print(f"{fit}: written; ranges hold {100 * quantile:g} % of each bone's frames{kept}", file=sys.stderr)
    measured = coverage_.measure(made, clips, mapping)
    figures, text = measured.as_dict(), str(measured)
    if samples is not None:
        close = coverage_.closeness(made, clips, mapping, samples=samples, near=near)
        figures["closeness"], text = asdict(close), f"{text}\n\n{close}"
    print(json.dumps(figures, indent=2) if as_json else text)


@posesynth.command()
@click.argument("skeleton")
@click.argument("motions", nargs=-1, required=True, metavar="MOTION...")
@_map_option
@_asf_option
@click.option("--poses", type=Size(least=2), help="Example poses to take.  Default: 256, or what a file can hold.")
@click.option("--out", "-o", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The new YAML.")
def fit(
    skeleton: str, motions: tuple[str, ...], joint_map: str | None, asf: str | None, poses: int | None, out: Path
) -> None:
    """Learn from example poses which angles go together along the tree.

    Writes the skeleton with the examples, sampled by them (sampling.angles: tree).  The ranges stay as they are;
    `posesynth coverage --fit` fits those.
    """
    from . import coverage as coverage_

    made, clips, mapping = _motions(skeleton, motions, joint_map, asf)
    learned = coverage_.learn(made, clips, mapping, poses=poses)
    write_new(out, learned.text)
    print(f"{out}: written; {learned.poses} example poses of {count(learned.bones, 'bone')}")


def _motions(
    skeleton: str, motions: tuple[str, ...], joint_map: str | None, asf: str | None, **sampling: Any
) -> tuple[Any, list[Any], Any]:
    """The skeleton, the clips, and the joint map or None."""
    from . import coverage as coverage_
    from .motion import load_motion

    made = _skeleton(skeleton, **sampling)
    mapping = None if joint_map is None else coverage_.load_map(joint_map, made)
    names = None if mapping is None else mapping.columns
    return made, [load_motion(path, names=names, asf=asf) for path in motions], mapping
