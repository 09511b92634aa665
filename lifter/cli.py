"""The ``lifter`` command: parses, calls, prints.  Every fault is one ``error:`` line and exit code 2."""

import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lifter.config import NETWORKS, OUTPUTS, PRESETS, Config, load_config
from lifter.image_config import LANDMARK_STAGES, STAGES, ImageConfig, load_image_config
from lifter.image_config import PRESETS as IMAGE_PRESETS
from lifter.run_config import PRECISIONS, RunConfig
from posesynth.command_line import Commands, Size, run_command
from posesynth.errors import InputError

MODEL = click.option(
    "--model", default="mammal", show_default=True, help="A shipped model, a run, or a .safetensors file."
)


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
@click.option("--network", type=click.Choice(NETWORKS), help="The paper's, or EvoSkeleton's cascade of such.")
@click.option("--output", type=click.Choice(OUTPUTS), help="What the network predicts: depth, or the paper's angles.")
@click.option("--precision", type=click.Choice(PRECISIONS), help="Of the network's arithmetic.")
@click.option("--from", "source", metavar="-|SET", help="Samples of a pipe (posesynth stream) or a stored set.")
@click.option("--init", metavar="MODEL", help="Begin with the weights of a model or run of the same joints.")
@click.option("--tensorboard", is_flag=True, help="Write the log for TensorBoard, too: OUT/tensorboard.")
def train(preset: str, config_file: str | None, out: str, source: str | None, tensorboard: bool, **given: Any) -> None:
    """Train a network.  The same command again goes on where it was stopped."""
    config = PRESETS[preset]
    if config_file is not None:
        config = load_config(config_file, config)
    values = {name: value for name, value in given.items() if value is not None}
    if source is not None and "skeleton" in values:
        raise InputError("--skeleton: the samples of --from bring theirs; expected one of the two")
    config = config.with_values(**values)
    _train(config, out, source, tensorboard)


@lifter.command("train-images")
@click.option("--stage", type=click.Choice([*STAGES, "all"]), default="all", show_default=True, help="What to train.")
@click.option("--images", metavar="synthetic|PATH", help="Rendered ones, the default; a folder; or an annotated set.")
@click.option("--map", "keypoint_map", metavar="FILE", help="A YAML that says which joint of a set is which.")
@click.option("--backgrounds", metavar="FOLDER", help="Photographs to stand behind rendered bodies.")
@click.option("--skeleton", metavar="NAME|FILE", help="Whose joints: built-in, or a YAML file.  [default: quadruped]")
@click.option("--preset", type=click.Choice(list(IMAGE_PRESETS)), default="small", show_default=True)
@click.option("--config", "config_file", metavar="FILE", help="A YAML of settings that replace the preset's.")
@click.option("--out", required=True, metavar="FOLDER", help="A run in it for each stage: made, or gone on with.")
@click.option("--steps", type=Size(1), help="Steps of each stage, at most.")
@click.option("--batch", type=Size(2), help="Images a step.")
@click.option("--seed", type=Size(0, 2**64), help="Of the images, their order and the first weights.")
@click.option("--learning-rate", type=float, help="Of Adam.")
@click.option("--labels", type=Size(0), help="Only so many images, or annotations of a set; 0 for all.")
@click.option("--precision", type=click.Choice(PRECISIONS), help="Of the network's arithmetic.")
@click.option("--tensorboard", is_flag=True, help="Write the logs for TensorBoard, too: OUT/STAGE/tensorboard.")
def train_images(stage: str, preset: str, config_file: str | None, out: str, tensorboard: bool, **given: Any) -> None:
    """Train 2D landmarks on images, stage by stage.  The same command again goes on where it was stopped."""
    values = {name: value for name, value in given.items() if value is not None}
    configs = []
    for name in STAGES if stage == "all" else [stage]:
        config = IMAGE_PRESETS[preset][name].with_values(**values)
        if config_file is not None:
            config = load_image_config(config_file, config).with_values(**values)
        if config.stage != name:
            raise InputError(f"{config_file}: stage: is {config.stage}; expected none there, as --stage says it")
        if stage == "all" and name not in LANDMARK_STAGES:  # which need no labels
            config = config.with_values(labels=0, keypoint_map="")
        configs.append(config)
    _train_stages(configs, out, tensorboard)


