#!/usr/bin/env bash
# Pillow 13.0.0 (imagecodecs 2026.3.6 to encode and beside it, numpy 2.4.6)
#
# Behaviour: a grey JPEG 2000 of 10 or 12 bits opens in mode I;16 with its values moved up to fill
#   16 bits: 12 bits times 16, 10 bits times 64. Signed samples open as unsigned, with half the
#   range added. Neither the mode nor `info` tells the depth or the sign, so the numbers cannot
#   be put back. 8 and 16 bits unsigned open as they are.
# Guessed: a lossless format gives back the numbers that were put in, as PNG and TIFF do.
# Why it matters: JPEG 2000 is lossless in DICOM and in slide and X-ray exports. A CT of -1000 to
#   2000 HU in 12 signed bits opens as 16768 to 64768; detectors of 10 and of 12 bits are moved by
#   different factors, and the factor is nowhere.
# Source: Pillow src/libImaging/Jpeg2KDecode.c, j2ku_gray_i (shift to the pixel size, offset if
#   signed); Pillow handbook, "JPEG 2000", does not tell.
# Seen:
#   samples           stored                Pillow                           imagecodecs
#   8 bit unsigned    [0, 1, 100, 255]      [0, 1, 100, 255]                 [0, 1, 100, 255]
#   10 bit unsigned   [0, 1, 100, 1023]     [0, 64, 6400, 65472]             [0, 1, 100, 1023]
#   12 bit unsigned   [0, 1, 100, 4095]     [0, 16, 1600, 65520]             [0, 1, 100, 4095]
#   16 bit unsigned   [0, 1, 100, 65535]    [0, 1, 100, 65535]               [0, 1, 100, 65535]
#   12 bit signed     [0, 1, 100, -1000]    [32768, 32784, 34368, 16768]     [0, 1, 100, -1000]
#   16 bit signed     [0, 1, 100, -1000]    [32768, 32769, 32868, 31768]     [0, 1, 100, -1000]
#   what Pillow tells of the depth: nothing
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pillow==13.0.0 imagecodecs==2026.3.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import io

import imagecodecs
import numpy as np
from PIL import Image

KINDS = [(8, "u"), (10, "u"), (12, "u"), (16, "u"), (12, "i"), (16, "i")]


def factor_and_offset(bits, sign):
    unit = 2 ** ((8 if bits == 8 else 16) - bits)
    return unit, 2 ** (bits - 1) * unit if sign == "i" else 0


ok, told = True, set()
print("%-16s  %-20s  %-31s  %s" % ("samples", "stored", "Pillow", "imagecodecs"))
for bits, sign in KINDS:
    stored = [0, 1, 100, 2**bits - 1 if sign == "u" else -1000]
    pixels = np.tile(np.array(stored, sign + ("1" if bits == 8 else "2")), (16, 4))
    stream = imagecodecs.jpeg2k_encode(
        pixels, level=0, codecformat="j2k", reversible=True, bitspersample=bits
    )
    image = Image.open(io.BytesIO(stream))
    first = np.asarray(image)[0, :4].astype(int).tolist()
    second = imagecodecs.jpeg2k_decode(stream)[0, :4].astype(int).tolist()
    told |= set(image.info) - {"comment"}
    name = "%d bit %s" % (bits, "unsigned" if sign == "u" else "signed")
    print("%-16s  %-20s  %-31s  %s" % (name, stored, first, second))
    unit, offset = factor_and_offset(bits, sign)
    ok = ok and second == stored and first == [v * unit + offset for v in stored]
    ok = ok and image.mode == ("L" if bits == 8 else "I;16")
print("what Pillow tells of the depth: %s" % (", ".join(sorted(told)) or "nothing"))
ok = ok and not told
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
