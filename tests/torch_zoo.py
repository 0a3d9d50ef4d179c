"""The small encoders as torchvision, timm and JiGen's description have them.

Only where PyTorch, torchvision and timm are importable; `torch_reference.py` writes
what these models return into `tests/data/zoo_outputs.npz`.
"""

import numpy as np
import torch
import torchvision
from timm.models import convnext, efficientnet, vision_transformer
from tiny_encoders import N_CLASSES, TINY, images, n_features, seeded_state
from torch import nn
from torchvision.models import vgg

_VGG_STAGES = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


def build(encoder, library):
    """Returns the library's model of a small encoder, with its seeded weights."""
    state = seeded_state(encoder, library)
    model = _BUILDERS[encoder, library](TINY.get(encoder, {}))
    state = {name: torch.tensor(value) for name, value in state.items()}
    model.load_state_dict(state, strict=True)
    return model


def outputs(encoder, library):
    """Returns features and logits, and with BatchNorm those of training.

    Also what training makes of every running mean and variance, by PyTorch's names.
    """
    model = build(encoder, library).eval()
    head = _HEADS[encoder, library]
    # What the classifier gets are the features.
    parent, _, last = head.rpartition(".")
    seen = []
    classifier = getattr(model.get_submodule(parent), last)
    classifier.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    x = torch.tensor(images(encoder)).permute(0, 3, 1, 2)
    found = {}
    with torch.no_grad():
        found["logits"] = model(x)
        found["features"] = seen.pop()
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        if norms:
            for norm in norms:
                norm.train()
                norm.momentum = 0.1
            found["train_logits"] = model(x)
            found["train_features"] = seen.pop()
            found |= {
                f"train_{name}": value
                for name, value in model.state_dict().items()
                if name.endswith(("running_mean", "running_var"))
            }
    found = {name: value.numpy() for name, value in found.items()}
    assert found["features"].shape == (len(x), n_features(encoder))
    return found


def _resnet(block, depths, **_):
    return torchvision.models.ResNet(block, depths, num_classes=N_CLASSES)


def _alexnet(hidden):
    model = torchvision.models.alexnet()
    model.classifier[1] = nn.Linear(256 * 6 * 6, hidden)
    model.classifier[4] = nn.Linear(hidden, hidden)
    model.classifier[6] = nn.Linear(hidden, N_CLASSES)
    return model


class _CaffeNet(nn.Module):
    """JiGen's: Carlucci et al. 2019 and the code that they published."""

    def __init__(self, hidden):
        super().__init__()
        features = {
            "conv1": nn.Conv2d(3, 96, 11, stride=4),
            "relu1": nn.ReLU(),
            "pool1": nn.MaxPool2d(3, 2, ceil_mode=True),
            "norm1": nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
            "conv2": nn.Conv2d(96, 256, 5, padding=2, groups=2),
            "relu2": nn.ReLU(),
            "pool2": nn.MaxPool2d(3, 2, ceil_mode=True),
            "norm2": nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
            "conv3": nn.Conv2d(256, 384, 3, padding=1),
            "relu3": nn.ReLU(),
            "conv4": nn.Conv2d(384, 384, 3, padding=1, groups=2),
            "relu4": nn.ReLU(),
            "conv5": nn.Conv2d(384, 256, 3, padding=1, groups=2),
            "relu5": nn.ReLU(),
            "pool5": nn.MaxPool2d(3, 2, ceil_mode=True),
        }
        classifier = {
            "fc6": nn.Linear(256 * 6 * 6, hidden),
            "relu6": nn.ReLU(),
            "drop6": nn.Dropout(),
            "fc7": nn.Linear(hidden, hidden),
            "relu7": nn.ReLU(),
            "drop7": nn.Dropout(),
            "fc8": nn.Linear(hidden, N_CLASSES),
        }
        self.features, self.classifier = nn.Sequential(), nn.Sequential()
        for name, module in features.items():
            self.features.add_module(name, module)
        for name, module in classifier.items():
            self.classifier.add_module(name, module)

    def forward(self, x):
        return self.classifier(self.features(x * 57.6).flatten(1))


