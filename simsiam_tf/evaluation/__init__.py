"""Evaluates runs of train.py: kNN, linear probes, fine-tuning, label-free diagnostics, a report and exports."""
