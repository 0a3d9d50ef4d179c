"""Training recipes that several data sets share; a method is a change to one."""

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
