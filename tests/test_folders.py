"""Layouts, archives, preparing and loading of image folders, on made-up ones."""

import dataclasses
import http.server
import io
import os
import re
import subprocess
import sys
import tarfile
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image, features

from jigsaw_shape.data import archives as files_lib
from jigsaw_shape.data import (
    image_folders,
    image_records,
    known_sets,
    prepared_folders,
    splits,
    surveys,
)
from jigsaw_shape.data.known_sets import KNOWN_SETS
from jigsaw_shape.data.names import plain

PACS = KNOWN_SETS["pacs"]
CLASSES = ("The_Mona_Lisa", "zigzag")  # of DomainNet
NFC_NFD = ("caf\u00e9", "cafe\u0301")  # one word as Linux and as macOS may write it


def draw(seed, size=(20, 20), mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).convert(mode)


def make_set(root, domains, classes, n=2, middle=("",)):
    """Writes n PNGs to each {root}/{domain}/{middle}/{class}."""
    for d, domain in enumerate(domains):
        for m, split in enumerate(middle):
            for c, name in enumerate(classes):
                folder = root / domain / split / name
                folder.mkdir(parents=True)
                for i in range(n):
                    draw(1000 * d + 100 * m + 10 * c + i).save(folder / f"p{i}.png")
    return root


@pytest.fixture
def small(monkeypatch):
    """The known sets with counts that made-up folders of 2 a class have."""
    for name, spec in KNOWN_SETS.items():
        counts = dict.fromkeys(spec.domains, 2 * len(spec.classes))
        spec = dataclasses.replace(spec, domains=counts, mirrors=())
        monkeypatch.setitem(KNOWN_SETS, name, spec)
        monkeypatch.delenv(f"{name.upper()}_DIR", raising=False)


@pytest.fixture
def own(tmp_path):
    return make_set(tmp_path / "own", ("day", "night"), ("car", "tree"))


def load(name, tmp_path, **options):
    return prepared_folders.load(name, data_dir=tmp_path / "tfds", **options)


def same(a, b):
    return all(np.array_equal(a.read(i), b.read(i)) for i in range(len(a)))


@pytest.mark.parametrize(
    ("name", "above", "domains"),
    [
        ("pacs", ".", PACS.domains),
        ("pacs", "PACS", PACS.domains),
        ("PACS", "kfold", PACS.domains),
        ("pacs", "a/PACS/kfold", PACS.domains),
        ("pacs", "x", ("Art Painting", "CARTOON", "Photo", "sketch")),
        ("pacs", "x", ("art", "cartoon", "photo", "sketch")),
        ("vlcs", "VLCS", ("Caltech101", "LabelMe", "SUN09", "VOC2007")),
        ("office-home", "office_home", ("Art", "Clipart", "Product", "Real World")),
        ("OfficeHome", "OfficeHomeDataset_10072016", ("Art", "Clipart", "Product",
                                                      "RealWorld")),
        ("Office31", "domain_adaptation_images", ("amazon", "dslr", "webcam")),
        ("TerraIncognita", "x", ("L100", "L38", "L43", "L46")),
        ("terra_incognita", "terra_incognita", ("location_100", "location_38",
                                                "location_43", "location_46")),
        ("digits", "digits", ("MNIST", "mnist-m", "SVHN", "SynthDigits", "USPS")),
    ],
)  # fmt: skip
def test_layouts_of_known_sets(small, tmp_path, name, above, domains):
    spec = known_sets.find_set(name)
    make_set(tmp_path / "in" / above, domains, [c.title() for c in spec.classes])
    found = surveys.survey(spec, tmp_path / "in")
    assert found.problems == ()
    assert found.domains == tuple(spec.domains)
    assert found.classes == spec.classes
    assert len(found.images) == sum(spec.domains.values())
    first = found.images[0]
    assert (tmp_path / "in" / first.path).is_file()
    assert first.name == f"{found.domains[0]}/{found.classes[0]}/p0.png"


def test_office_31_has_a_folder_images_in_each_domain(small, tmp_path):
    spec = known_sets.find_set("office_31")
    folders = [name.replace("_", " ") for name in spec.classes]
    make_set(tmp_path / "Office31", spec.domains, folders, middle=("images",))
    found = surveys.survey(spec, tmp_path)
    assert found.problems == found.warnings == ()
    assert len(found.images) == sum(spec.domains.values())
    assert found.images[0].name == "amazon/back_pack/p0.png"


def test_another_data_set_beside_it_does_not_matter(small, tmp_path):
    make_set(tmp_path / "PACS", PACS.domains, PACS.classes)
    vlcs = KNOWN_SETS["vlcs"]
    make_set(tmp_path / "VLCS", vlcs.domains, vlcs.classes)
    for name in ("pacs", "vlcs"):
        found = surveys.survey(known_sets.find_set(name), tmp_path)
        assert found.problems == found.warnings == ()
        assert found.domains == tuple(KNOWN_SETS[name].domains)


