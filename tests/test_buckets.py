"""Folders in buckets, where a folder of the disk stands for the bucket."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import types

import pytest
from fsspec.implementations.local import LocalFileSystem

from jigsaw_shape.data import prepared_folders
from jigsaw_shape.system import addresses, buckets
from jigsaw_shape.system.bucket_files import BucketFiles
from jigsaw_shape.system.command_line import IO_FAILED, OK, REFUSED, make_parser
from tests.test_folders import make_set

COMPLETE = "_CHECKPOINT_METADATA"
PUT = LocalFileSystem.put


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """The folder that is the bucket; the copies are of this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "bucket"


def _write(folder: pathlib.Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _checkpoint(run: pathlib.Path, step: int, text: str = "weights") -> None:
    for name in ("state/data", COMPLETE):
        path = run / "checkpoints" / str(step) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _names(folder: pathlib.Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def _steps(run: pathlib.Path) -> set[str]:
    return {name.split("/")[1] for name in _names(run) if "checkpoints/" in name}


def _elsewhere(monkeypatch, tmp_path, name="elsewhere"):
    """From here on another machine, which has no copies yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))


def test_an_address_has_a_folder_and_the_folder_its_address(bucket):
    folder = addresses.copy_of(f"file://{bucket}/runs/a")
    assert folder.is_relative_to(os.environ["XDG_CACHE_HOME"])
    assert addresses.address_of(folder) == f"file://{bucket}/runs/a"
    assert addresses.address_of(folder / "checkpoints").endswith("/runs/a/checkpoints")
    assert addresses.address_of(bucket) == ""
    assert addresses.copy_of("runs/a") == pathlib.Path("runs/a")
    assert buckets.here("hub:owner/name") == "hub:owner/name"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("gs://", "name a folder in a bucket"),
        ("gs://mine/../other", "name a folder in a bucket"),
        ("gs://mine/run[01]", "name a folder in a bucket"),
        ("gz://mine/run", "use gs:// or s3://"),
    ],
)
def test_an_address_that_means_nothing_is_refused(bucket, address, words):
    with pytest.raises(ValueError, match=words):
        addresses.copy_of(address)


def test_a_missing_package_is_named(bucket, monkeypatch):
    monkeypatch.setitem(sys.modules, "adlfs", None)
    with pytest.raises(ValueError, match=r"pip install 'jigsaw_shape\[buckets\]'"):
        addresses.copy_of("abfs://mine/run")


def test_another_machine_gets_what_was_stored(bucket, monkeypatch, tmp_path):
    address = f"file://{bucket}/run"
    folder = addresses.copy_of(address)
    _write(folder, **{"metrics.jsonl": "1\n", ".lock": ""})
    _checkpoint(folder, 10)
    _write(folder, **{"checkpoints__20.orbax-checkpoint-tmp__state": "part"})
    buckets.store(folder)
    whole = {"metrics.jsonl", "checkpoints/10/state/data", f"checkpoints/10/{COMPLETE}"}
    assert _names(bucket / "run") == whole | {".writer"}

    _elsewhere(monkeypatch, tmp_path)
    rows_alone = pathlib.Path(buckets.here(address, weights=False))
    assert _names(rows_alone) == {"metrics.jsonl"}
    assert _names(pathlib.Path(buckets.here(address))) == whole
    with pytest.raises(ValueError, match="nothing is there"):
        buckets.here(f"file://{bucket}/other")


def test_what_goes_here_goes_there_and_on_other_machines(bucket, monkeypatch, tmp_path):
    address, first = f"file://{bucket}/run", os.environ["XDG_CACHE_HOME"]
    folder = addresses.copy_of(address)
    _write(folder, **{"metrics.jsonl": "1\n", "failed.json": "{}"})
    _checkpoint(folder, 10)
    buckets.store(folder)
    _elsewhere(monkeypatch, tmp_path)
    other = pathlib.Path(buckets.here(address))

    monkeypatch.setenv("XDG_CACHE_HOME", first)
    _write(folder, **{"metrics.jsonl": "1\n2\n"})
    _checkpoint(folder, 20)
    (folder / "failed.json").unlink()
    for path in sorted((folder / "checkpoints/10").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    buckets.store(folder)
    assert _steps(bucket / "run") == {"20"}
    assert not (bucket / "run/failed.json").exists()

    _elsewhere(monkeypatch, tmp_path)
    buckets.fetch(other)
    assert (other / "metrics.jsonl").read_text() == "1\n2\n"
    assert not (other / "failed.json").exists()
    assert not (other / "checkpoints/10").exists()
    assert (other / "checkpoints/20/state/data").exists()


@pytest.mark.parametrize("failing", ["no attempt", "weights", "rows", "completing"])
def test_work_that_did_not_reach_the_bucket_stays(bucket, monkeypatch, failing):
    folder = addresses.copy_of(f"file://{bucket}/run")
    _write(folder, **{"metrics.jsonl": "1\n"})
    buckets.store(folder)
    _write(folder, **{"metrics.jsonl": "1\n2\n"})
    _checkpoint(folder, 20)
    if failing != "no attempt":
        _fail(monkeypatch, ("weights", "rows", "completing").index(failing))
        with pytest.raises(ConnectionError, match=r"all is in .*: no way to"):
            buckets.store(folder)
        monkeypatch.setattr(LocalFileSystem, "put", PUT)
    buckets.fetch(folder)
    buckets.fetch(folder.parent)
    assert (folder / "metrics.jsonl").read_text() == "1\n2\n"
    assert (folder / "checkpoints/20").exists()
    buckets.store(folder)
    assert (bucket / "run/metrics.jsonl").read_text() == "1\n2\n"


def test_what_another_machine_went_on_with_replaces_the_copy(
    bucket, monkeypatch, tmp_path
):
    address, first = f"file://{bucket}/run", os.environ["XDG_CACHE_HOME"]
    folder = addresses.copy_of(address)
    _write(folder, **{"metrics.jsonl": "1\n"})
    buckets.store(folder)
    _write(folder, **{"metrics.jsonl": "1\nlost\n"})
    _checkpoint(folder, 20, "lost")
    _elsewhere(monkeypatch, tmp_path)
    other = addresses.copy_of(address)
    with buckets.kept(other), buckets.storing(other):
        _write(other, **{"metrics.jsonl": "1\nother\n"})
        _checkpoint(other, 15)

    monkeypatch.setenv("XDG_CACHE_HOME", first)
    buckets.fetch(folder)
    assert (folder / "metrics.jsonl").read_text() == "1\nother\n"
    assert [p.name for p in (folder / "checkpoints").iterdir()] == ["15"]


def _fail(monkeypatch, after: int) -> list[list[str]]:
    """Makes storing fail after so many steps; returns where what was stored appears."""
    order = []

    def put(self, sources, targets):
        if len(order) == after:
            raise OSError("no way to the bucket")
        order.append([pathlib.Path(target).name for target in targets])
        PUT(self, sources, targets)

    monkeypatch.setattr(LocalFileSystem, "put", put)
    return order


def test_a_checkpoint_appears_whole_and_after_its_rows(bucket, monkeypatch, tmp_path):
    address = f"file://{bucket}/run"
    folder = addresses.copy_of(address)
    _write(folder, **{"metrics.jsonl": "1\n"})
    _checkpoint(folder, 10)
    order = _fail(monkeypatch, 2)
    with pytest.raises(ConnectionError):
        buckets.store(folder)
    assert order == [["data"], ["metrics.jsonl"]]
    monkeypatch.setattr(LocalFileSystem, "put", PUT)

    _elsewhere(monkeypatch, tmp_path)
    assert _names(pathlib.Path(buckets.here(address))) == {"metrics.jsonl"}
    # Where it was made it is stored by the next attempt; what goes first goes there.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.rmtree(folder / "checkpoints/10")
    _checkpoint(folder, 20)
    buckets.store(folder)
    assert _steps(bucket / "run") == {"20"}


@pytest.mark.parametrize("last", ["data", COMPLETE])
def test_a_step_that_goes_while_it_is_stored_leaves_the_others(
    bucket, monkeypatch, last
):
    folder = addresses.copy_of(f"file://{bucket}/run")
    _write(folder, **{"metrics.jsonl": "1\n"})
    for step in (10, 20):
        _checkpoint(folder, step)

    def put(self, sources, targets):
        if any("/10/" in source and source.endswith(last) for source in sources):
            shutil.rmtree(folder / "checkpoints/10")
        PUT(self, sources, targets)

    monkeypatch.setattr(LocalFileSystem, "put", put)
    buckets.store(folder)
    assert (bucket / "run/checkpoints/20" / COMPLETE).exists()
    assert not (bucket / "run/checkpoints/10" / COMPLETE).exists()
    buckets.store(folder)
    assert _steps(bucket / "run") == {"20"}


def test_a_run_that_is_deleted_in_the_bucket_is_gone(bucket, monkeypatch, tmp_path):
    address = f"file://{bucket}/runs"
    folder = addresses.copy_of(f"{address}/a")
    for name in ("a", "b"):
        _write(folder.parent / name, **{"metrics.jsonl": "1\n"})
        buckets.store(folder.parent / name)
    _elsewhere(monkeypatch, tmp_path)
    other = pathlib.Path(buckets.here(address))
    shutil.rmtree(bucket / "runs/a")
    for cache, runs in (("elsewhere", other), ("cache", folder.parent)):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache))
        buckets.fetch(runs)
        assert _names(runs) == {"b/metrics.jsonl"}
    with buckets.kept(folder), buckets.storing(folder):
        _write(folder, **{"metrics.jsonl": "anew\n"})
    assert (bucket / "runs/a/metrics.jsonl").read_text() == "anew\n"


def test_what_never_reached_the_bucket_outlives_what_is_deleted_there(bucket):
    folder = addresses.copy_of(f"file://{bucket}/run")
    _write(folder, **{"metrics.jsonl": "1\n"})
    buckets.store(folder)
    _checkpoint(folder, 20)
    shutil.rmtree(bucket / "run")
    buckets.fetch(folder)
    assert _steps(folder) == {"20"}


def test_files_of_others_stay_in_the_bucket(bucket):
    folder = addresses.copy_of(f"file://{bucket}/run")
    _write(folder, **{"metrics.jsonl": "1\n", "old.png": "pixels"})
    _checkpoint(folder, 10)
    buckets.store(folder)
    _write(bucket / "run", **{"notes.md": "mine"})
    (folder / "old.png").unlink()
    shutil.rmtree(folder / "checkpoints")
    buckets.complete(folder)
    assert _steps(bucket / "run") == {"10"}
    buckets.store(folder)
    assert _names(bucket / "run") == {".writer", "metrics.jsonl", "notes.md"}


def test_a_run_needs_a_folder_of_its_own(bucket, monkeypatch, tmp_path):
    folder = addresses.copy_of(f"file://{bucket}/runs/a")
    _write(folder, **{"metrics.jsonl": "1\n"})
    buckets.store(folder)
    with (
        pytest.raises(OSError, match="holds runs, such as a: name a folder of its own"),
        buckets.kept(folder.parent),
    ):
        pass


def test_a_run_below_a_run_is_its_own(bucket, monkeypatch, tmp_path):
    outer = addresses.copy_of(f"file://{bucket}/runs")
    _write(outer, **{"metrics.jsonl": "outer\n"})
    buckets.store(outer)
    _elsewhere(monkeypatch, tmp_path)
    inner = addresses.copy_of(f"file://{bucket}/runs/a")
    _write(inner, **{"metrics.jsonl": "inner\n"})
    buckets.store(inner)
    _write(inner, **{"metrics.jsonl": "inner\n2\n"})
    buckets.fetch(inner.parent)
    assert (inner.parent / "metrics.jsonl").read_text() == "outer\n"
    for name in ("metrics.jsonl", ".writer"):
        (bucket / "runs" / name).unlink()
    buckets.fetch(inner.parent)
    assert not (inner.parent / "metrics.jsonl").exists()
    assert (inner / "metrics.jsonl").read_text() == "inner\n2\n"
    buckets.store(inner)
    assert (bucket / "runs/a/metrics.jsonl").read_text() == "inner\n2\n"


def test_a_run_that_begins_elsewhere_and_is_refused_takes_nothing_over(
    bucket, monkeypatch, tmp_path
):
    folder, first = (
        addresses.copy_of(f"file://{bucket}/run"),
        os.environ["XDG_CACHE_HOME"],
    )
    with buckets.kept(folder), buckets.storing(folder):
        _write(folder, **{"metrics.jsonl": "1\n"})
        _elsewhere(monkeypatch, tmp_path)
        other = addresses.copy_of(f"file://{bucket}/run")
        with pytest.raises(SystemExit), buckets.kept(other):
            raise SystemExit(REFUSED)
        monkeypatch.setenv("XDG_CACHE_HOME", first)
    assert (bucket / "run/metrics.jsonl").read_text() == "1\n"

    # One that is not refused does, and the first says so.
    _elsewhere(monkeypatch, tmp_path)
    with buckets.kept(other), buckets.storing(other):
        _write(other, **{"metrics.jsonl": "1\nother\n"})
    monkeypatch.setenv("XDG_CACHE_HOME", first)
    with pytest.raises(OSError, match="stored from another machine now"):
        buckets.store(folder)
    assert (bucket / "run/metrics.jsonl").read_text() == "1\nother\n"


def test_a_run_that_was_uploaded_by_hand_is_read(bucket, monkeypatch, tmp_path):
    _write(bucket / "runs/a", **{"metrics.jsonl": "1\n"})
    _checkpoint(bucket / "runs/a", 10)
    runs = pathlib.Path(buckets.here(f"file://{bucket}/runs", weights=False))
    assert _names(runs) == {"a/metrics.jsonl"}
    assert _steps(pathlib.Path(buckets.here(f"file://{bucket}/runs/a"))) == {"10"}


def test_what_is_lost_in_the_bucket_is_stored_again(bucket):
    folder = addresses.copy_of(f"file://{bucket}/run")
    _write(folder, **{"metrics.jsonl": "1\n", "preview.png": "pixels"})
    buckets.store(folder)
    (bucket / "run/preview.png").unlink()
    buckets.store(folder)
    assert (bucket / "run/preview.png").read_text() == "pixels"


def test_a_part_of_a_copy_deletes_nothing_in_the_bucket(bucket, monkeypatch, tmp_path):
    address = f"file://{bucket}/run"
    folder = addresses.copy_of(address)
    _write(folder, **{"metrics.jsonl": "1\n"})
    _checkpoint(folder, 10)
    buckets.store(folder)
    _elsewhere(monkeypatch, tmp_path)
    part = pathlib.Path(buckets.here(address, weights=False))
    _write(part, **{"failed.json": "{}"})
    with pytest.raises(OSError, match="stored from another machine now"):
        buckets.store(part)
    buckets.complete(part)
    assert not (bucket / "run/failed.json").exists()
    buckets.put(part, ["failed.json", "log.txt"])
    assert (bucket / "run/failed.json").read_text() == "{}"
    (part / "failed.json").unlink()
    buckets.put(part, ["failed.json", "log.txt"])
    assert not (bucket / "run/failed.json").exists()
    assert _steps(bucket / "run") == {"10"}


def test_folders_that_consoles_make_are_no_files(bucket):
    (bucket / "runs").mkdir(parents=True)
    files = BucketFiles(f"file://{bucket}/runs", bucket, bucket / "notes")
    found = {f"{bucket}/runs/": {"size": 0}, f"{bucket}/runs": {"size": 0}}
    found[f"{bucket}/runs/a/"] = {"size": 0}
    files._files = types.SimpleNamespace(
        async_impl=True,
        invalidate_cache=lambda: None,
        find=lambda root, detail: found,
    )
    assert files.tokens() == {}
    (bucket / "file").write_text("text")
    with pytest.raises(OSError, match="it is a file: name its folder"):
        buckets.here(f"file://{bucket}/file")


def test_a_kept_run_is_stored_as_it_goes_on_and_left_alone(bucket, monkeypatch):
    monkeypatch.setattr(buckets, "_LOOK_EVERY_S", 0.01)
    folder = addresses.copy_of(f"file://{bucket}/run")
    with buckets.kept(folder), buckets.storing(folder):
        _write(folder, **{"metrics.jsonl": "1\n"})
        _checkpoint(folder, 10)
        for _ in range(60_000):
            if (bucket / "run/checkpoints/10" / COMPLETE).exists():
                break
            time.sleep(0.01)
        else:
            pytest.fail("the checkpoint was not stored in ten minutes")
        _write(bucket / "run", **{"metrics.jsonl": "older\n"})
        buckets.fetch(folder.parent)
        assert (folder / "metrics.jsonl").read_text() == "1\n"
        with pytest.raises(ValueError, match="in use"), buckets.kept(folder):
            pass
        _write(folder, **{"metrics.jsonl": "1\n2\n"})
    assert (bucket / "run/metrics.jsonl").read_text() == "1\n2\n"


def test_a_data_set_is_prepared_into_a_bucket_and_read_from_it(
    bucket, monkeypatch, tmp_path
):
    own = make_set(tmp_path / "own", ("day", "night"), ("car", "tree"))
    address = f"file://{bucket}/data"
    prepared_folders.prepare("mine", source_dir=own, data_dir=address)
    stored = bucket / "data/domain_folders/mine"
    assert any(name.endswith("dataset_info.json") for name in _names(stored))
    _elsewhere(monkeypatch, tmp_path)
    dataset = prepared_folders.load("mine", data_dir=address, auto_prepare=False)
    assert dataset.read(0).shape == (227, 227, 3)
    with pytest.raises(ValueError, match="not prepared"):
        prepared_folders.load("other", data_dir=address, auto_prepare=False)

    # A new one that is on its way is not taken for the old one.
    _write(own / "day/car", **{"more.png": "no image"})
    _fail(monkeypatch, 0)
    with pytest.raises(ConnectionError):
        prepared_folders.prepare(
            "mine", source_dir=own, data_dir=address, overwrite=True, skip_broken=True
        )
    monkeypatch.setattr(LocalFileSystem, "put", PUT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="is not complete"):
        prepared_folders.load("mine", data_dir=address)
    # It is completed where it was made.
    _elsewhere(monkeypatch, tmp_path)
    assert not prepared_folders.prepare("mine", data_dir=address).is_new
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert len(prepared_folders.load("mine", data_dir=address)) == len(dataset)


def _run(command: str, *arguments: str, cache: pathlib.Path):
    return subprocess.run(
        [sys.executable, "-m", f"jigsaw_shape.{command}", *arguments],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
    )


def test_a_benchmark_goes_on_elsewhere_and_is_reported(bucket, tmp_path):
    out = f"file://{bucket}/runs"
    flags = ["--config", "configs/shapes.py", "--presets", "erm", "--targets", "sketch"]
    flags += ["--config.data.n_per_class=4", "--config.epochs=1", "--out", out]
    first = _run("benchmark", *flags, "--seeds", "0", cache=tmp_path / "a")
    assert first.returncode == OK, first.stdout + first.stderr
    again = _run("benchmark", *flags, "--seeds", "0", cache=tmp_path / "b")
    assert f"1 run in {out}, 0 to do" in again.stdout

    (run,) = (bucket / "runs").iterdir()
    assert {"plan.json", "log.txt", "metrics.jsonl"} <= _names(run)
    report = _run("report", out, "--format", "csv", cache=tmp_path / "c")
    result = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    row = report.stdout.splitlines()[-1]
    assert f"{result['selection']},sketch,1,{result['target/accuracy']}" in row
    exported = ("--format", "safetensors", "--out", str(tmp_path / "exported"))
    model = ("--model", f"{out}/{run.name}")
    found = _run("export", *model, *exported, cache=tmp_path / "d")
    assert found.returncode == OK, found.stderr

    (bucket / "runs").rename(bucket / "gone")
    (bucket / "runs").write_text("no folder")
    train = ["--config", "configs/shapes.py:erm", "--workdir", f"{out}/x"]
    train += ["--config.data.n_per_class=4", "--config.epochs=1"]
    lost = _run("train", *train, cache=tmp_path / "e")
    assert lost.returncode == IO_FAILED, lost.stderr
    assert "/x cannot be read" in lost.stderr.splitlines()[-1]


@pytest.mark.parametrize("convert", [str, pathlib.Path])
def test_what_is_written_on_a_disk_refuses_an_address(convert, capsys):
    parser = make_parser("average", "Averages.")
    parser.add_argument("--out", type=convert)
    assert parser.parse_args(["--out", "a/b"]).out == convert("a/b")
    with pytest.raises(SystemExit):
        parser.parse_args(["--out", "gs://mine/soup"])
    assert "it is written on a disk" in capsys.readouterr().err


def test_several_processes_need_a_folder(bucket, monkeypatch, capsys):
    from jigsaw_shape import train

    monkeypatch.setattr(train.jax, "process_count", lambda: 2)
    with pytest.raises(SystemExit) as refused:
        train.main(
            ["train", "--config", "configs/shapes.py:erm", "--workdir", "file:///x/y"]
        )
    assert refused.value.code == REFUSED
    assert "one folder that all of them mount" in capsys.readouterr().err
