"""What PyTorch computes: the architectures in its functional form, and their inputs.

They are stated straight from the state dict, and run where PyTorch is importable. What
they returned with torch 2.13.0 is in `tests/data/reference_outputs.npz`; what the
models of `torch_zoo.py` did with torch 2.14.1, torchvision 0.29.1 and timm 1.0.31, in
`zoo_outputs.npz`. These, and the small files of PyTorch beside them, are written by

    python tests/torch_reference.py

The ResNet-18 agreed with torchvision 0.29.2's bit for bit, also in training.
"""

import pathlib

import numpy as np
from tiny_encoders import seeded_state

from jigsaw_shape.models.weights import locate

try:
    import torch
    from torch.nn import functional as F
except ImportError:
    torch = None

DATA = pathlib.Path(__file__).parent / "data"
LITE0 = "pretrained:efficientnet_lite0"


def lite0_images():
    """Normalized noise; 2 images whose sizes are odd, so that padding is uneven."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 65, 78, 3))
    return ((pixels - 127) / 128).astype(np.float32)


def resnet18_images():
    return np.random.default_rng(1).normal(size=(3, 65, 70, 3)).astype(np.float32)


def resnet18_state():
    """Seeded values under torchvision's names."""
    rng = np.random.default_rng(2)
    state = {}

    def conv(name, n_out, n_in, k):
        scale = np.sqrt(2 / (n_in * k * k))
        state[f"{name}.weight"] = rng.normal(0, scale, (n_out, n_in, k, k))

    def norm(name, n):
        state[f"{name}.weight"] = rng.uniform(0.5, 1, n)
        state[f"{name}.bias"] = rng.normal(0, 0.2, n)
        state[f"{name}.running_mean"] = rng.normal(0, 0.2, n)
        state[f"{name}.running_var"] = rng.uniform(0.5, 2, n)

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    n_in = 64
    for stage, width in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            name = f"layer{stage}.{block}"
            conv(f"{name}.conv1", width, n_in, 3)
            norm(f"{name}.bn1", width)
            conv(f"{name}.conv2", width, width, 3)
            norm(f"{name}.bn2", width)
            if n_in != width:
                conv(f"{name}.downsample.0", width, n_in, 1)
                norm(f"{name}.downsample.1", width)
            n_in = width
    state["fc.weight"] = rng.normal(0, 0.05, (1000, 512))
    state["fc.bias"] = rng.normal(0, 0.05, 1000)
    return {name: value.astype(np.float32) for name, value in state.items()}


# Convolutions of the public AdaIN networks by their place in `nn.Sequential`: channels
# in and out, kernel size. Before each 3x3 one there is a reflection, after it (but for
# the decoder's last) a ReLU; after 2, 4 and 8 of the encoder's a maximum of 2x2, after
# 1, 5 and 7 of the decoder's an enlargement by 2.
ADAIN_ENCODER = {
    0: (3, 3, 1),
    **{2: (3, 64, 3), 5: (64, 64, 3), 9: (64, 128, 3), 12: (128, 128, 3)},
    **{16: (128, 256, 3), 19: (256, 256, 3), 22: (256, 256, 3), 25: (256, 256, 3)},
    29: (256, 512, 3),
}
ADAIN_DECODER = {
    1: (512, 256, 3),
    **{5: (256, 256, 3), 8: (256, 256, 3), 11: (256, 256, 3), 14: (256, 128, 3)},
    **{18: (128, 128, 3), 21: (128, 64, 3), 25: (64, 64, 3), 28: (64, 3, 3)},
}


def adain_states():
    """Seeded values under the names of `vgg_normalised.pth` and `decoder.pth`."""
    rng = np.random.default_rng(3)
    states = []
    for layers in (ADAIN_ENCODER, ADAIN_DECODER):
        state = {}
        for place, (n_in, n_out, k) in layers.items():
            scale = np.sqrt(2 / (n_in * k * k))
            state[f"{place}.weight"] = rng.normal(0, scale, (n_out, n_in, k, k))
            state[f"{place}.bias"] = rng.normal(0, 0.1, n_out)
        states.append({k: v.astype(np.float32) for k, v in state.items()})
    return states


def adain_images():
    """Contents and styles [2, H, W, 3], and alphas."""
    rng = np.random.default_rng(4)
    contents, styles = rng.random((2, 24, 32, 3)), rng.random((2, 40, 24, 3))
    return contents.astype(np.float32), styles.astype(np.float32), (1.0, 0.6)


def torch_adain(states, contents, styles, alphas):
    """Images [B, 3, H, W] of contents and styles, not clipped."""
    encoder, decoder = states

    def conv(state, place, x):
        weight = state[f"{place}.weight"]
        if weight.shape[-1] == 3:
            x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(x, weight, state[f"{place}.bias"])

    def encode(x):
        x = conv(encoder, 0, x)
        for place in list(ADAIN_ENCODER)[1:]:
            x = F.relu(conv(encoder, place, x))
            if place in (5, 12, 25):
                x = F.max_pool2d(x, 2, ceil_mode=True)
        return x

    def moments(x):
        variance = x.var((2, 3), correction=0, keepdim=True)
        return x.mean((2, 3), keepdim=True), (variance + 1e-5).sqrt()

    content, style = encode(contents), encode(styles)
    (mean, deviation), (style_mean, style_deviation) = moments(content), moments(style)
    target = (content - mean) / deviation * style_deviation + style_mean
    alphas = torch.tensor(alphas)[:, None, None, None]
    x = alphas * target + (1 - alphas) * content
    for place in ADAIN_DECODER:
        x = conv(decoder, place, x)
        if place != 28:
            x = F.relu(x)
        if place in (1, 14, 21):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
    return x