def test_train_and_val_folders_are_the_official_split(small, tmp_path):
    spec = KNOWN_SETS["digits_dg"]
    spec = dataclasses.replace(spec, domains=dict.fromkeys(spec.domains, 40))
    root = tmp_path / "digits_dg"
    make_set(root, spec.domains, spec.classes, middle=("train", "val"))
    found = surveys.survey(spec, tmp_path)
    assert found.problems == ()
    assert {i.official for i in found.images} == {"train", "val"}
    for image in found.images:
        assert image.name.split("/")[1] == image.official


@pytest.mark.parametrize("above", [".", "mine/1"])
@pytest.mark.parametrize("middle", ["", "train"])
def test_a_folder_called_test_beside_domains_is_one(tmp_path, above, middle):
    root = make_set(
        tmp_path / "in" / above, ("day",), ("car", "tree"), middle=(middle,)
    )
    make_set(root, ("Test",), ("car", "tree"))
    found = surveys.survey(known_sets.find_set("mine"), tmp_path / "in")
    assert found.domains == ("day", "test")
    assert found.classes == ("car", "tree")
    assert len(found.images) == 8
    (warning,) = found.warnings
    assert warning.startswith("Test is taken for a domain, since it stands beside")


@pytest.fixture
def domainnet(small, monkeypatch, tmp_path):
    """A folder of DomainNet's layout, and its record with as many images as listed."""
    spec = KNOWN_SETS["domainnet"]
    counts = dict.fromkeys(spec.domains, 5)
    spec = dataclasses.replace(spec, domains=counts, n_classes=len(CLASSES))
    monkeypatch.setitem(KNOWN_SETS, "domainnet", spec)
    root = make_set(tmp_path / "in", spec.domains, CLASSES, n=3)
    return root, spec


def test_what_official_lists_leave_out_does_not_count(domainnet):
    root, spec = domainnet
    for domain in spec.domains:
        lines = [f"{domain}/{c}/p{i}.png 0" for c in CLASSES for i in range(3)]
        (root / f"{domain}_train.txt").write_text("\n".join(lines[:3]))
        (root / f"{domain}_test.txt").write_text("\n".join(lines[3:5]))
    found = surveys.survey(spec, root)
    assert found.problems == ()
    assert found.classes == ("the_mona_lisa", "zigzag")
    assert len(found.images) == 30
    assert {i.official for i in found.images} == {"train", "val"}
    (warning,) = found.warnings
    assert warning == (
        "passed over 6 images that the official lists leave out, such as "
        "clipart/zigzag/p2.png"
    )


def test_without_its_lists_domainnet_is_not_complete(domainnet):
    root, spec = domainnet
    problems = surveys.survey(spec, root).problems
    assert problems[0] == "clipart: 6 images found, 5 expected"
    assert problems[6] == (
        "clipart: domainnet's lists say which images count: put clipart_train.txt and "
        f"clipart_test.txt in {root} or beside it"
    )
    lines = [f"clipart/{c}/p{i}.png 0" for c in CLASSES for i in range(3)]
    (root / "clipart_train.txt").write_text("\n".join(lines[:5]))
    one_list = surveys.survey(spec, root)
    assert not any("clipart" in problem for problem in one_list.problems)
    assert len(one_list.problems) == 2 * 5
    assert len(one_list.images) == 5 + 6 * 5
    all_classes = dataclasses.replace(spec, n_classes=345)
    assert "2 classes found, 345 expected" in surveys.survey(all_classes, root).problems


def test_split_folders_without_a_domain_beside_them_are_none(small, tmp_path):
    root = make_set(tmp_path / "in" / "day", ("train", "val"), ("car",))
    found = surveys.survey(known_sets.find_set("mine"), tmp_path / "in")
    assert found.domains == ("day",)
    assert {image.official for image in found.images} == {"train", "val"}
    with pytest.raises(ValueError, match=r"without a domain folder above.*train/car"):
        surveys.survey(known_sets.find_set("mine"), root)
    make_set(tmp_path / "pacs", (*PACS.domains, "test"), PACS.classes)
    found = surveys.survey(PACS, tmp_path / "pacs")
    assert len(found.images) == 56
    assert "test/" in found.warnings[0]


