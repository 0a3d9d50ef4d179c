"""ImageNet and ImageNet-Sketch in TFDS's form, of three classes and tiny images."""

import pathlib

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

CLASSES = ("n01440764", "n01443537", "n01484850")


class _Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version("5.1.0")
    SPLITS = ()

    def _info(self):
        features = {
            "file_name": tfds.features.Text(),
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=CLASSES),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in self.SPLITS}

    def _generate_examples(self, split):
        rng = np.random.default_rng(len(split))
        for i in range(12):
            pixels = rng.integers(0, 256, (20, 30, 3), np.uint8)
            pixels[:, 5:25, 0] = 40 * (i % 3)  # the central square tells the label
            name = f"{split}_{i}.png"
            image = Image.fromarray(pixels)
            yield name, {"file_name": name, "image": image, "label": i % 3}


class Imagenet2012(_Builder, skip_registration=True):
    """Photographs."""

    name = "imagenet2012"
    SPLITS = ("train", "validation")


class ImagenetSketch(_Builder, skip_registration=True):
    """Sketches."""

    name = "imagenet_sketch"
    SPLITS = ("test",)


def prepare(data_dir: pathlib.Path, file_format: str = "array_record") -> None:
    """Writes both below `data_dir`."""
    for builder in (Imagenet2012, ImagenetSketch):
        builder(data_dir=data_dir, file_format=file_format).download_and_prepare()
