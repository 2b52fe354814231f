"Builds the site into _docs/: the notebooks as nbdev processes them, pages made of what the project knows, and Quarto."
import argparse, ast, base64, gc, html, io, json, logging, os, re, shutil, subprocess, sys
from pathlib import Path

from fastcore.foundation import L
from fontTools import subset
from nbdev.doclinks import patch_name
from nbdev.quarto import refresh_quarto_yml
from nbdev.serve import proc_nbs
from PIL import Image

from doc_cells import with_widths
from doc_links import index, known, root

nbs, proc, docs = root/'nbs', root/'_proc', root/'_docs'
colour = re.compile(r'\x1b\[[0-9;]*m')
warning = re.compile(r'\b(WARN|WARNING|ERROR)\b')

def head(path):
    "Title and subtitle of a notebook"
    text = ''.join(json.loads(path.read_text(encoding='utf-8'))['cells'][0]['source'])
    title, _, rest = text.partition('\n')
    said = [o.lstrip('> ') for o in rest.splitlines() if o.startswith('>')]
    return title.lstrip('# '), ' '.join(said)

# ---- look up: all public names

def names(py):
    "Public functions, classes and methods that a module defines, each with its docstring"
    for o in ast.parse(py.read_text(encoding='utf-8')).body:
        if not isinstance(o, (ast.FunctionDef, ast.ClassDef)): continue
        for name in L(patch_name(o)): yield name, ast.get_docstring(o) or ''
        if isinstance(o, ast.ClassDef):
            yield from ((f'{o.name}.{f.name}', ast.get_docstring(f) or '') for f in o.body if isinstance(f, ast.FunctionDef))

def modules():
    "Of each module its name, its page, and its public names with their docstrings"
    for module, syms in index['syms'].items():
        py = root/f'{module.replace(".", "/")}.py'
        found = [(n, said) for n,said in names(py) if n in known] if py.exists() else []
        if found: yield module.removeprefix('gan_nbdev.'), known[found[0][0]].partition('#')[0], found

def look_up():
    "A page of all public names, by module"
    yield ('---\ntitle: Look up\ndescription: All public names by module, and the commands with their options\ntoc-depth: 2\nrepo-actions: false\n---\n\n'
           'The commands, with their options: [`gan-train`, `gan-sample`, `gan-eval`](11_cli.ipynb) and '
           '[`gan-study`](12_study_command.ipynb). Everything below comes with `from gan_nbdev.all import *` or from the module that is named. '
           'The search at the top knows each of these names.\n')
    for module, page, found in modules():
        yield f'\n## [{module}]({page})\n\n'
        for name, said in found: yield f'- [`{name}`]({known[name]}): {said.partition(chr(10))[0]}\n'

also = dict(cross_entropy='BCE', d_loss='BCE', GAN='generator discriminator', Trainer='train fit')   # what else people look for

def add_names(site):
    "Entries of all public names for the site's search, which knows headings of sections alone"
    file = site/'search.json'
    docs = json.loads(file.read_text(encoding='utf-8'))
    pages = {o['href'].partition('#')[0]: o for o in docs}
    for module, page, found in modules():
        of = pages[page.lstrip('/')]
        docs += [dict(objectID=f'{known[name]}~{name}', href=known[name].lstrip('/'), title=of['title'], section=name,
                      text=f'{name}, in {module}: {said} {also.get(name, "")}', crumbs=of.get('crumbs', [])) for name, said in found]
    file.write_text(json.dumps(docs, ensure_ascii=False), encoding='utf-8')
    return docs

fetched = 'const response = await fetch(offsetURL("search.json"));'
from_script = '''const response = await new Promise((done, failed) => {
      const script = document.createElement("script");
      script.onload = () => done({ status: 200, json: () => Promise.resolve(window.searchDocs) });
      script.onerror = failed;
      script.src = offsetURL("search.js");
      document.head.append(script);
    });'''

word, rule = re.compile(r'[\w-]+'), re.compile(r'([^{}]+)\{([^{}]*)\}')
parts = 'accordion alert callout card carousel floating listing modal offcanvas popover progress tippy toast'.split()   # scripts know them all
variable = re.compile(r'(--[\w-]+):[^;{}]*(?:;|(?=\}))')
dotted = re.compile('<mover>(<mi>[^<]*</mi>)<mo accent="true">([\u0302\u0307\u0308])</mo></mover>')   # pandoc's
equation = re.compile(r'<math display="block".*?</math>', flags=re.S)
beside = re.compile(r'([(“‘]*)(<math display="inline"(?:(?!</math>).)*</math>)((?:[,.;:!?)”’%][^\s<]*)?)', flags=re.S)