def test_expected_counts_are_the_published_ones():
    totals = {
        name: s.n_images or sum(s.domains.values())
        for name, s in KNOWN_SETS.items()
        if not s.totals
    }
    assert totals == {
        "pacs": 9991, "vlcs": 10729, "office_home": 15588, "digits_dg": 24000,
        "emoji": 10221, "office_31": 4110, "terra_incognita": 24330,
        "domainnet": 586_575, "nico_plus_plus": 88_866,
    }  # fmt: skip
    n_classes = {
        name: s.n_classes or len(set(s.classes)) for name, s in KNOWN_SETS.items()
    }
    del n_classes["emoji"]  # `prepare` finds them
    assert n_classes == {
        "pacs": 7, "vlcs": 5, "office_home": 65, "digits": 10, "digits_dg": 10,
        "office_31": 31, "terra_incognita": 10, "domainnet": 345, "nico_plus_plus": 60,
    }  # fmt: skip
    digits = KNOWN_SETS["digits"]
    assert digits.totals.keys() == digits.domains.keys()
    for train, test in ((60_000, 10_000), (59_001, 9_001)):
        assert {train, test, train + test} <= set(digits.totals["mnist_m"])
    for spec in KNOWN_SETS.values():
        assert tuple(sorted(spec.classes)) == spec.classes
        assert set(spec.aliases.values()) <= spec.domains.keys()


@pytest.fixture
def nico(tmp_path):
    """A folder of NICO++'s benchmark, three images a class, and its record."""
    spec = known_sets.find_set("nico_plus_plus")
    folders = [name.replace("_", " ") for name in spec.classes]
    root = tmp_path / "DG_Benchmark" / "NICO_DG"
    for d, domain in enumerate(spec.domains):
        for c, name in enumerate(folders):
            (root / domain / name).mkdir(parents=True)
            for i in range(3):
                file = root / domain / name / f"{domain}_{i:06}.jpg"
                file.write_bytes(bytes([d, c, i]))
    return root, folders, dataclasses.replace(spec, n_images=3 * 6 * 60)


def test_nico_is_counted_as_a_whole(nico):
    root, _, spec = nico
    found = surveys.survey(spec, root)
    assert found.problems == found.warnings == ()
    assert found.classes == spec.classes
    assert found.images[0].name == "autumn/airplane/autumn_000000.jpg"
    (root / "dim" / "wolf" / "dim_000000.jpg").unlink()
    (problem,) = surveys.survey(spec, root).problems
    assert problem == "1079 images found in all, 1080 expected"


@pytest.mark.parametrize("named", ["DG_Benchmark", "DG_Benchmark/NICO_DG"])
@pytest.mark.parametrize("where", ["NICO_DG_official", "NICO_DG_Benchmark_annotation"])
@pytest.mark.parametrize("splits", [("train", "test"), ("train", "val", "test")])
def test_nicos_official_lists_are_read(nico, tmp_path, named, where, splits):
    root, folders, spec = nico
    lists = root.parent / where
    lists.mkdir()
    for domain in spec.domains:
        for i, split in enumerate(splits):
            lines = [
                f"NICO_DG/{domain}/{name}/{domain}_{i:06}.jpg {label}"
                for label, name in enumerate(folders)
            ]
            (lists / f"{domain}_{split}.txt").write_text("\n".join(lines))
    found = surveys.survey(spec, tmp_path / named)
    assert found.problems == found.warnings == ()
    marks = {i.name.split("/", 1)[1]: i.official for i in found.images}
    assert [marks[f"hot_air_balloon/rock_00000{i}.jpg"] for i in range(3)] == [
        "train",
        "val",
        "",
    ]


def test_nicos_challenge_has_its_images_below_train(nico, tmp_path):
    root, _, spec = nico
    above = tmp_path / "track_1" / "public_dg_0416"
    above.mkdir(parents=True)
    root.rename(above / "train")
    (above / "public_test_flat").mkdir()
    draw(0).save(above / "public_test_flat" / "0a1b2c.png")
    (tmp_path / "track_1" / "dg_label_id_mapping.json").write_text("{}")
    found = surveys.survey(spec, tmp_path / "track_1")
    assert found.problems == ()
    assert len(found.images) == spec.n_images
    assert {image.official for image in found.images} == {""}


def test_digits_of_honest_copies_are_noted_and_not_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("DIGITS_DIR", raising=False)
    spec = KNOWN_SETS["digits"]
    root = make_set(
        tmp_path / "in", ("mnist",), spec.classes, 1, middle=("train", "test")
    )
    make_set(root, ("svhn",), spec.classes, 3)
    totals = {**spec.totals, "mnist": (10, 20), "svhn": (10, 40)}
    spec = dataclasses.replace(spec, totals=totals)
    monkeypatch.setitem(KNOWN_SETS, "digits", spec)
    found = surveys.survey(spec, root)
    assert found.problems == ()
    assert found.warnings == (
        "mnist_m: the domain is missing",
        "svhn: 30 images found, 10 or 40 expected",
        "syn: the domain is missing",
        "usps: the domain is missing",
    )
    assert load("digits", tmp_path, source_dir=root).domains == ("mnist", "svhn")
    (root / "svhn" / "0").rename(root / "svhn" / "10")  # as its .mat files have it
    (problem,) = surveys.survey(spec, root).problems
    assert problem == "svhn: unknown class folder '10' with 3 images"


