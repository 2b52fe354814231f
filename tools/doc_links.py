"Links from public names in backticks to the reference, where nbdev makes the site's pages."
import ast, re
from functools import cache
from pathlib import Path

from fastcore.foundation import L
from nbdev.config import get_config
from nbdev.doclinks import patch_name

from gan_nbdev._modidx import d as index

root = Path(__file__).resolve().parent.parent
link_or_name = re.compile(r'\[[^\]]*\]\([^)]*\)|`([A-Za-z][\w.]*)(?:\(\))?`')
code_or_heading = re.compile(r'(^```.*?^```|^(?: {4}|#)[^\n]*)', flags=re.M|re.S)
source_link = re.compile(r'\[source\]\([^)]*\)\{[^}]*\}\s*')

@cache
def headings(py):
    "Names that have a heading of their own: all that are defined at the top level of a module"
    defs = [o for o in ast.parse(py.read_text(encoding='utf-8')).body if hasattr(o, 'name')]
    return {o for d in defs for o in L(patch_name(d))}

def places():
    "Where the reference shows each public name; what is defined inside a class is shown there"
    res = {}
    for module, names in index['syms'].items():
        for full, (place, py) in names.items():
            name = full.removeprefix(f'{module}.')
            if re.search(r'(^|\.)_', name): continue
            res[name] = '/' + (place if name in headings(root/py) else place.rpartition('.')[0])
    return res

known, has_address = places(), bool(get_config(root).git_url)

def linked(text):
    "`text` with links; those that are there stay as they are"
    def link(m): return f'[{m[0]}]({known[m[1]]})' if m[1] in known else m[0]
    parts = code_or_heading.split(text)
    return ''.join(o if i%2 else link_or_name.sub(link, o) for i,o in enumerate(parts))

def public_links(cell):
    "In place of nbdev's `add_links`, which links private names too and breaks links around a name"
    if cell.cell_type == 'markdown': cell.source = linked(cell.source)
    for data in (o.data for o in cell.get('outputs', []) if 'data' in o):
        if 'text/markdown' not in data: continue
        text = ''.join(data['text/markdown'])
        data['text/markdown'] = linked(text if has_address else source_link.sub('', text))