def lighten(site):
    "Leave out of the style sheets what no page and no script of the site has: two thirds of Bootstrap"
    files = [*site.rglob('*.html'), *site.rglob('site_libs/**/*.js')]
    texts = [p.read_text(encoding='utf-8') for p in files]
    used = {w for o in texts for w in word.findall(o)}
    classes = {c for o in texts for said in re.findall(r'class="([^"]*)"', o) for c in said.split()}
    absent = '|'.join(o for o in parts if not any(c == o or c.startswith(f'{o}-') for c in classes))
    absent = re.compile(rf'\.(?:{absent})\b')
    def kept(m):
        heads = [o for o in re.split(r',(?![^(]*\))', m[1]) if not absent.search(o) and {*re.findall(r'\.([A-Za-z_][\w-]*)', o)} <= used]
        return f'{",".join(heads)}{{{m[2]}}}' if heads else ''
    for p in site.glob('site_libs/bootstrap/*.css'):
        css = rule.sub(kept, re.sub(r'/\*[^!].*?\*/', '', p.read_text(encoding='utf-8'), flags=re.S))
        read = used | {*re.findall(r'var\(\s*(--[\w-]+)', css)}
        css = variable.sub(lambda m: m[0] if m[1] in read else '', css)
        p.write_text(re.sub(r'@media[^{}]+\{\s*\}', '', css), encoding='utf-8')

imported = 'import * as tabsets from "./tabsets/tabsets.js";'

def lighten_pictures(site):
    "Plots need no more than 256 colours, and of Quarto's icons pages show a few"
    for p in site.rglob('*.png'):
        if p.stat().st_size < 40_000: continue
        image = Image.open(p).convert('RGBA')
        image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image).convert('RGB').quantize(256)
        image.save(smaller := io.BytesIO(), 'png', optimize=True)
        if smaller.tell() < p.stat().st_size: p.write_bytes(smaller.getvalue())
    folder = site/'site_libs/bootstrap'
    codes = re.findall(r'content: *"\\(f\w+)"', ''.join(p.read_text(encoding='utf-8') for p in folder.glob('*.css')))
    file = folder/'bootstrap-icons.woff'
    logging.getLogger('fontTools').setLevel(logging.ERROR)   # of a table with two bytes too many
    font = subset.load_font(file, options := subset.Options(flavor='woff'))
    tool = subset.Subsetter(options)
    tool.populate(unicodes=[int(o, 16) for o in codes])
    tool.subset(font)
    subset.save_font(font, file, options)

def without_modules(site):
    "Quarto's scripts as plain ones: a browser loads no module from a folder"
    folder = site/'site_libs/quarto-html'
    file, tabs = folder/'quarto.js', folder/'tabsets/tabsets.js'
    text = file.read_text(encoding='utf-8')
    if imported not in text: sys.exit(f'Quarto has changed: {file} lacks {imported!r}')
    inner = tabs.read_text(encoding='utf-8').replace('export function', 'function')
    text = text.replace(imported, f'const tabsets = (() => {{\n{inner}\nreturn {{ init }};\n}})();')
    file.write_text(f'(() => {{\n{text}\n}})();\n', encoding='utf-8')
    module = re.compile(r'(<script src="[^"]*/quarto-html/)(quarto|tabsets/tabsets)(\.js") type="module"></script>')
    for p in site.rglob('*.html'):
        page = p.read_text(encoding='utf-8')
        p.write_text(module.sub(lambda m: f'{m[1]}quarto{m[3]} defer></script>' if m[2] == 'quarto' else '', page), encoding='utf-8')

def with_equations(site):
    "Each in a box of its own, for a browser scrolls boxes and not equations; no comma alone on a line; dots over letters where browsers want them"
    def kept(m): return f'<span class="kept">{m[0]}</span>' if m[1] or m[3] else m[0]
    for p in site.rglob('*.html'):
        text = dotted.sub(r'<mover accent="true">\1<mo stretchy="false">\2</mo></mover>', p.read_text(encoding='utf-8'))
        p.write_text(beside.sub(kept, equation.sub(r'<span class="equation">\g<0></span>', text)), encoding='utf-8')

drawn = re.compile(r'<img src="([^":]+\.png)" class="([^"]*\bfigure-img)"')

