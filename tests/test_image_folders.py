"""The one walk through folders of images: what is found, once, and what is not."""

import os
import subprocess
import sys

import pytest

from jigsaw_shape.data import image_folders


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_images_are_sorted_folder_by_folder_and_others_are_told(tmp_path):
    touch(*(tmp_path / name for name in ("b/2.PNG", "b/1.jpg", "a.webp", "notes.txt")))
    found = image_folders.find_images(tmp_path)
    assert found.images == ["a.webp", "b/1.jpg", "b/2.PNG"]
    assert found.others == ["notes.txt"]
    assert found.notes() == [
        "left out 1 file that is no image by its suffix, such as notes.txt"
    ]


@pytest.mark.parametrize(
    "folder",
    [
        *("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information"),
        *("lost+found", "__MACOSX", ".hidden", "@Recycle"),
    ],
)
def test_what_systems_leave_behind_is_passed_over(tmp_path, folder):
    touch(tmp_path / "a.png", tmp_path / folder / "b.png", tmp_path / "Thumbs.db")
    touch(tmp_path / "in" / folder / "c" / "b.png", tmp_path / "._a.png")
    assert image_folders.find_images(tmp_path) == (["a.png"], [], [])


def test_links_lead_to_nothing_twice_and_end(tmp_path):
    root, outside = tmp_path / "in", tmp_path / "outside"
    touch(root / "a" / "1.png", outside / "x" / "2.png", outside / "x" / "y" / "3.png")
    links = {
        "a/again.png": "1.png",  # found by itself
        "a/loop": "..",  # round in a circle
        "b": "a",  # a folder of the tree
        "up": "../..",  # holds the tree
        "c": outside,
        "d": outside / "x",  # in what c leads to
        "e.png": outside / "x" / "2.png",
        "gone.png": "nowhere.png",
        "self.png": "self.png",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    (outside / "x" / "back").symlink_to(root)
    found = image_folders.find_images(root)
    assert found.images == [
        *("a/1.png", "c/x/2.png", "c/x/y/3.png"),
        *("gone.png", "self.png"),  # broken: found out when they are read
    ]
    assert sorted(found.repeated) == [
        *("a/again.png", "a/loop", "b", "c/x/back", "d", "e.png", "up")
    ]


def test_a_link_to_a_file_that_is_elsewhere_alone_is_an_image(tmp_path):
    touch(tmp_path / "store" / "1.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "cat.png").symlink_to("../store/1.png")
    (tmp_path / "in" / "dog.png").symlink_to("../store/1.png")
    found = image_folders.find_images(tmp_path / "in")
    assert found.images == ["cat.png"]
    assert found.repeated == ["dog.png"]


def test_pipes_are_no_images_and_nothing_waits_for_them(tmp_path):
    touch(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    (tmp_path / "c.png").symlink_to("b.png")
    assert image_folders.find_images(tmp_path) == (["a.png"], [], [])
    with pytest.raises(ValueError, match=r"b\.png is neither a file nor a folder"):
        image_folders.find_named([str(tmp_path / "b.png")])


def test_names_that_are_not_utf_8_are_found(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    touch(tmp_path / name)
    assert image_folders.find_images(tmp_path).images == [name]
    assert (tmp_path / name).read_bytes() == b"x"


def test_files_that_a_package_would_read_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(image_folders, "SUFFIXES", frozenset({".png"}))
    touch(tmp_path / "a.HEIC", tmp_path / "b.heic")
    note = "2 .heic files can be read once pillow-heif is installed"
    with pytest.raises(ValueError, match=rf"holds no image, at any depth; {note}"):
        image_folders.find_images(tmp_path)
    touch(tmp_path / "c.png")
    assert note in image_folders.find_images(tmp_path).notes()[-1]


_PLUGIN = """
from PIL import Image
def register_heif_opener():
    Image.register_open("HEIF", None)
    Image.register_extension("HEIF", ".heic")
"""


def test_an_installed_package_adds_its_suffix(tmp_path):
    (tmp_path / "pillow_heif.py").write_text(_PLUGIN)
    code = (
        "from jigsaw_shape.data import image_folders as f; print(f.is_image('a.HEIC'))"
    )
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


def test_named_files_and_folders_count_once(tmp_path):
    touch(tmp_path / "in" / "a.png", tmp_path / "in" / "b.txt")
    named = [str(tmp_path / "in" / "a.png"), str(tmp_path / "in")]
    assert image_folders.find_named(named).images == named[:1]
    with pytest.raises(ValueError, match="no such file or folder"):
        image_folders.find_named([str(tmp_path / "missing")])
