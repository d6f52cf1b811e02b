"""What the patch tasks make of images: patches cut, coloured and paired on the device.

Jigsaw and relative patch location (paper section 3.2) divide a crop into a grid of cells and take
one patch from each, at a random position in its cell, so that patches never touch: 255×255 pixels
give 3×3 cells of 85×85 and patches of 64×64, with gaps of up to 42 pixels between them. Patches are
numbered row by row; K is their number. All randomness comes as draws, one array per batch.
"""

import tensorflow as tf

from pretext.colour import grey, standardise

DRAWS = 3  # of `random_patches`, per patch: vertical offset, horizontal offset, grey


def check(crop_size: int, patch_size: int, patches_per_side: int) -> None:
    """Raises a ValueError unless random patches can be cut from crops of that size.

    The patches have to be smaller than their cells: patches that always touch can be located by
    the lines that continue across their borders.
    """
    cell = _cell(crop_size, patch_size, patches_per_side)
    if cell == patch_size:
        raise ValueError(
            f"patches of {patch_size} pixels fill their cells in a crop of {crop_size}, which "
            f"leaves no room for random gaps: the crop must have at least "
            f"{patches_per_side * (patch_size + 1)} pixels a side"
        )


def random_patches(
    images: tf.Tensor,
    draws: tf.Tensor,
    *,
    patches_per_side: int = 3,
    patch_size: int = 64,
    grey_probability: float = 2 / 3,
) -> tf.Tensor:
    """The patches that a network is trained on: cut at random, some grey, each standardised.

    Args:
        images: (N, S, S, 3) crops with values 0 … 255, uint8 or float.
        draws: (N, K · DRAWS) uniform draws from [0, 1): two offsets (see `cut`) and one for
            greyscale, for each patch.
        patches_per_side: of the grid; K is its square.
        patch_size: pixels a side.
        grey_probability: of converting a patch to greyscale.

    Returns:
        (N, K, patch_size, patch_size, 3) float32.

    Raises:
        ValueError: if the patches do not fit.
    """
    draws = tf.reshape(draws, (-1, patches_per_side**2, DRAWS))
    grid = {"patches_per_side": patches_per_side, "patch_size": patch_size}
    patches = cut(images, draws[..., :2], **grid)
    return standardise(grey(patches, draws[..., 2], grey_probability))


def regular_patches(
    images: tf.Tensor, *, patches_per_side: int = 3, patch_size: int = 64
) -> tf.Tensor:
    """The patches that represent an image (section 3.3): centred in their cells, in colour.

    Takes (N, H, W, 3) with values 0 … 255 and returns (N, K, patch_size, patch_size, 3) float32,
    each patch standardised; raises a ValueError if the patches do not fit.
    """
    return standardise(
        cut_regular(images, patches_per_side=patches_per_side, patch_size=patch_size)
    )


def cut(
    images: tf.Tensor, offsets: tf.Tensor, *, patches_per_side: int, patch_size: int
) -> tf.Tensor:
    """Cuts one patch from every cell, at a random position.

    A cell has S // patches_per_side pixels a side; what is left of S lies at the right and at the
    bottom and is not used. A draw u puts the patch floor(u · (cell − patch_size + 1)) pixels from
    its cell's top or left: all whole offsets from 0 to cell − patch_size are equally likely.

    Args:
        images: (N, S, S, 3) of any dtype. Cut uint8 and widen afterwards: that moves fewer bytes.
        offsets: (N, K, 2) uniform draws from [0, 1), vertical and horizontal.
        patches_per_side: of the grid; K is its square.
        patch_size: pixels a side.

    Returns:
        (N, K, patch_size, patch_size, 3) of the images' dtype.

    Raises:
        ValueError: if the patches do not fit, or the images are not square.
    """
    height, width = images.shape[1:3]
    if height is None or height != width:
        raise ValueError(f"patches are cut from square images, got shape {images.shape}")
    check(height, patch_size, patches_per_side)
    cell = height // patches_per_side
    room = cell - patch_size
    # The cast cuts towards 0; a draw so close to 1 that its product is rounded up still fits.
    shifts = tf.minimum(tf.cast(offsets * (room + 1), tf.int32), room)
    corners = tf.constant(
        [(y * cell, x * cell) for y in range(patches_per_side) for x in range(patches_per_side)]
    )
    origins = shifts + corners
    rows, columns = (origins[..., axis, None] + tf.range(patch_size) for axis in (0, 1))
    pixels = rows[..., :, None] * width + columns[..., None, :]
    # One gather of whole pixels: the fastest of the ways measured, plain and compiled.
    flat = tf.reshape(images, (-1, height * width, images.shape[3]))
    return tf.gather(flat, pixels, axis=1, batch_dims=1)


