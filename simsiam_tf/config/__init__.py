"""Every setting, as frozen dataclasses that are checked when they are made. Nothing here imports TensorFlow."""
