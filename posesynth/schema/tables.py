"""The format's single source: the checks of a file and the JSON schema for editors are both made from these."""

from posesynth.yaml_fields import Limit

FORMAT = 1
MAX_JOINTS = 1024
MAX_DESCRIPTION = 300
FRAMES = ("world", "parent")
REQUIRED_KEYS = ("posesynth", "name", "root", "joints")
TOP_KEYS = (*REQUIRED_KEYS, "description", "frame", "symmetric", "sampling", "examples")
ANGLES = {
    "theta": Limit(0, 180, "degrees", "Angle between the bone and the frame's z axis."),
    "phi": Limit(-720, 720, "degrees", "Angle about the frame's z axis, from x towards y.", span=360),
    "flexion": Limit(-720, 720, "degrees", "Angle about the frame's lateral x axis; in the world frame 0 points up, "
                     "90 forward and 180 down.", span=360),
    "abduction": Limit(-720, 720, "degrees", "Angle out of the frame's middle plane, towards +x (left).", span=360),
}  # fmt: skip
ANGLE_PAIRS = {"spherical": ("theta", "phi"), "flexion": ("flexion", "abduction")}
LENGTH = Limit(0, 1e6, "any one unit", "Length of the bone; each pose is divided by its longest bone.")
SHORTEST = 1e-6  # float32 loses digits far below; 0 itself is allowed
JOINT_KEYS = ("parent", "frame", *ANGLES, "usual", "length")
GIVEN_KEYS = ("given", "at")
MAX_GIVEN = 16  # angles of a table: the kernel's work grows with them
EXAMPLE_KEYS = ("joints", "angles")
DRAWS = ("independent", "tree")
VIEW = {
    "yaw": Limit(-720, 720, "degrees", "Turn about the vertical.", span=360),
    "pitch": Limit(-90, 90, "degrees", "Tilt towards the camera or away from it."),
    "roll": Limit(-720, 720, "degrees", "Turn in the image plane.", span=360),
}
DISTANCE = Limit(0, 1e6, "longest edges", "Distance of the camera from the root (perspective).")
SCALARS = {
    "noise": Limit(0, 1e3, "longest edges", "Standard deviation of the noise added to p2d."),
    "missing": Limit(0, 1, "probability", "Probability that a joint is not seen."),
    "usual": Limit(0, 1, "probability", "Probability that a pose lies in the usual ranges of its joints."),
}
SAMPLING_KEYS = ("angles", "symmetric_lengths", "view", "distance", *SCALARS)
USUAL_VIEW = tuple(f"usual_{key}" for key in VIEW)
NEAREST = 0.1  # longest edges between the camera and the nearest place that a joint can reach
