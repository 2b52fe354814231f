"Opens each page of the built site in a browser, narrow and wide, light and dark: what is too wide, too pale, what fails, what is asked of others."
import argparse, json, shutil, sys, threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

root = Path(__file__).resolve().parent.parent
widths = 390, 1440
most = 1_000_000   # bytes a page, with all that it loads

measure = '''() => {
  const code = [...document.querySelectorAll("main div.sourceCode pre > code")].filter((o) => o.offsetParent);
  const text = [...document.querySelectorAll("main .cell-output > pre")];
  return {
    wide: document.documentElement.scrollWidth,
    cut: code.concat(text).filter((o) => o.scrollWidth > o.clientWidth + 1).length,
  };
}'''

# Text whose contrast is below that of WCAG 2, AA: 4.5, and 3 where it is large. What is behind it is put together from
# the backgrounds of all that it stands in.
pale = '''() => {
  const rgba = (text) => { const o = text.match(/[\\d.]+/g).map(Number); return o.length < 4 ? [...o, 1] : o; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i]*a[3] + b[i]*(1 - a[3]));
  const light = (c) => {
    const [r, g, b] = c.map((v) => v/255).map((v) => v <= .04045 ? v/12.92 : ((v + .055)/1.055)**2.4);
    return .2126*r + .7152*g + .0722*b;
  };
  const found = new Set(), texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const at = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || at.closest("script, style, svg, [disabled]")) continue;
    if (!at.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || !at.getClientRects().length) continue;
    const style = getComputedStyle(at), color = rgba(style.color), grounds = [];
    for (let o = at; o; o = o.parentElement) {
      const own = getComputedStyle(o);
      grounds.unshift(rgba(own.backgroundColor));
      color[3] *= own.opacity;
    }
    const ground = grounds.reduce((under, o) => over(o, under), [255, 255, 255]);
    const [a, b] = [light(over(color, ground)), light(ground)], ratio = (Math.max(a, b) + .05)/(Math.min(a, b) + .05);
    const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
    if (ratio < (large ? 3 : 4.5)) found.add(`${at.tagName.toLowerCase()}.${at.className} ${ratio.toFixed(2)}`);
  }
  return [...found];
}'''

is_dark = '''() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((o) => o < 100)'''

turn_dark = '''() => new Promise((done) => {
  const ground = () => getComputedStyle(document.body).backgroundColor, before = ground();
  const settled = () => Promise.all(document.getAnimations().map((o) => o.finished)).then(done);
  const wait = () => requestAnimationFrame(ground() === before ? wait : settled);
  quartoToggleColorScheme();
  wait();
})'''

class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass

def served(folder):
    "A server of `folder` on this machine, and its address"
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=str(folder)))
    server.handle_error = lambda *_: None   # a browser that goes on before a file has come
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f'http://127.0.0.1:{server.server_port}/'

def browse(site, pages, pictures=None):
    "What is seen of each page, as {page: {what: figure}}"
    from playwright.sync_api import sync_playwright
    server, home = served(site)
    found = {}
    with sync_playwright() as p:
        chromium = shutil.which('chromium') or shutil.which('google-chrome')
        browser = p.chromium.launch(executable_path=chromium, args=['--no-sandbox', '--disable-gpu'])
        for width in widths:
            page = browser.new_page(viewport=dict(width=width, height=900))
            def other(route):
                seen['hosts'].append(urlsplit(route.request.url).netloc)
                route.abort()
            def weigh(response):   # its body may be gone by now
                if width == widths[-1] and response.url.startswith(home) and response.ok:
                    file = site/unquote(urlsplit(response.url).path).lstrip('/')
                    seen['bytes'] += file.stat().st_size if file.is_file() else 0
            page.route(lambda url: url.startswith('http') and not url.startswith(home), other)
            page.on('pageerror', lambda e: seen['errors'].append(str(e)))
            page.on('console', lambda m: m.type == 'error' and seen['errors'].append(m.text))
            page.on('response', weigh)
            for name in pages:
                seen = found.setdefault(name, dict(errors=[], hosts=[], bytes=0))
                page.goto(home + name, wait_until='load')
                seen |= {f'{k} at {width}': v for k,v in page.evaluate(measure).items()}
                if pictures: page.screenshot(path=f'{pictures}/{name.replace("/", "_")}.{width}.png')
                if width != widths[-1]: continue
                seen['pale, light'] = page.evaluate(pale)
                page.evaluate(turn_dark)
                seen['pale, dark'] = page.evaluate(pale)
                if pictures: page.screenshot(path=f'{pictures}/{name.replace("/", "_")}.dark.png')
                page.evaluate('localStorage.clear()')
            page.close()
        page = browser.new_page(color_scheme='dark')
        page.goto(home + pages[0], wait_until='load')
        found[pages[0]]['dark'] = page.evaluate(is_dark)
        page.close()
    server.shutdown()
    return found

def wrong(found):
    "What is wrong with the pages, a line each"
    for name,o in found.items():
        for width in widths:
            if (w := o[f'wide at {width}']) > width: yield f'{name}: {w} pixels wide in a window of {width}'
        for host in sorted({*o['hosts']}): yield f'{name}: asks {host}'
        for line in sorted({*o['errors']}): yield f'{name}: {line}'
        if o.get('dark') is False: yield f'{name}: light where the reader has chosen dark'
        for scheme in ('light', 'dark'):
            for line in o[f'pale, {scheme}']: yield f'{name}: too pale where it is {scheme}: {line}'
        if o['bytes'] > most: yield f'{name}: {o["bytes"]:,} bytes'

def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument('site', type=Path, nargs='?', default=root/'_docs', help='folder')
    args.add_argument('--pages', nargs='*', help='some of the pages')
    args.add_argument('--pictures', type=Path, help='folder for a screenshot of each')
    args.add_argument('--json', type=Path, help='file for all figures')
    args = args.parse_args()
    pages = args.pages or [o.relative_to(args.site).as_posix() for o in sorted(args.site.rglob('*.html')) if 'site_libs' not in o.parts]
    found = browse(args.site, pages, args.pictures)
    if args.json: args.json.write_text(json.dumps(found, indent=1))
    lines = [*wrong(found)]
    for line in lines: print(line, file=sys.stderr)
    hosts = Counter(h for o in found.values() for h in {*o['hosts']})
    print(f'{len(found)} pages in a browser, {len(hosts)} other hosts asked, {len(lines)} wrong')
    return bool(lines)

if __name__ == '__main__': sys.exit(main())
