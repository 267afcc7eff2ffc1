"""How hospitals write a finding in their labels tables.

A site's `classes` map these words to the canonical classes.
"""

PLAIN = {
    "normal": "normal",
    "nodule": "nodule",
    "effusion": "pleural effusion",
    "consolidation": "consolidation",
    "cardiomegaly": "cardiomegaly",
    "none": "no nodule",
    "ground_glass": "ground-glass nodule",
    "solid": "solid nodule",
    "calcified": "calcified nodule",
}
CAPITALISED = {finding: word.capitalize() for finding, word in PLAIN.items()}
ABBREVIATED = {
    "normal": "NAD",
    "nodule": "NOD",
    "effusion": "EFF",
    "consolidation": "CONS",
    "cardiomegaly": "CMEG",
    "none": "N0",
    "ground_glass": "GGN",
    "solid": "SN",
    "calcified": "CN",
}
CODED = {  # ICD-10 for radiographs; for CT a code list of the archive's own
    "normal": "Z01.6",
    "nodule": "R91.1",
    "effusion": "J90",
    "consolidation": "J18.1",
    "cardiomegaly": "I51.7",
    "none": "L0",
    "ground_glass": "L1",
    "solid": "L2",
    "calcified": "L3",
}
