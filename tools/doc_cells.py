"What a reader of the site sees of a notebook's cells: ideas, code and pictures; tests are folded."
import ast, json, re
from functools import cache

from nbdev.process import Processor

from doc_links import index, root

directive = re.compile(r'^#\|.*\n?', flags=re.M)
plain_names = {'_', '_asdict', '_fields', '_replace'}   # Python's own
widget = 'application/vnd.jupyter.widget-view+json'
path_before_name = re.compile(r'(?<=[:>\[|, ])(?:[A-Za-z_]\w*\.)+([A-Z]\w*)')
no_init = re.compile(r'^def (\w+)\(\n    \*args, \*\*kwargs\n\):', flags=re.M)   # a class without an `__init__` of its own
keywords = re.compile(r'^    (\*\*\w+)$', flags=re.M)
space_after = re.compile(r'(\\(?:log|exp|min|max|sup|sin|cos|tanh|det)(?:_(?:\w|\\\w+|\{[^}]*\}))?)(?: (?=\w)|(?=\d)| ?(?=\\[A-Za-z]))(?!\\(?:big|Big|left|limits))')
space_before = re.compile(r'(?<=[\w)}])\s*(?=\\(?:log|exp|min|max|sup|sin|cos|tanh|det)\b)')
caption = re.compile(r'!\[([^\]"]+)\]\(([^)]+)\)(?!\{)')
tag = re.compile(r'\\tag\{([^}]*)\}')
drawn_as_it_is = re.compile(r'images|digits|pictures|mnist')

def as_mathml(text):
    "Markdown whose TeX says what MathML does not do by itself: numbers of equations, the space round a function's name"
    return space_before.sub(r'\\,', space_after.sub(r'\1\\,', tag.sub(r'\\qquad\\text{(\1)}', text)))

marks = re.compile(r'\]\([^)]*\)|[\[`$*]')   # which nobody reads
lines_of_a_table = re.compile(r'^\|.*\|\n\|[ :|-]+\|\n(?:\|.*\|(?:\n|$))+', flags=re.M)

def with_widths(text):
    "Tables whose rules are as long as what stands in their columns: pandoc divides a page among them so, if a line is too long for it"
    def cells(line): return [o.strip() for o in re.split(r'(?<!\\)\|', line.strip().removeprefix('|').removesuffix('|'))]
    def ruled(m):
        head, rule, *rows = m[0].rstrip('\n').split('\n')
        longest = [max(len(marks.sub('', o)) for o in column) for column in zip(cells(head), *map(cells, rows))]
        rule = [f'{o[0]}{"-"*min(max(n, 8), 40)}{o[-1]}' for o, n in zip(cells(rule), longest)]
        return unbroken('\n'.join([head, f'|{"|".join(rule)}|', *rows]) + '\n')
    return lines_of_a_table.sub(ruled, text)

def unbroken(text):
    "No ± alone on a line"
    return text.replace(' ± ', ' ±\N{NO-BREAK SPACE}')

def nodes(source):
    "Of the code in a cell; none of what is not Python"
    try: return [*ast.walk(ast.parse(re.sub(r'^\s*[%!].*$', '', source, flags=re.M)))]
    except SyntaxError: return []

def is_test(code):
    "Does it check something?"
    def checks(o):
        f = o.func
        return re.match(r'test_|expect_fail$|assert_', getattr(f, 'id', None) or getattr(f, 'attr', ''))
    return any(isinstance(o, ast.Assert) or isinstance(o, ast.Call) and checks(o) for o in code)

def private(code):
    "Private names that it uses and does not define"
    own = {o.name for o in code if isinstance(o, (ast.FunctionDef, ast.ClassDef))}
    own |= {o.id for o in code if isinstance(o, ast.Name) and isinstance(o.ctx, ast.Store)}
    used = {getattr(o, 'id', None) or getattr(o, 'attr', None) or '' for o in code}
    return {o for o in used if o[:1] == '_' and o[-2:] != '__'} - own - plain_names

def sentences(text):
    "Of some prose, without its marks"
    for old,new in ((r'\$\$.*?\$\$|```.*?```', ''), (r'!?\[([^\]]*)\]\([^)]*\)', r'\1'), (r'^(#+|>|[-*]|\d+\.) [^\n]*$', ''),
                    (r'[*`$\\{}]', '')):
        text = re.sub(old, new, text, flags=re.S|re.M)
    return [o.rstrip(':') for o in re.split(r'(?<=[.:!?])\s+', ' '.join(text.split())) if len(o) > 15]

def near(cells, i):
    "What the prose says at the picture in cell `i`: just before it, just after it, or last"
    prose = {j: sentences(cells[j].source) for j in range(len(cells)) if cells[j].cell_type == 'markdown'}
    if said := prose.get(i - 1): return said[-1]
    if said := prose.get(i + 1): return said[0]
    return next((prose[j][-1] for j in range(i - 1, -1, -1) if prose.get(j)), 'What the code above draws')

@cache
def sources():
    "Public name -> the lines of its file, and its definition"
    res = {}
    for module, names in index['syms'].items():
        for full, (_, py) in names.items():
            res[full.removeprefix(f'{module}.')] = root/py
    return res

@cache
def parsed(path):
    text = path.read_text(encoding='utf-8')
    return text.splitlines(), [*ast.walk(ast.parse(text))]

