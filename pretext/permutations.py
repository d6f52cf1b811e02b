"""The permutations that jigsaw classifies (paper, section 3.2; Noroozi & Favaro 2016).

The study uses the published file of 100 permutations of nine patches. They are chosen greedily:
start from a random permutation and add, again and again, the one with the largest mean Hamming
distance to those chosen so far. The same procedure, from a seed, gives sets with the file's
statistics: two permutations differ in 8.08 of the 9 positions on average, and in at least 2.
"""

import itertools
import math

import numpy as np
import tensorflow as tf

from training import regular_files

LARGEST_ENUMERATED_SIZE = 9  # 9! = 362 880 permutations; 10! would take ten times the memory.
CANDIDATES_OF_LARGER_SIZES = 200_000


def generate(count: int = 100, size: int = 9, seed: int = 0) -> np.ndarray:
    """Chooses `count` permutations of `size` patches by greedy maximal mean Hamming distance.

    Among equally distant candidates the first in lexicographic order is taken; at random (ties
    broken by the seed) the minimum would be 3 for some seeds, not the published 2. The seed chooses
    the first permutation and the order of the positions, which changes no distance. Candidates are
    all permutations up to nine patches, beyond that 200 000 random ones. The result depends on
    nothing but the arguments: all is integer arithmetic on the raw output of PCG64, which NumPy
    keeps stable.

    Returns:
        (count, size) int32, every row a permutation of 0 … size − 1, all different.

    Raises:
        ValueError: if count, size or seed is out of range, also when fewer than `count`
            permutations exist.
    """
    if size < 2:
        raise ValueError(f"a permutation needs at least 2 patches, got {size}")
    if count < 2:
        raise ValueError(f"telling permutations apart needs at least 2 of them, got {count}")
    if seed < 0:
        raise ValueError(f"the seed of the permutations must not be negative, got {seed}")
    if size <= LARGEST_ENUMERATED_SIZE and count > math.factorial(size):
        raise ValueError(
            f"{size} patches have only {math.factorial(size)} permutations, {count} were asked for"
        )
    if count > CANDIDATES_OF_LARGER_SIZES:
        raise ValueError(f"at most {CANDIDATES_OF_LARGER_SIZES} permutations, got {count}")

    random = np.random.PCG64(seed)
    candidates = _candidates(size, random)
    positions = np.ascontiguousarray(candidates.T)  # long rows: three times as fast to compare
    chosen = [int(random.random_raw() % len(candidates))]
    distance = np.zeros(len(candidates), np.int32)  # the sum over the chosen ones
    for _ in range(count - 1):
        distance += (positions != positions[:, chosen[-1:]]).sum(axis=0, dtype=np.int32)
        distance[chosen] = -1  # never again
        chosen.append(int(distance.argmax()))
    order = random.random_raw(size).argsort(kind="stable")
    return candidates[chosen][:, order].astype(np.int32)


def hamming_statistics(permutations: np.ndarray) -> tuple[int, float]:
    """The minimum and the mean Hamming distance between two different rows of (count, size)."""
    distances = [
        (permutations[i + 1 :] != permutations[i]).sum(axis=1) for i in range(len(permutations) - 1)
    ]
    distances = np.concatenate(distances)
    return int(distances.min()), float(distances.mean())


def read_file(path: str) -> np.ndarray:
    """Reads permutations in the binary format in which those of Noroozi & Favaro are published.

    The file is a row of little-endian int32: the number of permutations, their size, then the
    permutations one after the other, counting patches from 1. `path` may be on any file system that
    TensorFlow knows, such as gs://.

    Returns:
        (count, size) int32, counting patches from 0.

    Raises:
        ValueError: if there is no such file or it does not hold different permutations.
    """
    regular_files.check(path)
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            content = file.read()
    except tf.errors.OpError as error:
        raise ValueError(f"cannot read the permutations file {path}: {error.message}") from None
    if len(content) < 8 or len(content) % 4:
        raise ValueError(
            f"{path} is not a permutations file: {len(content)} bytes are not an int32 table"
        )
    values = np.frombuffer(content, "<i4")
    count, size = (int(value) for value in values[:2])
    if count < 2 or size < 2 or len(values) != 2 + count * size:
        raise ValueError(
            f"{path} is not a permutations file: its header says {count} permutations of {size} "
            f"patches, but {len(values) - 2} numbers follow"
        )
    permutations = values[2:].reshape(count, size).astype(np.int32) - 1
    wrong = (np.sort(permutations, axis=1) != np.arange(size)).any(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"{path}: row {row + 1} is not a permutation of 1 … {size}")
    if len(np.unique(permutations, axis=0)) < count:
        raise ValueError(f"{path}: some of its {count} permutations are the same")
    return permutations


def _candidates(size: int, random: np.random.PCG64) -> np.ndarray:
    """All permutations in lexicographic order, or different random ones where those are too many"""
    if size <= LARGEST_ENUMERATED_SIZE:
        flat = itertools.chain.from_iterable(itertools.permutations(range(size)))
        return np.fromiter(flat, np.int8, math.factorial(size) * size).reshape(-1, size)
    keys = random.random_raw(CANDIDATES_OF_LARGER_SIZES * size).reshape(-1, size)
    return np.unique(keys.argsort(axis=1, kind="stable").astype(np.int16), axis=0)
