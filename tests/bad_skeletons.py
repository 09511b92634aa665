"""Skeleton files with one fault each: name -> (bytes, where, field, words of the message).

``where`` is ``line:column``; the words must all stand in the one line that reports the fault.
"""

GOOD = """\
posesynth: 1
name: cat
root: neck
frame: world
joints:
  head: {parent: neck, theta: [20, 100], phi: [-150, -30]}
  left_hip: {parent: neck, flexion: [150, 210], abduction: [0, 20], length: [0.5, 1]}
  right_hip: {mirror: left_hip}
  ear: {parent: head, theta: [0, 90], phi: [0, 10], length: [0, 2]}
  eye: {parent: head, frame: parent, theta: [0, 90], phi: [0, 10], length: [0, 2]}
symmetric:
  - [ear, eye]
sampling:
  symmetric_lengths: true
  view: {yaw: [-180, 180], pitch: [-90, 90], roll: [-10, 10]}
  distance: [6, 30]
  noise: 0.02
  missing: 0.1
"""

Case = tuple[bytes, str, str, tuple[str, ...]]
CASES: dict[str, Case] = {}


def whole(name: str, text: str | bytes, where: str, field: str, *words: str) -> None:
    CASES[name] = (text if isinstance(text, bytes) else text.encode(), where, field, words)


def edit(name: str, old: str, new: str, where: str, field: str, *words: str) -> None:
    """A case that differs from `GOOD` in one place."""
    if GOOD.count(old) != 1:
        raise ValueError(f"{name}: {old!r} stands {GOOD.count(old)} times in GOOD")
    whole(name, GOOD.replace(old, new), where, field, *words)


def joint(name: str, old: str, new: str, where: str, field: str, *words: str) -> None:
    edit(name, old, new, where, f"joints.{field}", *words)


# The file as a whole.
whole("empty", "", "1:1", "file", "is empty", "posesynth: 1")
whole("only a comment", "# nothing\n", "1:1", "file", "is empty")
whole("only a document start", "---\n", "2:1", "file", "nothing")
whole("list for a root", "- a\n- b\n", "1:1", "file", "a list", "expected a skeleton")
whole("text for a root", "quadruped\n", "1:1", "file", "'quadruped'")
whole("two documents", GOOD + "---\n" + GOOD, "19:1", "file", "second YAML document")
whole("UTF-16", GOOD.encode("utf-16"), "1:1", "file", "UTF-16", "UTF-8")
whole("UTF-16 without a mark", GOOD.encode("utf-16-be"), "1:1", "file", "UTF-16", "UTF-8")
whole("Latin-1", GOOD.replace("cat", "chât").encode("latin-1"), "2:9", "file", "0xe2", "UTF-8")
whole("NUL", GOOD.replace("cat", "c\0t"), "2:8", "file", "U+0000")
whole("escape character", GOOD.replace("cat", "\x1b[31mcat"), "2:7", "file", "U+001B")
whole("binary", bytes(range(128, 256)), "1:1", "file", "0x80", "UTF-8")
whole("10 MB", b"# comment\n" * 1_000_000, "1:1", "file", "larger than 1048576 bytes")
whole("5000 deep", "a: " + "[" * 5000, "1:16", "file", "deeper than 12")
whole("5000 deep blocks", "- " * 5000, "1:27", "file", "deeper than 12")
whole("unclosed bracket", GOOD.replace("[6, 30]", "[6, 30"), "16:13", "file",
      "an opening [ of line 16 is not closed", "] before line 17")  # fmt: skip
whole("unclosed brace", GOOD.replace("[0, 20], length: [0.5, 1]}", "[0, 20], length: [0.5, 1]"), "7:13", "file",
      "an opening { of line 7 is not closed", "} before line 8")  # fmt: skip
