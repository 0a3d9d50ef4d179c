r"""The same work in PyTorch and here, in turns in one run: medians, and of ratios.

    pip install torch torchvision   # builds for this machine's accelerator, or for CPUs
    python benchmarks/against_torch.py --encoder resnet18 --size 84 --batch 64

JiGen's network, a ResNet with a head for classes and one for orders, and its step
(SGD with momentum, Carlucci et al., CVPR 2019), on JPEG files of 256 px:

- `step`: the update on one batch that is on the device. Here it also crops, jitters,
  greys and shuffles; in PyTorch it is the bare update, as those are its workers'.
- `run`: an epoch of at least four batches for each of PyTorch's workers, one a core.
  They decode, crop, flip, jitter and shuffle the files, in every epoch, as JiGen's code
  does; here images are decoded once, before, untimed.
- `evaluate`: classes of whole images that are in memory.
- `embed`: features of a folder, files decoded.
- `stylize`: each file in the style of the next by AdaIN (Huang & Belongie, ICCV 2017),
  with the shipped pair of networks in both.

PyTorch runs channels_last, on a GPU under autocast in bfloat16; here `--dtype` says.
Rates are images a second; a ratio above 1 says that this project is faster. Both run in
one process. "First" is the first round of each, with what it compiles and, in `run`,
the start of PyTorch's workers: in `step` a cold start where JAX_COMPILATION_CACHE_DIR
names an empty folder, a warm one with the same folder again.
"""

import argparse
import os
import pathlib
import statistics
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np
import throughput
import torch
import torchvision
from PIL import Image, ImageEnhance
from torch import nn
from torch.nn import functional

from jigsaw_shape.data.image_store import ImageStore
from jigsaw_shape.diversify import adain, stylizer_files
from jigsaw_shape.pixels import puzzle
from jigsaw_shape.system import cpu, devices
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training import predict

STORED_PX = 256
N_FILES = 512
WORKS = ("step", "run", "evaluate", "embed", "stylize")


class JigenNet(nn.Module):
    """One of torchvision's ResNets, JiGen's two linear heads on its pooled features."""

    def __init__(self, encoder: str, n_orders: int):
        """Random weights: speed does not depend on them."""
        super().__init__()
        self.encoder = getattr(torchvision.models, encoder)()
        n_features = self.encoder.fc.in_features
        self.encoder.fc = nn.Identity()
        self.classes = nn.Linear(n_features, throughput.N_CLASSES)
        self.orders = nn.Linear(n_features, n_orders)

    def forward(self, x):
        """Returns features and the two heads' scores."""
        features = self.encoder(x)
        return features, self.classes(features), self.orders(features)


class Puzzles(torch.utils.data.Dataset):
    """JPEG files, augmented and perhaps shuffled as JiGen's loader does it."""

    def __init__(self, paths, size: int, permutations: np.ndarray):
        """Orders are drawn for one image in ten."""
        self.paths, self.size, self.permutations = paths, size, permutations

    def __len__(self):
        """Returns the number of files."""
        return len(self.paths)

    def __getitem__(self, i):
        """Returns an image [3, S, S] in [-1, 1], its class and its order."""
        rng = np.random.default_rng(torch.initial_seed() % 2**32 + i)
        image = Image.open(self.paths[i]).convert("RGB")
        side = round(image.width * rng.uniform(0.8, 1) ** 0.5)
        left, top = rng.integers(0, image.width - side + 1, 2)
        box = (left, top, left + side, top + side)
        size = (self.size, self.size)
        image = image.resize(size, Image.Resampling.BILINEAR, box)
        if rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for enhance in (
            *(ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color),
        ):
            image = enhance(image).enhance(rng.uniform(0.6, 1.4))
        array = np.asarray(image, np.float32) / 127.5 - 1
        order = int(rng.integers(1, len(self.permutations)))
        order *= rng.random() < 0.1
        tiles = array.reshape(3, self.size // 3, 3, self.size // 3, 3)
        tiles = tiles.transpose(0, 2, 1, 3, 4).reshape(9, -1)[self.permutations[order]]
        tiles = tiles.reshape(3, 3, self.size // 3, self.size // 3, 3)
        array = tiles.transpose(0, 2, 1, 3, 4).reshape(self.size, self.size, 3)
        image = torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))
        return image, i % throughput.N_CLASSES, order


