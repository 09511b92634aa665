"""The figures of a coverage as a plain-text table, the leakiest bone first."""

from posesynth.coverage.measure import AngleCoverage, Coverage, EdgeCoverage, Leak


def table(coverage: Coverage) -> str:
    """Overall shares, then two lines for each bone (one for each angle), then its length."""
    return "\n".join([*_overall(coverage), "", *_angles(coverage), "", *_lengths(coverage)])


def _overall(coverage: Coverage) -> list[str]:
    inside = _share(coverage.inside).strip()
    seen = len(coverage.edges) - len(coverage.unseen)
    bones = f"each of the {seen} bones that they show" if coverage.unseen else "every bone"
    lines = [
        f"{coverage.skeleton}: {inside} of {coverage.measured} frames have {bones} in its range",
        *(f"  {clip.source}: {_share(clip.inside)} of {clip.measured} frames" for clip in coverage.motions),
        f"heading: {coverage.heading}",
    ]
    if coverage.measured < coverage.frames:
        lines.append(f"not measured: {coverage.frames - coverage.measured} frames without a heading or a joint")
    if coverage.unseen:
        lines.append(f"not measured: the bones to {', '.join(coverage.unseen)}")
    return lines


def _angles(coverage: Coverage) -> list[str]:
    few = any(edge.frames < coverage.measured for edge in coverage.edges)
    rows = [["bone to", "inside", "angle", "given", "real 1/50/99 %", "below by 50/95/100 %", "above by 50/95/100 %"]]
    for edge in coverage.edges:
        share = _share(edge.inside) + (f" of {edge.frames}" if few else "")
        for angle, head in zip(edge.angles, ([edge.joint, share], ["", ""]), strict=True):
            rows.append([*head, *_angle(angle)])
    return _columns(rows, right=(1,))


def _angle(angle: AngleCoverage) -> list[str]:
    given = f"[{angle.given[0] + 0.0:g}, {angle.given[1] + 0.0:g}]"  # a mirrored 0 is -0
    real = " ".join(f"{round(value):5d}" for value in angle.real)
    return [angle.name, given, real, _leak(angle.below), _leak(angle.above)]


def _leak(leak: Leak) -> str:
    if not leak.share:
        return "-"
    return f"{_share(leak.share)} {leak.median:5.1f} {leak.p95:5.1f} {leak.largest:5.1f}"


def _lengths(coverage: Coverage) -> list[str]:
    rows = [["bone to", "length/longest 1/50/99 %", "can be", "inside"]]
    rows += [[edge.joint, *_length(edge)] for edge in coverage.edges]
    return _columns(rows, right=(3,))


def _length(edge: EdgeCoverage) -> list[str]:
    real = " ".join(f"{value:.3f}" for value in edge.length.real)
    return [real, f"[{edge.length.possible[0]:.3f}, {edge.length.possible[1]:.3f}]", _share(edge.length.inside)]


def _share(share: float) -> str:
    """A share in percent that says 100 only of all and 0 only of none."""
    percent = 100 * share
    if 0 < share < 1:
        percent = min(max(percent, 0.1), 99.9)
    return f"{percent:5.1f} %"


def _columns(rows: list[list[str]], right: tuple[int, ...]) -> list[str]:
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(w) if c in right else cell.ljust(w) for c, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
