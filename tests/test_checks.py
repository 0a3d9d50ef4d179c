"""Every refusal at the door."""

import importlib.util

import pytest
from conftest import REPOSITORY

from jigsaw_shape import checks
from jigsaw_shape import config as config_lib
from jigsaw_shape.presets import PRESETS, apply_preset

UNLABELLED = REPOSITORY / "configs" / "unlabelled.py"
CONFIGS = sorted(set((REPOSITORY / "configs").glob("*.py")) - {UNLABELLED})


def load_config(path, preset="erm"):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(preset)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_config_passes_its_own_check_with_every_preset(path, preset):
    config = load_config(path, preset)
    if preset == "wise_ft":  # refused with the random weights of most of them
        config.model.init = "pretrained:efficientnet_lite0"
    checks.check(config, n_devices=4)
    assert config.preset == preset


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "name the folders"),
        ({"data.unlabelled": "d", "losses.classification": 1.0}, "teach no class"),
        ({"data.unlabelled": "d", "data.target": "sketch"}, "leave it empty"),
        ({"data.unlabelled": "d", "losses.jigsaw": 0.0}, "selected by the puzzles"),
        ({"data.name": "mine"}, "name the domain to hold out"),
        (
            {
                "data.unlabelled": "d",
                "diversify.name": "edges",
                "losses.consistency": 1.0,
            },
            "answers of the class head",
        ),
        (
            {
                "data.unlabelled": "d",
                "diversify.name": "fourier",
                "losses.teacher": 2.0,
            },
            "answers of the class head",
        ),
    ],
)
def test_images_without_labels_ask_for_puzzles_alone(fields, words):
    config = load_config(UNLABELLED, "selfsup")
    config.update_from_flattened_dict(fields)
    with pytest.raises(ValueError, match=words):
        checks.check(config, n_devices=1)


@pytest.mark.parametrize("preset", ["selfsup", "swad"])
def test_what_is_chosen_on_validation_images_needs_some(preset):
    config = load_config(CONFIGS[0], preset)
    config.data.split = "none"
    with pytest.raises(ValueError, match="use jigen or domainbed"):
        checks.check(config, n_devices=1)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("epochs", 0, "exactly one"),
        ("steps", 10, "exactly one"),
        ("data.split", "kfold", "jigen | domainbed | official | none"),
        ("data.sampling", "uniform", "balanced"),
        ("data.setting", "transfer", "generalization | adaptation"),
        ("data.setting", "adaptation", "no loss learns without labels"),
        ("data.unlabelled", "photos", "no loss learns without labels"),
        ("classification.detached", True, "nothing trains the encoder"),
        ("data.cache", "disk", "host"),
        ("data.image_size", 223, "use 222 or 225"),
        ("data.stored_px", 0, "1 or more"),
        ("data.batch_size", 126, "multiple of 4"),
        ("eval.batch_size", 0, "multiple of 4"),
        ("eval.every_epochs", 0, "1 or more"),
        ("model.dtype", "float16", "bfloat16"),
        ("optim.name", "lamb", "adamw"),
        ("optim.schedule", "linear", "cosine"),
        ("optim.lr", 0.0, "above 0"),
        ("optim.warmup", 1.5, "0 to 1"),
        ("optim.ema_decay", 1.0, "below 1"),
        ("optim.step_at", (2.0,), "0 to 1"),
        ("jigsaw.grid", 5, "use 2 to 4"),
        ("jigsaw.n_permutations", 10_001, "1 to 10000"),
        ("seed", -1, "0 to 4294967295"),
        ("data.split_seed", 2**32, "0 to 4294967295"),
        ("optim.lr", float("inf"), "finite"),
        ("optim.momentum", 5.0, "below 1"),
        ("optim.weight_decay", -3.0, "0 or more"),
        ("optim.step_at", ("a",), "numbers"),
        ("augment.crop_scale", ("a", "b"), "numbers"),
        ("augment.crop_scale", (0.5,), "use 2 numbers"),
        ("averaging.name", "mean", "'' for none | sma | swa | segments"),
        ("averaging.start", 1.0, "below 1"),
        ("mixing.name", "blend", "'' for none | mixup | cutmix"),
        ("mixing.alpha", 0.0, "above 0"),
        ("mixstyle.name", "adain", "mixstyle | efdmix | dsu | padain"),
        ("optim.sharpness", "flat", "'' for none | sam | sagm"),
        ("optim.heads_first", 1.0, "below 1"),
        ("optim.accumulate", 0, "1 or more"),
        ("rsc.features", 1.0, "below 1"),
        ("losses.jsd", 1.0, "images in changed styles"),
        ("losses.teacher", 1.0, "images in changed styles"),
        ("losses.distillation", 1.0, "random ones know nothing"),
        ("jigsaw.bias_whole_image", 1.1, "0 to 1"),
        ("jigsaw.view", "both", "instead | beside"),
        ("jigsaw.view", "beside", "leaves no puzzle"),
        ("jigsaw.head", "linear", "pooled | spatial"),
        ("jigsaw.answer", "tiles", "order | positions"),
        ("jigsaw.hidden", -1, "0 or more"),
        ("jigsaw.all_permutations", True, "positions"),
        ("jigsaw.gap", (0.8,), "0 to 0.75"),
        ("jigsaw.gap", (0.1, 0.2, 0.3), "use 1 or 2 numbers"),
        ("augment.flip", -0.1, "0 to 1"),
        ("augment.hue", 0.6, "use 0 to 0.5"),
        ("augment.contrast", -1.0, "0 or more"),
        ("augment.crop_scale", (0.9, 0.5), "smallest <= largest"),
        ("augment.crop_ratio", (0.0, 1.0), "smallest <= largest"),
        ("losses.jigsaw", -1.0, "0 or more"),
        ("diversify.p_ordered", (1.5,), "0 to 1"),
        ("diversify.per_tile", (0.5, -0.5), "0 to 1"),
        ("diversify.p_shuffled", (0.1, 0.2, 0.3), "use 1 or 2 numbers"),
        ("diversify.external", ("a",), "numbers"),
        ("diversify.strongest", (2.0,), "0 to 1"),
        ("diversify.until", 1.5, "0 to 1"),
        ("diversify.n_styles", 0, "1 or more"),
        ("mixstyle.p", 1.5, "0 to 1"),
        ("mixstyle.alpha", 0.0, "above 0"),
        ("mixstyle.mix", "shuffle", "crossdomain"),
        ("losses.classification", 0.0, "selected by the puzzles that it solves"),
        ("losses.consistency", 1.0, "set --config.diversify.name"),
        ("classification.label_smoothing", 1.0, "below 1"),
        ("dann.domains", "target", "source | style"),
        ("dann.hidden", (0,), "use 1 or more"),
        ("dann.gamma", -1.0, "0 or more"),
        ("dann.strongest", -1.0, "0 or more"),
        ("log.every_steps", 0, "1 or more"),
    ],
)
def test_check_refuses_and_names_the_key(field, value, words):
    config = config_lib.default_config()
    *parents, leaf = field.split(".")
    node = config
    for parent in parents:
        node = node[parent]
    with config.ignore_type():
        node[leaf] = value
    with pytest.raises(ValueError) as refusal:
        checks.check(config, n_devices=4)
    message = str(refusal.value)
    assert words in message
    assert f"--config.{field.split('.')[0]}" in message
    assert "\n" not in message