def test_a_list_takes_the_first_images_of_mnist(tmp_path):
    """As docs/data.md has it for the papers' 10,000, here the first 12 of 20."""
    spec = KNOWN_SETS["digits"]
    for part in ("train", "test"):
        for domain in ("mnist", "svhn"):
            for i in range(20):
                file = tmp_path / domain / part / str(i * 7 % 10) / f"{i:05}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                draw(i).save(file)
    lines = ["path,class,domain,split"]
    for domain, part, n in (
        ("mnist", "train", 12),
        ("mnist", "test", None),
        ("svhn", "test", None),
    ):
        files = (tmp_path / domain / part).glob("*/*.png")
        first = sorted(files, key=lambda file: file.name)[:n]
        lines += [f"{file},{file.parent.name},{domain},{part}" for file in first]
    (tmp_path / "digits.csv").write_text("\n".join(lines))
    dataset = load("digits", tmp_path, source_dir=tmp_path / "digits.csv")
    assert dataset.classes == spec.classes
    parts = splits.split(dataset, target="svhn", sources=("mnist",), method="official")
    assert len(parts.train) == 12
    assert len(parts.val) == len(parts.target) == 20
    trained = {(dataset.names[i][-9:], dataset.label[i]) for i in parts.train}
    assert trained == {(f"{i:05}.png", i * 7 % 10) for i in range(12)}
    assert all("_train_" in dataset.names[i] for i in parts.train)


def test_what_is_missing_or_too_much_is_named(small, tmp_path):
    root = make_set(tmp_path / "in", list(PACS.domains)[:3], PACS.classes)
    make_set(root, ["photo/cat"], ["x"])  # deeper: not taken for a domain
    (root / "photo" / "dog").rename(root / "photo" / "wolf")
    (root / "cartoon" / "horse" / "p0.png").unlink()
    with pytest.raises(ValueError) as caught:
        prepared_folders.prepare("pacs", source_dir=root, data_dir=tmp_path / "tfds")
    lines = str(caught.value).splitlines()
    assert [line.strip() for line in lines[1:]] == [
        "photo: unknown class folder 'wolf' with 2 images",
        "cartoon: 13 images found, 14 expected",
        "photo: no images of dog",
        "photo: 12 images found, 14 expected",
        "sketch: the domain is missing",
    ]
    assert "--allow-partial" in lines[0]
    assert not list((tmp_path / "tfds").rglob("dataset_info.json"))
    builder, _ = prepared_folders.prepare(
        "pacs", source_dir=root, data_dir=tmp_path / "tfds", strict=False
    )
    assert len(builder.info.metadata["incomplete"]) == 5
    loaded = load("pacs", tmp_path)
    assert loaded.domains == ("art_painting", "cartoon", "photo")
    assert loaded.classes == PACS.classes
    assert len(loaded) == 14 + 13 + 12


def test_junk_is_passed_over_and_named_where_it_may_matter(own):
    (own / ".DS_Store").write_bytes(b"x")
    (own / "day" / "car" / "Thumbs.db").write_bytes(b"x")
    (own / "day" / "car" / "._p0.png").write_bytes(b"x")
    (own / "__MACOSX" / "day" / "car").mkdir(parents=True)
    (own / "__MACOSX" / "day" / "car" / "p0.png").write_bytes(b"x")
    (own / "night" / "tree" / "notes.txt").write_text("x")
    draw(0).save(own / "overview.png")
    found = surveys.survey(known_sets.find_set("own"), own)
    assert found.domains == ("day", "night")
    assert found.classes == ("car", "tree")
    assert len(found.images) == 8
    assert len(found.warnings) == 2
    assert "overview.png" in found.warnings[0]
    assert "notes.txt" in found.warnings[1]


def test_whatever_pillow_reads_and_is_a_picture_counts(own, tmp_path):
    kinds = {".jfif": "JPEG", ".JPG": "JPEG", ".pgm": "PPM"}
    if features.check("avif"):
        kinds[".avif"] = "AVIF"
    for suffix, kind in kinds.items():
        draw(3).save(own / "day" / "car" / f"a{suffix}", kind)
    (own / "day" / "car" / "depth.pfm").write_bytes(b"x")
    data = load("own", tmp_path, source_dir=own)
    assert {n.split("/")[-1] for n in data.names} >= {f"a{s}" for s in kinds}
    assert len(data) == 8 + len(kinds)
    assert {".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".webp"} < image_folders.SUFFIXES
    assert not {".heic", ".h5", ".pdf", ".mpg", ".txt"} & image_folders.SUFFIXES


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("nowhere", "does not exist"),
        ("own/day", r"without a domain folder above, such as car/p0\.png"),
        (".", r"several folders hold \{domain\}/\{class\}/ for own: .*own2"),
        ("empty", "no folders with files"),
    ],
)
def test_layouts_that_are_refused(own, tmp_path, where, message):
    make_set(tmp_path / "own2", ("rain",), ("car",))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=message):
        surveys.survey(known_sets.find_set("own"), tmp_path / where)


