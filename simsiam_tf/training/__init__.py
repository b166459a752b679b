"""Pre-trains a model: the training loop, its checkpoints, and the folder of a run."""
