"""What a network learnt, shown without labels: the parts of `explore.py`.

Representations of a data set, and of two random views of a sample of it, by the network and by the
same network untrained become one page: nearest neighbours, a map, near-duplicates, outliers, scores
and a sentence. It stands on `evaluate/`, which extracts and compares representations.
"""