def torch_lite0(state, x):
    """Logits [B, 1000] of images [B, 3, H, W]."""

    def conv(x, name, stride=1, groups=1):
        weight = state[f"{name}.weight"]
        sides = []
        for size in (x.shape[3], x.shape[2]):
            k = weight.shape[-1]
            total = max((-(-size // stride) - 1) * stride + k - size, 0)
            sides += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, sides), weight, stride=stride, groups=groups)

    def norm(x, name):
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(state[f"{name}.{n}"] for n in names), eps=1e-3)

    x = F.relu6(norm(conv(x, "_conv_stem", 2), "_bn0"))
    for i in range(16):
        name, y = f"_blocks.{i}.", x
        if i > 0:
            y = F.relu6(norm(conv(y, f"{name}_expand_conv"), f"{name}_bn0"))
        y = conv(
            y, f"{name}_depthwise_conv", 2 if i in (1, 3, 5, 11) else 1, y.shape[1]
        )
        y = F.relu6(norm(y, f"{name}_bn1"))
        y = norm(conv(y, f"{name}_project_conv"), f"{name}_bn2")
        x = x + y if x.shape == y.shape else y
    x = F.relu6(norm(conv(x, "_conv_head"), "_bn1")).mean((2, 3))
    return F.linear(x, state["_fc.weight"], state["_fc.bias"])


def torch_resnet18(state, x, train=False):
    """Features [B, 512] of images [B, 3, H, W]; training changes `state`."""

    def norm(x, name):
        names = ("running_mean", "running_var", "weight", "bias")
        values = (state[f"{name}.{n}"] for n in names)
        return F.batch_norm(x, *values, training=train, momentum=0.1, eps=1e-5)

    x = F.conv2d(x, state["conv1.weight"], stride=2, padding=3)
    x = F.max_pool2d(F.relu(norm(x, "bn1")), 3, 2, 1)
    for stage in range(1, 5):
        for block in range(2):
            name, stride = f"layer{stage}.{block}.", 2 if stage > 1 > block else 1
            y = F.conv2d(x, state[f"{name}conv1.weight"], stride=stride, padding=1)
            y = F.conv2d(
                F.relu(norm(y, f"{name}bn1")), state[f"{name}conv2.weight"], padding=1
            )
            y = norm(y, f"{name}bn2")
            if f"{name}downsample.0.weight" in state:
                x = F.conv2d(x, state[f"{name}downsample.0.weight"], stride=stride)
                x = norm(x, f"{name}downsample.1")
            x = F.relu(x + y)
    return x.mean((2, 3))


def as_torch(arrays):
    return {name: torch.tensor(value) for name, value in arrays.items()}


def channels_first(images):
    return torch.tensor(images).permute(0, 3, 1, 2)


def tiny_tensors():
    """Views, a shared storage, a scalar, an empty tensor and other types."""
    base = torch.arange(12, dtype=torch.float32)
    return {
        "whole": base,
        "transposed": base.reshape(3, 4).T,
        "part": base[2:6],
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "half": torch.tensor([0.5, -2.0], dtype=torch.float16),
        "brain": torch.tensor([1.5, -3.0], dtype=torch.bfloat16),
        "flags": torch.tensor([True, False]),
    }


def training_checkpoint():
    """What a training script saves of a network on several GPUs: the small digits'."""
    state = as_torch(seeded_state("digits", "jigen"))
    first = next(iter(state.values()))
    return {
        "epoch": 3,
        "arch": "digits",
        "state_dict": {
            f"module.{name}": torch.nn.Parameter(value) for name, value in state.items()
        },
        "optimizer": {
            "state": {0: {"momentum_buffer": first[:2] * 0.5}},
            "param_groups": [{"lr": 0.1, "nesterov": True, "params": [0]}],
        },
        "best": torch.tensor(0.5),
    }


def write_reference():
    """Writes what PyTorch returns into `tests/data`."""
    lite0_path = locate.locate(LITE0, "efficientnet_lite0")[0]
    lite0_state = torch.load(lite0_path, weights_only=True)
    outputs = {"lite0": torch_lite0(lite0_state, channels_first(lite0_images()))}
    for mode in ("eval", "train"):
        state = as_torch(resnet18_state())
        outputs[f"resnet18_{mode}"] = torch_resnet18(
            state, channels_first(resnet18_images()), train=mode == "train"
        )
        for name in ("mean", "var"):
            outputs[f"resnet18_{mode}_{name}"] = state[f"layer4.1.bn2.running_{name}"]
    contents, styles, alphas = adain_images()
    images = map(channels_first, (contents, styles))
    outputs["adain"] = torch_adain(
        [as_torch(s) for s in adain_states()], *images, alphas
    )
    arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
    np.savez_compressed(DATA / "reference_outputs.npz", **arrays)
    torch.save(tiny_tensors(), DATA / "tiny_zip.pth")
    for name, zipped in (("zip", True), ("legacy", False)):
        torch.save(
            training_checkpoint(),
            DATA / f"wrapped_{name}.pth.tar",
            _use_new_zipfile_serialization=zipped,
        )
    import torch_zoo

    np.savez_compressed(DATA / "zoo_outputs.npz", **torch_zoo.stored())


if __name__ == "__main__":
    write_reference()
