"""A film where there is no kernel: on a page like the site's, and in a notebook reopened.

Screenshots go to the folder that `LAB_PICTURES` names, or to pytest's own.
"""
import nbformat, numpy as np, pytest

import browser as tool
from gan_nbdev.lab import record
from gan_nbdev.experiments import experiment
from gan_nbdev.lab.rewinding import Rewindable
from test_lab_browser import books, chromium, notebook, pictures, theme, url

pytestmark = pytest.mark.skipif(tool.missing() is not None, reason=f'no browser: {tool.missing()}')
small = {'generator.hidden': [16]*3, 'discriminator.hidden': [16]*3, 'batch_size': 64}

@pytest.fixture(scope='module')
def ring(): return record(Rewindable(experiment('ring', 'lab', **small)), 400, frames=12)

@pytest.fixture(scope='module')
def digits(): return record(Rewindable(experiment('digits', 'lab', **small)), 40, frames=4)

def outputs(film):
    "What a notebook keeps of it"
    out = []
    with pytest.MonkeyPatch.context() as m:
        m.setattr('IPython.display.display', lambda data, raw: out.append(data))
        film._ipython_display_()
    return out

# ---- pages

def site(films, dark=False):
    """A page as Quarto makes it, in Bootstrap's colours

    Outputs of a cell follow each other in divs, HTML is passed through, pictures are files.
    """
    png, html = zip(*((a['image/png'], b['text/html']) for a, b in map(outputs, films)))
    display = '<div class="cell-output cell-output-display">{}</div>'
    cells = [f'''<div class="cell"><pre>record(Rewindable(), 3000)</pre>
{display.format(f'<figure><p><img src="data:image/png;base64,{p}"></p></figure>')}
{display.format(h)}</div>''' for p, h in zip(png, html)]
    ground, text = ('#222', '#fff') if dark else ('#fff', '#373a3c')
    return f'''<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root {{ --bs-body-bg: {ground}; --bs-body-color: {text}; --bs-border-color: #8888; }}
body {{ margin: 0 auto; padding: 8px; max-width: 860px; background: {ground}; color: {text};
  font-family: sans-serif; }} button, input, select {{ margin: 0; font: inherit }}
img {{ max-width: 100% }}</style>
<body><h1>A lesson</h1>{''.join(cells)}</body></html>'''

def exported(films):
    "A page as nbviewer and `jupyter nbconvert` make it"
    from nbconvert import HTMLExporter
    kinds = [nbformat.v4.new_output('display_data', o) for f in films for o in outputs(f)]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('film', outputs=kinds)])
    return HTMLExporter().from_notebook_node(nb)[0]

class Page:
    "A file in a browser, the player in it"
    def __init__(self, browser, path, size=(1000, 860), init=None, **context):
        self.context = browser.new_context(viewport=dict(width=size[0], height=size[1]), **context)
        self.page, self.errors, self.asked = self.context.new_page(), [], []
        self.page.on('pageerror', lambda e: self.errors.append(str(e)))
        self.page.on('console', lambda m: m.type == 'error' and self.errors.append(m.text))
        self.page.route('http*://**', lambda r: (self.asked.append(r.request.url), r.abort()))
        if init: self.page.add_init_script(init)
        self.page.goto(path.as_uri(), wait_until='domcontentloaded')

    @property
    def player(self): return self.page.locator('.gl-film').first
    def find(self, what): return self.player.locator(what).first
    def button(self, what): return self.find(f'[data-do="{what}"]')
    def iteration(self): return int(self.player.get_attribute('data-iteration') or -1)
    def pixels(self, what='.gl-canvas'): return self.find(what).evaluate('c => c.toDataURL()')
    def until(self, ready, what='it', seconds=8): tool.wait_for(ready, seconds, what)
    def ready(self):
        self.until(lambda: self.player.count() and self.iteration() >= 0, 'the player')
        return self

    def changes(self, act, what='.gl-canvas'):
        before = self.pixels(what)
        act()
        self.until(lambda: self.pixels(what) != before, 'another picture')

@pytest.fixture
def opened(chromium, tmp_path):
    "A page that asks nobody for anything and has no errors in the end"
    pages = []
    def make(text, **kw):
        path = tmp_path/f'{len(pages)}.html'
        path.write_text(text, encoding='utf-8')
        pages.append(Page(chromium, path, **kw))
        return pages[-1]
    yield make
    for p in pages:
        assert p.errors == [] and p.asked == []
        p.context.close()