def test_two_spellings_of_one_domain_are_refused(tmp_path):
    root = make_set(tmp_path / "in", ("Real World", "real_world"), ("a",))
    with pytest.raises(ValueError, match="two folders for real_world"):
        surveys.survey(known_sets.find_set("mine"), root)


@pytest.mark.parametrize(
    ("one", "other"), [("c", "C"), ("c", "c!"), ("c", "C?"), ("1 1", "1_1"), NFC_NFD]
)
def test_class_folders_that_would_be_one_class_are_refused(tmp_path, one, other):
    root = make_set(tmp_path / "in", ("day",), (one, other))
    with pytest.raises(ValueError, match=r"folders 'day/.*' and 'day/.*' have one"):
        surveys.survey(known_sets.find_set("mine"), root)


def test_two_folders_of_one_class_of_a_known_set_are_refused(small, tmp_path):
    root = make_set(tmp_path / "in", PACS.domains, PACS.classes)
    (root / "photo" / "Dog").mkdir()
    draw(1).save(root / "photo" / "Dog" / "another.png")
    with pytest.raises(ValueError, match="'photo/Dog' and 'photo/dog' have one name"):
        surveys.survey(PACS, root)


@pytest.mark.parametrize(
    ("one", "other"), [("1_1", "11"), ("C!", "C?"), ("U.S.", "us")]
)
def test_no_class_of_one_domain_becomes_another_of_another(tmp_path, one, other):
    root = make_set(tmp_path / "in", ("day", "dusk"), ("a", one))
    make_set(root, ("night",), ("a", other))
    message = re.escape(f"the class folders 'day/{one}' and 'night/{other}' have one")
    with pytest.raises(ValueError, match=message):
        surveys.survey(known_sets.find_set("mine"), root)


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        ("Alarm Clock", "alarm_clock", "alarm_clock"),
        ("alarm-clock", "ALARM CLOCK", "alarm_clock"),
        (*NFC_NFD, "caf\u00e9"),
        (*reversed(NFC_NFD), "caf\u00e9"),
    ],
)
def test_one_class_of_two_domains_may_be_spelled_in_two_ways(
    tmp_path, one, other, name
):
    root = make_set(tmp_path / "in", ("day",), (one,))
    make_set(root, ("night",), (other,))
    assert surveys.survey(known_sets.find_set("mine"), root).classes == (name,)


def test_vowel_signs_tell_classes_apart(tmp_path):
    names = ("\u0915\u093e\u0932\u093e", "\u0915\u093e\u0932\u0940")  # kala, kali
    root = make_set(tmp_path / "in", ("day", "night"), names)
    assert surveys.survey(known_sets.find_set("mine"), root).classes == names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Real World", "real_world"),
        (" -art (painting)! ", "art_painting"),
        ("a__b - c", "a__b_c"),
        ("\u2764\ufe0f heart", "heart"),  # no sign is left of a symbol
        ("C++", "c_plus_plus"),
        ("C#", "c_sharp"),
        ("a + b", "a_b"),  # signs between words separate them
        ("+", "plus"),
        ("!?", "exclamation_mark_question_mark"),
        ("\U0001f600", "grinning_face"),
        ("\u2764\ufe0f", "heavy_black_heart"),
        ("\U0001f469\u200d\U0001f680", "woman_rocket"),
        ("\ue000", "ue000"),  # of no standard: its number
        ("caf\udce9", "caf_udce9"),  # a byte that is not UTF-8
        (" ", "space"),
        ("", ""),
    ],
)
def test_plain_names(name, expected):
    assert plain(name) == expected


@pytest.mark.parametrize("lists", ["in", "in/kfold", "in/labels", "pacs_label", "."])
def test_official_files_are_found_in_beside_and_above(small, tmp_path, lists):
    root = tmp_path / "up" / "in"
    make_set(root / "kfold", PACS.domains, PACS.classes)
    where = tmp_path / "up" / lists
    where.mkdir(exist_ok=True)
    for domain in PACS.domains:
        for number, part in enumerate(("crossval", "train")):
            lines = [
                f"{domain}/{name}/p{number}.png {label + 1}\n"
                for label, name in enumerate(PACS.classes)
            ]
            (where / f"{domain}_{part}_kfold.txt").write_text("".join(lines))
    found = surveys.survey(known_sets.find_set("pacs"), root)
    assert found.problems == found.warnings == ()
    for image in found.images:
        assert image.official == ("val" if image.name.endswith("p0.png") else "train")
    loaded = load("pacs", tmp_path, source_dir=root)
    parts = splits.split(loaded, target="photo", method="official")
    assert len(parts.train) == len(parts.val) == 21
    assert all(loaded.names[i].endswith("p0.png") for i in parts.val)


