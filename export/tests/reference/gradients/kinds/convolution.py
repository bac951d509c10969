"""Convolution and its transpose."""

import torch
from torch.nn import functional as F

from inputs import Const


def cases(m):
    def conv(name, x, w, bias=False, pads=None, lopsided=None, **attributes):
        spatial = len(w) - 2
        stride, dilation = attributes.get("strides", 1), attributes.get("dilations", 1)
        groups = attributes.get("group", 1)
        before = (pads or [0] * 2 * spatial)[:spatial]
        after = (pads or [0] * 2 * spatial)[spatial:]
        if lopsided:
            before, after = lopsided
        around = [n for pair in reversed(list(zip(before, after))) for n in pair]
        function = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[spatial]
        given = [m.x(*x), m.x(*w)] + ([m.x(w[0])] if bias else [])
        if pads:
            attributes["pads"] = pads
        automatic = attributes.get("auto_pad", "")
        # The size of the kernel cannot be read from a weight of unknown sizes, unless the
        # weight is an initializer.
        reason = "the size of the kernel"
        m.case(f"Conv {name}", "Conv", given,
               lambda x, w, b=None: function(F.pad(x, around), w, b, stride, 0, dilation, groups),
               kind="float32", needs_sizes=reason, **attributes)
        m.case(f"Conv {name}, constant weight", "Conv", [given[0], Const(given[1])],
               lambda x, w: function(F.pad(x, around), w, None, stride, 0, dilation, groups),
               kind="float32", needs_sizes="bind" if automatic.startswith("SAME") else None,
               **attributes)

    conv("3×3", (2, 2, 4, 3), (3, 2, 3, 3), True)
    conv("3×3 padded", (1, 2, 3, 4), (2, 2, 3, 3), True, [1, 1, 1, 1])
    conv("padded unevenly", (1, 1, 4, 4), (2, 1, 3, 2), False, [0, 1, 2, 0])
    conv("padded more than the kernel", (1, 1, 2, 3), (1, 1, 2, 2), False, [2, 0, 0, 2])
    conv("1×1", (2, 3, 2, 2), (2, 3, 1, 1), True)
    conv("1×1 with strides", (1, 2, 3, 4), (3, 2, 1, 1), strides=[2, 2])
    conv("1×1 in groups", (1, 4, 2, 2), (2, 2, 1, 1), group=2)
    conv("with strides", (2, 2, 5, 6), (2, 2, 3, 3), True, [1, 1, 1, 1], strides=[2, 2])
    conv("with strides that leave a rest", (1, 1, 6, 7), (1, 1, 3, 2), strides=[2, 3])
    conv("dilated", (1, 2, 6, 5), (2, 2, 3, 2), False, [1, 0, 1, 0], dilations=[2, 3])
    conv("dilated with strides", (1, 1, 7, 6), (2, 1, 2, 2), strides=[2, 1], dilations=[2, 2])
    conv("in groups", (2, 4, 3, 3), (6, 2, 2, 2), True, group=2)
    conv("in groups with strides", (1, 4, 5, 5), (4, 2, 3, 3), False, [1, 1, 1, 1], group=2, strides=[2, 2])
    conv("of each channel", (2, 3, 4, 4), (3, 1, 3, 3), True, [1, 1, 1, 1], group=3)
    conv("of each channel with strides", (1, 2, 5, 5), (2, 1, 3, 3), False, [1, 1, 1, 1], group=2, strides=[2, 2])
    conv("of each channel, two each", (1, 2, 4, 3), (4, 1, 2, 2), group=2)
    conv("of patches", (2, 2, 4, 6), (3, 2, 2, 2), True, strides=[2, 2])
    conv("of patches that leave a rest", (1, 1, 5, 4), (2, 1, 2, 2), strides=[2, 2])
    conv("1-D", (2, 2, 5), (3, 2, 3), True, [1, 1])
    conv("1-D with strides and dilation", (2, 2, 8), (2, 2, 3), False, [2, 1], strides=[2], dilations=[2])
    conv("1-D patches", (2, 2, 6), (2, 2, 3), True, strides=[3])
    conv("3-D", (1, 1, 2, 3, 3), (2, 1, 2, 2, 2), True)
    conv("padded automatically above", (1, 1, 4, 5), (1, 1, 3, 3), lopsided=([0, 1], [1, 1]),
         auto_pad="SAME_UPPER", strides=[2, 2])
    conv("padded automatically below", (1, 1, 4, 5), (1, 1, 2, 3), lopsided=([1, 1], [0, 1]),
         auto_pad="SAME_LOWER", strides=[1, 2])
    conv("not padded", (1, 1, 4, 5), (1, 1, 2, 3), auto_pad="VALID")
    conv("of one element", (1, 1, 1, 1), (1, 1, 1, 1), True)

    def turned(name, x, w, bias=False, **attributes):
        spatial = len(w) - 2
        pads = attributes.get("pads", [0] * 2 * spatial)
        groups = attributes.get("group", 1)
        function = {1: F.conv_transpose1d, 2: F.conv_transpose2d}[spatial]
        given = [m.x(*x), Const(m.x(*w)) if name == "of a constant weight" else m.x(*w)]
        given += [m.x(w[1] * groups)] if bias else []
        reason = None if name == "of a constant weight" else "the size of the kernel"
        m.case(f"ConvTranspose {name}", "ConvTranspose", given,
               lambda x, w, b=None: function(
                   x, w, b, attributes.get("strides", 1), pads[:spatial],
                   attributes.get("output_padding", 0), groups, attributes.get("dilations", 1)),
               kind="float32", needs_sizes=reason, **attributes)

    turned("3×3", (2, 2, 2, 3), (2, 3, 3, 3), True)
    turned("of a constant weight", (1, 2, 2, 2), (2, 2, 2, 2))
    turned("with strides", (1, 2, 2, 3), (2, 2, 3, 3), True, strides=[2, 2], pads=[1, 1, 1, 1])
    turned("with strides and a rest", (1, 2, 2, 3), (2, 1, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1],
           output_padding=[1, 1])
    turned("dilated", (1, 1, 3, 2), (1, 2, 2, 2), dilations=[2, 3])
    turned("in groups", (1, 4, 2, 2), (4, 2, 2, 2), True, group=2)
    turned("of patches", (2, 2, 2, 2), (2, 2, 2, 2), strides=[2, 2])
    turned("1-D", (2, 2, 3), (2, 2, 3), True, strides=[2])
