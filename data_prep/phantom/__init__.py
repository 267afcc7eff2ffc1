"""Synthetic hospitals, so that a fresh clone runs from files on disk to reports: `python -m
data_prep.phantom SITE`.

Chest radiographs (2D) or chest CT (3D) are computed from a parametric anatomy and the physics of
each vendor's machine, and written as that vendor would export them. The same setting gives the same
bytes in any process (compressed files: from the same zlib). They resemble no real patient. Their
made-up names, numbers and notes carry the token ZZPHI, so that a test can look for it in everything
that leaves the hospital.
"""
