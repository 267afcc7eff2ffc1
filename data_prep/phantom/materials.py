"""Linear attenuation coefficients at 60 keV, the mean energy of a filtered chest beam, in 1/cm.

Mass attenuation times density, from NIST's tables (Hubbell and Seltzer, NISTIR 5632, tables 3 and
4).
"""

WATER = 0.2059 * 1.00
SOFT_TISSUE = 0.2048 * 1.06
FAT = 0.1974 * 0.95
LUNG = 0.2053 * 0.26  # inflated
BONE = 0.3148 * 1.92  # cortical
