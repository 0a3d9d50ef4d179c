"""What preparing notices and says of files: changed, copied, broken, transparent."""

import os
import shutil

import pytest
from PIL import Image

from jigsaw_shape import prepare
from jigsaw_shape.data import prepared_folders, surveys
from jigsaw_shape.data.known_sets import KnownSet


def write(path, value=0, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 8), value).save(path)
    return path


def make(root, domains=("day", "night"), classes=("car", "tree")):
    for n, (domain, name) in enumerate((d, c) for d in domains for c in classes):
        for i in range(2):
            write(root / domain / name / f"{i}.bmp", (10 * n + i, 0, 0))
    return root


@pytest.fixture
def own(tmp_path):
    return make(tmp_path / "own")


@pytest.fixture
def run(tmp_path, capsys):
    """Returns a function that runs `prepare` and returns code, lines, errors."""

    def call(*args):
        data_dir = ("--data-dir", tmp_path / "tfds")
        try:
            code = prepare.main([str(a) for a in (*args, *data_dir)])
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return call


def load(tmp_path, own, **options):
    options = {"source_dir": own, "stored_px": 0, **options}
    return prepared_folders.load("own", data_dir=tmp_path / "tfds", **options)


def repaint(path, age_s=10):
    """Changes a BMP's pixels and its time, not its name and size."""
    size = path.stat().st_size
    write(path, (0, 0, 255))
    assert path.stat().st_size == size
    changed = path.stat().st_mtime + age_s
    os.utime(path, (changed, changed))


def test_prepare_says_whether_it_prepared_or_found(own, run):
    assert "own prepared in" in run("own", "--from", own)[1][-1]
    assert "own was prepared before" in run("own", "--from", own)[1][-1]


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_file_changed_in_place_is_noticed(own, run, tmp_path, kind):
    source = own
    if kind == "zip":
        source = tmp_path / "packed.zip"
        shutil.make_archive(tmp_path / "packed", "zip", own)
    assert run("own", "--from", source)[0] == 0
    before = load(tmp_path, source)
    repaint(own / "day" / "car" / "1.bmp")
    if kind == "zip":
        shutil.make_archive(tmp_path / "packed", "zip", own)
    code, _, error = run("own", "--from", source)
    assert code == 2
    assert f"1 image of {source} changed since own was prepared" in error
    assert "day/car/1.bmp" in error
    assert "--overwrite" in error
    assert run("own", "--from", source, "--overwrite")[0] == 0
    after = load(tmp_path, source)
    assert after.read(1)[0, 0].tolist() == [0, 0, 255]
    assert after.digest() != before.digest()  # no run goes on with other pixels


def test_new_times_alone_change_nothing(own, run, tmp_path):
    run("own", "--from", own)
    before = load(tmp_path, own).digest()
    for path in own.rglob("*.bmp"):
        os.utime(path, (1, 1))
    assert "was prepared before" in run("own", "--from", own)[1][-1]
    times = prepared_folders.prepare("own", data_dir=tmp_path / "tfds").builder.info
    assert set(times.metadata["mtimes_ns"].values()) == {10**9}
    assert run("own", "--from", own, "--overwrite")[0] == 0
    assert load(tmp_path, own).digest() == before


def test_a_run_goes_on_where_its_folder_is_gone_or_grew(own, tmp_path, caplog):
    began = load(tmp_path, own).digest()

    def is_expected(dataset):
        return dataset.digest() == began

    write(own / "day" / "car" / "new.bmp")
    caplog.clear()
    with pytest.raises(ValueError, match="which differs from"):
        load(tmp_path, own)
    assert len(load(tmp_path, own, is_expected=is_expected)) == 8
    assert "What is prepared is what the run began with" in caplog.text
    shutil.copytree(own / "day", own / "deep" / "day")  # a layout in a layout
    with pytest.raises(ValueError, match="cannot be compared with it"):
        load(tmp_path, own)
    assert len(load(tmp_path, own, is_expected=is_expected)) == 8
    own.rename(tmp_path / "moved")
    assert len(load(tmp_path, own)) == 8  # where it was: nothing else can be meant
    with pytest.raises(ValueError, match=r"elsewhere does not exist"):
        load(tmp_path, tmp_path / "elsewhere")
    assert len(load(tmp_path, tmp_path / "elsewhere", is_expected=is_expected)) == 8


