"""Which runs may be compared, and which one stands for each cell: pure functions.

Runs are averaged only where they differ in nothing but seed and target: `check_same`
refuses others, and names what differs.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from jigsaw_shape.presets import PRESETS
from jigsaw_shape.reports.comparison import Cells
from jigsaw_shape.runs.records import FINISHED, Record
from jigsaw_shape.runs.rows import judged

_SPLIT = ("split", "split_seed", "images")
# Beginnings of fields that are not part of a method, and a field that is.
_PROTOCOL = ("data.", "model.", "augment.", "optim.", "eval.", "epochs", "steps")
_OF_METHODS = (
    *("optim.ema_decay", "optim.heads_first"),
    *("optim.sharpness", "optim.sharpness_rho", "optim.sharpness_alpha"),
)
_SET_APART = "pass the runs of one group only, or use --apart"
_MOST_NAMED = 4  # fields that a message names


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """Runs that may be compared: of one data set, split and encoder.

    Attributes:
      protocol: What they have in common.
      targets: Held-out domains, sorted.
      methods: Label -> target -> seed -> the run that stands for it; in a search, the
        trial that was selected. Cells without a finished run are missing.
      expected: Label -> (target, seed) that was planned or found -> runs.
      records: All, whatever became of them.
      notes: What a reader should know of how they compare.
      left_sources_out: Whether trials were chosen by leave-one-domain-out validation.
    """

    protocol: Mapping[str, object]
    targets: Sequence[str]
    methods: Mapping[str, Cells]
    expected: Mapping[str, Mapping[tuple[str, int], Sequence[Record]]]
    records: Sequence[Record]
    notes: Sequence[str] = ()
    left_sources_out: bool = False

    @property
    def title(self) -> str:
        """What the benchmark is of, in one line."""
        known = self.protocol
        split = f"split {known.get('split')} (seed {known.get('split_seed')})"
        return f"{known.get('dataset')}, {known.get('encoder')}, {split}"

    @property
    def is_repeated(self) -> bool:
        """Whether a method has several runs, so that there is something to average."""
        return any(sum(map(len, c.values())) > 1 for c in self.methods.values())

    def n_seeds(self, label: str) -> int:
        """Returns how many seeds of a method there should be."""
        return len({seed for _, seed in self.expected[label]})


def group(records: Sequence[Record], apart: bool = False) -> list[Benchmark]:
    """Returns the benchmarks that `records` belong to.

    Args:
      records: Of runs whose preset is known, whatever their status.
      apart: Runs on other splits become benchmarks of their own, and a preset's runs
        with other settings methods of their own, instead of being refused.

    Raises:
      ValueError: They cannot be averaged; see `check_same`.
    """
    keys = ("dataset", "encoder", *_SPLIT[:-1] * apart)
    found = list(_by(records, lambda r: tuple(map(r.protocol.get, keys))).values())
    if apart:
        found = [part for members in found for part in _by_images(members)]
    return [_benchmark(members, apart) for members in found]


def _by(records: Iterable[Record], key: Callable) -> dict[object, list[Record]]:
    found = collections.defaultdict(list)
    for r in records:
        found[key(r)].append(r)
    return dict(found)


def _by_images(records: Sequence[Record]) -> list[list[Record]]:
    """Returns runs on other images apart; runs that have not begun go with the first.

    Images of two targets may differ, as a large data set is read in part.
    """
    if not _images_differ(records):
        return [list(records)]
    first = next(r.protocol["images"] for r in records if "images" in r.protocol)
    return list(_by(records, lambda r: r.protocol.get("images", first)).values())


def _images_differ(records: Sequence[Record]) -> bool:
    """Returns whether runs of the same target saw different images."""
    seen = _by((r for r in records if "images" in r.protocol), lambda r: r.target)
    return any(len({r.protocol["images"] for r in runs}) > 1 for runs in seen.values())


def _benchmark(records: Sequence[Record], apart: bool) -> Benchmark:
    everything, notes = records, []
    held_out = [r for r in records if r.validates]
    records = [r for r in records if not r.validates]
    if not apart:
        check_same([r for r in records if r.status == FINISHED])
        records, notes = _without_abandoned(records)
    labels = method_labels(records)
    methods = {label: {} for label in labels.values()}
    expected = {label: {} for label in methods}
    for r in records:
        cells = expected[labels[r.preset, r.method]]
        cells.setdefault((r.target, r.seed), []).append(r)
    for label, cells in expected.items():
        for (target, seed), members in cells.items():
            chosen = select_trial(members, held_out)
            if chosen is not None:
                methods[label].setdefault(target, {})[seed] = chosen
            elif any(r.status == FINISHED for r in members):
                notes.append(
                    f"{label} on {target}, seed {seed}: no trial has finished all runs "
                    "that hold out a source, so none is chosen."
                )
    return Benchmark(
        protocol=next((r.protocol for r in records if r.protocol), {}),
        targets=sorted({r.target for r in records}),
        methods=methods,
        expected=expected,
        records=everything,
        notes=notes + protocol_notes(records, labels),
        left_sources_out=bool(held_out),
    )


def _without_abandoned(records) -> tuple[list[Record], list[str]]:
    """Returns the runs that count, and notes on those that do not.

    Where a preset has finished runs, its runs with other settings, none of them
    finished, were left behind when the configuration changed.
    """
    finished = {r.preset: r.method for r in records if r.status == FINISHED}
    kept = [r for r in records if finished.get(r.preset, r.method) == r.method]
    left = [r.name for r in records if r not in kept]
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    note = f"Left out, unfinished and with other settings: {', '.join(left[:3])}{more}."
    return kept, [note] if left else []


def check_same(records: Sequence[Record]) -> None:
    """Refuses finished runs that must not be averaged, and names what differs.

    Raises:
      ValueError: They differ in the split or the images; or a preset's runs differ in
        their settings.
    """
    for key in _SPLIT:
        known = [r for r in records if key in r.protocol]
        found = _by(known, lambda r, key=key: r.protocol[key])
        if len(found) > 1 and (key != "images" or _images_differ(records)):
            raise ValueError(
                f"runs of {records[0].protocol.get('dataset')} differ in {key} and "
                f"are not averaged: {_listed(found)}; {_SET_APART}"
            )
    for preset, runs in _by(records, lambda r: r.preset).items():
        methods = _by(runs, lambda r: r.method)
        if len(methods) > 1:
            raise ValueError(
                f"runs of {preset} differ in their settings and are not averaged: "
                f"{_what_differs(methods)}; {_SET_APART}"
            )


def _listed(runs: Mapping[object, Sequence[Record]]) -> str:
    return "; ".join(
        f"{value} in {len(found)} ({found[0].name}{', ...' * (len(found) > 1)})"
        for value, found in runs.items()
    )


def _what_differs(methods: Mapping[str, Sequence[Record]]) -> str:
    fields = {method: _fields(runs) for method, runs in methods.items()}
    keys = _differing(list(fields.values()))
    if not keys:
        return _listed(methods)
    runs = [r for members in methods.values() for r in members]
    parts = []
    for key in keys[:_MOST_NAMED]:
        by_value = _by(runs, lambda r, k=key: fields[r.method].get(k, "the default"))
        parts.append(f"{key} is {_listed(by_value)}")
    return "; ".join([*parts, "..."] if len(keys) > _MOST_NAMED else parts)


def _fields(records: Sequence[Record]) -> Mapping[str, object]:
    """Returns the fields of runs of one method, without what a search drew."""
    known = [r for r in records if r.fields]
    plain = [r for r in known if not r.drawn]
    drawn = set() if plain else {key for r in known for key in r.drawn}
    fields = next((r.fields for r in plain or known), {})
    return {k: v for k, v in fields.items() if k not in drawn}


def _differing(several: Sequence[Mapping[str, object]]) -> list[str]:
    """Returns the keys whose values differ; none where a mapping is unknown (empty)."""
    if not all(several):
        return []
    keys = sorted({key for fields in several for key in fields})
    return [k for k in keys if len({str(fields.get(k)) for fields in several}) > 1]


def method_labels(records: Sequence[Record]) -> dict[tuple[str, str], str]:
    """Returns a name for each (preset, method): the preset, and how it is set apart.

    In the order of `presets.PRESETS`: plain ones before what builds on them.
    """
    by_preset = _by(records, lambda r: r.preset)
    rank = {preset: i for i, preset in enumerate(PRESETS)}
    labels = {}
    for preset in sorted(by_preset, key=lambda p: (rank.get(p, len(rank)), p)):
        methods = _by(by_preset[preset], lambda r: r.method)
        fields = {method: _fields(runs) for method, runs in methods.items()}
        keys = _differing(list(fields.values()))
        for method in methods:
            how = method
            if 0 < len(keys) <= 3:
                parts = (
                    f"{k.split('.')[-1]}={fields[method].get(k, '-')}" for k in keys
                )
                how = ", ".join(parts)
            labels[preset, method] = f"{preset} [{how}]" if len(methods) > 1 else preset
    return labels


def protocol_notes(
    records: Sequence[Record], labels: Mapping[tuple[str, str], str]
) -> list[str]:
    """Returns what differs between methods without being part of a method."""
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
        notes.append(
            f"Methods differ in {key}, which is not part of a method: {listed}"
        )
    return notes


def select_trial(
    records: Sequence[Record], held_out: Sequence[Record] = ()
) -> Record | None:
    """Returns the run that stands for a cell; of a search, one trial.

    The trial that is best on the sources' validation images, at the step that
    is best by the same measure; the first of equals. Or, where there are such runs, the
    trial whose settings are best on sources that were held out as well, of the trials
    that all of these runs have finished. The target has no say in it, not even for the
    row of `oracle`. None where no such trial is finished.

    Args:
      records: The runs of one cell.
      held_out: Runs that validate a trial (`Record.validates`), of any cell.

    Raises:
      ValueError: Two runs are the same trial, or without trials: one is counted twice.
    """
    finished = [r for r in records if r.status == FINISHED]
    for runs in _by(finished, lambda r: r.trial).values():
        if len(runs) > 1:
            raise ValueError(
                f"{runs[0].name} and {runs[1].name} are the same run: pass only one"
            )
    scores = {r.trial: judged(r.results["val"], "val") for r in finished}
    ours = {r.trial_key[:-1] for r in records}
    runs = [r for r in held_out if r.trial_key[:-1] in ours]
    if runs:
        scores = _scores_on_sources(runs)
    return max(
        (r for r in finished if r.trial in scores),
        key=lambda r: (scores[r.trial], -(r.trial or 0)),
        default=None,
    )


def _scores_on_sources(held_out: Sequence[Record]) -> dict[int, float]:
    """Returns each trial's mean accuracy on sources that were held out, if complete."""
    scores = {}
    for trial, runs in _by(held_out, lambda r: r.trial).items():
        if all(r.status == FINISHED for r in runs):
            found = [judged(r.results["val"], "oracle") for r in runs]
            scores[trial] = sum(found) / len(found)
    return scores