@pytest.fixture
def page(opened, ring): return opened(site([ring])).ready()

# ---- what a reader does

def test_first_sight(page, ring, pictures):
    "The last frame, still, under a big button; the picture for GitHub is hidden"
    assert page.iteration() == ring.iterations[-1] == 400
    assert page.page.locator('figure > p > img').is_hidden()
    page.page.wait_for_timeout(400)
    assert page.iteration() == 400 and page.find('.gl-big').is_visible()
    for text in ('Play', 'iteration 400', 'Losses', 'JSD', 'Modes covered', 'manifold'):
        assert text in page.player.inner_text()
    for text in ('Reset', 'Lessons', 'Settings', 'Draw'):
        assert text not in page.player.inner_text()
    page.page.screenshot(path=pictures/'film_site.png')

def test_play_and_pause(page, ring):
    page.changes(page.find('.gl-big').click)
    page.until(lambda: 0 < page.iteration() < 400)
    assert page.find('.gl-big').is_hidden()
    page.button('pause').click()
    i = page.iteration()
    page.page.wait_for_timeout(300)
    assert page.iteration() == i in ring.iterations
    page.button('speed').select_option('16')
    page.button('play').click()
    page.until(lambda: page.button('play').count() and page.iteration() == 400, 'the end')

def test_scrub(page, ring):
    "By mouse and by keyboard; the curves' titles follow"
    slider, value = page.button('rewind'), page.find('[data-curve="accuracy"] figcaption')
    box, end = slider.bounding_box(), value.inner_text()
    page.changes(lambda: page.page.mouse.click(box['x'] + box['width']/2, box['y'] + 5))
    assert ring.iterations[4] < page.iteration() < ring.iterations[8]
    page.changes(lambda: slider.press('Home'))
    page.changes(lambda: slider.press('ArrowRight'), '[data-curve="accuracy"] canvas')
    assert page.iteration() == ring.iterations[1]
    assert slider.get_attribute('aria-valuetext') == f'iteration {ring.iterations[1]}'
    accuracy = float(np.float32(ring.curves['accuracy'][1]))
    assert f' {float(f"{accuracy:.3g}"):g}' in value.inner_text() != end

@pytest.mark.parametrize('name', ['real', 'fakes', 'heat', 'star', 'manifold', 'arrows'])
def test_layers(page, name):
    box = page.find(f'[data-layer="{name}"]')
    if name == 'manifold': page.find('[data-layer="fakes"]').uncheck()    # which lie on it
    page.changes(box.click)
    page.changes(box.click)