def test_copies_between_domains_are_counted_and_one_named(own, run):
    shutil.copy(own / "day" / "car" / "0.bmp", own / "night" / "car" / "copy.bmp")
    shutil.copy(own / "day" / "car" / "0.bmp", own / "day" / "car" / "same.bmp")
    _, lines, _ = run("own", "--from", own)
    (note,) = [line for line in lines if "byte for byte" in line]
    assert note.startswith("note: in several domains, byte for byte: 1 image,")
    assert "night/car/copy.bmp" in note


def test_broken_files_are_skipped_on_request_and_recorded(own, run, tmp_path, caplog):
    (own / "day" / "car" / "0.bmp").write_bytes(b"")
    (own / "night" / "tree" / "0.bmp").write_text("no image")
    code, _, error = run("own", "--from", own)
    assert code == 2
    assert "2 faults (--skip-broken leaves broken files out)" in error
    code, lines, _ = run("own", "--from", own, "--skip-broken")
    assert code == 0
    assert "skipped: day/car/0.bmp: the file is empty" in lines
    assert any("note: skipped 2 broken files, such as" in line for line in lines)
    assert "was prepared before" in run("own", "--from", own)[1][-1]
    caplog.clear()
    dataset = load(tmp_path, own)
    assert len(dataset) == 6
    assert "day/car/0.bmp" not in dataset.names
    assert "skipped 2 broken files" in caplog.text


def test_a_domain_of_broken_files_alone_is_none(own, run, tmp_path):
    for path in (own / "night").rglob("*.bmp"):
        path.write_bytes(b"")
    assert run("own", "--from", own, "--skip-broken")[0] == 0
    assert load(tmp_path, own).domains == ("day",)
    for path in (own / "day").rglob("*.bmp"):
        path.write_bytes(b"")
    code, _, error = run("own", "--from", own, "--skip-broken", "--overwrite")
    assert code == 2
    assert "every image is broken" in error


def test_transparent_images_are_counted(own, run):
    write(own / "night" / "car" / "clear.png", (0, 0, 0, 0), "RGBA")
    write(own / "night" / "car" / "solid.png", (0, 0, 0, 255), "RGBA")
    _, lines, _ = run("own", "--from", own)
    assert (
        "note: night: 1 of 6 images are transparent; config.data.background shows "
        "through"
    ) in lines


def test_names_that_are_not_utf_8_are_stored(own, run, tmp_path):
    raw = os.fsencode(own / "day" / "car") + b"/caf\xe9.bmp"
    os.link(os.fsencode(own / "day" / "car" / "0.bmp"), raw)
    assert run("own", "--from", own)[0] == 0
    dataset = load(tmp_path, own)
    assert "day/car/caf\\udce9.bmp" in dataset.names
    assert len(dataset) == 9


def test_classes_whose_names_are_signs_are_printable_and_distinct(tmp_path, run):
    names = ("\U0001f600", "\U0001f602", "+", "C++", "C#")
    make(tmp_path / "own", classes=names)
    _, lines, _ = run("own", "--from", tmp_path / "own")
    assert load(tmp_path, tmp_path / "own").classes == (
        *("c_plus_plus", "c_sharp", "face_with_tears_of_joy", "grinning_face", "plus"),
    )
    assert any("grinning_face" in line for line in lines)


def test_one_class_and_many_missing_ones_are_said_briefly(tmp_path, run):
    make(tmp_path / "one", classes=("car",))
    _, lines, _ = run("one", "--from", tmp_path / "one")
    assert "note: car is the only class: training needs two or more" in lines
    many = make(tmp_path / "many", ("day",), [f"c{k:02}" for k in range(30)])
    make(many, ("night",), ("c00",))
    _, lines, _ = run("many", "--from", many)
    assert "note: night: no images of 29 classes, such as c01, c02, c03" in lines


OWN = KnownSet("own")


def test_office_31_has_a_folder_images_in_each_domain(tmp_path):
    for domain in ("amazon", "dslr"):
        make(tmp_path / "in" / domain, ("images",), ("bike", "mug"))
    found = surveys.survey(OWN, tmp_path / "in")
    assert found.domains == ("amazon", "dslr")
    assert found.classes == ("bike", "mug")
    assert found.images[0].name == "amazon/bike/0.bmp"
    beside = make(tmp_path / "beside", ("images", "sketches"))
    assert surveys.survey(OWN, beside).domains == ("images", "sketches")


