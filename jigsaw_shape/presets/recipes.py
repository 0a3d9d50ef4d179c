"""Recipes that several configurations share; a method is a change to one."""

from ml_collections import ConfigDict


def jigen(config: ConfigDict) -> None:
    """Sets JiGen's recipe for a ResNet-18 at 222 px.

    Carlucci et al., CVPR 2019, section 4: SGD 1e-3, momentum 0.9, weight decay 5e-4, 30
    epochs of batches of 128, x0.1 at epoch 24; 10 % of each source held out; random
    crops, flips, jitter and grey tiles as `config.default_config` has them.
    """
    config.epochs = 30
    config.data.split = "jigen"
    config.data.image_size = 222  # tiles of 74 px
    config.data.batch_size = 128
    config.model.encoder = "resnet18"
    config.model.init = "torchvision:resnet18.IMAGENET1K_V1"
    config.optim.lr = 1e-3
    config.optim.weight_decay = 5e-4
    config.optim.step_at = (0.8,)


def emoji(config: ConfigDict) -> None:
    """Sets the protocol of docs/flat.md, names and design unseen, and its recipe.

    EfficientNet-Lite0 from ImageNet's weights at 96 px learns the names that are not
    held out, in the shaded and flat designs: SGD 0.02 with a cosine, batches of 64.
    """
    config.data.name = "emoji"
    config.data.classes = "learned"
    config.data.sources = (
        "noto,noto_v1,twemoji,fluent_emoji,fluent_emoji_flat,emojione,emojione_v1,"
        "fxemoji"
    )
    config.data.target = "openmoji"  # fluent_emoji_high_contrast | emojione_monotone
    config.data.split = "jigen"  # 10 % of each source is held out for validation
    config.data.stored_px = 112
    config.data.image_size = 96  # tiles of 32 px
    config.data.batch_size = 64
    config.augment.crop_scale = (0.6, 1.0)
    config.model.encoder = "efficientnet_lite0"
    config.model.init = "pretrained:efficientnet_lite0"
    config.optim.lr = 0.02
    config.optim.weight_decay = 5e-4
    config.optim.schedule = "cosine"
    config.optim.warmup = 0.05