@lifter.command()
@click.argument("keypoints", metavar="KEYPOINTS")
@MODEL
@click.option("--map", "keypoint_map", metavar="FILE", help="A YAML that says which keypoint is which joint.")
@click.option(
    "--min-confidence", type=float, default=0.6, show_default=True, help="Keypoints below it are not believed."
)
@click.option("--out", required=True, metavar="FILE", help="Where the poses go: .h5, .csv or .npz.")
def lift(keypoints: str, model: str, keypoint_map: str | None, min_confidence: float, out: str) -> None:
    """Lift 2D keypoints to 3D poses: DeepLabCut csv and h5, SLEAP h5, COCO json, plain csv and npz."""
    from lifter.data.matching import describe
    from lifter.data.poses import check_pose_path, write_poses

    check_pose_path(out)
    load, lift_file = _pipeline()
    track, matched = lift_file(load(model), keypoints, keypoint_map, min_confidence)
    print(describe(matched))
    lifted = int((track.p3d[..., 0] == track.p3d[..., 0]).all(axis=2).sum())
    every = len(track.frames) * len(track.individuals)
    enough = f"three joints, apart from each other, with a confidence of {min_confidence:g} or more"
    few = f"{every - lifted} of {every} show fewer than {enough}"
    if not lifted:
        raise InputError(f"{keypoints}: no pose can be lifted: {few}; expected more, or a lower --min-confidence")
    write_poses(out, track)
    some = f" of {len(track.individuals)} individuals" if len(track.individuals) > 1 else ""
    print(f"{out}: {lifted} poses in {len(track.frames)} frames{some} by {model}, lengths in units of the longest edge")
    if lifted < every:
        print(f"not lifted: {few}")


@lifter.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--model", required=True, metavar="RUN", help="What lifter train-images wrote, or its landmarks or nms.")
@click.option("--lifter", "lifting", metavar="MODEL", help="Another than the shipped one of the same skeleton.")
@click.option("--box", metavar="X,Y,W,H", help="Around the animal, in each image, in pixels.")
@click.option("--boxes", "boxes_file", metavar="FILE", help="Of each image: a table image,x,y,w,h or a set with boxes.")
@click.option("--min-confidence", type=float, default=0.1, show_default=True, help="Landmarks below it are not lifted.")
@click.option("--format", "ending", type=click.Choice(["h5", "csv", "npz"]), default="h5", show_default=True)
@click.option("--out", required=True, metavar="FOLDER", help="A new folder, for poses and pictures.")
def predict(images: tuple[str, ...], out: str, **options: Any) -> None:
    """Find landmarks in images, folders of images or a video, and lift them to 3D poses."""
    _predict(images, out, **options)


@lifter.command()
@click.argument("motions", nargs=-1, metavar="[MOTION...]")
@click.option("--protocol", metavar="NAME", help="A published one, on --data: h36m-p1, h36m-p2 or 3dhp.")
@click.option("--data", metavar="FOLDER", help="Where the protocol's files are.")
@click.option("--detections", metavar="FILE", help="A detector's 2D for h36m, in place of the true 2D.")
@MODEL
@click.option("--map", "joint_map", metavar="NAME|FILE", help="A joint map, as for posesynth coverage.")
@click.option(
    "--views",
    type=click.Choice(["any", "filmed", "perspective"]),
    default="any",
    show_default=True,
    help="Of SO(3), as filmed, or as filmed by a camera at 4 to 6 m (with --unit).",
)
@click.option("--views-per-frame", type=Size(1), default=8, show_default=True, help="How often each frame is seen.")
@click.option("--frames-every", type=Size(1), default=1, show_default=True, help="One frame in so many is used.")
@click.option("--noise", type=float, default=0.0, show_default=True, help="Of the 2D, as a share of the body's length.")
@click.option("--missing", type=float, default=0.0, show_default=True, help="Probability that a joint is hidden.")
@click.option("--unit", type=click.Choice(["m", "cm", "mm", "cmu"]), help="Of the motion; cmu: as CMU's files are.")
@click.option("--seed", type=Size(0, 2**64), default=0, show_default=True, help="Of views, noise and hidden joints.")
@click.option("--json", "json_file", metavar="FILE", help="A new file for the table as JSON, too.")
def evaluate(
    motions: tuple[str, ...],
    protocol: Any,
    data: str | None,
    detections: str | None,
    model: str,
    json_file: str | None,
    **options: Any,
) -> None:
    """Measure a model on real 3D motion, seen by virtual cameras: MPJPE, P-MPJPE, PCK, AUC, reprojection.

    With --protocol, on a benchmark's own recordings and by its own rules.
    """
    from lifter.evaluate import evaluate as run
    from lifter.protocols import run_protocol

    if json_file is not None:
        _check_new(json_file)
    if protocol is not None:
        _check_protocol(motions, data, options)
    elif data is not None or detections is not None:
        raise InputError("--data, --detections: are given without --protocol; expected it, or motion files alone")
    elif not motions:
        raise InputError("MOTION: none given; expected at least one file, or --protocol with --data")
    load, _ = _pipeline()
    found: Any
    if protocol is None:
        found = run(load(model), motions, **options)
    else:
        every = options["frames_every"]
        found = run_protocol(load(model), protocol, str(data), frames_every=every, detections=detections)
    print(found.table())
    if json_file is not None:
        _write_json(json_file, found.json())


