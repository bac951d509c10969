"""Writes colours.json: pixels changed by the formulas of torchvision's adjust_brightness,
adjust_contrast and adjust_saturation in floating point, and by Python's colorsys for the hue.

Needs Python 3 and NumPy. Run it in this folder.
"""
import colorsys
import json

import numpy as np

GREY = np.array([0.299, 0.587, 0.114])
random = np.random.default_rng(1)
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
json.dump(dict(pixels=pixels.ravel().tolist(), cases=cases), open("colours.json", "w"),
          separators=(",", ":"))
