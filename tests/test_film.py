"Films without a browser: what `film.js` computes, and who knows of films."
import ast, shutil, subprocess
from pathlib import Path

import pytest

root = Path(__file__).resolve().parent.parent

@pytest.mark.skipif(shutil.which('node') is None, reason='node is not installed')
def test_what_the_player_computes():
    res = subprocess.run(['node', '--test', root/'tests/film.test.mjs'], capture_output=True,
                         text=True)
    assert res.returncode == 0, res.stdout

def test_nobody_needs_films():
    "Neither `all` nor the command line imports them"
    for p in (root/'gan_nbdev').glob('*.py'):
        names = [getattr(o, 'module', None) for o in ast.walk(ast.parse(p.read_text()))]
        assert 'gan_nbdev.lab.film' not in names and 'film' not in names, p
