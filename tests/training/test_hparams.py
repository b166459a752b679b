"""TensorBoard finds the settings of a run, once, with the curves that it is to be compared by.

test_tracking.py reads those of a run that was resumed.
"""

import os

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata

from simsiam_tf.training import hparams
from simsiam_tf.training.metrics_log import MetricsLog
from simsiam_tf.training.workdir import Workdir


def read(folder):
    """The settings, the names of the curves to compare by, the trial, and the names of all curves that were written."""
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    content = events.SummaryMetadata
    experiment = metadata.parse_experiment_plugin_data(content(metadata.EXPERIMENT_TAG).plugin_data.content)
    start = metadata.parse_session_start_info_plugin_data(content(metadata.SESSION_START_INFO_TAG).plugin_data.content)
    times = len(events.Tensors(metadata.SESSION_START_INFO_TAG)), len(events.Tensors(metadata.EXPERIMENT_TAG))
    assert times == (1, 1)
    values = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    return values, experiment, start.group_name, set(events.Tags()["tensors"])


def test_a_run_has_its_settings_and_the_curves_that_are_named(tiny_run):
    values, experiment, trial, written = read(tiny_run)
    assert values["base_learning_rate"] == 0.05
    assert values["method"] == "simsiam"
    assert values["epochs"] == 2 and values["stop_gradient"] is True
    assert values["recipe"] == "custom"
    assert "workdir" not in values and "temperature" not in values
    named = {metric.name.tag for metric in experiment.metric_infos}
    assert named == set(hparams.OF_TRAINING) <= written
    assert set(values) <= {info.name for info in experiment.hparam_infos}
    assert trial.endswith("tiny")
    shown = {info.name for info in experiment.hparam_infos if info.differs}
    assert shown == {"method", "base_learning_rate", "global_batch_size", "epochs", "seed"}
    types = {info.name: info.type for info in experiment.hparam_infos}
    number, text, truth, unset = (
        api_pb2.DataType.Value(f"DATA_TYPE_{n}") for n in ("FLOAT64", "STRING", "BOOL", "UNSET")
    )
    assert [types[n] for n in ("epochs", "base_learning_rate", "stop_gradient", "temperature")] == [
        number,
        number,
        truth,
        unset,
    ]
    assert types["method"] == types["recipe"] == text


def test_a_run_of_transfer_has_its_settings_and_curves(tiny_transfer):
    values, experiment, _, written = read(tiny_transfer)
    assert values["steps"] == 2 and values["anchor_sizes"] == "16.0,32.0"
    assert {metric.name.tag for metric in experiment.metric_infos} <= written | {"mask_ap"}
    shown = {info.name for info in experiment.hparam_infos if info.differs}
    assert shown == {"backbone", "learning_rate", "global_batch_size", "steps", "seed"}


def test_names_that_are_not_utf8_and_several_values_are_texts(tmp_path):
    log = MetricsLog(Workdir(tmp_path), steps_per_epoch=1)
    settings = {"data_dir": os.fsdecode(b"/\xff"), "blur_p": (1.0, 0.1), "temperature": None, "epochs": 3}
    log.write_settings(settings, {"loss": "loss"})
    values, experiment, _, _ = read(tmp_path)
    assert values == {"data_dir": "/\\udcff", "blur_p": "1.0,0.1", "epochs": 3.0}
    assert len(experiment.hparam_infos) == 4
