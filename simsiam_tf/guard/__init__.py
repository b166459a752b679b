"""Judges how a run is doing, and says what may be wrong with it."""