def pack(root, path):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("__MACOSX/own/day/car/._p0.png", b"x")
            for file in sorted(root.rglob("*")):
                archive.write(file, file.relative_to(root.parent))
    else:
        with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
            archive.add(root, root.name)
    return path


@pytest.mark.parametrize("name", ["own.zip", "own.tar", "own.tar.gz"])
def test_archives_are_the_folders_they_hold(own, tmp_path, name):
    archive = pack(own, tmp_path / name)
    loaded = load("own", tmp_path, source_dir=archive)
    from_folder = prepared_folders.load(
        "own", source_dir=own, data_dir=tmp_path / "other"
    )
    assert loaded.names == from_folder.names
    assert same(loaded, from_folder)
    load("own", tmp_path, source_dir=own)  # the same data: not refused
    assert not list((tmp_path / "tfds").rglob("incomplete*"))


def evil_zip(name, mode=0):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("own/day/car/p0.png", b"x")
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, "/etc/passwd")
    return data.getvalue()


def evil_tar(name, kind=tarfile.REGTYPE):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    return data.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        evil_zip("../evil.png"),
        evil_zip("own/../../evil.png"),
        evil_zip("/tmp/evil.png"),
        evil_zip("..\\evil.png"),
        evil_zip("C:\\evil.png"),
        evil_zip("own/day/link.png", 0o120777),
        evil_tar("../evil.png"),
        evil_tar("/tmp/evil.png"),
        evil_tar("own/day/link.png", tarfile.SYMTYPE),
        evil_tar("own/day/link.png", tarfile.LNKTYPE),
        evil_tar("own/day/device", tarfile.CHRTYPE),
        evil_zip("own/a.png")[:-30],
        b"neither",
    ],
)
def test_archives_that_could_escape_are_refused_whole(tmp_path, data):
    archive = tmp_path / "archive"
    archive.write_bytes(data)
    with pytest.raises(ValueError, match=r"is refused|is neither|is damaged"):
        files_lib.extract(archive, tmp_path / "out" / "in")
    assert [p.name for p in tmp_path.rglob("*")] == ["archive"]


def encode(image, **options):
    data = io.BytesIO()
    image.save(data, **options)
    return data.getvalue()


@pytest.mark.parametrize(
    ("kind", "dtype", "pixels"),
    [
        ("TIFF", np.int32, "signed or 32-bit integers"),
        ("TIFF", np.float32, "floats"),
        ("PPM", np.float32, "floats"),
    ],
)
def test_pixels_of_an_unknown_range_are_refused(own, tmp_path, kind, dtype, pixels):
    image = Image.fromarray(np.arange(256, dtype=dtype).reshape(16, 16))
    image.save(own / "day" / "car" / "p0.png", kind)
    message = rf"day/car/p0\.png: its pixels are {pixels}, whose range is not"
    with pytest.raises(ValueError, match=message):
        load("own", tmp_path, source_dir=own)


def test_loaded_data_set(own, tmp_path):
    draw(5, (16, 30), "CMYK").save(own / "night" / "tree" / "a.jpg")
    data = load("own", tmp_path, source_dir=own, stored_px=0)
    assert "tensorflow" not in sys.modules
    assert data.domains == ("day", "night")
    assert data.classes == ("car", "tree")
    assert data.label.dtype == data.domain.dtype == np.int32
    assert data.label.tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 1]
    assert data.domain.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert data.official is None
    for i, name in enumerate(data.names):
        image = np.asarray(Image.open(own / name).convert("RGB"))
        np.testing.assert_array_equal(data.read(i), image)
    assert data.names[6] == "night/tree/a.jpg"
    squares = load("own", tmp_path, stored_px=12)
    shapes = {squares.read(i).shape for i in np.arange(len(squares))}
    assert shapes == {(12, 12, 3)}


def test_what_was_passed_over_is_said_once(own, tmp_path, caplog):
    (own / "night" / "tree" / "a.raw").write_bytes(b"x")
    (own / "day" / "boat").mkdir()
    draw(0).save(own / "day" / "boat" / "p0.png")
    load("own", tmp_path, source_dir=own)
    assert [record.getMessage() for record in caplog.records] == [
        "own: passed over 1 file that is no image by its suffix, such as "
        "night/tree/a.raw",
        "own: night: no images of boat",
    ]
    caplog.clear()
    load("own", tmp_path, source_dir=own)  # opened, not prepared
    assert caplog.records == []


