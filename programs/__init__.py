"""What the programs share: the run directory, its metrics, the devices, flags and error lines.

Knows nothing of networks, tasks, data or probes; every room may import it.
"""
