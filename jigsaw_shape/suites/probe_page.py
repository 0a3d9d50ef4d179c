"""How the suite `probe` shows its rows: means, tables, a figure, a section."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from jigsaw_shape.measures import probe
from jigsaw_shape.reports import look
from jigsaw_shape.reports.look import Looks
from jigsaw_shape.reports.page import Section
from jigsaw_shape.reports.table import Table, interval, percent
from jigsaw_shape.suites import differences, row_tables
from jigsaw_shape.suites.suite import Fact, Headline

OTHERS = "the others"  # as a row's `fit`: all domains but the one that is tested
LINEAR, NEIGHBOURS, FEW = "linear", "neighbours", "few_shot"
_WITHIN, _ACROSS = "within a domain", "across domains"
_TITLES = {f"{FEW}_{n}": f"{n} a class" for n in probe.SHOTS}
_TITLES |= {NEIGHBOURS: f"{probe.N_NEIGHBOURS} neighbours", LINEAR: "linear probe"}


def title(row: Mapping) -> str:
    """Returns how a pair of domains is written."""
    return f"{row['fit']} → {row['test']}"


def _measure(row: Mapping) -> str:
    return f"{FEW}_{row['shots']}" if row["measure"] == FEW else row["measure"]


def _used(rows: Sequence[Mapping], where: str) -> list[Mapping]:
    """Returns the rows within domains; or those across, of all others if there are."""
    if where == _WITHIN:
        return [row for row in rows if row["fit"] == row["test"]]
    across = [row for row in rows if row["fit"] != row["test"]]
    return [row for row in across if row["fit"] == OTHERS] or across


def _summary(rows: Sequence[Mapping], where: str) -> dict[str, dict]:
    """Returns the mean row of each measure of one model, within or across domains.

    A mean of several has no interval. A measure that some pair of domains lacks, such
    as 10 images of a class where there are fewer, has none.
    """
    found: dict[str, list[Mapping]] = {}
    used = _used(rows, where)
    n_pairs = len(set(map(title, used)))
    for row in used:
        found.setdefault(_measure(row), []).append(row)
    whole = {}
    for name in _TITLES:
        of = found.get(name, ())
        if len(of) < n_pairs or not of:
            continue
        if len(of) == 1:
            whole[name] = dict(of[0])
        else:
            means = {
                key: float(np.mean([row[key] for row in of]))
                for key in ("accuracy", "chance")
            }
            whole[name] = {**means, "n_pairs": len(of)}
    return whole


def _by_model(rows: Sequence[Mapping], where: str) -> dict[str, dict[str, dict]]:
    models = dict.fromkeys(row["model"] for row in rows)
    found = {m: _summary([r for r in rows if r["model"] == m], where) for m in models}
    return {model: summary for model, summary in found.items() if summary}


def _pairs_named(rows: Sequence[Mapping], where: str) -> str:
    titles = list(dict.fromkeys(map(title, _used(rows, where))))
    return titles[0] if len(titles) == 1 else f"mean of {len(titles)} pairs"


def tables(rows: Sequence[Mapping], data: str) -> Iterator[Table]:
    """Yields means within and across domains, linear probes of each pair, gaps."""
    shown = [row for row in rows if "measure" in row]
    for where in (_WITHIN, _ACROSS):
        found = _by_model(shown, where)
        if not found:
            continue
        chance = next(iter(next(iter(found.values())).values()))["chance"]
        body = [
            (model, *(_cell(summary.get(name, {})) for name in _TITLES))
            for model, summary in found.items()
        ]
        yield Table(
            f"Frozen features {where} on {data}: accuracy in %, "
            f"{_pairs_named(shown, where)}, chance {percent(chance)}",
            ("", *_TITLES.values()),
            body,
        )
    linear = [{**r, "pair": title(r)} for r in shown if r["measure"] == LINEAR]
    yield from row_tables.crossed(
        f"Linear probe, fitted → tested, on {data}: accuracy in % (95 % interval)",
        linear,
        "pair",
        "model",
        _cell,
    )
    yield from differences.table(rows, data, str)


def _cell(row: Mapping) -> str:
    ends = f" ({interval(row)})" if "low" in row else ""
    return percent(row.get("accuracy")) + ends


def facts(rows: Sequence[Mapping]) -> Iterator[Fact]:
    """Yields the linear probe's accuracy across domains, else within one."""
    rows = [row for row in rows if "measure" in row]
    for data in dict.fromkeys(row["data"] for row in rows):
        here = [row for row in rows if row["data"] == data]
        for where in (_ACROSS, _WITHIN):
            found = _summary(here, where).get(LINEAR)
            if found:
                what = f"linear probe of its features {where}, {data}"
                what += f" ({_pairs_named(here, where)}; chance "
                what += f"{percent(found['chance'])} %)"
                yield f"{percent(found['accuracy'])} %", what, found["accuracy"]
                break


