"""Runs as `train` and `benchmark` leave them, with numbers made by hand."""

import json
import pathlib

from jigsaw_shape import config as config_lib
from jigsaw_shape.presets import apply_preset
from jigsaw_shape.runs import benchmark_files, fingerprint, rows

DOMAINS = ("art_painting", "cartoon", "photo", "sketch")


def make_config(preset="erm", target="sketch", seed=0, **fields):
    """Returns a configuration of PACS; `optim__lr=1` sets a field."""
    config = apply_preset(config_lib.default_config(), preset)
    config.data.target, config.seed = target, seed
    config.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in fields.items()}
    )
    return config


def evaluation(step, val, target, **measures):
    """Returns an evaluation row; ten steps are an epoch."""
    return {
        "kind": "eval",
        "step": step,
        "epoch": step / 10,
        "val/accuracy": val,
        "target/accuracy": target,
        **measures,
    }


def write_run(
    folder: pathlib.Path,
    config,
    evaluations=(),
    *,
    finished=True,
    failure=None,
    planned=True,
    begun=True,
    trial=None,
    method="",
    drawn=None,
    images="abc",
) -> pathlib.Path:
    """Writes a run's directory below `folder` and returns it."""
    digest = fingerprint.digest(config)
    parts = [config.preset, config.data.target, f"s{config.seed}"]
    parts += [] if trial is None else [f"t{trial}"]
    directory = folder / "-".join([*parts, digest])
    directory.mkdir(parents=True)
    stored = fingerprint.to_json(config)
    if planned:
        run = benchmark_files.Run(
            directory.name,
            config.preset,
            config.data.target,
            config.seed,
            digest,
            (),
            json.loads(stored),
            method or digest,
            trial,
            drawn or {},
        )
        benchmark_files.write_plan(run, directory)
    if begun:
        (directory / "config.json").write_text(stored)
        starts = {"starts": [{"images": images}]}
        (directory / "run.json").write_text(json.dumps(starts))
    if failure:
        benchmark_files.write_failure(directory, 1, failure)
    lines = list(evaluations)
    if finished and evaluations:
        identity = {
            "dataset": config.data.name,
            "preset": config.preset,
            "encoder": config.model.encoder,
            "settings": digest,
            "target": config.data.target,
            "sources": [d for d in DOMAINS if d != config.data.target],
            "split": config.data.split,
            "split_seed": config.data.split_seed,
            "seed": config.seed,
        }
        lines += [{"kind": "result", **r} for r in rows.results(identity, evaluations)]
    if lines:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (directory / rows.FILE_NAME).write_text(text)
    return directory
