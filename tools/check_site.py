"Reads the built site: each page has a title of its own, its links lead somewhere, its pictures have a text, it asks no other host."
import argparse, re, sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nbdev.config import nbpath2html

root = Path(__file__).resolve().parent.parent

most = 1_000_000   # bytes that a page loads, itself among them

class Page(HTMLParser):
    "Title, anchors, addresses that it refers to or loads, headings, and text outside code and mathematics"
    void = set('area base br col embed hr img input link meta source track wbr'.split())
    quiet = {'code', 'math', 'pre', 'script', 'style', 'textarea'}
    def __init__(self, text):
        super().__init__()
        self.title, self.ids, self.links, self.text, self.open = '', set(), [], '', []
        self.loads, self.headings, self.silent, self.tex, self.size = [], [], [], [], len(text.encode())
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs[o] for o in ('id', 'name') if attrs.get(o)}
        self.links += [attrs[o] for o in ('href', 'src') if attrs.get(o) is not None]
        if attrs.get('src') and tag != 'a': self.loads.append(attrs['src'])
        if tag == 'link' and {*(attrs.get('rel') or '').split()} & {'stylesheet', 'icon', 'preload', 'modulepreload'}:
            self.loads.append(attrs['href'])
        if tag == 'img' and not attrs.get('alt'): self.silent.append(attrs.get('src', ''))
        if re.fullmatch('h[1-6]', tag) and 'nav' not in (t for t,_ in self.open): self.headings.append(int(tag[1]))
        quiet = tag in self.quiet or 'math' in (attrs.get('class') or '').split()
        if tag not in self.void: self.open.append((tag, quiet))

    def handle_endtag(self, tag):
        while tag in (t for t,_ in self.open) and self.open.pop()[0] != tag: pass

    def handle_data(self, data):
        if self.open and self.open[-1][0] == 'title' and not self.title: self.title = data
        if not any(quiet for _,quiet in self.open): self.text += data
        if data.strip() and self.open and self.open[-1] == ('span', True): self.tex.append(data.strip())

def target(page, link, site):
    "File and anchor that `link` on `page` leads to; no file if it leads out of the site"
    url = urlsplit(link)
    if url.scheme or url.netloc: return None, ''
    path = unquote(url.path)
    file = site/path.lstrip('/') if path.startswith('/') else page.parent/path if path else page
    return (file/'index.html' if file.is_dir() else file).resolve(), unquote(url.fragment)

def broken(path, pages, site):
    "What is wrong with the page at `path`, a line each"
    for link in pages[path].links:
        file, anchor = target(path, link, site)
        if file is None: continue
        if not file.exists(): yield f'no file behind {link}'
        elif anchor and file in pages and anchor not in pages[file].ids:
            yield f'no anchor behind {link}'
    page = pages[path]
    weight = page.size
    for link in {*page.loads}:
        url = urlsplit(link)
        if url.netloc: yield f'asks another host: {url.netloc}'
        elif not url.scheme and (file := target(path, link, site)[0]).exists(): weight += file.stat().st_size
    if weight > most: yield f'{weight:,} bytes with what it loads'
    for src in page.silent: yield f'a picture without a text: {src}'
    for a, b in zip([0, *page.headings], page.headings):
        if b > a + 1: yield f'a heading of level {b} after one of level {a}'
    for tex in page.tex: yield f'TeX left as it is: {tex[:80]}'
    for line in page.text.splitlines():
        if '](' in line: yield f'Markdown left as it is: {line.strip()[:80]}'

def check(site, nbs):
    "Pages of the site in the folder `site`, and what is wrong as (page, line)"
    site = site.resolve()
    pages = {p: Page(p.read_text(encoding='utf-8')) for p in sorted(site.rglob('*.html'))}
    titles = Counter(o.title for o in pages.values())
    wrong = []
    for nb in sorted(o.relative_to(nbs) for o in nbs.rglob('[!._]*.ipynb')):
        if site/nbpath2html(nb) not in pages: wrong.append((nbpath2html(nb), f'no page for {nb}'))
    for css in site.rglob('*.css'):
        for host in {*re.findall(r'(?:url\(|@import )["\']?(?:https?:)?//([^/"\')]+)', css.read_text(encoding='utf-8'))}:
            wrong.append((css.relative_to(site), f'asks another host: {host}'))
    for path, page in pages.items():
        lines = [*broken(path, pages, site)]
        if titles[page.title] > 1: lines.append(f'title of another page: {page.title}')
        wrong += [(path.relative_to(site), o) for o in lines]
    return pages, wrong

def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument('site', type=Path, nargs='?', default=root/'_docs', help='folder')
    site = args.parse_args().site
    pages, wrong = check(site, root/'nbs')
    for page, line in wrong: print(f'{page}: {line}', file=sys.stderr)
    links = sum(len(o.links) for o in pages.values())
    print(f'{len(pages)} pages, {links} links, {len(wrong)} wrong')
    return bool(wrong)

if __name__ == '__main__': sys.exit(main())
