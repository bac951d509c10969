"""Writes the references of the views of images. Needs Python 3, NumPy and PyTorch. Run it in
this folder.

colours.json: pixels changed by the formulas of torchvision's adjust_brightness,
adjust_contrast and adjust_saturation in floating point, and by Python's colorsys for the hue.

maps.json: images sampled by PyTorch's grid_sample (bilinear, border) at the places of affine
maps from the view's pixels to the image's.
"""
import colorsys
import json

import numpy as np
import torch

GREY = np.array([0.299, 0.587, 0.114])


def write(name, content):
    json.dump(content, open(name, "w"), separators=(",", ":"))


def colours(random):
    pixels = random.integers(0, 256, (120, 3))
    pixels[:6] = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]
    cases = []
    for brightness, contrast, saturation, hue in [
        (1, 1, 1, 0), (0.4, 1, 1, 0), (1.7, 1, 1, 0), (1, 0.3, 1, 0), (1, 1.6, 1, 0),
        (1, 1, 0, 0), (1, 1, 1.8, 0), (1, 1, 1, 0.1), (1, 1, 1, -0.2), (1, 1, 1, 0.5),
        (1.2, 0.7, 1.4, 0.15), (0.6, 1.5, 0.5, -0.45),
    ]:
        p = pixels * float(brightness)
        p = contrast * p + (1 - contrast) * (p @ GREY).mean()
        p = saturation * p + (1 - saturation) * (p @ GREY)[:, None]
        p = np.clip(p, 0, 255)
        if hue:
            hsv = [colorsys.rgb_to_hsv(*(v / 255)) for v in p]
            p = np.array([colorsys.hsv_to_rgb((h + hue) % 1, s, v) for h, s, v in hsv]) * 255
        expected = np.floor(p + 0.5).astype(int)
        cases.append(dict(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue,
                          expected=expected.ravel().tolist()))
    write("colours.json", dict(pixels=pixels.ravel().tolist(), cases=cases))


def maps(random):
    cases = []
    for channels, (height, width), (rows, columns), matrix in [
        (1, (9, 11), (7, 8), [1.1, 0, 0.7, 0, 0.9, 1.3]),
        (3, (8, 6), (10, 9), [-0.5, 0, 5.1, 0, 0.6, 0.4]),
        (1, (12, 12), (9, 9), [0.9, 0.4, -0.3, -0.35, 1.2, 2.1]),
        (3, (12, 10), (8, 8), [0.2, -1.1, 9.0, 0.8, 0.3, -1.0]),
        (3, (10, 13), (6, 7), [1.7, 0.3, -4.0, -0.2, 1.6, 5.0]),
    ]:
        image = random.integers(0, 256, (height, width, channels))
        u, v = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
        x = matrix[0] * u + matrix[1] * v + matrix[2]
        y = matrix[3] * u + matrix[4] * v + matrix[5]
        grid = torch.tensor(np.stack([2 * x / width - 1, 2 * y / height - 1], -1))[None]
        source = torch.tensor(image, dtype=torch.float64).permute(2, 0, 1)[None]
        view = torch.nn.functional.grid_sample(source, grid, mode="bilinear",
                                               padding_mode="border", align_corners=False)
        view = view[0].permute(1, 2, 0).numpy()
        cases.append(dict(height=height, width=width, channels=channels, rows=rows,
                          columns=columns, map=matrix, image=image.ravel().tolist(),
                          expected=[round(value, 3) for value in view.ravel().tolist()]))
    write("maps.json", cases)


colours(np.random.default_rng(1))
maps(np.random.default_rng(2))
