"""Faults that are made to happen to the commands, and what becomes of their work.

`make test-faults` runs all, which takes about an hour; `make test-slow` those that are marked `slow`. After each fault,
the same command must go on and end as an undisturbed one, and leave nothing half written.

- test_kills.py: kill -9 at random moments of each command. `SIMSIAM_TF_FAULTS_SEED` chooses other moments.
- test_signals.py: SIGTERM and Ctrl-C while a command starts, measures, saves or hangs.
- test_disks.py: each writer meets a full disk, and one that can only be read.
- test_machine.py: a clock that is set back, memory, a second run in a folder, a lost chief. A lost worker is in
  tests/e2e/test_replicas.py.

server.py starts the commands without the time that TensorFlow takes to load, and injected.py makes the faults inside
their processes.
"""