def test_records_keep_their_order_over_shards(own, tmp_path, monkeypatch):
    from tensorflow_datasets.core.utils import shard_utils

    monkeypatch.setattr(
        shard_utils.ShardConfig, "get_number_shards", lambda *args, **kwargs: 3
    )
    data = load("own", tmp_path, source_dir=own, stored_px=0)
    assert len(list((tmp_path / "tfds").rglob("*array_record*-of-00003"))) == 6
    for i, name in enumerate(data.names):
        image = np.asarray(Image.open(own / name))
        np.testing.assert_array_equal(data.read(i), image)


def test_every_damaged_file_is_named_and_nothing_stored(own, tmp_path):
    (own / "day" / "car" / "p0.png").write_bytes(b"")
    (own / "day" / "tree" / "p1.png").write_text("not a picture")
    whole = encode(draw(3, (64, 64)), format="JPEG", quality=98)
    (own / "night" / "car" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (own / "night" / "tree" / "gone.png").symlink_to(own / "nowhere.png")
    for strict in (True, False):
        with pytest.raises(ValueError) as caught:
            prepared_folders.prepare(
                "own", source_dir=own, data_dir=tmp_path, strict=strict
            )
        lines = [line.strip() for line in str(caught.value).splitlines()]
        assert lines[0] == (
            f"{own} has 4 faults (--skip-broken leaves broken files out):"
        )
        assert lines[1] == "day/car/p0.png: the file is empty"
        assert lines[2] == "day/tree/p1.png: not an image"
        assert lines[3].startswith("night/car/cut.jpg: damaged: ")
        assert lines[4].startswith("night/tree/gone.png: No such")
        assert not list(tmp_path.rglob("*.array_record*"))


_KILLED = """
import os, signal, sys
from jigsaw_shape.data import prepared_folders as folders
from jigsaw_shape.data import image_records
generate = image_records.DomainFolders._generate_examples
def killed(self, domain):
    for n, example in enumerate(generate(self, domain)):
        if domain == "night" and n == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield example
image_records.DomainFolders._generate_examples = killed
folders.prepare("own", source_dir=sys.argv[1], data_dir=sys.argv[2], overwrite=True)
"""


def run_python(code, *args, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)], env=os.environ | environment
    )


def test_a_killed_run_leaves_nothing_and_the_next_succeeds(own, tmp_path):
    assert run_python(_KILLED, own, tmp_path / "tfds").wait() == -9
    assert list((tmp_path / "tfds").rglob("incomplete*"))
    with pytest.raises(ValueError, match="not prepared"):
        load("own", tmp_path, auto_prepare=False)
    assert len(load("own", tmp_path, source_dir=own)) == 8
    assert not list((tmp_path / "tfds").rglob("incomplete*"))
    # and one that is killed while it replaces a data set leaves the old one
    draw(9).save(own / "day" / "car" / "new.png")
    assert run_python(_KILLED, own, tmp_path / "tfds").wait() == -9
    assert len(load("own", tmp_path)) == 8
    assert not list((tmp_path / "tfds").rglob("incomplete*"))