@lifter.command("evaluate-images")
@click.option("--predictions", required=True, metavar="FILE", help="Keypoints in any format that lift reads.")
@click.option("--set", "image_set", required=True, metavar="PATH", help="An annotated image set: a file or a folder.")
@click.option("--map", "keypoint_map", metavar="FILE", help="The map that train-images was given.")
@click.option("--protocol", type=click.Choice(["lsp", "box"]), required=True, help="PCK@0.2 of LSP, or by box.")
@click.option("--held-out", is_flag=True, help="Only the images that train-images on this set holds out.")
@click.option("--json", "json_file", metavar="FILE", help="A new file for the table as JSON, too.")
def evaluate_images(
    predictions: str, image_set: str, keypoint_map: str | None, protocol: Any, held_out: bool, json_file: str | None
) -> None:
    """Measure predicted 2D landmarks on an annotated image set: PCK, joint by joint."""
    from lifter.images.evaluate import evaluate_images as run

    if json_file is not None:
        _check_new(json_file)
    found = run(predictions, image_set, protocol, keypoint_map, held_out)
    print(found.table())
    if json_file is not None:
        _write_json(json_file, found.json())


@lifter.command()
@click.argument("poses", metavar="POSES")
@click.option("--out", "--video", "out", metavar="FILE", help="A film, .mp4 or .gif, or a still, .png.")
@click.option("--web", is_flag=True, help="Play it in the browser instead, until Ctrl-C.")
@click.option("--fps", type=float, default=30.0, show_default=True, help="Frames a second.")
@click.option("--individual", metavar="NAME", help="Only this one.")
@click.option("--port", type=Size(0, 2**16), default=8080, show_default=True, help="Of --web; 0 for any free one.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Of --web.  Beyond this machine a token is asked for."
)
def show(poses: str, out: str | None, web: bool, fps: float, individual: str | None, port: int, host: str) -> None:
    """Draw lifted poses beside the 2D they come from, or play them in the browser."""
    if web == (out is not None):
        raise InputError(f"--out, --web: {'both are' if web else 'neither is'} given; expected one of them")
    if web:
        from lifter.draw.web import show_web

        show_web(poses, host, port, fps, individual)
        return
    context = click.get_current_context()
    for name in ("port", "host"):
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise InputError(f"--{name}: is given without --web; expected both or none")
    try:
        from lifter.draw import show as draw
    except ModuleNotFoundError as error:
        raise InputError(f"drawing needs {error.name}: pip install 'posesynth[draw]'") from None
    print(draw(poses, str(out), fps, individual))


@lifter.command()
def models() -> None:
    """List the models that come with the package."""
    from lifter.model_file import load_model, shipped_models

    for name in shipped_models():
        _, skeleton, _ = load_model(name)
        print(f"{name}: {skeleton.description}")


def _predict(
    images: tuple[str, ...],
    out: str,
    model: str,
    lifting: str | None,
    box: str | None,
    boxes_file: str | None,
    min_confidence: float,
    ending: str,
) -> None:
    from tqdm import tqdm

    from lifter.data.images.boxes import load_boxes, read_box
    from lifter.data.images.frames import find_frames

    if box is not None and boxes_file is not None:
        raise InputError("--box and --boxes: both are given; expected one of them")
    frames = find_frames(images)
    boxes = None if boxes_file is None else load_boxes(boxes_file, frames.names)
    one = None if box is None else read_box(box)
    try:
        from lifter.images.pipeline import load_image_model
        from lifter.images.predict import describe
        from lifter.images.predict import predict as run
    except ModuleNotFoundError as error:
        raise InputError(f"predicting needs {error.name}: pip install 'posesynth[lifter,images,draw]'") from None
    found = load_image_model(model, lifting)
    with tqdm(unit=" images", disable=None, total=len(frames.names) or None) as bar:

        def show(what: str, count: int) -> None:
            bar.n = count
            bar.set_description(what)

        track = run(found, frames, out, boxes or one, min_confidence, f".{ending}", show)
    print("\n".join(describe(found, track, frames, boxes or one, min_confidence, out)))