def cut_regular(images: tf.Tensor, *, patches_per_side: int, patch_size: int) -> tf.Tensor:
    """Cuts the patch in the middle of every cell.

    From an image of exactly patches_per_side · patch_size pixels, such as 192×192 with 3×3 patches
    of 64×64 in evaluation, these are its tiles.

    Args:
        images: (N, H, W, 3) of any dtype; H and W may be known at run time only.
        patches_per_side: of the grid; K is its square.
        patch_size: pixels a side.

    Returns:
        (N, K, patch_size, patch_size, 3) of the images' dtype.

    Raises:
        ValueError: if the patches do not fit; tf.errors.InvalidArgumentError at run time.
    """
    starts = []
    for axis in (1, 2):
        size = images.shape[axis]
        if size is None:
            size = tf.shape(images)[axis]
            smallest = patch_size * patches_per_side
            message = f"the image is smaller than the {smallest} pixels that its patches need"
            tf.debugging.assert_greater_equal(size, smallest, message)
            cell = size // patches_per_side
        else:
            cell = _cell(size, patch_size, patches_per_side)
        starts.append([i * cell + (cell - patch_size) // 2 for i in range(patches_per_side)])
    patches = [
        images[:, y : y + patch_size, x : x + patch_size] for y in starts[0] for x in starts[1]
    ]
    shape = (-1, len(patches), patch_size, patch_size, images.shape[3])
    return tf.reshape(tf.stack(patches, axis=1), shape)


def by_image(representations: dict[str, tf.Tensor], patches: int) -> dict[str, tf.Tensor]:
    """Gives the patches of every image an axis of their own, in every layer.

    Takes a dict of (N · patches, …), the patches of an image one after the other, and returns a
    dict of (N, patches, …).
    """
    return {
        name: tf.reshape(value, (-1, patches, *value.shape[1:]))
        for name, value in representations.items()
    }


def average(representations: dict[str, tf.Tensor], patches: int) -> dict[str, tf.Tensor]:
    """As `by_image`, with the patches averaged: a dict of (N, …)."""
    separate = by_image(representations, patches)
    return {name: tf.reduce_mean(value, axis=1) for name, value in separate.items()}


def concatenate_permuted(embeddings: tf.Tensor, permutations: tf.Tensor) -> tf.Tensor:
    """Concatenates the embeddings of an image's patches in the order of each permutation.

    As in the released code, the patch is the fastest index: value c · K + p is channel c of the
    patch that the permutation puts in position p.

    Args:
        embeddings: (N, K, C), one for each patch.
        permutations: (N, P, K) integers 0 … K − 1, the P permutations of each image.

    Returns:
        (N, P, C · K).
    """
    ordered = tf.gather(embeddings, permutations, axis=1, batch_dims=1)  # (N, P, K, C)
    ordered = tf.transpose(ordered, (0, 1, 3, 2))
    positions, channels = permutations.shape[-1], embeddings.shape[-1]
    return tf.reshape(ordered, (-1, permutations.shape[1], channels * positions))


def pairs(embeddings: tf.Tensor) -> tf.Tensor:
    """Pairs every outer patch with the centre one, in the order of the outer patches.

    As in `concatenate_permuted`, and in the released code, the patch is the fastest index: value 2c
    is channel c of the outer patch, 2c + 1 that of the centre.

    Takes (N, K, C) and returns (N, K − 1, 2C); raises a ValueError if K has no centre.
    """
    patches, channels = embeddings.shape[1:]
    check_centre(patches)
    centre = patches // 2
    outer = tf.concat([embeddings[:, :centre], embeddings[:, centre + 1 :]], axis=1)
    centres = tf.broadcast_to(embeddings[:, centre, None], tf.shape(outer))
    return tf.reshape(tf.stack([outer, centres], axis=-1), (-1, patches - 1, 2 * channels))


def check_centre(patches: int) -> None:
    """Raises a ValueError unless the grid has a patch in its centre."""
    if patches % 2 == 0:
        raise ValueError(
            f"relative patch location needs a patch in the centre: patches per side must be odd, "
            f"but the grid has {patches} patches: give an odd --patches_per_side"
        )


def _cell(size: int, patch_size: int, patches_per_side: int) -> int:
    """The side of a cell; a ValueError if patches do not fit."""
    if patches_per_side < 2:
        raise ValueError(f"patches per side must be at least 2, got {patches_per_side}")
    if patch_size < 1:
        raise ValueError(f"the patch size must be at least 1 pixel, got {patch_size}")
    if patch_size * patches_per_side > size:
        raise ValueError(
            f"{patches_per_side}×{patches_per_side} patches of {patch_size} pixels need at least "
            f"{patches_per_side * patch_size} pixels a side, got {size}: give a larger --crop_size "
            "or smaller patches, --patch_size"
        )
    return size // patches_per_side
