"""Files that are there whole, or as they were."""

import pathlib

import pytest

from jigsaw_shape.system import whole_files


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "facts.json"
    for text in ("first", "second"):
        whole_files.write_text(path, text)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "a" / "b"
    whole_files.make_folder(folder)
    whole_files.make_folder(folder)
    assert list(folder.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        whole_files.make_folder(tmp_path / "file" / "below")

    def refuse(dir):
        raise PermissionError(f"no way into {dir}")

    monkeypatch.setattr(whole_files.tempfile, "TemporaryFile", refuse)
    with pytest.raises(PermissionError, match="no way into"):
        whole_files.make_folder(folder)


def test_what_fails_on_the_way_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "facts.json"
    whole_files.write_text(path, "first")
    whole = pathlib.Path.write_text

    def half(self, text):
        whole(self, text[: len(text) // 2])
        raise OSError("no space left")

    monkeypatch.setattr(pathlib.Path, "write_text", half)
    with pytest.raises(OSError, match="no space"):
        whole_files.write_text(path, "second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_goes_with_the_next_writing(tmp_path):
    path = tmp_path / "image.png"
    (tmp_path / ".image.png.partial").write_text("half")
    with whole_files.replacing(path) as partial:
        partial.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_several_processes_write_under_names_of_their_own(tmp_path):
    path = tmp_path / "facts.json"
    with whole_files.replacing(path, several=True) as first:
        first.write_text("first")
        with whole_files.replacing(path, several=True) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