def test_hover(page, ring):
    "The pointer reads off D and the best D, as recorded, at each moment"
    canvas, n = page.find('.gl-canvas'), ring.scene['cells']
    b = canvas.bounding_box()
    x, y = .155*b['width'], .31*b['height']
    canvas.hover(position=dict(x=x, y=y))
    at = int((1 - .31)*n)*n + int(.155*n)
    for i in (len(ring) - 1, 0):
        if not i: page.button('rewind').press('Home')
        D = ring.frames[i]['heat'][at]/255
        page.until(lambda: f'D {float(f"{D:.2f}"):g}' in page.find('.gl-readout').inner_text())
        star = ring.frames[i]['star'].reshape(n//2, n//2)[int(.69*n/2), int(.155*n/2)]
        assert ('best D' in page.find('.gl-readout').inner_text()) == (star != 255)
    page.changes(lambda: canvas.press('ArrowLeft'))

def test_morph(page): page.changes(page.button('morph').click)

def test_keyboard_and_names(page):
    "All that can be operated is reached by Tab, works by keys, and has a name"
    unnamed = page.player.evaluate('''root => [...root
        .querySelectorAll("button,select,input,canvas")].filter(e => !(e.textContent.trim()
            || e.getAttribute("aria-label") || e.labels?.length))
        .map(e => e.outerHTML)''')
    assert unnamed == []
    page.page.keyboard.press('Tab')
    assert page.button('play').evaluate('e => e === document.activeElement')
    page.page.keyboard.press('Enter')
    page.until(lambda: page.button('pause').count(), 'playing')
    page.page.keyboard.press('Space')
    page.until(lambda: page.button('play').count(), 'a pause')

# ---- other pages, other browsers

def test_dark(opened, ring, pictures):
    p = opened(site([ring], dark=True)).ready()
    for o in ('manifold', 'arrows'): p.find(f'[data-layer="{o}"]').check()
    p.button('rewind').evaluate('e => { e.value = 6; e.dispatchEvent(new Event("input")) }')
    ground = p.player.evaluate('e => getComputedStyle(e).backgroundColor')
    assert ground == 'rgb(34, 34, 34)'
    p.page.wait_for_timeout(200)
    p.page.screenshot(path=pictures/'film_dark.png')

def test_the_theme_changes(opened, ring):
    p = opened(site([ring])).ready()
    p.changes(lambda: p.page.evaluate('''() => {
        document.documentElement.style.setProperty("--bs-body-bg", "#111");
        document.documentElement.style.setProperty("--bs-body-color", "#eee") }'''))

def test_phone(opened, ring, pictures):
    p = opened(site([ring]), size=(360, 740), has_touch=True, is_mobile=True).ready()
    p.changes(p.find('.gl-big').tap)
    p.button('pause').tap()
    wide = p.player.evaluate('''root => [...root.querySelectorAll("*")].filter(e =>
        e.getBoundingClientRect().right > root.getBoundingClientRect().right + 1)
        .map(e => e.className || e.tagName)''')
    assert wide == []
    p.find('.gl-canvas').tap(position=dict(x=90, y=90))
    p.until(lambda: 'x₁ = ' in p.find('.gl-readout').inner_text(), 'a reading')
    p.page.screenshot(path=pictures/'film_phone.png')

def test_reduced_motion(opened, ring):
    p = opened(site([ring]), reduced_motion='reduce').ready()
    p.page.wait_for_timeout(300)
    assert p.iteration() == 400 and p.find('.gl-big').is_visible()

def test_frames_are_not_read_aloud(page):
    assert page.player.locator('output, [role=status], [aria-live=polite]').count() == 0

def test_bullets_are_inside(page):
    gap = page.find('ul.gl-said').evaluate('e => parseFloat(getComputedStyle(e).paddingLeft)')
    assert gap > 10

clocks = '''window.clocks = new Set();
const [set, clear] = [setInterval, clearInterval];
window.setInterval = (...how) => { const id = set(...how); clocks.add(id); return id };
window.clearInterval = id => { clocks.delete(id); clear(id) };'''

def test_a_film_that_has_left_the_page_rests(opened, ring):
    "Nothing of it goes on; it is there again where the page only put it away"
    p = opened(site([ring]), init=clocks).ready()
    p.find('.gl-big').click()
    p.until(lambda: 0 < p.iteration() < 400)
    assert p.page.evaluate('clocks.size') == 2
    p.page.evaluate('() => { const o = document.querySelector(".gl-place"); window.away = [o, o.parentNode]; o.remove() }')
    p.until(lambda: p.page.evaluate('clocks.size') == 0, 'rest')
    p.page.evaluate('() => away[1].append(away[0])')
    p.until(lambda: p.page.evaluate('clocks.size') == 1, 'the film again')
    p.button('play').click()
    p.until(lambda: p.iteration() == 400, 'the end')

def test_two_films(opened, ring, digits, pictures):
    "Each plays for itself; of images the pointer tells D of a fake"
    p = opened(site([ring, digits]), size=(1000, 1500)).ready()
    first, second = (p.page.locator('.gl-film').nth(i) for i in (0, 1))
    p.until(lambda: second.count() and second.get_attribute('data-iteration') == '40')
    first.locator('[data-do="rewind"]').press('Home')
    p.until(lambda: first.get_attribute('data-iteration') == '0')
    assert second.get_attribute('data-iteration') == '40'
    second.locator('.gl-canvas').hover(position=dict(x=20, y=20))
    D = np.rint(255*digits.frames[-1]['answers'][0])/255
    readout = second.locator('.gl-readout')
    p.until(lambda: f'D of this fake  {float(f"{D:.2f}"):g}' in readout.inner_text())
    p.page.screenshot(path=pictures/'film_two.png')

def test_without_scripts(opened, ring, pictures):
    "As on GitHub: the picture, and a sentence"
    p = opened(site([ring]), java_script_enabled=False)
    assert p.page.locator('img').is_visible() and p.page.locator('.gl-film').count() == 0
    assert 'It plays where scripts are run' in p.page.locator('body').inner_text()
    p.page.screenshot(path=pictures/'film_github.png')

def test_an_old_browser(opened, ring):
    "It says what is missing, and leaves the picture"
    p = opened(site([ring]), init='delete window.DecompressionStream')
    p.until(lambda: 'cannot play the film' in p.page.locator('body').inner_text(), 'the reason')
    assert 'DecompressionStream is not defined' in p.page.locator('[role=alert]').inner_text()
    assert p.page.locator('img').is_visible()

def test_another_picture_stays(opened, ring):
    "Only the film's own picture is hidden"
    p = opened(site([ring]).replace('<figure>', '<figure hidden>').replace(
        '<div class="cell-output', '<div class="cell-output"><img src="data:image/gif;base64,'
        'R0lGODlhAQABAAAAACwAAAAAAQABAAA="></div><div class="cell-output', 1)).ready()
    assert p.page.locator('img').first.is_visible()

def test_saved(opened, ring, tmp_path, pictures):
    p = opened(ring.save(tmp_path/'run.html').read_text(encoding='utf-8')).ready()
    p.changes(p.find('.gl-big').click)
    p.page.screenshot(path=pictures/'film_saved.png')

def test_exported(chromium, ring, tmp_path, pictures):
    "The page's own libraries are asked for, and nothing else"
    path = tmp_path/'nb.html'
    path.write_text(exported([ring]), encoding='utf-8')
    p = Page(chromium, path).ready()
    assert not [o for o in p.asked if 'require' not in o.lower() and 'mathjax' not in o.lower()
                and 'mermaid' not in o.lower()]
    assert p.page.locator('.jp-RenderedImage img').is_hidden()
    p.changes(p.find('.gl-big').click)
    p.page.screenshot(path=pictures/'film_exported.png')
    p.context.close()

# ---- JupyterLab

run = f'''from gan_nbdev.lab import record
from gan_nbdev.experiments import experiment
from gan_nbdev.lab.rewinding import Rewindable
record(Rewindable(experiment('ring', 'lab', **{small})), 400, frames=12)'''

@pytest.fixture
def lab(notebook):
    nb = notebook('1')
    yield nb
    assert nb.errors == [] and nb.outside == []

def test_reopened(lab, pictures):
    "Run once, saved, opened again: it plays, although nothing was run"
    lab.put(run)
    lab.run()
    film = lab.page.locator('.gl-film')
    lab.until(lambda: film.get_attribute('data-iteration') == '400', 'the film')
    lab.page.evaluate('() => window.jupyterapp.commands.execute("docmanager:save")')
    lab.page.wait_for_timeout(1000)
    lab.page.evaluate('() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()')
    for name in 'Dark', 'Light':
        theme(lab, name)
        lab.open()
        lab.until(lambda: film.count() == 1 and film.get_attribute('data-iteration') == '400')
        assert lab.page.locator('.jp-RenderedImage img').is_hidden()
        assert lab.ask('"Rewindable" in globals()') is False
        lab.page.locator('.gl-big').click()
        lab.until(lambda: int(film.get_attribute('data-iteration')) < 400)
        lab.page.locator('[data-do="pause"]').click()
        for key in ('d', 'd'): lab.page.keyboard.press(key)   # which deletes a cell, elsewhere
        lab.page.locator('[data-layer="manifold"]').check()
        assert film.is_visible()
        lab.page.screenshot(path=pictures/f'film_lab_{name.lower()}.png')

def test_not_trusted(lab, ring, pictures):
    "A notebook that came from elsewhere: the picture, until the reader trusts it"
    cell = nbformat.v4.new_code_cell('film')
    cell.outputs = [nbformat.v4.new_output('display_data', o) for o in outputs(ring)]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), lab.path)
    lab.open()
    lab.page.wait_for_timeout(500)
    assert lab.page.locator('.gl-film').count() == 0
    assert lab.page.locator('.jp-RenderedImage img').is_visible()
    assert 'It plays where scripts' in lab.page.locator('.jp-NotebookPanel').inner_text()
    lab.page.screenshot(path=pictures/'film_untrusted.png')