def test_styles_as_domains_need_stylized_images():
    config = apply_preset(config_lib.default_config(), "dann")
    config.dann.domains = "style"
    with pytest.raises(ValueError, match=r"losses\.domain=.*config\.diversify\.name"):
        checks.check(config, n_devices=1)
    config.diversify.name = "fourier"
    checks.check(config, n_devices=1)


def test_check_refuses_a_weakest_strength_above_the_strongest():
    config = config_lib.default_config()
    config.diversify.update(weakest=(0.1, 0.9), strongest=(1.0, 0.5))
    with pytest.raises(ValueError, match=r"weakest=.*above .*strongest"):
        checks.check(config, n_devices=1)
    config.diversify.strongest = (1.0,)
    checks.check(config, n_devices=1)


@pytest.mark.parametrize("per_tile", [0.0, 0.5])
def test_check_refuses_images_too_small_for_adain(per_tile):
    config = config_lib.default_config()
    config.diversify.update(name="adain", per_tile=(per_tile,))
    config.data.image_size = 36 if per_tile else 12
    with pytest.raises(ValueError, match=r"AdaIN gets 12 px.*16 or more"):
        checks.check(config, n_devices=1)
    config.data.image_size = 48
    checks.check(config, n_devices=1)


def test_unknown_preset_lists_those_there_are():
    with pytest.raises(ValueError, match=r"'jigsaw': .*erm.*jigen"):
        apply_preset(config_lib.default_config(), "jigsaw")


def test_sources_are_read_from_one_string():
    config = config_lib.default_config()
    assert config_lib.source_names(config) == ()
    config.data.sources = "photo, cartoon,"
    assert config_lib.source_names(config) == ("photo", "cartoon")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"averaging.trained": 0.5, "model.init": "random"}, "random ones know"),
        ({"averaging.name": "sma", "optim.ema_decay": 0.9}, "keeps one average"),
        ({"mixing.name": "mixup", "losses.jigsaw": 0.5}, "is of single images"),
        ({"mixing.name": "mixup", "losses.irm": 1.0}, "two labels and domains"),
        ({"mixing.name": "cutmix", "rsc.features": 0.3}, "two labels and domains"),
        ({"rsc.features": 0.3, "losses.style": 1.0}, "changes what the class head"),
        ({"rsc.features": 0.3, "losses.fishr": 1.0}, "must read the features"),
        ({"losses.style": 1.0, "losses.fishr": 1.0}, "must read the features"),
        ({"rsc.features": 0.3, "classification.detached": True}, "by the class head"),
        ({"losses.vrex": 1.0, "losses.classification": 0.0}, "answers of the class"),
        ({"rsc.features": 0.3, "losses.classification": 0.0}, "about the class head"),
    ],
)
def test_methods_that_do_not_go_together_are_refused(fields, words):
    config = load_config(REPOSITORY / "configs" / "pacs.py")
    config.losses.jigsaw = 0.5 if "mixing.name" not in fields else 0.0
    config.jigsaw.bias_whole_image = 0.5
    config.update_from_flattened_dict(fields)
    with pytest.raises(ValueError, match=words):
        checks.check(config, n_devices=4)