def test_of_several_runs_that_start_at_once_one_prepares(own, tmp_path):
    code = """
import pathlib, sys
from jigsaw_shape.data import prepared_folders as folders
store = folders._replace
def noted(*args):
    with pathlib.Path(sys.argv[2]).open("a") as notes:
        notes.write("stored,")
    store(*args)
folders._replace = noted
data = folders.load("own", data_dir=sys.argv[1], stored_px=0)
assert len(data) == 8 and data.read(7).shape == (20, 20, 3)
"""
    args = (code, tmp_path / "tfds", tmp_path / "notes")
    runs = [run_python(*args, OWN_DIR=str(own)) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert (tmp_path / "notes").read_text() == "stored,"


def test_other_data_under_the_same_name_is_refused(own, tmp_path):
    load("own", tmp_path, source_dir=own)
    load("own", tmp_path, source_dir=own)
    draw(9).save(own / "day" / "car" / "new.png")
    with pytest.raises(ValueError, match=r"8 and 9 images.*--overwrite"):
        load("own", tmp_path, source_dir=own)
    assert len(load("own", tmp_path)) == 8
    with pytest.raises(ValueError, match="does not exist"):
        load("own", tmp_path, source_dir=tmp_path / "gone")
    prepared_folders.prepare(
        "own", source_dir=own, data_dir=tmp_path / "tfds", overwrite=True
    )
    assert len(load("own", tmp_path, source_dir=own)) == 9


def test_a_failing_replacement_keeps_what_there_was(own, tmp_path, monkeypatch):
    load("own", tmp_path, source_dir=own)

    def fail(self, domain):
        raise OSError("no space left")
        yield

    monkeypatch.setattr(image_records.DomainFolders, "_generate_examples", fail)
    with pytest.raises(OSError, match="no space left"):
        prepared_folders.prepare(
            "own", source_dir=own, data_dir=tmp_path / "tfds", overwrite=True
        )
    assert len(load("own", tmp_path)) == 8


def test_first_use_finds_the_folder(small, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    with pytest.raises(ValueError, match=r"prepare pacs --from DIR.*PACS_DIR") as none:
        prepared_folders.load("pacs")
    assert "\n" not in str(none.value)
    monkeypatch.setenv("PACS_DIR", str(tmp_path / "missing"))
    with pytest.raises(ValueError, match=r"from \$PACS_DIR\) does not exist"):
        prepared_folders.load("pacs")
    root = make_set(tmp_path / "in", PACS.domains, PACS.classes)
    monkeypatch.setenv("PACS_DIR", str(root))
    from_environment = prepared_folders.load("pacs")
    assert len(from_environment) == 56
    monkeypatch.delenv("PACS_DIR")
    assert len(prepared_folders.load("pacs")) == 56  # from the TFDS directory now
    manual = tmp_path / "second" / "downloads" / "manual"
    manual.mkdir(parents=True)
    pack(root, manual / "PACS.zip")
    found = prepared_folders.load("pacs", data_dir=tmp_path / "second")
    assert same(found, from_environment)


def with_mirrors(monkeypatch, *mirrors):
    spec = dataclasses.replace(KNOWN_SETS["pacs"], mirrors=mirrors)
    monkeypatch.setitem(KNOWN_SETS, "pacs", spec)


def test_download_takes_the_first_mirror_with_the_whole_set(
    small, tmp_path, monkeypatch
):
    root = make_set(tmp_path / "in", PACS.domains, PACS.classes)
    good = pack(root, tmp_path / "good.zip")
    (root / "photo" / "dog" / "p0.png").unlink()
    partial = pack(root, tmp_path / "partial.zip")
    page = tmp_path / "page.html"
    page.write_text("<html>too many downloads</html>")
    bad = ["http://127.0.0.1:9/PACS.zip", page.as_uri(), partial.as_uri()]
    with_mirrors(monkeypatch, *bad)
    with pytest.raises(ValueError) as caught:
        load("pacs", tmp_path)
    message = str(caught.value)
    assert "prepare pacs --from DIR" in message
    assert "refused" in message
    assert "neither a folder nor" in message
    assert "photo: 13 images found, 14 expected" in message
    with_mirrors(monkeypatch, *bad, good.as_uri())
    assert len(load("pacs", tmp_path)) == 56
    downloads = tmp_path / "tfds" / "downloads" / "manual"
    assert [p.name for p in downloads.iterdir()] == ["pacs.zip"]


def test_a_download_that_broke_off_goes_on(tmp_path):
    payload = np.random.default_rng(0).bytes(300_000)
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.headers.get("Range"))
            start = 0
            if asked[-1] and self.headers.get("If-Range") == '"one"':
                start = int(asked[-1].removeprefix("bytes=").rstrip("-"))
            self.send_response(206 if start else 200)
            self.send_header("ETag", '"one"')
            self.send_header("Content-Length", str(len(payload) - start))
            self.end_headers()
            stop = len(payload) if len(asked) > 1 else 100_000
            self.wfile.write(payload[start:stop])

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/set.tar"

        def get():
            return files_lib.fetch([url], tmp_path, "set", fault_fn=lambda path: "")

        with pytest.raises(ValueError, match="broke off after 100000 of 300000"):
            get()
        path = get()
        server.shutdown()
    assert asked == [None, "bytes=100000-"]
    assert path.read_bytes() == payload
    assert [p.name for p in tmp_path.iterdir()] == ["set.tar"]


def test_real_pacs(pacs_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("PACS_DIR", str(pacs_dir))
    data = load("pacs", tmp_path)
    assert len(data) == 9991
    assert data.domains == tuple(PACS.domains)
    assert data.classes == PACS.classes
    counts = dict(zip(data.domains, np.bincount(data.domain).tolist(), strict=True))
    assert counts == PACS.domains
    path_of = {i.name: i.path for i in surveys.survey(PACS, pacs_dir).images}
    for i in np.random.default_rng(0).integers(0, len(data), 40):
        path = pacs_dir / path_of[data.names[i]]
        assert data.classes[data.label[i]] == path.parent.name
        assert data.domains[data.domain[i]] == path.parent.parent.name
        expected = np.asarray(Image.open(path).convert("RGB"))
        assert expected.shape == (227, 227, 3)
        np.testing.assert_array_equal(data.read(i), expected)
    assert load("pacs", tmp_path, stored_px=84).read(0).shape == (84, 84, 3)
    parts = splits.split(data, target="sketch")
    assert len(parts.target) == 3929
    assert len(parts.val) == 204 + 234 + 167
    assert len(parts.train) == 6062 - len(parts.val)
