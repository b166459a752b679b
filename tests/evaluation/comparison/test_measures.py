import numpy as np
import pytest

from simsiam_tf.config.evaluation import ProbeConfig
from simsiam_tf.data.sources import memory_source
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.comparison.measures import LabelledTask, probe_settings


def with_training_images(run, count, classes):
    labels = np.arange(count) % classes
    run.__dict__["labelled_source"] = memory_source("made", np.zeros((count, 4, 4, 3), np.uint8), labels, classes)
    return run


@pytest.mark.parametrize(
    ("count", "classes", "left_out"),
    [
        (400, 2, {}),
        (
            200,
            2,
            {
                "probe_1pct": "1 % of 200 images are one image of each class, and the probe holds out one of two to "
                "choose its settings"
            },
        ),
        (
            199,
            2,
            dict.fromkeys(
                ["knn_1pct", "probe_1pct"], "1 % of 199 images are fewer than one image of each of 2 classes"
            ),
        ),
        (
            30,
            10,
            {
                f"{kind}_{share}pct": f"{share} % of 30 images are fewer than one image of each of 10 classes"
                for kind in ("knn", "probe")
                for share in (1, 10)
            },
        ),
    ],
)
def test_what_lacks_images_is_left_out_with_its_reason(run, count, classes, left_out):
    task = LabelledTask.from_run(with_training_images(run, count, classes))
    assert {measure.name: reason for measure, reason in task.left_out.items()} == left_out
    names = {f"{kind}_{share}pct" for kind in ("knn", "probe") for share in (1, 10, 100)}
    assert {measure.name for measure in task.measures} == names - set(left_out)


def test_subsets_have_as_many_of_each_class_and_are_always_the_same(run):
    tasks = [LabelledTask.from_run(with_training_images(run, 1000, 5)) for _ in range(2)]
    for fraction, of_each in ((0.01, 2), (0.1, 20), (1.0, 200)):
        first, second = (task.subsets[fraction] for task in tasks)
        np.testing.assert_array_equal(np.bincount(first % 5), [of_each] * 5)
        np.testing.assert_array_equal(first, second)


def test_the_measures_that_decide_are_the_probes_and_knn_with_all_labels(run):
    task = LabelledTask.from_run(with_training_images(run, 1000, 5))
    deciding = [measure.name for measure in task.measures if measure.decides]
    assert deciding == ["knn_100pct", "probe_1pct", "probe_10pct", "probe_100pct"]


def test_without_labels_there_is_no_task(run):
    run.__dict__["labelled_source"] = None
    with pytest.raises(UsageError, match="A comparison by labels needs a training split and a test split with labels"):
        LabelledTask.from_run(run)


@pytest.mark.parametrize(("given", "batches"), [(0, [32, 102, 0]), (4096, [41, 410, 4096]), (64, [32, 32, 64])])
def test_the_batch_shrinks_with_the_labels(given, batches):
    config = ProbeConfig(probe_batch_size=given, probe_epochs=7)
    settings = [probe_settings(config, fraction) for fraction in (0.01, 0.1, 1.0)]
    assert [one.probe_batch_size for one in settings] == batches
    assert {one.probe_epochs for one in settings} == {7}
