"""The paper's numbers that could be verified, in per cent; all others are left blank.

Tables 1 and 2 of A. Kolesnikov, X. Zhai, L. Beyer, *Revisiting Self-Supervised Visual
Representation Learning*, CVPR 2019.
"""

# Top-1 on the paper's own validation images of ImageNet: by task, architecture, widening factor.
TABLE_1 = {
    ("rotation", "revnet50", 16): 53.7,
    ("relative_patch_location", "resnet50_v1", 8): 50.5,
}

# Top-1 on ImageNet's official validation images, SGD protocol: by task the architecture, widening
# factor, top-1, and the best result before the paper's.
TABLE_2 = {
    "rotation": ("revnet50", 16, 55.4, 38.7),
    "exemplar": ("resnet50_v1", 12, 46.0, 31.5),
    "relative_patch_location": ("resnet50_v1", 8, 51.4, 36.2),
    "jigsaw": ("resnet50_v1", 8, 44.6, 34.7),
}
