"""Compares a run's network with the untrained one and with others: the protocol did_it_help."""