class Adain:
    """AdaIN with the shipped pair's weights."""

    def __init__(self, device: str):
        """Reads the weights."""
        pair = stylizer_files.load_pair(stylizer_files.SHIPPED).pair

        def place(layer):
            kernel = torch.from_numpy(np.array(layer["kernel"])).permute(3, 2, 0, 1)
            kernel = kernel.to(device, memory_format=torch.channels_last)
            return kernel, torch.from_numpy(np.array(layer["bias"])).to(device)

        self.encoder, self.decoder = (
            [[place(layer) for layer in stage] for stage in stages] for stages in pair
        )

    def __call__(self, contents, styles):
        """Returns contents [B, 3, H, W] in [0, 1] in the styles' style."""
        content, style = self._encode(contents), self._encode(styles)
        variance, mean = torch.var_mean(content, (2, 3), correction=0, keepdim=True)
        wanted, at = torch.var_mean(style, (2, 3), correction=0, keepdim=True)
        gain = ((wanted + 1e-5) / (variance + 1e-5)).sqrt()
        x = (content - mean) * gain + at
        for i, stage in enumerate(self.decoder):
            if i:
                x = functional.interpolate(x, scale_factor=2, mode="nearest")
            for layer in stage:
                last = layer is self.decoder[-1][-1]
                x = self._convolve(x, layer)
                x = x if last else functional.relu(x)
        return x.clamp(0, 1)

    def _encode(self, x):
        for i, stage in enumerate(self.encoder):
            x = functional.max_pool2d(x, 2, ceil_mode=True) if i else x
            for layer in stage:
                x = functional.relu(self._convolve(x, layer))
        return x

    @staticmethod
    def _convolve(x, layer):
        return functional.conv2d(functional.pad(x, (1, 1, 1, 1), "reflect"), *layer)


class Torch:
    """The work in PyTorch."""

    def __init__(self, arguments, paths, permutations):
        """Builds the network, its optimizer and its loader."""
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.backends.cudnn.benchmark = True  # every batch has the same shape
        self.size, self.batch, self.paths = arguments.size, arguments.batch, paths
        self.adain = Adain(self.device)
        net = JigenNet(arguments.encoder, len(permutations)).to(self.device)
        self.net = net.to(memory_format=torch.channels_last)
        self.rule = torch.optim.SGD(
            net.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4
        )
        self.loader = torch.utils.data.DataLoader(
            Puzzles(paths * _epochs(arguments.batch), self.size, permutations),
            self.batch,
            shuffle=True,
            drop_last=True,
            num_workers=os.cpu_count() or 1,
            persistent_workers=True,
            pin_memory=self.device == "cuda",
            multiprocessing_context="spawn",  # JAX has threads
        )
        shape = (self.batch, 3, self.size, self.size)
        zeros = torch.zeros(self.batch, dtype=torch.long)
        self.images = torch.randn(shape)
        self.fixed = (
            self._place(self.images),
            zeros.to(self.device),
            zeros.to(self.device),
        )

    def _place(self, images):
        return images.to(
            self.device, memory_format=torch.channels_last, non_blocking=True
        )

    def _autocast(self):
        return torch.autocast("cuda", torch.bfloat16, enabled=self.device == "cuda")

    def _update(self, images, label, order):
        self.net.train()
        self.rule.zero_grad(set_to_none=True)
        with self._autocast():
            _, classes, orders = self.net(self._place(images))
            label, order = (
                truth.to(self.device, non_blocking=True) for truth in (label, order)
            )
            loss = functional.cross_entropy(classes, label)
            loss += 0.7 * functional.cross_entropy(orders, order)
        loss.backward()
        self.rule.step()
        return loss

    def _answer(self, images):
        self.net.eval()
        with torch.no_grad(), self._autocast():
            return [output.float().cpu() for output in self.net(self._place(images))]

    def step(self, n):
        """Makes n updates on one batch."""
        for _ in range(n):
            loss = self._update(*self.fixed)
        loss.item()

    def run(self, n):
        """Makes n updates, an epoch; no batch is ready before, and none is after it."""
        for batch in self.loader:
            loss = self._update(*batch)
        loss.item()

    def evaluate(self, n):
        """Answers n batches that are in memory."""
        for _ in range(n):
            self._answer(self.images)

    def embed(self, n):
        """Answers n batches of files."""
        for i in range(n):
            images = torch.from_numpy(_batch(self, i)).permute(0, 3, 1, 2)
            self._answer(images.float() / 127.5 - 1)

    def stylize(self, n):
        """Stylizes n batches of files."""
        for i in range(n):
            images = torch.from_numpy(_batch(self, i)).permute(0, 3, 1, 2)
            images = self._place(images.float() / 255)
            with torch.no_grad(), self._autocast():
                self.adain(images, images.roll(1, 0)).float().cpu()


