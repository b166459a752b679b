import tensorflow as tf

from simsiam_tf.doctor import devices
from simsiam_tf.doctor.checks import Asked


def test_a_cpu_alone(monkeypatch):
    monkeypatch.setattr(devices, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(devices, "usable_cores", lambda: 1)
    assert (devices.devices(Asked()).state, devices.devices(Asked()).value) == ("pass", "1 CPU core, no GPU")


def test_a_gpu_that_tensorflow_does_not_see_is_warned_of(monkeypatch):
    monkeypatch.setattr(devices, "has_nvidia_gpu", lambda: True)
    outcome = devices.devices(Asked())
    assert outcome.state == "warn"
    assert "requirements-gpu.txt" in outcome.advice


def test_gpus_are_counted_by_name(monkeypatch):
    monkeypatch.setattr(devices, "usable_cores", lambda: 16)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a", "b"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"device_name": "Some GPU"})
    assert devices.devices(Asked()).value == "2 x Some GPU; 16 CPU cores"


def test_the_device_file_of_a_gpu_is_found(tmp_path):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidiactl").touch()
    assert not devices.has_nvidia_gpu(tmp_path)
    (tmp_path / "dev/nvidia0").touch()
    assert devices.has_nvidia_gpu(tmp_path)