whole("unclosed at the end", "a: {b: 1\n", "1:4", "file", "an opening { of line 1 is not closed", "expected a }")
whole("closed by another", GOOD.replace("[6, 30]", "[6, 30}"), "16:13", "file", "an opening [ of line 16 is not closed")
whole(
    "no comma", GOOD.replace("-90, 90], roll", "-90, 90] roll"), "15:45", "file", "a comma or } is missing before this"
)
whole("unclosed quote", "name: 'cat", "1:11", "file", "not YAML")
whole("unknown escape", 'name: "\\q"', "1:9", "file", "not YAML")
whole("escape out of Unicode", 'name: "\\U99999999"', "1:1", "file", "not YAML")
whole("wrong indent", GOOD.replace("  ear:", "   ear:"), "9:4", "file", "not YAML")
whole("tab", GOOD.replace("  ear:", "\tear:"), "9:1", "file", "tab", "expected spaces")
whole("many values", "a: [" + ", ".join(["[1, 2, 3, 4, 5, 6, 7, 8]"] * 5000) + "]", "1:26629", "file", "1024")
whole(
    "10k joints",
    "posesynth: 1\nname: big\nroot: r\njoints:\n"
    + "".join(f"  j{i}: {{parent: r, theta: [0, 9], phi: [0, 9]}}\n" for i in range(10_000)),
    "1029:3", "file", "more than 1024", "at most 1024 joints",
)  # fmt: skip
whole(
    "1025 joints",
    "posesynth: 1\nname: big\nroot: r\njoints:\n"
    + "".join(f"  j{i}: {{parent: r, theta: [0, 9], phi: [0, 9]}}\n" for i in range(1024)),
    "5:3", "joints", "1025", "at most 1024 joints",
)  # fmt: skip