class Ours:
    """The work here."""

    def __init__(self, arguments, paths):
        """Builds the learner as `train` does, and compiles at the first calls."""
        named = argparse.Namespace(
            preset="jigen", encoder=arguments.encoder, dtype=arguments.dtype
        )
        config = throughput.make_config(named, arguments.size, arguments.batch)
        config.data.stored_px = STORED_PX
        self.batch, self.paths, self.size = arguments.batch, paths, arguments.size
        dataset = throughput.synthetic_dataset(STORED_PX)
        self.store = ImageStore(
            dataset, cache="auto", stored_px=STORED_PX, place=devices.replicate
        )
        self.state, self.update = throughput.start(config, dataset)
        learner = learner_lib.make_learner(config, throughput.N_CLASSES, 3)
        self.predict = predict.make_predict_fn(
            learner_lib.make_predict(config, learner),
            jax.tree.map(jnp.copy, self.state.variables),  # updates donate theirs
        )
        self.rng = np.random.default_rng(0)
        self.fixed = self.store.batch(np.arange(self.batch))
        self.images = {"image": _batch(self, 0)}
        self.pair = stylizer_files.load_pair(stylizer_files.SHIPPED).pair
        self.adain = jax.jit(
            lambda pair, images: adain.stylize(
                pair,
                None,
                images / 255,
                jnp.roll(images, 1, 0) / 255,
                jnp.ones(self.batch),
            )
        )

    def _advance(self, batches):
        for batch in batches:
            self.state, means = self.update(
                self.state, self.store.bank, devices.shard(batch)
            )
        jax.block_until_ready(means)

    def step(self, n):
        """Makes n updates on one batch."""
        self._advance([self.fixed] * n)

    def run(self, n):
        """Makes n updates on batches from the store."""
        chunks = [
            self.rng.permutation(throughput.N_IMAGES)[: self.batch] for _ in range(n)
        ]
        self._advance(self.store.batches(chunks))

    def evaluate(self, n):
        """Answers n batches that are in memory."""
        for _ in range(n):
            self.predict(None, self.images)

    def embed(self, n):
        """Answers n batches of files."""
        for i in range(n):
            self.predict(None, {"image": _batch(self, i)})

    def stylize(self, n):
        """Stylizes n batches of files."""
        for i in range(n):
            np.asarray(self.adain(self.pair, _batch(self, i)))


def _epochs(batch: int) -> int:
    """Returns how often the files make up an epoch of `run`."""
    n_batches = 4 * (os.cpu_count() or 1)
    return max(1, -(-n_batches // (N_FILES // batch)))


def _batch(who, i: int) -> np.ndarray:
    """Returns the i-th batch of files, decoded: uint8 [B, S, S, 3]."""
    at = i * who.batch % (len(who.paths) - who.batch + 1)
    size = (who.size, who.size)
    images = [Image.open(path).convert("RGB") for path in who.paths[at:][: who.batch]]
    return np.stack([np.asarray(image.resize(size), np.uint8) for image in images])


def write_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Writes smooth noise as JPEG files, and returns where."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{i}.jpg" for i in range(N_FILES)]
    for path in paths:
        noise = rng.integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(noise).resize((STORED_PX,) * 2).save(path, quality=90)
    return paths


def main() -> None:
    """Prints a line for each kind of work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--encoder", choices=("resnet18", "resnet50"), default="resnet18"
    )
    parser.add_argument("--size", type=int, default=222)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--dtype", default="float32", help="of this project")
    parser.add_argument("--steps", type=int, default=4, help="of a round, but of run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    arguments = parser.parse_args()
    if arguments.batch > N_FILES:
        parser.error(f"--batch {arguments.batch}: there are {N_FILES} files")
    steps = dict.fromkeys(WORKS, arguments.steps)
    steps["run"] = N_FILES * _epochs(arguments.batch) // arguments.batch
    print(
        f"{arguments.encoder}, {arguments.size} px, batches of {arguments.batch}, "
        f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, jax "
        f"{jax.__version__} in {arguments.dtype}, torch {torch.__version__}"
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = write_files(pathlib.Path(folder))
        permutations = puzzle.permutation_set(3, 30, 0)
        ours, theirs = Ours(arguments, paths), Torch(arguments, paths, permutations)
        print("work      here, img/s  PyTorch, img/s  ratio  first here, s  PyTorch, s")
        for work in arguments.works:
            times_s = [], []
            for _ in range(arguments.rounds + 1):
                for who, found in zip((ours, theirs), times_s, strict=True):
                    began_s = time.perf_counter()
                    getattr(who, work)(steps[work])
                    found.append(time.perf_counter() - began_s)
            firsts = [found.pop(0) for found in times_s]
            ratio = statistics.median(b / a for a, b in zip(*times_s, strict=True))
            n_images = steps[work] * arguments.batch
            here, there = (n_images / statistics.median(t) for t in times_s)
            line = f"{work:9} {here:11.1f}  {there:14.1f}  {ratio:5.2f}"
            print(line, f" {firsts[0]:13.1f}  {firsts[1]:10.1f}", flush=True)


if __name__ == "__main__":
    cpu.tune()  # as commands do
    main()
