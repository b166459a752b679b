"""Inspects a data set before a run: what is left out, sizes and values, duplicates, and odd images."""