# YAML's own tricks.
edit("anchor", "[20, 100]", "&a [20, 100]", "6:31", "file", "anchor")
whole("alias bomb", "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "1:4", "file", "anchor or alias")
whole("merge bomb", "a: &a {x: 1}\nb: &b {<<: [*a, *a]}\n", "1:4", "file", "anchor or alias")
whole("refers to itself", "&a [*a]", "1:1", "file", "anchor or alias")
whole("alias of nothing", "name: *nobody", "1:7", "file", "anchor or alias")
edit("merge key", "{mirror: left_hip}", "{<<: {a: 1}}", "8:15", "file", "merge key")
edit("python tag", "name: cat", "name: !!python/object/apply:os.system [ls]", "2:7", "file", "!!python/object")
edit("binary tag", "name: cat", "name: !!binary Y2F0", "2:7", "file", "!!binary")
edit("set tag", "joints:", "joints: !!set", "5:9", "file", "!!set")
edit("own tag", "name: cat", "name: !cat cat", "2:7", "file", "tag")
whole("directive", "%YAML 1.1\n---\n" + GOOD, "2:1", "file", "directive")
edit(
    "mapping as a key", "name: cat", "{name: cat}: 1\nname: cat", "2:1", "file", "a mapping stands where a key belongs"
)
edit("key twice", "name: cat", "name: cat\nname: cat", "3:1", "name", "twice", "line 2")
edit("joint twice", "  ear:", "  head: {mirror: ear}\n  ear:", "9:3", "joints.head", "twice", "line 6")
edit(
    "quoted twin of a key", "noise: 0.02", "noise: 0.02\n  'noise': 0.02", "18:3", "sampling.noise", "twice", "line 17"
)

# Top level.
edit("no version", "posesynth: 1\n", "", "1:1", "posesynth", "is missing")
edit("version 2", "posesynth: 1", "posesynth: 2", "1:12", "posesynth", "'2'", "expected 1")
edit("version as text", "posesynth: 1", 'posesynth: "1"', "1:12", "posesynth", "expected 1, without quotes")
edit("version 1.0", "posesynth: 1", "posesynth: 1.0", "1:12", "posesynth", "'1.0'")
edit("unknown key", "frame: world", "fraem: world", "4:1", "fraem", "unknown key", "did you mean 'frame'?")
edit("null key", "frame: world", ": world", "4:1", "''", "unknown key")
edit("no name", "name: cat\n", "", "1:1", "name", "is missing")
edit("name a list", "name: cat", "name: [cat]", "2:7", "name", "a list")
edit("name nothing", "name: cat", "name:", "2:1", "name", "nothing")
edit("name empty", "name: cat", "name: ''", "2:7", "name", "''")
edit("name a number", "name: cat", "name: 12", "2:7", "name", "12", "in quotes")
edit("name a date", "name: cat", "name: 2020-01-01", "2:7", "name", "2020-01-01", "in quotes")
edit("name no", "name: cat", "name: no", "2:7", "name", "in quotes")
edit("name true", "name: cat", "name: true", "2:7", "name", "in quotes")
edit("name null", "name: cat", "name: null", "2:7", "name", "in quotes")
edit("name sexagesimal", "name: cat", "name: 12:30", "2:7", "name", "12:30")
edit("name upwards", "name: cat", "name: ../x", "2:7", "name", "'../x'")
edit("name absolute", "name: cat", "name: /etc/passwd", "2:7", "name", "'/etc/passwd'")
edit("name hidden", "name: cat", "name: .cat", "2:7", "name", "'.cat'")
edit("name a device", "name: cat", "name: CON", "2:7", "name", "Windows")
edit("name too long", "name: cat", "name: " + "x" * 300, "2:7", "name", "1 to 64")
edit("name with a newline", "name: cat", 'name: "cat\\n"', "2:7", "name", "'cat\\n'")
edit("name reversed", "name: cat", "name: \u202ecat", "2:7", "name", "'\\u202ecat'")
edit("description a number", "frame: world", "description: 12", "4:14", "description", "'12'")
edit("description of two lines", "frame: world", "description: |\n  a\n  b", "4:14", "description", "one line")
edit("description too long", "frame: world", "description: " + "x" * 999, "4:14", "description", "300")
edit("frame unknown", "frame: world", "frame: wrld", "4:8", "frame", "'wrld'", "did you mean 'world'?")
edit("frame a list", "frame: world", "frame: [world]", "4:8", "frame", "a list", "world or parent")

# The tree.
edit("no root", "root: neck\n", "", "1:1", "root", "is missing")
edit("two roots", "root: neck", "root: [neck, tail]", "3:7", "root", "a list")
joint("a second root", "ear: {parent: head, ", "ear: {", "9:8", "ear.parent", "is missing", "only root is 'neck'")
joint("entry for the root", "  ear:", "  neck: {mirror: ear}\n  ear:", "9:3", "neck", "is the root")
edit("no joints", GOOD[GOOD.index("joints:") : GOOD.index("symmetric:")], "", "1:1", "joints", "is missing")
whole("one joint", "posesynth: 1\nname: dot\nroot: dot\njoints: {}\n", "4:9", "joints", "is empty", "at least one")
whole("joints a list", "posesynth: 1\nname: a\nroot: b\njoints: [c]\n", "4:9", "joints", "a list", "one entry")
whole("joints nothing", "posesynth: 1\nname: a\nroot: b\njoints:\n", "4:1", "joints", "nothing")
joint("joint a list", "{mirror: left_hip}", "[left_hip]", "8:14", "right_hip", "a list", "{mirror: ...}")
joint("joint nothing", "{mirror: left_hip}", "", "8:3", "right_hip", "nothing")
joint("joint named by a number", "right_hip:", "12:", "8:3", "12", "in quotes")
joint("joint named by a date", "right_hip:", "2020-01-01:", "8:3", "2020-01-01", "in quotes")
joint("joint named no", "right_hip:", "no:", "8:3", "no", "in quotes")
joint("joint named by nothing", "right_hip:", "'':", "8:3", "''", "not a name")
joint("joint named upwards", "right_hip:", "../x:", "8:3", "'../x'", "not a name")
joint("joint named by a device", "right_hip:", "nul.txt:", "8:3", "nul.txt", "Windows")
joint("joint name too long", "right_hip:", "h" * 300 + ":", "8:3", f"'{'h' * 61}...'", "not a name")
joint("joint name composed", "right_hip:", "h\u00e9:", "8:3", "'h\u00e9'", "not a name")
joint("joint name decomposed", "right_hip:", "he\u0301:", "8:3", "'he\u0301'", "not a name")
joint("parent unknown", "left_hip: {parent: neck", "left_hip: {parent: nekc", "7:22", "left_hip.parent",
      "unknown joint 'nekc'", "did you mean 'neck'?")  # fmt: skip
joint("parent a list", "left_hip: {parent: neck", "left_hip: {parent: [neck]", "7:22", "left_hip.parent", "a list")
joint("parent nothing", "left_hip: {parent: neck", "left_hip: {parent: ", "7:14", "left_hip.parent", "nothing")
joint("its own parent", "head: {parent: neck", "head: {parent: head", "6:18", "head.parent", "its own parent", "'neck'")
joint("cycle of two", "head: {parent: neck", "head: {parent: ear", "6:18", "head.parent", "head -> ear -> head")
joint("cycle through a mirror", "left_hip: {parent: neck", "left_hip: {parent: right_hip", "7:22", "left_hip.parent",
      "left_hip -> right_hip -> left_hip")  # fmt: skip
whole(
    "cycle of 16",
    "posesynth: 1\nname: ring\nroot: r\njoints:\n"
    + "".join(f"  j{i}: {{parent: j{(i + 1) % 16}, theta: [0, 9], phi: [0, 9]}}\n" for i in range(16)),
    "5:16", "joints.j0.parent", "in a cycle, j0 -> j1 -> j2 -> ... 13 more ... -> j0", "root 'r'",
)  # fmt: skip
joint("key of a joint", "ear: {parent: head, theta", "ear: {parent: head, thet: [0, 1], theta", "9:23", "ear.thet",
      "unknown key", "did you mean 'theta'?")  # fmt: skip
joint(
    "frame of a joint", "frame: parent", "frame: local", "10:30", "eye.frame", "'local'", "expected world, parent, or"
)

# Mirrors and pairs.
joint(
    "mirror unknown", "left_hip}", "left_hpi}", "8:23", "right_hip.mirror", "unknown joint", "did you mean 'left_hip'?"
)
joint("mirror of the root", "{mirror: left_hip}", "{mirror: neck}", "8:23", "right_hip.mirror", "'neck' is the root")
joint("mirror of itself", "{mirror: left_hip}", "{mirror: right_hip}", "8:23", "right_hip.mirror", "mirrors itself")
joint("mirror of a mirror", "  ear:", "  hip: {mirror: right_hip}\n  ear:", "9:17", "hip.mirror", "is a mirror itself")
joint(
    "mirrored twice",
    "  ear:",
    "  hip: {mirror: left_hip}\n  ear:",
    "9:17",
    "hip.mirror",
    "'left_hip' is already paired",
)
joint("mirror of a pair", "  right_hip: {mirror: left_hip}", "  right_hip: {mirror: ear}", "8:23", "right_hip.mirror",
      "'ear' is already paired with 'eye'")  # fmt: skip
joint("mirror with a parent", "{mirror: left_hip}", "{mirror: left_hip, parent: neck}", "8:33", "right_hip.parent",
      "not allowed beside mirror")  # fmt: skip
joint("mirror below a side without one", "  ear:", "  left_ear: {parent: neck, theta: [0, 9], phi: [0, 9]}\n"
      "  left_tip: {parent: left_ear, theta: [0, 9], phi: [0, 9]}\n  right_tip: {mirror: left_tip}\n  ear:",
      "11:23", "right_tip.mirror", "'left_ear', where 'left_tip' hangs, has no mirror image", "is named for a side",
      "expected a mirror image of 'left_ear', or 'right_tip' written out")  # fmt: skip
joint("mirror below a pair that is not told", "  ear:", "  Ear.L: {parent: neck, theta: [0, 9], phi: [0, 9]}\n"
      "  Ear.R: {parent: neck, theta: [0, 9], phi: [0, 9]}\n  tip: {parent: Ear.L, theta: [0, 9], phi: [0, 9]}\n"
      "  pit: {mirror: tip}\n  ear:", "12:17", "pit.mirror", "expected [Ear.L, Ear.R] under symmetric")  # fmt: skip
joint("mirror below a hidden side", "  ear:", "  shank: {parent: left_hip, theta: [0, 9], phi: [0, 9]}\n"
      "  tip: {parent: shank, theta: [0, 9], phi: [0, 9]}\n  pit: {mirror: tip}\n  ear:", "11:17", "pit.mirror",
      "'shank', where 'tip' hangs", "hangs on 'left_hip'")  # fmt: skip
joint("mirror a list", "{mirror: left_hip}", "{mirror: [left_hip]}", "8:23", "right_hip.mirror", "a list")
edit("pairs a mapping", "  - [ear, eye]", "  ear: eye", "12:3", "symmetric", "a mapping", "list of pairs")
edit("pair of three", "[ear, eye]", "[ear, eye, head]", "12:5", "symmetric[0]", "a list of 3", "expected [")
edit("pair of text", "[ear, eye]", "ear", "12:5", "symmetric[0]", "'ear' is not a pair")
edit("pair unknown", "[ear, eye]", "[ear, eyes]", "12:11", "symmetric[0]", "'eyes'", "did you mean 'eye'?")
edit("pair with itself", "[ear, eye]", "[ear, ear]", "12:5", "symmetric[0]", "paired with itself")
edit("pair with the root", "[ear, eye]", "[ear, neck]", "12:11", "symmetric[0]", "'neck' is the root")
edit("pair twice", "[ear, eye]", "[ear, eye]\n  - [head, eye]", "13:12", "symmetric[1]", "already paired with 'ear'")
edit("pair of numbers", "[ear, eye]", "[1, eye]", "12:6", "symmetric[0]", "1 is read by YAML as a number")
joint("pair of two lengths", "eye: {parent: head, frame: parent, theta: [0, 90], phi: [0, 10], length: [0, 2]}",
      "eye: {parent: head, frame: parent, theta: [0, 90], phi: [0, 10], length: [0, 3]}", "10:76", "eye.length",
      "[0, 3] differs", "'ear'", "expected [0, 2]")  # fmt: skip

# Ranges.
HEAD = "theta: [20, 100]"
joint("range a number", HEAD, "theta: 90", "6:31", "head.theta", "'90' is not a range", "[90, 90]")
joint("range of three", HEAD, "theta: [1, 2, 3]", "6:31", "head.theta", "a list of 3", "[low, high]")
joint("range of none", HEAD, "theta: []", "6:31", "head.theta", "a list of 0")
joint("range a mapping", HEAD, "theta: {min: 1, max: 2}", "6:31", "head.theta", "a mapping", "[low, high]")
joint("range nothing", HEAD, "theta: ", "6:24", "head.theta", "nothing")
joint("inverted", HEAD, "theta: [100, 20]", "6:31", "head.theta", "low 100 is above high 20")
joint(
    "inverted across 180", "phi: [-150, -30]", "phi: [150, -150]", "6:47", "head.phi", "to cross 180 write [150, 210]"
)
joint("NaN", HEAD, "theta: [.nan, 100]", "6:32", "head.theta", ".nan is not finite")
joint("infinite", HEAD, "theta: [20, .inf]", "6:36", "head.theta", ".inf is not finite")
joint("infinite by size", HEAD, "theta: [20, 1e999]", "6:36", "head.theta", "1e999 is not finite")
joint("number in quotes", HEAD, 'theta: ["20", 100]', "6:32", "head.theta", "'20' is text", "without quotes")
joint("number in words", HEAD, "theta: [twenty, 100]", "6:32", "head.theta", "'twenty' is not a number")
joint("number with a unit", HEAD, "theta: [20deg, 100]", "6:32", "head.theta", "'20deg' is not a number")
joint("number with a comma", "length: [0.5, 1]", "length: [0,5, 1]", "7:77", "left_hip.length", "a list of 3")
joint("sexagesimal", HEAD, "theta: [12:30, 100]", "6:32", "head.theta", "'12:30' is not a number")
joint("octal", HEAD, "theta: [010, 100]", "6:32", "head.theta", "'010' is not a number")
joint("hexadecimal", HEAD, "theta: [0x10, 100]", "6:32", "head.theta", "'0x10' is not a number")
joint("underscore", HEAD, "theta: [2_0, 100]", "6:32", "head.theta", "'2_0' is not a number")
joint("truth for a number", HEAD, "theta: [true, 100]", "6:32", "head.theta", "'true' is not a number")
joint("date for a number", HEAD, "theta: [2020-01-01, 100]", "6:32", "head.theta", "'2020-01-01' is not a number")
joint("null for a number", HEAD, "theta: [null, 100]", "6:32", "head.theta", "'null' is not a number")
joint("list for a number", HEAD, "theta: [[20], 100]", "6:32", "head.theta", "a list is not a number")
joint("theta below 0", HEAD, "theta: [-20, 100]", "6:32", "head.theta", "-20 is out of bounds", "degrees, 0 to 180")
joint("theta above 180", HEAD, "theta: [20, 200]", "6:36", "head.theta", "200 is out of bounds", "degrees, 0 to 180")
joint(
    "phi too far", "phi: [-150, -30]", "phi: [-1500, -150]", "6:48", "head.phi", "-1500 is out of bounds", "-720 to 720"
)
joint("phi too wide", "phi: [-150, -30]", "phi: [-200, 200]", "6:47", "head.phi", "spans 400", "at most 360 apart")
joint("phi missing", ", phi: [-150, -30]", "", "6:9", "head.phi", "is missing", "theta and phi")
joint("no angles", ", theta: [20, 100], phi: [-150, -30]", "", "6:9", "head", "has no angles", "flexion and abduction")
joint("angles mixed", HEAD, "flexion: [20, 100]", "6:9", "head", "mixes phi and flexion", "theta and phi, or flexion")
joint("length negative", "[0.5, 1]", "[-0.5, 1]", "7:78", "left_hip.length", "-0.5 is out of bounds", "0 to 1e+06")
joint("length tiny", "[0.5, 1]", "[1e-30, 1]", "7:77", "left_hip.length", "below 1e-06")
whole(
    "all lengths 0",
    "posesynth: 1\nname: a\nroot: b\njoints:\n  c: {parent: b, theta: [0, 9], phi: [0, 9], length: [0, 0]}\n",
    "5:3", "joints", "every length is 0",
)  # fmt: skip

# Sampling.
edit("sampling a list", GOOD[GOOD.index("sampling:\n") + 10 :], "  - 1\n", "14:3", "sampling", "a list")
edit("sampling key", "noise: 0.02", "nosie: 0.02", "17:3", "sampling.nosie", "did you mean 'noise'?")
edit("flag in words", "lengths: true", "lengths: yes", "14:22", "sampling.symmetric_lengths", "'yes'", "true or false")
edit("flag in quotes", "lengths: true", "lengths: 'true'", "14:22", "sampling.symmetric_lengths", "true or false")
edit("flag a number", "lengths: true", "lengths: 1", "14:22", "sampling.symmetric_lengths", "'1'")
edit(
    "view a list", "{yaw: [-180, 180], pitch: [-90, 90], roll: [-10, 10]}", "[1, 2]", "15:9", "sampling.view", "a list"
)
edit("view key outside", "noise: 0.02", "pitch: [0, 9]", "17:3", "sampling.pitch", "unknown key", "view: {pitch: ...}")
edit("view key", "{yaw:", "{jaw:", "15:10", "sampling.view.jaw", "unknown key", "did you mean 'yaw'?")
edit(
    "pitch too far",
    "pitch: [-90, 90]",
    "pitch: [-91, 90]",
    "15:36",
    "sampling.view.pitch",
    "-91 is out of bounds",
    "-90 to 90",
)
edit("roll inverted", "roll: [-10, 10]", "roll: [10, -10]", "15:52", "sampling.view.roll", "write [10, 350]")
edit("distance a number", "distance: [6, 30]", "distance: 6", "16:13", "sampling.distance", "[6, 6]")
edit(
    "distance inside",
    "distance: [6, 30]",
    "distance: [1, 30]",
    "16:13",
    "sampling.distance",
    "behind it",
    "at least 2.1",
)
edit("noise negative", "noise: 0.02", "noise: -0.02", "17:10", "sampling.noise", "-0.02 is out of bounds")
edit("noise text", "noise: 0.02", "noise: '0.02'", "17:10", "sampling.noise", "without quotes")
edit("noise NaN", "noise: 0.02", "noise: .NaN", "17:10", "sampling.noise", "not finite")
edit(
    "missing above 1", "missing: 0.1", "missing: 10", "18:12", "sampling.missing", "10 is out of bounds", "from 0 to 1"
)
edit("missing a list", "missing: 0.1", "missing: [0, 1]", "18:12", "sampling.missing", "a list is not a number")
