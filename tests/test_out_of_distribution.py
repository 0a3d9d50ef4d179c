"""Sets of model-vs-human as they are downloaded, and the ranks of its benchmark."""

import csv

import numpy as np
import pytest
from PIL import Image
from test_evaluate import _run

from jigsaw_shape.data import decisions, out_of_distribution
from jigsaw_shape.data.decisions import COLUMNS, Decisions
from jigsaw_shape.measures import error_consistency
from jigsaw_shape.suites import consistency

# Published names, of the sets contrast and sketch.
CONTRAST = [
    "0001_cop_dnn_c30_knife_10_n03041632_7380.png",
    "0002_cop_dnn_c100_bicycle_10_n03792782_7380.png",
    "0003_cop_dnn_c01_bird_10_n01601694_10802.png",
    "0004_cop_dnn_c30_bird_10_n01601694_9759.png",
]
SKETCH = [
    "0001_ske_dnn_0_boat_00_boat-0068-sketch-23.png",
    "0002_ske_dnn_0_dog_00_dog-4581-sketch-16.png",
]


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two sets in their folders, and decisions of three observers beside them."""
    root = tmp_path_factory.mktemp("ood")
    for name, images in (("contrast", CONTRAST), ("sketch", SKETCH)):
        folder = root / "datasets" / name / "dnn" / "session-1"
        folder.mkdir(parents=True)
        for n, image in enumerate(images):
            Image.new("RGB", (8, 8), (40 * n,) * 3).save(folder / image)
        for subject, n_right in (("subject-01", 9), ("subject-02", 1), ("net", 0)):
            path = root / "raw-data" / name / f"{name}_{subject}_session_1.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(c.replace("session", "Session") for c in COLUMNS)
                for n, image in enumerate(images):
                    seen = image.replace("dnn", "s01")
                    _, _, _, condition, category, *_ = image.split("_")
                    answer = category if n < n_right else "na"
                    row = (subject, 1, n, 0.5, answer, category, condition, seen)
                    writer.writerow(row)
    return root


def test_images_have_their_category_and_condition(sets):
    folder = sets / "datasets" / "contrast"
    assert out_of_distribution.is_set(folder)
    found = out_of_distribution.read_folder(folder)
    assert found.experiment == "contrast"
    assert found.category.tolist() == ["knife", "bicycle", "bird", "bird"]
    assert found.condition.tolist() == ["c30", "c100", "c01", "c30"]
    assert found.images[0] == "n03041632_7380.png"  # 7380.png alone is there twice
    assert found.subset(np.array([2])).condition.tolist() == ["c01"]


def test_a_folder_of_categories_is_no_such_set(tmp_path):
    (tmp_path / "sketch" / "dog").mkdir(parents=True)
    assert not out_of_distribution.is_set(tmp_path / "sketch")


def test_names_that_say_nothing_are_refused(tmp_path):
    folder = tmp_path / "sketch" / "dnn" / "session-1"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "dog.png")
    with pytest.raises(ValueError, match="does not say the category"):
        out_of_distribution.read_folder(tmp_path / "sketch")


def test_observers_saw_the_same_images(sets):
    found = decisions.read_observers(sets / "raw-data")
    assert {one.experiment for one in found} == {"contrast", "sketch"}
    images = out_of_distribution.read_folder(sets / "datasets" / "contrast").images
    for one in found:
        if one.experiment == "contrast":
            assert one.on(images).images == images


def test_likeness_is_a_mean_over_conditions_then_humans():
    rng = np.random.default_rng(0)
    own, others = rng.random(40) < 0.6, rng.random((3, 40)) < 0.7
    condition = np.array(["a", "b"])[np.arange(40) // 12 % 2]
    found = error_consistency.likeness(own, others, condition)
    by_human = []
    for other in others:
        by_condition = []
        for name in ("a", "b"):
            a, b = own[condition == name], other[condition == name]
            agree = (a == b).mean()
            expected = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
            kappa = (agree - expected) / (1 - expected)
            by_condition.append(((a.mean() - b.mean()) ** 2, agree, kappa))
        by_human.append(np.mean(by_condition, 0))
    expected = np.mean(by_human, 0)
    names = ("accuracy_difference", "observed_consistency", "mean_error_consistency")
    np.testing.assert_allclose([found[name] for name in names], expected)
    assert found["counted_accuracy"] == own.mean()


def _decided(observer, kind, right):
    category = np.array(["cat"] * len(right))
    response = np.where(right, "cat", "dog")
    names = tuple(f"{n}.png" for n in range(len(right)))
    return Decisions(observer, kind, "contrast", names, category, response)


def test_undistorted_images_are_not_counted():
    right = np.array([1, 1, 0, 0, 1, 0], bool)
    humans = [_decided(f"subject-{n}", "human", right) for n in range(2)]
    same = _decided("same", "model", right)
    condition = np.array(["c100", "c30", "c30", "c50", "c50", "c01"])
    rows = list(consistency.likeness_rows([same], humans, condition))
    assert [row["model"] for row in rows] == ["humans", "same"]
    assert all(row["n"] == 4 for row in rows)
    assert rows[1]["accuracy_difference"] == 0
    assert rows[1]["observed_consistency"] == rows[1]["mean_error_consistency"] == 1


def test_ranks_are_means_of_three_over_all_sets():
    def row(model, data, difference, observed, kappa):
        return {
            "model": model,
            "data": data,
            "condition": data,
            "accuracy_difference": difference,
            "observed_consistency": observed,
            "mean_error_consistency": kappa,
            "counted_accuracy": 0.5,
        }

    rows = [
        *(row("near", data, 0.01, 0.8, 0.3) for data in "ab"),
        *(row("far", data, 0.09, 0.6, 0.3) for data in "ab"),
        row("half", "a", 0.0, 1.0, 1.0),
    ]
    (table,) = consistency.ranks(rows)
    lines = [[cell.text for cell in line] for line in table.body]
    assert [line[0] for line in lines] == ["near", "far"]  # half answered one set
    assert [line[-1] for line in lines] == ["1.17", "1.83"]  # (1 + 1 + 1.5) / 3
    assert table.title.endswith("a mean over a, b")


def test_the_command_ranks_models_among_networks(sets, tmp_path, capsys):
    found = out_of_distribution.read_folder(sets / "datasets" / "contrast")
    lines = [f"{i},{c}\n" for i, c in zip(found.images, found.category, strict=True)]
    answers = tmp_path / "mine.csv"
    answers.write_text("image,decision\n" + "".join(lines))
    code, printed = _run(
        capsys,
        *("--predictions", answers, "--suite", "experiments"),
        *("--data", sets / "datasets" / "contrast"),
        *("--observers", sets / "raw-data", "--out", tmp_path / "out"),
    )
    assert code == 0, printed.err
    assert "Likeness to humans, a mean over contrast" in printed.out
    code, printed = _run(
        capsys,
        *("--predictions", answers, "--suite", "experiments"),
        *("--data", sets / "datasets", "--out", tmp_path / "both"),
    )
    assert "--data names 2" in printed.err  # a folder of sets stands for all
