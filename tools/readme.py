"Writes README.md and its pictures from nbs/index.ipynb, without Quarto."
import argparse, re, sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

root = Path(__file__).resolve().parent.parent
header = '<!-- Generated from nbs/index.ipynb by tools/readme.py: edit the notebook. -->\n\n'
pictures = 'nbs/images'
directive = re.compile(r'^\s*#\s*\|\s*(.*?)\s*$')
link = re.compile(r'(\]\()([^)\s]+)')

def directives(cell):
    "Names and values of the `#| name: value` lines at the head of `cell`, and the remaining source"
    lines, found = cell.source.splitlines(), {}
    while lines and (m := directive.match(lines[0])):
        name, _, value = m[1].partition(':')
        found[name.strip()] = value.strip()
        lines.pop(0)
    return found, '\n'.join(lines).strip('\n')

def is_film(output):
    "Does it play? A README runs no scripts, and shows the film's picture instead"
    return '<script>' in ''.join(output.get('data', {}).get('text/html', ''))

def visible(nb):
    "`nb` with the cells that a reader of the page sees, free of directives; and what to say of its pictures"
    cells, alts = [], []
    for cell in nb.cells:
        found, cell.source = directives(cell)
        if found.keys() & {'hide', 'default_exp', 'export', 'exporti'} or found.get('include') == 'false': continue
        if cell.source.startswith('::: {.content-visible'): continue   # for the site alone
        if cell.cell_type == 'code' and found.get('output') == 'false': cell.outputs = []
        if cell.cell_type == 'code' and found.get('echo') == 'false': cell.source = ''
        if 'outputs' in cell: cell.outputs = [o for o in cell.outputs if not is_film(o)]
        if any('image/png' in o.get('data', {}) for o in cell.get('outputs', [])): alts.append(found.get('fig-alt', 'png').strip('"'))
        if cell.source or cell.get('outputs'): cells.append(cell)
    nb.cells = cells
    nb.metadata['language_info'] = {'name': 'python'}   # cleaning drops it; it names the fences' language
    return nb, alts

def relink(text, nbs):
    "Links to files beside the notebook, as seen from the root; code is left alone"
    def fix(m):
        path = m[2].partition('#')[0]
        return f'{m[1]}{nbs.name}/{m[2]}' if path and (nbs/path).exists() else m[0]
    parts = re.split(r'(^```.*?^```$)', text, flags=re.M|re.S)
    return ''.join(o if i%2 else link.sub(fix, o) for i,o in enumerate(parts))

def render(path):
    "README text for the notebook at `path`, and its pictures as {file name: bytes}"
    exporter = MarkdownExporter()
    nb, alts = visible(nbformat.read(path, as_version=4))
    text, res = exporter.from_notebook_node(nb)
    text = re.sub(r'!\[png\]', lambda _: f'![{alts.pop(0)}]', text)
    names = {o: o.replace('output_', 'readme_') for o in sorted(res['outputs'])}
    for old,new in names.items(): text = text.replace(f']({old})', f']({pictures}/{new})')
    text = re.sub(r'```python\n+\s*```', '', relink(text, path.parent))
    text = re.sub(r'[ \t]+$', lambda m: m[0] if m[0] == '  ' else '', text, flags=re.M)
    text = re.sub(r'\n{3,}', '\n\n', text.replace('\n  \n', '\n\n')).strip()
    return f'{header}{text}\n', {new: res['outputs'][old] for old,new in names.items()}

def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument('--check', action='store_true', help='write nothing; exit 1 when README.md and pictures differ')
    args.add_argument('--nb', type=Path, default=root/'nbs/index.ipynb', help='notebook')
    args.add_argument('--out', type=Path, default=root, help='folder for README.md and its pictures')
    args = args.parse_args()
    if not args.nb.exists(): sys.exit(f'{args.nb} is not there')
    text, outputs = render(args.nb)
    files = {'README.md': text.encode(), **{f'{pictures}/{k}': v for k,v in outputs.items()}}
    old = {str(p.relative_to(args.out)) for p in (args.out/pictures).glob('readme_*')}
    stale = [o for o,b in files.items() if not (args.out/o).exists() or (args.out/o).read_bytes() != b]
    gone = sorted(old - files.keys())
    if args.check:
        if stale or gone: sys.exit(f'Not in sync with {args.nb.name}: {", ".join(stale + gone)}. Run `make readme`.')
        return
    for o in gone: (args.out/o).unlink()
    for o in stale:
        (args.out/o).parent.mkdir(parents=True, exist_ok=True)
        (args.out/o).write_bytes(files[o])

if __name__ == '__main__': main()
