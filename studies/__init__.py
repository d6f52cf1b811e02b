"""The study: plans of many runs, running them, and the paper's tables and figures out of them.

Starts `train.py` and `eval.py` as programs and reads the files that they leave; imports neither
TensorFlow nor any other room but `programs`, so that a report takes seconds.
"""
