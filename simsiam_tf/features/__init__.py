"""Computes, stores, searches and measures features: the outputs of a backbone. Nothing here depends on a run."""