def with_sizes(site):
    "Pictures whose place is known before they come; on a phone wide ones stay readable, and scroll"
    for p in site.rglob('*.html'):
        def sized(m):
            with Image.open(p.parent/m[1]) as image: w, h = image.size
            return f'<img src="{m[1]}" width="{w}" height="{h}" class="{m[2]}{" wide"*(w > min(1000, max(500, 1.6*h)))}"'
        p.write_text(drawn.sub(sized, p.read_text(encoding='utf-8')), encoding='utf-8')

cell = re.compile(r'<td((?: style="[^"]*")?)>(.*?)</td>', flags=re.S)

def with_lengths(site):
    "Cells say how long their texts are: style sheets cannot tell, and short ones shall keep together, long ones have room on a phone"
    def told(m):
        n = len(' '.join(html.unescape(re.sub('<[^>]+>', '', m[2])).split()))
        kind = 'longer' if n > 100 else 'long' if n > 40 else 'short' if 0 < n <= 14 else None
        return f'<td{m[1]} class="{kind}-text">{m[2]}</td>' if kind else m[0]
    for p in site.rglob('*.html'): p.write_text(cell.sub(told, p.read_text(encoding='utf-8')), encoding='utf-8')

tippy = re.compile(r'<(?:script|link) (?:src|href)="[^"]*/quarto-html/tippy\.[^>]*>(?:</script>)?\n?')

def without_tippy(site):
    "Pages without a library that Quarto loads for what this site has switched off"
    for p in site.rglob('*.html'):
        page = p.read_text(encoding='utf-8')
        if re.search(r'(?<!function )tippyHover\(', page): sys.exit(f'Quarto has changed: {p} uses tippy')
        p.write_text(tippy.sub('', page), encoding='utf-8')
    for o in (site/'site_libs/quarto-html').glob('tippy.*'): o.unlink()

def search_anywhere(site, docs):
    "A search that works in a folder, too, where a browser fetches nothing, and that takes several words in any order"
    (site/'search.js').write_text(f'window.searchDocs = {json.dumps(docs, ensure_ascii=False)};\n', encoding='utf-8')
    file = site/'site_libs/quarto-search/quarto-search.js'
    text = file.read_text(encoding='utf-8')
    for old, new in ((fetched, from_script), (' && !shownWarning', ' && false'), ('threshold: 0.1,', 'threshold: 0.1,\n  useExtendedSearch: true,')):
        if text.count(old) != 1: sys.exit(f'Quarto\'s search has changed: {file} lacks {old!r}')
        text = text.replace(old, new)
    file.write_text(text, encoding='utf-8')

# ---- results: what benchmarks/ writes

commands = {'hostile': 'make hostile', 'torture': 'make torture', 'soak': 'python benchmarks/soak.py'}

def results():
    "A page of each record in benchmarks/, and the sentence that leads to it"
    for md in sorted((root/'benchmarks').glob('*.md')):
        text = md.read_text(encoding='utf-8')
        title, _, body = text.partition('\n')
        body = re.sub(r'\]\((?!https?:|#)([^)]*\.png)\)', r'](../images/\1)', body)
        first = next(o for o in re.split(r'\n\s*\n', body.strip()) if not o.startswith(('|', '#', 'Measured', 'Written')))
        command = commands.get(md.stem, f'python benchmarks/{md.stem}.py')
        said = f'Made by `{command}`, and not edited since.'
        body = re.sub(r'!\[([^\]]+)\]\(([^)]+)\)(?!\{)', r'![\1](\2){fig-alt="\1"}', body)
        body = with_widths(body)
        page = f'---\ntitle: "{title.lstrip("# ")}"\npagetitle: "{title.lstrip("# ")}, measured"\ndescription: "{said}"\nrepo-actions: false\n---\n{body}'
        yield md.stem, title.lstrip('# '), re.split(r'(?<=\.)\s', ' '.join(first.split()))[0], command, page

record = re.compile(r'<code>benchmarks/(\w+)\.(?:md|py)</code>')

def link_results(site):
    "Where a page names a record or what has made it, a link to the record's page"
    for p in site.rglob('*.html'):
        def linked(m):
            page = site/f'results/{m[1]}.html'
            return f'<a href="{os.path.relpath(page, p.parent)}">{m[0]}</a>' if page.exists() and page != p else m[0]
        p.write_text(record.sub(linked, p.read_text(encoding='utf-8')), encoding='utf-8')

# ---- do: thumbnails of the notebooks' own pictures