def keyword_comment(name):
    "What stands beside `**kwargs` of `name`, which nbdev drops or takes for the return's"
    if name not in sources(): return ''
    lines, tree = parsed(sources()[name])
    *_, last = name.split('.')
    for o in tree:
        if getattr(o, 'name', '') != last: continue
        init = [f for f in getattr(o, 'body', []) if getattr(f, 'name', '') == '__init__'] or [o]
        arg = getattr(getattr(init[0], 'args', None), 'kwarg', None)
        if arg and (m := re.search(r'#\s*(.+)', lines[arg.lineno - 1])): return m[1].strip()
    return ''

def fields(name):
    "What a named tuple is made of, in brackets; of any other class nothing"
    classes = [o for o in parsed(sources()[name])[1] if isinstance(o, ast.ClassDef) and o.name == name] if name in sources() else []
    calls = [b for o in classes for b in o.bases if isinstance(b, ast.Call) and b.func.id == 'namedtuple']
    return ''.join(f'({", ".join(o.args[1].value.split())})' for o in calls)

def signature(text):
    "The reference of a name, with types as one writes them and what is said of `**kwargs`"
    m = re.search(r'^#+ (\S+)$', text, flags=re.M)
    said = keyword_comment(m[1]) if m else ''
    def line(o):
        code, mark, comment = o.partition(' # ')
        code = path_before_name.sub(r'\1', code.replace(':NoneType=', '='))
        if code.startswith(')') and comment == said: mark = comment = ''
        return code + mark + comment
    def fence(m): return '\n'.join(map(line, m[0].split('\n')))
    text = no_init.sub(lambda m: f'class {m[1]}{fields(m[1])}', text)
    text = re.sub(r'^```python\n.*?^```', fence, text, count=1, flags=re.M|re.S)
    return keywords.sub(rf'    \1 # {said}', text, count=1) if said else text

def as_markdown(data):
    "HTML as Pandoc takes it in; of an output of HTML Quarto thinks that it needs scripts from elsewhere"
    html = ''.join(data.pop('text/html'))
    return {**data, 'text/markdown': f'```{{=html}}\n{html}\n```\n'}

def outputs(cell):
    "Without the picture that stands for a film where the film plays, and without live widgets"
    outs = cell.get('outputs', [])
    if any('class="gl-place"' in ''.join(o.get('data', {}).get('text/html', '')) for o in outs):
        outs = [o for o in outs if 'image/png' not in o.get('data', {})]
    for o in outs:
        o.get('data', {}).pop(widget, None)
        if 'text/html' in o.get('data', {}): o['data'] = as_markdown(o['data'])
        elif 'text/markdown' in o.get('data', {}): o['data']['text/markdown'] = unbroken(''.join(o['data']['text/markdown']))
    return [o for o in outs if o.get('data', True)]

class Shown(Processor):
    "Folds tests and sources, hides what uses private names, and gives pictures a text"
    def end(self):
        self.nb.metadata.pop('widgets', None)   # no page runs them
        parts = False   # has the page begun one?
        for i, cell in enumerate(self.nb.cells):
            parts = parts or cell.cell_type == 'markdown' and bool(re.search(r'^## ', cell.source, flags=re.M))
            if cell.cell_type == 'markdown':
                cell.source = caption.sub(r'![\1](\2){fig-alt="\1"}', as_mathml(with_widths(cell.source)))
            if cell.cell_type != 'code': continue
            cell.metadata.pop('execution', None)   # or Quarto wraps the reference, and its headings are not found
            cell.outputs = outputs(cell)
            if 'show_doc(' in cell.source:
                for o in cell.outputs:
                    if 'text/markdown' not in o.data: continue
                    text = signature(''.join(o.data['text/markdown']))
                    o.data['text/markdown'] = text if parts else re.sub(r'^### ', '## ', text, flags=re.M)
            else: self.code(cell, i)

    def code(self, cell, i):
        said, source = directive.findall(cell.source), directive.sub('', cell.source)
        options, code = {}, nodes(source)
        pictures = [o for o in cell.outputs if {'image/png', 'image/svg+xml'} & {*o.get('data', {})}]
        if any('exports: true' in o for o in said):
            said = [o for o in said if 'code-' not in o]
            options = {'code-fold': 'true', 'code-summary': 'Source'}
        elif private(code): options = {'echo': 'false'} if cell.outputs else {'include': 'false'}
        elif i and '<summary>Answer</summary>' in self.nb.cells[i - 1].source:   # its output would tell
            options = {'code-fold': 'true', 'code-summary': 'Test', 'output': 'false'}
        elif is_test(code) and not cell.outputs: options = {'code-fold': 'true', 'code-summary': 'Test'}
        elif pictures and len(source.splitlines()) > 15: options = {'code-fold': 'true', 'code-summary': 'Code'}
        if pictures:
            options['fig-alt'] = json.dumps(near(self.nb.cells, i), ensure_ascii=False)
            if drawn_as_it_is.search(source): options['classes'] = 'as-it-is'
        told_already = {o[2:].partition(':')[0].strip() for o in said}
        new = [f'#| {k}: {v}\n' for k,v in options.items() if k not in told_already]
        cell.source = ''.join([*new, *said, source])