def headlines(rows: Sequence[Mapping]) -> Iterator[Headline]:
    """Yields the linear probe across domains where it is of one pair: on a target."""
    rows = [row for row in rows if "measure" in row]
    for data in dict.fromkeys(row["data"] for row in rows):
        here = [row for row in rows if row["data"] == data]
        found = _summary(here, _ACROSS).get(LINEAR, {})
        if "low" in found:
            clause = (
                f"lets a linear probe of its features name {found['test']} rightly "
            )
            clause += f"in {percent(found['accuracy'], 0)} of 100 images"
            ends = found["low"], found["high"]
            yield Headline(
                "linear probe on the target", found["accuracy"], *ends, clause=clause
            )


def section(rows: Sequence[Mapping], data: str, results, looks: Looks) -> Section:
    """Returns the part of the page on one set of images."""
    shown = [row for row in rows if "measure" in row]
    lead = (
        "The network stays as it is; a simple classifier is fitted on its features: "
        "from 1, 5 or 10 images a class (means of 20 draws), from the nearest "
        "neighbours, or by logistic regression on all images."
    )
    for where in (_WITHIN, _ACROSS):
        for model, summary in _by_model(shown, where).items():
            if LINEAR in summary:
                lead += (
                    f" {model}, linear probe {where}: "
                    f"{percent(summary[LINEAR]['accuracy'])} %."
                )
    made_by = results.stimuli[data].made_by
    remark = f"{data}. {made_by}" if made_by else data
    drawn = {f"probe_{data}": figure(shown, looks, remark)}
    drawn |= differences.figures(rows, data, str)
    return Section("probe", f"Frozen features: {data}", lead, drawn)


def figure(rows: Sequence[Mapping], looks: Looks, remark: str = "") -> Figure:
    """Returns each model's accuracy by each probe, within and across domains."""
    found = {where: _by_model(rows, where) for where in (_WITHIN, _ACROSS)}
    found = {where: of for where, of in found.items() if of}
    result = Figure(figsize=(1.2 + 4.6 * len(found), 4.2), layout="constrained")
    panels = result.subplots(1, len(found), squeeze=False, sharey=True)[0]
    names = list(_TITLES)
    for axes, (where, models) in zip(panels, found.items(), strict=True):
        for n, (model, summary) in enumerate(models.items()):
            colour, mark = looks[model]
            shift = 0.1 * (n - (len(models) - 1) / 2)
            style = {"color": colour, "zorder": 3}
            few = [name for name in summary if name.startswith(FEW)]
            x = [names.index(name) + shift for name in few]
            axes.plot(x, [summary[name]["accuracy"] for name in few], lw=1.4, **style)
            for name, row in summary.items():
                x, y = names.index(name) + shift, row["accuracy"]
                axes.plot(x, y, mark, ms=7, mec="white", mew=0.6, **style)
                ends = [row.get("low", y), row.get("high", y)]
                axes.plot([x, x], ends, lw=1.4, **style)
            axes.plot([], [], mark, color=colour, label=model)
        chance = {row["chance"] for of in models.values() for row in of.values()}
        for value in chance:
            axes.axhline(value, color="#888888", lw=0.9, ls=(0, (4, 3)), zorder=1)
        axes.set_xticks(range(len(names)), _TITLES.values(), rotation=20)
        axes.set_title(f"{where}: {_pairs_named(rows, where)}")
        axes.set_ylim(0, 1.02)
        axes.grid(axis="y")
    panels[0].set_ylabel("accuracy; broken line: chance")
    result.set_label(
        "Accuracy of classifiers on frozen features, each model a colour: "
        + ", ".join(next(iter(found.values())))
    )
    look.legend_above(result, *panels)
    look.caption(result, remark, 110)
    return result