def picture(path):
    "The last picture that a notebook shows"
    outputs = [o for c in json.loads(path.read_text(encoding='utf-8'))['cells'] for o in c.get('outputs', [])]
    pngs = [''.join(o['data']['image/png']) for o in outputs if 'image/png' in o.get('data', {})]
    return Image.open(io.BytesIO(base64.b64decode(pngs[-1]))) if pngs else None

def card(path, folder):
    "What leads to a notebook: its picture, small, its title and what it says of itself"
    title, said = head(path)
    page = path.relative_to(nbs).as_posix()
    if image := picture(path):
        image = image.convert('RGB')
        image.thumbnail((480, 480))
        name = f'{page.replace("/", "_").removesuffix(".ipynb")}.png'
        image.quantize(64).save(folder/name, optimize=True)
        yield f'[![](images/thumbs/{name}){{fig-alt="A picture from: {title}"}}]({page})\n\n'
    yield f'[{title}]({page})\n\n{said}\n'

def in_sidebar(folder):
    "Notebooks of a folder, in the order of the site's sidebar"
    return [nbs/o for o in re.findall(rf'- ({folder}/\S+\.ipynb)', (root/'_quarto.yml').read_text(encoding='utf-8'))]

def gallery(paths):
    folder = proc/'images/thumbs'
    folder.mkdir(parents=True, exist_ok=True)
    cards = (''.join(card(o, folder)) for o in paths)
    return '::: {.cards}\n' + '\n'.join(f'::: {{}}\n{o}:::\n' for o in cards) + ':::\n'

# ---- all together

def link_repository():
    "Links to a page's source and to issues, where the repository's address is known"
    yml = proc/'nbdev.yml'
    text = yml.read_text(encoding='utf-8')
    if re.search(r'repo-url: "\S+"', text): yml.write_text(text.replace('website:\n', 'website:\n  repo-actions: [source, issue]\n  repo-subdir: nbs\n'), encoding='utf-8')

def make_pages():
    "Write into _proc/ what is made of the rest of the project"
    (proc/'look_up.qmd').write_text(''.join(look_up()), encoding='utf-8')
    (proc/'results').mkdir(exist_ok=True)
    (proc/'images').mkdir(exist_ok=True)
    lines = []
    for stem, title, said, command, page in results():
        (proc/f'results/{stem}.qmd').write_text(page, encoding='utf-8')
        lines.append(f'[{title}](results/{stem}.qmd)\n: {said} `{command}`\n')
    (proc/'_results.md').write_text('\n'.join(lines), encoding='utf-8')
    for o in (root/'benchmarks').glob('*.png'): shutil.copy(o, proc/'images')
    for name in ('tutorials', 'theory'):
        (proc/f'_{name}.md').write_text(gallery(in_sidebar(name)), encoding='utf-8')

def render():
    "Run Quarto on _proc/, and hand on what it warns of"
    cmd = ['quarto', 'render', str(proc), '--no-cache']
    env = {'GHCRTS': '-A16m', **os.environ}   # pandoc collects garbage half as often
    with subprocess.Popen(cmd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as p:
        lines = []
        for line in p.stdout:
            print(line, end='', flush=True)
            lines.append(colour.sub('', line))
    if p.returncode: sys.exit(p.returncode)
    return [o for o in lines if warning.search(o)]

def finish(site):
    search_anywhere(site, add_names(site))
    without_modules(site)
    without_tippy(site)
    link_results(site)
    with_equations(site)
    with_sizes(site)
    with_lengths(site)
    lighten(site)
    lighten_pictures(site)

def process_notebooks(**only):
    "Write into _proc/ what Quarto reads of the notebooks; the process ends soon after"
    refresh_quarto_yml()
    gc.disable()   # to look for garbage in all that torch has takes longer than the notebooks do
    proc_nbs(n_workers=0, **only)   # other processes would each import torch
    gc.freeze()    # each notebook's shell looks for it at exit

def build():
    shutil.rmtree(proc, ignore_errors=True)
    process_notebooks()
    link_repository()
    make_pages()
    warnings = render()
    shutil.rmtree(docs, ignore_errors=True)
    shutil.move(proc/'_docs', docs)
    finish(docs)
    return warnings

def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument('--serve', action='store_true', help='show what is built, at http://127.0.0.1:8000, until it is stopped')
    if args.parse_args().serve: sys.exit(subprocess.call([sys.executable, '-m', 'http.server', '-d', str(docs), '-b', '127.0.0.1']))
    warnings = build()
    print(f'{len(warnings)} warnings')
    return bool(warnings)

if __name__ == '__main__': sys.exit(main())
