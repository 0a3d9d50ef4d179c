"""Where a step's time goes: a trace's operations, added up by kind.

    python benchmarks/throughput.py ... --steps 20 --trace trace
    python benchmarks/operations.py trace --steps 20

Kernels of a GPU, operations of a TPU; on CPUs those of XLA, of which some run inside
others and count twice. Numbers at the end of a name (`fusion_12`) are dropped.
"""

import argparse
import collections
import pathlib
import re
from collections.abc import Iterator

from jax.profiler import ProfileData

_NUMBERS = re.compile(r"([._]\d+)+$")


def events(trace: ProfileData) -> Iterator[tuple[str, float]]:
    """Yields the name and the nanoseconds of each operation."""
    planes = list(trace.planes)
    devices = [plane for plane in planes if plane.name.startswith("/device:")]
    for plane in devices or planes:
        lines = {line.name: line for line in plane.lines}
        # A TPU's modules and steps hold its operations once more.
        for line in [lines["XLA Ops"]] if "XLA Ops" in lines else lines.values():
            for event in line.events:
                if devices or "hlo_op" in dict(event.stats):
                    yield event.name, event.duration_ns


def main() -> None:
    """Prints the kinds that take longest."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("trace", type=pathlib.Path)
    parser.add_argument("--steps", type=int, required=True, help="in the trace")
    parser.add_argument("--top", type=int, default=20)
    arguments = parser.parse_args()
    found = sorted(
        arguments.trace.rglob("*.xplane.pb"), key=lambda p: p.stat().st_mtime
    )
    if not found:
        parser.error(f"{arguments.trace} holds no *.xplane.pb")
    nanoseconds, counts = collections.Counter(), collections.Counter()
    for name, duration_ns in events(ProfileData.from_file(str(found[-1]))):
        kind = _NUMBERS.sub("", name)
        nanoseconds[kind] += duration_ns
        counts[kind] += 1
    total, n = nanoseconds.total(), arguments.steps
    print(f"{total / 1e6 / n:.2f} ms and {counts.total() / n:.0f} operations a step")
    print("share %  ms/step  of them  kind")
    for kind, duration_ns in nanoseconds.most_common(arguments.top):
        share, each = 100 * duration_ns / total, duration_ns / 1e6 / n
        print(f"{share:7.1f}  {each:7.3f}  {counts[kind] / n:7.1f}  {kind[:80]}")


if __name__ == "__main__":
    main()
