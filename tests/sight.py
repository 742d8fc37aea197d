"""How colours look: contrast as WCAG measures it, and hues as the colour-blind see them."""

import numpy as np

#: What dichromats see of linear RGB, by the kind of cone they lack (Machado, Oliveira & Fernandes 2009,
#: severity 1.0).
DICHROMATS = {
    "red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def _linear(colour):
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    """Return the relative luminance of a colour (WCAG 2.2)."""
    return float(_XYZ[1] @ _linear(colour))


def contrast(one, other):
    """Return the contrast ratio of two colours (WCAG 2.2), 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lab(colour, lacking=None):
    """Return a colour in CIELAB (D65), as seen by those who lack a kind of cone, if one is named."""
    linear = _linear(colour)
    if lacking:
        linear = np.clip(np.array(DICHROMATS[lacking]) @ linear, 0, 1)
    t = _XYZ @ linear / _XYZ.sum(axis=1)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
