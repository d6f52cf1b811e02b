"""How weights are updated, in pretraining and in probes: momentum, and the learning rate by step.

Knows nothing of networks, tasks, data or probes; every room may import it.
"""