def _check_protocol(motions: tuple[str, ...], data: str | None, options: dict[str, Any]) -> None:
    """InputError for what a protocol leaves no choice of."""
    if motions:
        raise InputError(f"{motions[0]}: is given with --protocol; expected --data alone, the folder of its files")
    if data is None:
        raise InputError("--data: is not given; expected the folder of the protocol's files")
    context = click.get_current_context()
    for name in options.keys() - {"frames_every"}:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = "map" if name == "joint_map" else name.replace("_", "-")
            raise InputError(f"--{option}: is given with --protocol; expected none, the protocol says it")


def _check_new(path: str) -> None:
    """InputError unless a file can be made there: before the work, not after it."""
    if os.path.lexists(path):
        raise InputError(f"{path}: is there already; expected another name")
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise InputError(f"{path}: its folder is not there; expected an existing folder")


def _write_json(path: str, document: dict[str, Any]) -> None:
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2) + "\n")
    except OSError as error:
        if not isinstance(error, FileExistsError):
            Path(path).unlink(missing_ok=True)  # what fitted on a full disk
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


def _pipeline() -> Any:
    try:
        from lifter.pipeline import lift_file, load
    except ModuleNotFoundError as error:
        raise InputError(f"lifting needs {error.name}: pip install 'posesynth[lifter]'") from None
    return load, lift_file


def _train(config: Config, out: str, where: str | None, tensorboard: bool) -> None:
    try:
        from lifter.sources import source_of
        from lifter.training import train as run
    except ModuleNotFoundError as error:
        raise InputError(f"training needs {error.name}: pip install 'posesynth[lifter]'") from None
    source = None if where is None else source_of(where)
    names = ("L_sym", "L_el", "L_ed")
    more = "; for more steps begin another --out with --init"

    def start(show: Any) -> Any:
        return run(config, out, source=source, progress=show, tensorboard=tensorboard)

    if _watched(config, out, names, start, more):
        _draw_curves(out)


def _train_stages(configs: list[ImageConfig], out: str, tensorboard: bool) -> None:
    try:
        from lifter.images.training import describe_images, train_stage
    except ModuleNotFoundError as error:
        raise InputError(f"training on images needs {error.name}: pip install 'posesynth[lifter,images]'") from None
    # Labels that do not fit are found before hours are spent on the stages that need none.
    config = next((config for config in configs if config.stage in LANDMARK_STAGES), configs[0])
    lines = describe_images(config)
    if _is_first_rank():
        print(f"joints of {config.skeleton}, images: {config.images}", *lines, sep="\n", flush=True)
    for config in configs:
        folder = os.path.join(out, config.stage)

        def train(show: Any, config: ImageConfig = config) -> Any:
            return train_stage(config, out, progress=show, tensorboard=tensorboard)

        if _watched(config, folder, (), train):
            _draw_curves(folder)
            _draw_stage(folder)


def _is_first_rank() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _watched(config: RunConfig, out: str, names: tuple[str, ...], start: Callable[[Any], Any], more: str = "") -> bool:
    """Run with a bar, tell what it came to; whether this process is the one that tells.

    names: losses, () for all.  more: what to do where the run is finished and that is not enough.
    """
    from tqdm import tqdm

    from lifter.training import Stopped

    first = _is_first_rank()
    with tqdm(total=config.samples, unit=" samples", unit_scale=True, disable=None if first else True) as bar:

        def show(step: int, losses: dict[str, float]) -> None:
            bar.update(step * config.batch - bar.n)
            bar.set_postfix({name: f"{losses[name]:.4f}" for name in names or losses})

        try:
            summary = start(show)
        except Stopped as stopped:
            bar.close()
            print(f"{out}: {stopped}", file=sys.stderr)
            sys.exit(128 + stopped.number)
    if first:
        share = 100 * summary.waiting / max(summary.seconds, 1e-9)
        found = summary.validation
        figures = ", ".join(f"{name} {found[name]:.4f}" for name in names or found)
        spent = f"{summary.seconds:.1f} s, {share:.1f} % of it waiting"
        if summary.resumed == summary.steps:
            spent = f"finished already{more}"
        print(f"{out}: {summary.samples} samples; validation {figures}; {spent}")
    return first


def _draw_curves(out: str) -> None:
    try:
        from lifter.draw import learning_curves

        path = os.path.join(out, "curves.png")
        learning_curves(os.path.join(out, "log.jsonl"), path)
        print(f"drawn: {path}")
    except (ModuleNotFoundError, InputError) as error:
        print(f"not drawn: {error}", file=sys.stderr)


def _draw_stage(run: str) -> None:
    try:
        from lifter.images.stage_picture import stage_picture

        path = os.path.join(run, "images.png")
        stage_picture(run, path)
        print(f"drawn: {path}")
    except (ModuleNotFoundError, InputError) as error:
        print(f"not drawn: {error}", file=sys.stderr)