class _Digits(nn.Module):
    """JiGen's, after Volpi et al. 2018."""

    def __init__(self, widths, hidden):
        super().__init__()
        first, second = widths
        convolutions = (nn.Conv2d(3, first, 5), nn.Conv2d(first, second, 5))
        self.features = nn.Sequential(
            *(part for c in convolutions for part in (c, nn.ReLU(), nn.MaxPool2d(2)))
        )
        self.classifier = nn.Sequential(
            nn.Linear(second * 4 * 4, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.class_classifier = nn.Linear(hidden, N_CLASSES)

    def forward(self, x):
        return self.class_classifier(self.classifier(self.features(x).flatten(1)))


def _vgg(name):
    def build(settings):
        layers, hidden = [], settings["hidden"]
        for depth, width in zip(_VGG_STAGES[name], settings["widths"], strict=True):
            layers += [width] * depth + ["M"]
        model = vgg.VGG(vgg.make_layers(layers), init_weights=False)
        model.classifier[0] = nn.Linear(settings["widths"][-1] * 7 * 7, hidden)
        model.classifier[3] = nn.Linear(hidden, hidden)
        model.classifier[6] = nn.Linear(hidden, N_CLASSES)
        return model

    return build


def _convnext_torchvision(settings):
    widths = settings["widths"]
    configuration = [
        torchvision.models.convnext.CNBlockConfig(width, following, depth)
        for width, following, depth in zip(
            widths, (*widths[1:], None), settings["depths"], strict=True
        )
    ]
    return torchvision.models.convnext.ConvNeXt(configuration, num_classes=N_CLASSES)


def _convnext_timm(settings):
    return convnext.ConvNeXt(
        depths=settings["depths"], dims=settings["widths"], num_classes=N_CLASSES
    )


def _vit(settings):
    return vision_transformer.VisionTransformer(
        img_size=settings["grid"] * 16,
        patch_size=16,
        embed_dim=settings["width"],
        depth=settings["depth"],
        num_heads=settings["n_heads"],
        num_classes=N_CLASSES,
        dynamic_img_size=True,
    )


def _efficientnet_lite(name):
    def build(_):
        return getattr(efficientnet, f"tf_{name}")(num_classes=N_CLASSES)

    return build


_LITES = ("efficientnet_lite0", "efficientnet_lite2")
_BUILDERS = {
    ("resnet18", "torchvision"): lambda _: _resnet(
        torchvision.models.resnet.BasicBlock, (2, 2, 2, 2)
    ),
    ("resnet50", "torchvision"): lambda settings: _resnet(
        torchvision.models.resnet.Bottleneck, **settings
    ),
    ("alexnet", "torchvision"): lambda settings: _alexnet(**settings),
    ("caffenet", "jigen"): lambda settings: _CaffeNet(**settings),
    ("digits", "jigen"): lambda settings: _Digits(**settings),
    **{(name, "torchvision"): _vgg(name) for name in _VGG_STAGES},
    ("convnext_tiny", "timm"): _convnext_timm,
    ("convnext_tiny", "torchvision"): _convnext_torchvision,
    ("vit_small_16", "timm"): _vit,
    **{(name, "timm"): _efficientnet_lite(name) for name in _LITES},
}
MODELS = list(_BUILDERS)

_HEADS = dict.fromkeys(MODELS, "classifier.6") | {
    ("resnet18", "torchvision"): "fc",
    ("resnet50", "torchvision"): "fc",
    ("caffenet", "jigen"): "classifier.fc8",
    ("digits", "jigen"): "class_classifier",
    ("convnext_tiny", "timm"): "head.fc",
    ("convnext_tiny", "torchvision"): "classifier.2",
    ("vit_small_16", "timm"): "head",
    **{(name, "timm"): "classifier" for name in _LITES},
}


def stored():
    """Returns all outputs as they are kept, of training statistics the last alone.

    Of EfficientNet-Lite, training is kept of the smallest: the others differ from it in
    depth and width, and take long to compile.
    """
    kept = {}
    for encoder, library in MODELS:
        found = outputs(encoder, library)
        if encoder in _LITES[1:]:
            found = {n: a for n, a in found.items() if not n.startswith("train_")}
        statistics = [name for name in found if "running" in name]
        for name in statistics[:-2]:
            del found[name]
        kept |= {f"{encoder}/{library}/{name}": a for name, a in found.items()}
    return {name: np.asarray(array, np.float32) for name, array in kept.items()}
