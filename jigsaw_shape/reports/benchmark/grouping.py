"""Which runs may be compared, and which one stands for each cell: pure functions.

Nothing is averaged that differs in anything but its seed and target: `check_same`
refuses, and names what differs.
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from jigsaw_shape.presets import PRESETS
from jigsaw_shape.reports.benchmark.comparison import Cells
from jigsaw_shape.runs.records import FINISHED, Record

_SPLIT = ("split", "split_seed", "images")
# Fields that are no part of a method, by their beginnings, and one that is.
_PROTOCOL = ("data.", "model.", "augment.", "optim.", "eval.", "epochs", "steps")
_OF_METHODS = ("optim.ema_decay",)


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """Runs that may be compared: of one data set, split and encoder.

    Attributes:
      protocol: What they have in common.
      targets: Held-out domains, sorted.
      methods: Label -> target -> seed -> the run that stands for it. A search's is the
        trial that was selected; cells without a finished run are not there.
      expected: Label -> (target, seed) that there should be, planned or found -> runs.
      records: All, whatever became of them.
      notes: What a reader should know of how they compare.
    """

    protocol: Mapping[str, object]
    targets: Sequence[str]
    methods: Mapping[str, Cells]
    expected: Mapping[str, Mapping[tuple[str, int], Sequence[Record]]]
    records: Sequence[Record]
    notes: Sequence[str] = ()

    def n_seeds(self, label: str) -> int:
        """Returns how many seeds of a method there should be."""
        return len({seed for _, seed in self.expected[label]})


def group(records: Sequence[Record], apart: bool = False) -> list[Benchmark]:
    """Returns the benchmarks that `records` are of.

    Args:
      records: Of runs whose preset is known, whatever their status.
      apart: Runs on other splits are benchmarks of their own, and a preset's runs of
        other settings methods of their own, instead of being refused.

    Raises:
      ValueError: They cannot be averaged; see `check_same`.
    """
    keys = ("dataset", "encoder", *_SPLIT[:-1] * apart)
    found = _by(records, lambda r: tuple(r.protocol.get(key) for key in keys))
    if apart:
        for key, members in list(found.items()):
            if not _images_differ(members):
                continue
            # A run that has not begun has seen no images: it goes with the first.
            first = next(
                r.protocol["images"] for r in members if "images" in r.protocol
            )
            parts = _by(members, lambda r, f=first: r.protocol.get("images", f))
            del found[key]
            found |= {(*key, images): part for images, part in parts.items()}
    return [_benchmark(members, apart) for members in found.values()]


def _images_differ(records: Sequence[Record]) -> bool:
    """Returns whether runs of one target do; a large data set is read in part."""
    seen = _by((r for r in records if "images" in r.protocol), lambda r: r.target)
    return any(len({r.protocol["images"] for r in runs}) > 1 for runs in seen.values())


def _by(records, key) -> dict[object, list[Record]]:
    found = collections.defaultdict(list)
    for r in records:
        found[key(r)].append(r)
    return dict(found)


def _benchmark(records: Sequence[Record], apart: bool) -> Benchmark:
    everything, notes = records, []
    if not apart:
        check_same([r for r in records if r.status == FINISHED])
        records, notes = _without_abandoned(records)
    labels = method_labels(records)
    targets = sorted({r.target for r in records})
    methods = {label: {} for label in labels.values()}
    expected = {label: {} for label in methods}
    for r in records:
        label = labels[r.preset, r.method]
        expected[label].setdefault((r.target, r.seed), []).append(r)
    for label, cells in expected.items():
        for (target, seed), members in cells.items():
            chosen = select_trial(members)
            if chosen is not None:
                methods[label].setdefault(target, {})[seed] = chosen
    protocol = next((r.protocol for r in records if r.protocol), {})
    notes += protocol_notes(records, labels)
    return Benchmark(protocol, targets, methods, expected, everything, notes)


def _without_abandoned(records) -> tuple[list[Record], list[str]]:
    """Returns what counts, and notes on what does not.

    Of a preset with finished runs, those of other settings, none of them finished, are
    what was left behind when the configuration changed.
    """
    finished = {r.preset: r.method for r in records if r.status == FINISHED}
    kept = [r for r in records if finished.get(r.preset, r.method) == r.method]
    left = [r.name for r in records if r not in kept]
    if not left:
        return kept, []
    return kept, [
        f"Left out, of other settings and not finished: {', '.join(left[:3])}"
        + (f" and {len(left) - 3} more." if len(left) > 3 else ".")
    ]


def check_same(records: Sequence[Record]) -> None:
    """Refuses finished runs that must not be averaged, and names what differs.

    Raises:
      ValueError: They differ in the split or the images; or a preset's runs differ in
        their settings.
    """
    for key in _SPLIT:
        runs = collections.defaultdict(list)
        for r in records:
            if key in r.protocol:
                runs[r.protocol[key]].append(r.name)
        if len(runs) > 1 and (key != "images" or _images_differ(records)):
            raise ValueError(
                f"runs of {records[0].protocol.get('dataset')} differ in {key} and "
                f"are not averaged: {_listed(runs)}. Name the runs of one, or --apart"
            )
    by_preset = collections.defaultdict(lambda: collections.defaultdict(list))
    for r in records:
        by_preset[r.preset][r.method].append(r)
    for preset, methods in by_preset.items():
        if len(methods) > 1:
            raise ValueError(
                f"runs of {preset} differ in their settings and are not averaged: "
                f"{_what_differs(methods)}. Name the runs of one, or --apart"
            )


def _listed(runs: Mapping[object, Sequence[str]]) -> str:
    return "; ".join(
        f"{value} in {len(names)} ({names[0]}{', ...' * (len(names) > 1)})"
        for value, names in runs.items()
    )


def _what_differs(methods: Mapping[str, Sequence[Record]]) -> str:
    by_digest = {digest: [r.name for r in runs] for digest, runs in methods.items()}
    fields = _differing([_fields(runs) for runs in methods.values()])
    if not fields:
        return _listed(by_digest)
    parts = []
    for key in fields[:4]:
        runs = collections.defaultdict(list)
        for members in methods.values():
            value = _fields(members).get(key, "the default")
            runs[str(value)] += [r.name for r in members]
        parts.append(f"{key} is {_listed(runs)}")
    return "; ".join(parts) + ("; ..." if len(fields) > 4 else "")


def _fields(records: Sequence[Record]) -> Mapping[str, object]:
    """Returns the fields of runs of one method, without what a search drew."""
    drawn = {key for r in records for key in r.drawn}
    fields = next((r.fields for r in records if r.fields and not r.drawn), None)
    if fields is None:
        fields = next((r.fields for r in records if r.fields), {})
        fields = {k: v for k, v in fields.items() if k not in drawn}
    return fields


def _differing(several: Sequence[Mapping[str, object]]) -> list[str]:
    if not all(several):
        return []
    keys = sorted({key for fields in several for key in fields})
    return [k for k in keys if len({str(fields.get(k)) for fields in several}) > 1]


def method_labels(records: Sequence[Record]) -> dict[tuple[str, str], str]:
    """Returns a name for each (preset, method): the preset, and how it is set apart.

    In the order of `presets.PRESETS`: plain ones before what builds on them.
    """
    by_preset = collections.defaultdict(lambda: collections.defaultdict(list))
    for r in records:
        by_preset[r.preset][r.method].append(r)
    labels = {}
    rank = {preset: i for i, preset in enumerate(PRESETS)}
    for preset in sorted(by_preset, key=lambda p: (rank.get(p, len(rank)), p)):
        methods = by_preset[preset]
        fields = _differing([_fields(runs) for runs in methods.values()])
        for method, runs in methods.items():
            label = preset
            if len(methods) > 1 and 0 < len(fields) <= 3:
                of_run = _fields(runs)
                parts = [f"{k.split('.')[-1]}={of_run.get(k, '-')}" for k in fields]
                label = f"{preset} [{', '.join(parts)}]"
            elif len(methods) > 1:
                label = f"{preset} [{method}]"
            labels[preset, method] = label
    return labels


def protocol_notes(
    records: Sequence[Record], labels: Mapping[tuple[str, str], str]
) -> list[str]:
    """Returns what is not the method's own and yet differs between methods."""
    several = {}
    for r in records:
        if r.fields and not r.drawn:
            fields = {
                key: value
                for key, value in r.fields.items()
                if key.startswith(_PROTOCOL) and key not in _OF_METHODS
            }
            several.setdefault(labels[r.preset, r.method], fields)
    notes = []
    for key in _differing(list(several.values())):
        values = collections.defaultdict(list)
        for label, fields in several.items():
            values[str(fields.get(key, "the default"))].append(label)
        listed = "; ".join(f"{v} ({', '.join(names)})" for v, names in values.items())
        notes.append(f"Methods differ in {key}, which is no part of a method: {listed}")
    return notes


def select_trial(records: Sequence[Record]) -> Record | None:
    """Returns the run that stands for a cell; of a search, one trial.

    The trial with the best accuracy on the sources' validation images, at the step that
    is best by the same measure; the first of equals. The target has no say in it, for
    the row of `oracle` neither. None where no run is finished.

    Raises:
      ValueError: Two runs are the same trial, or no trials: one is counted twice.
    """
    finished = [r for r in records if r.status == FINISHED]
    trials = [r.trial for r in finished]
    if len(set(trials)) < len(trials):
        twice = [r.name for r in finished if trials.count(r.trial) > 1]
        raise ValueError(
            f"{' and '.join(twice[:2])} are the same run: name one of them"
        )
    if not finished:
        return None
    return max(
        finished, key=lambda r: (r.results["val"]["val/accuracy"], -(r.trial or 0))
    )
