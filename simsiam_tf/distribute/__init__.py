"""Devices: the strategy of a run, its input, communication between replicas and workers, and XLA."""
