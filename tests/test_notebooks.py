"""The cells of every notebook as tests, as `nbdev-test` runs them; here they share the processors with the rest of the tests.

Cells marked `slow` are left out, those marked `gpu` where there is none.
"""
import os, sys
from pathlib import Path

import pytest
import torch
from nbdev.config import get_config
from nbdev.test import test_nb as run_cells

from commands import apart, seed_all

root = Path(__file__).resolve().parent.parent
nbs = sorted(p.relative_to(root/'nbs') for p in (root/'nbs').rglob('*.ipynb')
             if not any(o[0] in '._' for o in p.relative_to(root).parts))

def execute(path, flags):
    "Run the cells; what fails is told on stderr"
    config = get_config(root)
    seed_all()
    ok, _ = run_cells(root/'nbs'/path, config.tst_flags.split(), flags, basepath=root, cell_timeout=600)
    sys.exit(not ok)

@pytest.mark.parametrize('path', nbs, ids=str)
def test_notebook(path):
    flags = ['gpu'] if torch.cuda.is_available() else []
    r = apart(execute, path, flags, cwd=root/'nbs', seconds=900)
    assert r.returncode == 0, r.stderr + r.stdout