def test_domainnet_lists_are_the_official_split(own):
    for split, i in (("train", 0), ("test", 1)):
        lines = [f"day/{name}/{i}.bmp {k}" for k, name in enumerate(("car", "tree"))]
        (own / f"day_{split}.txt").write_text("\r\n".join(lines))
    found = surveys.survey(OWN, own)
    assert found.warnings == ()
    marks = {image.name: image.official for image in found.images}
    assert marks["day/car/0.bmp"] == "train"
    assert marks["day/tree/1.bmp"] == "val"
    assert marks["night/car/0.bmp"] == ""


def test_a_table_of_splits_beside_the_images_is_read(own):
    rows = ["path,split", "day\\car\\0.bmp,train", "day/car/1.bmp,val"]
    (own / "splits.csv").write_text("\n".join(rows))
    marks = {image.name: image.official for image in surveys.survey(OWN, own).images}
    assert (marks["day/car/0.bmp"], marks["day/car/1.bmp"]) == ("train", "val")


def test_a_table_is_a_data_set(own, run, tmp_path):
    (tmp_path / "elsewhere.csv").write_text(
        "path,class,domain,split\n"
        "own/day/car/0.bmp,vehicle,Sunny Day,train\n"
        "own/day/car/1.bmp,vehicle,Sunny Day,test\n"
        f"{own / 'day' / 'tree' / '0.bmp'},plant,Sunny Day,train\n"
        "own/night/tree/0.bmp,plant,Night,\n"
    )
    table = tmp_path / "elsewhere.csv"
    code, _, error = run("own", "--from", table)
    assert code == 0, error
    dataset = load(tmp_path, table)
    assert dataset.domains == ("night", "sunny_day")
    assert dataset.classes == ("plant", "vehicle")
    assert dataset.official.tolist() == ["", "train", "train", "val"]
    assert dataset.read(3)[0, 0].tolist() == [1, 0, 0]
    assert "was prepared before" in run("own", "--from", table)[1][-1]
    (own / "day" / "car" / "0.bmp").unlink()
    with pytest.raises(ValueError, match=r"names 1 missing file, such as"):
        surveys.survey(OWN, table)


def test_a_stray_file_is_named_and_the_given_folder_not_advised(own):
    write(own / "day" / "car" / "extra" / "a.png")
    with pytest.raises(ValueError, match=r"such as day/car/extra/a\.png") as caught:
        surveys.survey(OWN, own)
    assert f"or name {own}" not in str(caught.value)
    shutil.rmtree(own / "day" / "car" / "extra")
    make(own.parent / "up" / "deep", [f"d{k}" for k in range(10)])
    write(own.parent / "up" / "samples" / "day" / "a.png")
    with pytest.raises(ValueError, match=r"such as samples/day/a\.png.*or name .*deep"):
        surveys.survey(OWN, own.parent / "up")


def test_links_and_pipes_count_nothing_twice_and_stop_nothing(own, tmp_path):
    (own / "day" / "car" / "again.bmp").symlink_to("0.bmp")
    (own / "day" / "loop").symlink_to("..")
    (own / "dusk").symlink_to("day")
    os.mkfifo(own / "day" / "car" / "pipe.bmp")
    (own / "@eaDir" / "car").mkdir(parents=True)
    write(own / "@eaDir" / "car" / "0.bmp")
    write(own / "day" / "#recycle" / "0.bmp")
    rain = make(tmp_path / "far", ("rain",))
    (own / "rain").symlink_to(rain / "rain")
    found = surveys.survey(OWN, own)
    assert found.domains == ("day", "night", "rain")
    assert found.classes == ("car", "tree")
    assert len(found.images) == 12
    (warning,) = found.warnings
    assert warning.startswith("passed over 3 links to what is found by another name")


def test_a_domain_of_unread_formats_is_said_to_vanish(own, tmp_path, monkeypatch):
    for path in (own / "night").rglob("*.bmp"):
        path.rename(path.with_suffix(".heic"))
    monkeypatch.setattr("jigsaw_shape.data.image_folders.SUFFIXES", frozenset({".bmp"}))
    found = surveys.survey(OWN, own)
    assert found.domains == ("day",)
    assert (
        "night: the whole domain is passed over: 4 .heic files can be read once "
        "pillow-heif is installed (pip install pillow-heif)"
    ) in found.warnings
