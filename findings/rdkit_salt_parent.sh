#!/usr/bin/env bash
# RDKit 2026.9.1 (package rdkit)
#
# Behaviour: rdMolStandardize.FragmentParent keeps the largest piece of a salt. Pamoic acid, a
#   counter-ion of long-acting injections, has 45 atoms, hydrogens counted, and is larger than
#   many drugs: for olanzapine, imipramine and pyrantel pamoate the drug is thrown away, and three
#   different drugs become one molecule with equal fingerprints. SaltRemover, with its own list,
#   removes nothing.
# Guessed: the parent is the drug; pamoate is a common pharmaceutical salt.
# Why it matters: in a drug screen the three rows become duplicates with conflicting labels, and
#   may lie on both sides of a split; a "similar" molecule of a query is a filler.
# Source: RDKit rdMolStandardize, LargestFragmentChooser (most atoms, then greatest weight), used
#   by FragmentParent; Data/Salts.txt of SaltRemover. All three pamoates are or were marketed.
# Seen:
#   salt                   FragmentParent keeps   SaltRemover leaves         as chloride
#   olanzapine pamoate     pamoic acid            2 pieces                   the drug
#   imipramine pamoate     pamoic acid            2 pieces                   the drug
#   pyrantel pamoate       pamoic acid            2 pieces                   the drug
#   different molecules left: 1 of 3
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 rdkit==2026.9.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
from rdkit import Chem, RDLogger
from rdkit.Chem.MolStandardize import rdMolStandardize
from rdkit.Chem.SaltRemover import SaltRemover

RDLogger.DisableLog("rdApp.*")
PAMOIC_ACID = "OC(=O)c1cc2ccccc2c(Cc2c(O)c(C(=O)O)cc3ccccc23)c1O"
DRUGS = {
    "olanzapine": "Cc1cc2c(s1)Nc1ccccc1N=C2N1CCN(C)CC1",
    "imipramine": "CN(C)CCCN1c2ccccc2CCc2ccccc12",
    "pyrantel": "CN1CCCN=C1/C=C/c1cccs1",
}
pamoic = Chem.CanonSmiles(PAMOIC_ACID)
titles = ("salt", "FragmentParent keeps", "SaltRemover leaves", "as chloride")
print("%-22s %-22s %-26s %s" % titles)
parents, rows_ok = set(), True
for name, smiles in DRUGS.items():
    salt = Chem.MolFromSmiles(f"{smiles}.{PAMOIC_ACID}")
    parent = Chem.MolToSmiles(rdMolStandardize.FragmentParent(salt))
    stripped = Chem.MolToSmiles(SaltRemover().StripMol(salt))
    chloride = rdMolStandardize.FragmentParent(Chem.MolFromSmiles(f"{smiles}.Cl"))
    drug_kept = Chem.MolToSmiles(chloride) == Chem.CanonSmiles(smiles)
    parents.add(parent)
    rows_ok = rows_ok and parent == pamoic and len(stripped.split(".")) == 2 and drug_kept
    keeps = "pamoic acid" if parent == pamoic else parent
    print("%-22s %-22s %-26s %s" % (name + " pamoate", keeps,
          "%d pieces" % len(stripped.split(".")), "the drug" if drug_kept else "?"))
print("different molecules left: %d of %d" % (len(parents), len(DRUGS)))
ok = rows_ok and parents == {pamoic}
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
