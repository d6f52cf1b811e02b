"""What every run shares: options, command line, run directory, loop, checkpoints, devices.

Knows nothing of networks, tasks, data or probes; every room may import it.
"""
