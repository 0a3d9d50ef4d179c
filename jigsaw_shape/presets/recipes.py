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


def domainbed(config: ConfigDict, n_sources: int) -> None:
    """Sets DomainBed's recipe for a ResNet-50, with its default hyperparameters.

    Gulrajani & Lopez-Paz, ICLR 2021, and their code: Adam 5e-5 without decay, 5,000
    steps of 32 images of each source; ImageNet's weights, BatchNorm with their running
    statistics; random crops, flips and jitter; 20 % of each source held out. Their
    "training-domain validation" is the selection `val`.

    Departures:
    - Images are 222 px, for tiles of 74; theirs are 224.
    - Crops are of the stored squares, theirs of the images as they are.
    - A tenth of the tiles turns grey, in theirs a tenth of the images.
    - A run is evaluated ten times, theirs every 300 steps, on DomainNet every 1,000.
    - `val` is the accuracy on all held-out images, theirs the mean of the sources'.
    - The target's accuracy is that on all of its images, theirs on 80 % of them.
    - One set of hyperparameters; theirs are the best of 20, as `benchmark --search`.

    Args:
      config: What is changed.
      n_sources: How many domains a run of this data set trains on, for the batch.
    """
    config.epochs = 0
    config.steps = 5_000
    config.data.split = "domainbed"
    config.data.sampling = "balanced"
    config.data.image_size = 222
    config.data.batch_size = 32 * n_sources
    config.augment.crop_scale = (0.7, 1.0)
    config.augment.flip = 0.5
    config.augment.brightness = 0.3
    config.augment.contrast = 0.3
    config.augment.saturation = 0.3
    config.augment.hue = 0.3
    config.augment.tile_grayscale = 0.1
    config.model.encoder = "resnet50"
    config.model.init = "torchvision:resnet50.IMAGENET1K_V1"
    config.model.freeze_norm = True
    config.optim.name = "adamw"  # Adam, without decay
    config.optim.lr = 5e-5
    config.optim.weight_decay = 0.0
    config.optim.schedule = "constant"


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
