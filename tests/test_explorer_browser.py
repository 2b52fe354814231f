"""The explorer in a real JupyterLab and Chromium: every control moves z and the picture.

Screenshots go to the folder that `LAB_PICTURES` names, or to pytest's own.
"""
import shutil, subprocess
from pathlib import Path

import nbformat
import pytest

import browser as tool
from test_lab_browser import books, chromium, notebook, pictures, theme, url

pytestmark = pytest.mark.skipif(tool.missing() is not None, reason=f'no browser: {tool.missing()}')
setup = '''from gan_nbdev.all import *
from gan_nbdev.lab import Explorer
trainer = experiment({data}, device='cpu', steps=100).trainer()
trainer.fit(100, progress=False);'''
show = 'e = Explorer(trainer)\ne'

def cells(data): return setup.format(data=data), show

@pytest.fixture(scope='module')
def shared(url, chromium):
    "One explorer of digits for the tests that only use its controls"
    nb = tool.Notebook(chromium, *url, cells('digits()'), name='shared')
    nb.run()
    nb.until(lambda: look(nb).locator('.ge-fake').count() == 1, 'the explorer')
    yield nb
    nb.close()

@pytest.fixture
def digits(shared):
    "At seed 0, the walk from seed 0 to seed 1"
    for f in ('new(1)', 'anchor("b")', 'new(0)', 'anchor("a")'): shared.ask(f'str(e.latent.{f})')
    shared.ask('str(e._heard(None, dict(do="around"), []))')
    settled(shared)
    yield shared
    assert shared.errors == [] and shared.outside == []

def look(nb): return nb.page.locator('.gan-explorer').last
def part(nb, what): return look(nb).locator(f'[data-do="{what}"]')

def settled(nb):
    "Until the window shows what the kernel said last, and asks for nothing more"
    n = lambda: nb.ask('e.count')
    nb.page.wait_for_timeout(350)
    nb.until(lambda: int(look(nb).get_attribute('data-count')) == n(), 'the window')
    nb.page.wait_for_timeout(60)

def pixels(nb, selector): return look(nb).locator(selector).evaluate('c => c.toDataURL()')

def changes(nb, act, *selectors):
    "Do something: z is another, and so are these pictures"
    selectors = selectors or ('.ge-fake', '.ge-bars')
    z, before = nb.ask('e.z.tolist()'), [pixels(nb, o) for o in selectors]
    act()
    nb.until(f'e.z.tolist() != {z}', 'another z')
    for o, old in zip(selectors, before): nb.until(lambda: pixels(nb, o) != old, f'another {o}')
    settled(nb)

def drag(nb, selector, *ways):
    "From place to place, as shares of width and height"
    canvas, mouse = look(nb).locator(selector), nb.page.mouse
    canvas.scroll_into_view_if_needed()
    b = canvas.bounding_box()
    at = [(b['x'] + x*b['width'], b['y'] + y*b['height']) for x, y in ways]
    mouse.move(*at[0])
    mouse.down()
    for o in at[1:]: mouse.move(*o, steps=6)
    mouse.up()

def slide(nb, what, value):
    part(nb, what).evaluate('(e, v) => { e.value = v; e.dispatchEvent(new Event("input")) }', value)

def exact(nb):
    "The cell that is shown, executed in the kernel, gives this z and this G(z) to the bit"
    look(nb).locator('details').evaluate('e => { e.open = true }')
    code = look(nb).locator('.gl-code')
    nb.until(lambda: code.text_content() == nb.ask('e.code()'), 'the code')
    return nb.ask(f'''(lambda names: (exec({code.text_content()!r}, names),
        names["z"].equal(e.z) and names["x"].equal(e.x))[1])(
        {{k: v for k, v in globals().items() if k in ("trainer", "gan", "data", "run")}})'''
        .replace('\n', ' '))

# ---- images

def test_first_sight(digits, pictures):
    "There at once, whole, and without a question to anybody outside"
    for text in ('New z', 'seed', 'D(G(z)) =', 'A plane through z', 'Walk', 'A = z', 'B = z',
                 'nearest of 1,797 real items', 'z, 32 numbers', 'Show me the code'):
        assert text in look(digits).inner_text()
    digits.page.screenshot(path=pictures/'explorer.png')
    p = digits.ask('e.gan.prob(e.gan.generate(e.z)).item()')
    assert f'D(G(z)) = {p:.2f}' in look(digits).inner_text()

def test_what_is_painted_is_what_g_makes(digits):
    "The middle of each of the 64 squares, against the bytes of G(z)"
    middles = look(digits).locator('.ge-fake').evaluate('''c => {
        const g = c.getContext("2d"), out = [], n = c.width/8;
        for (let i = 0; i < 64; i++)
            out.push(g.getImageData((i % 8 + .5)*n, (Math.floor(i/8) + .5)*n, 1, 1).data[0]);
        return out }''')
    assert middles == digits.ask('e.view.shown(e.gan.generate(e.z))[0].tolist()')

def test_new_z(digits):
    changes(digits, part(digits, 'new').click, '.ge-fake', '.ge-pad', '.ge-bars')
    assert digits.ask('e.latent.seed') == 1 and part(digits, 'seed').input_value() == '1'
    assert exact(digits)
    changes(digits, part(digits, 'new').click, '.ge-fake', '.ge-near')   # the first two have the same real neighbour
    assert digits.ask('e.latent.seed') == 2

def test_seed(digits):
    def choose():
        part(digits, 'seed').fill('12')
        part(digits, 'seed').press('Enter')
    changes(digits, choose)
    assert digits.ask('e.latent.seed') == 12 and 'seed 12' in look(digits).inner_text()

def test_pad(digits, pictures):
    "With the mouse, with the keys, and home again"
    start = digits.ask('e.z.tolist()')
    changes(digits, lambda: drag(digits, '.ge-pad', (.5, .5), (.7, .25)), '.ge-fake', '.ge-pad')
    x, y = digits.ask('e.latent.at')
    assert abs(x - .6) < .03 and abs(y - .75) < .03
    assert exact(digits)
    digits.page.screenshot(path=pictures/'explorer_pad.png')
    changes(digits, lambda: part(digits, 'pad').press('ArrowLeft'), '.ge-pad')
    changes(digits, lambda: part(digits, 'pad').press('ArrowUp'), '.ge-pad')
    moved = digits.ask('e.latent.at')
    assert abs(moved[0] - x + .075) < 1e-3 and abs(moved[1] - y - .075) < 1e-3
    part(digits, 'pad').press('Home')
    digits.until(f'e.z.tolist() == {start}')
    assert part(digits, 'pad').get_attribute('aria-valuetext') is not None

def test_other_directions(digits):
    z, before = digits.ask('e.z.tolist()'), pixels(digits, '.ge-pad')
    part(digits, 'turn').click()
    digits.until(lambda: pixels(digits, '.ge-pad') != before, 'another plane')
    assert digits.ask('e.latent.plane') > 0 and digits.ask('e.z.tolist()') == z

def test_walk(digits):
    changes(digits, lambda: slide(digits, 'walk', .5), '.ge-fake', '.ge-strip')
    assert digits.ask('e.latent.t') == .5 and exact(digits)
    changes(digits, lambda: look(digits).locator('.ge-strip').click(position=dict(x=8, y=8)))
    assert digits.ask('e.latent.t') < .05
    slide(digits, 'walk', 1)
    digits.until('e.z.equal(e.latent.b.z)')

def test_play(digits, pictures):
    "To and fro until it is stopped"
    seen = set()
    part(digits, 'play').click()
    for _ in range(8):
        digits.page.wait_for_timeout(120)
        seen.add(digits.ask('e.latent.t'))
    assert len(seen) > 4
    digits.page.screenshot(path=pictures/'explorer_walk.png')
    part(digits, 'play').click()
    settled(digits)
    t = digits.ask('e.latent.t')
    digits.page.wait_for_timeout(300)
    assert digits.ask('e.latent.t') == t and 'Walk' in part(digits, 'play').inner_text()

@pytest.mark.parametrize('end', ['a', 'b'])
def test_anchors(digits, end):
    part(digits, 'new').click(); part(digits, 'new').click()
    digits.until('e.latent.seed == 2')
    settled(digits)
    before = pixels(digits, '.ge-strip')
    part(digits, end).click()
    digits.until(f'e.latent.{end}.z.equal(e.z)')
    digits.until(lambda: pixels(digits, '.ge-strip') != before, 'another walk')

def test_bars(digits):
    "Bar 6 of 32 pulled up, then through its neighbours; the keys; a value typed"
    changes(digits, lambda: drag(digits, '.ge-bars', (5.5/32, .5), (5.5/32, .1)))
    assert 1.3 < digits.ask('e.z[0, 5].item()') < 1.45
    assert 'z6 =' in look(digits).inner_text() and exact(digits)
    changes(digits, lambda: drag(digits, '.ge-bars', (10.5/32, .9), (14.5/32, .9)))
    assert digits.ask('e.z[0, 10:15].max().item()') < -1.3
    part(digits, 'bars').press('ArrowRight')
    assert part(digits, 'which').input_value() == '16'
    changes(digits, lambda: part(digits, 'bars').press('ArrowUp'), '.ge-bars')
    part(digits, 'bars').press('Home')
    digits.until('e.z[0, 15].item() == 0')

def test_one_number(digits):
    part(digits, 'which').fill('20')
    changes(digits, lambda: slide(digits, 'one', 1.25))
    assert digits.ask('e.z[0, 19].item()') == 1.25

def test_keyboard_and_names(digits):
    "Everything that can be operated has a name, and keeps its keys from JupyterLab"
    faults = look(digits).evaluate('''root => [...root
        .querySelectorAll("button,input,canvas,summary,[tabindex]")].filter(e => !(
            e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length)
            || !e.dataset.lmSuppressShortcuts).map(e => e.outerHTML)''')
    assert faults == []
    part(digits, 'pad').focus()
    for key in ('d', 'd', 'x'): digits.page.keyboard.press(key)   # which delete a cell, elsewhere
    assert look(digits).is_visible()
    part(digits, 'new').focus()
    changes(digits, lambda: digits.page.keyboard.press('Enter'))

def test_a_drag_ends_where_the_finger_does(digits):
    "Of many places on the way, the last is shown"
    drag(digits, '.ge-pad', *[(.5 + .4*(i % 2), i/60) for i in range(12)])
    digits.until('abs(e.latent.at[1] - (1.5 - 3*11/60)) < .05')

# ---- points

@pytest.mark.parametrize('data', ['ring()', 'mixture_1d()'])
def test_points(notebook, pictures, data):
    nb = notebook(*cells(data))
    settled(nb)
    assert 'among data and fakes' in look(nb).inner_text() and 'x = (' in look(nb).inner_text()
    changes(nb, lambda: drag(nb, '.ge-pad', (.4, .4), (.3, .75)), '.ge-fake', '.ge-pad', '.ge-bars')
    x, y = nb.ask('e.z[0].tolist()')
    assert abs(x + 1.4) < .05 and abs(y + 1.75) < .05 and exact(nb)
    if data == 'mixture_1d()':   # G(z) itself, from white to blue: nearly everywhere there is some blue
        white = """c => { const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
            let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] > 253; return 4*n/d.length }"""
        assert look(nb).locator('.ge-pad').evaluate(white) < .3
    before = pixels(nb, '.ge-fake')
    part(nb, 'a').click()
    nb.until(lambda: pixels(nb, '.ge-fake') != before, 'another trail')
    changes(nb, lambda: slide(nb, 'walk', .7), '.ge-fake', '.ge-pad')
    changes(nb, part(nb, 'new').click)
    changes(nb, lambda: drag(nb, '.ge-bars', (.75, .5), (.75, .2)))
    assert exact(nb)
    look(nb).locator('.gl-bar').scroll_into_view_if_needed()
    nb.page.screenshot(path=pictures/f'explorer_{data[:4]}.png')
    assert nb.errors == [] and nb.outside == []

def test_other_kinds(notebook, pictures):
    "A table, a GAN without data, noise of one number and of a hundred on a sphere"
    nb = notebook(setup.split('trainer')[0] + '''
def made(noise, dim):
    return GAN(mlp_generator(noise.dim, dim, seed=0), mlp_discriminator(dim, seed=1), noise)
from IPython.display import display
es = [Explorer(made(normal(4), 5)), Explorer(made(uniform(1), 2), 'ring'),
      Explorer(made(sphere(100), 64), 'digits')]
for e in es: display(e)''')
    nb.page.set_viewport_size(dict(width=1280, height=2600))
    roots = nb.page.locator('.gan-explorer')
    assert roots.count() == 3
    for i in range(3):
        roots.nth(i).locator('[data-do="pad"]').press('ArrowRight')
        roots.nth(i).locator('[data-do="bars"]').press('ArrowUp')
    nb.until('[e.latent.said for e in es] == ["z1 set by hand"]*3')
    nb.page.wait_for_timeout(600)
    nb.page.screenshot(path=pictures/'explorer_kinds.png', full_page=True)
    assert nb.errors == []

def test_data_of_ones_own(notebook, pictures):
    "A mixed table tells its columns; series and oblong colour images are drawn"
    nb = notebook(f'import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nimport forms\n' + setup.split('trainer')[0] + '''
from IPython.display import display
def trained(data):
    small = {'generator.hidden': [16], 'discriminator.hidden': [16]}
    return experiment(data, 'lab', **small).trainer().fit(30, progress=False)
es = [Explorer(trained(o)) for o in (forms.people(), Samples(forms.waves, kind='series'), forms.images['(n, 3, 8, 8)'][:, :, :5])]
for e in es: display(e)''')
    nb.page.set_viewport_size(dict(width=1280, height=2400))
    roots = nb.page.locator('.gan-explorer')
    for i in range(3):
        fake = roots.nth(i).locator('.ge-fake')
        before = fake.evaluate('c => c.toDataURL()')
        roots.nth(i).locator('[data-do="pad"]').press('ArrowRight')
        nb.until(lambda: fake.evaluate('c => c.toDataURL()') != before, 'another picture')
    said = nb.ask('[f"{k} {v}" for k, v in es[0].widget.now["words"]]')
    nb.until(lambda: all(o in roots.nth(0).inner_text() for o in said), 'the columns')
    assert 'nearest real item: colour' in roots.nth(0).inner_text()
    nb.page.wait_for_timeout(600)
    nb.page.screenshot(path=pictures/'explorer_own.png', full_page=True)
    assert nb.errors == []

# ---- what is explored

def test_runs_and_folders(notebook, pictures):
    nb = notebook('from gan_nbdev.lab import Lab\nfrom gan_nbdev.lab import Explorer\n'
                  'lab = Lab(data="line", **{"generator.hidden": [8], "discriminator.hidden": [8]})\n'
                  'lab.session.do("step", n=30).result(); out = lab.run.save()\n'
                  'lab.session.do("play").result(); e = Explorer(lab); lab.close()\ne',
                  'f = Explorer(out)\nf')
    assert nb.page.locator('.gan-explorer').count() == 2
    look(nb).locator('[data-do="new"]').click()
    nb.until('f.latent.seed == 1')
    assert 'nearest real item' in look(nb).inner_text() and nb.errors == []
    assert nb.ask('[t.name for t in __import__("threading").enumerate() if "gan" in t.name]') == []

# ---- themes and widths

def test_dark(notebook, pictures):
    nb = notebook('1')
    theme(nb, 'Dark')
    for data in ('digits()', 'ring()'):
        nb.put(*cells(data), size=(1024, 1000))
        nb.run()
        changes(nb, lambda: part(nb, 'pad').press('ArrowUp'), '.ge-pad')
        ground = look(nb).evaluate('e => getComputedStyle(e).backgroundColor')
        assert max(map(int, ground[4:-1].split(', '))) < 80
        nb.page.screenshot(path=pictures/f'explorer_dark_{data[:4]}.png')
    theme(nb, 'Light')

def test_phone(notebook, pictures):
    nb = notebook(*cells('digits()'), size=(390, 844), has_touch=True)
    nb.page.evaluate('() => window.jupyterapp.shell.collapseLeft()')
    nb.page.wait_for_timeout(500)
    changes(nb, lambda: part(nb, 'pad').tap(position=dict(x=40, y=40)), '.ge-fake', '.ge-pad')
    assert nb.ask('e.latent.at[1]') > .5
    wide = look(nb).evaluate('''root => [...root.querySelectorAll("*")].filter(e =>
        e.getBoundingClientRect().right > root.getBoundingClientRect().right + 1)
        .map(e => e.className || e.tagName)''')
    assert wide == []
    nb.page.set_viewport_size(dict(width=390, height=1700))
    nb.page.wait_for_timeout(300)
    nb.page.screenshot(path=pictures/'explorer_phone.png')

# ---- what can go wrong

def test_networks_that_fail(notebook, pictures):
    nb = notebook(*cells('ring()'))
    nb.ask('setattr(e.gan.generator, "forward", lambda z: 1/0)')
    part(nb, 'new').click()
    nb.until(lambda: 'ZeroDivisionError: division by zero' in look(nb).inner_text())
    nb.page.screenshot(path=pictures/'explorer_error.png')
    nb.ask('delattr(e.gan.generator, "forward")')
    part(nb, 'new').click()
    nb.until(lambda: 'division' not in look(nb).inner_text(), 'the message to go')
    nb.ask('str(e.gan.generator[0].weight.data.fill_(float("nan")))')
    part(nb, 'new').click()
    nb.until(lambda: 'G(z) is NaN or infinite' in look(nb).inner_text())
    assert nb.errors == []

def test_broken_from_the_start(notebook):
    nb = notebook(setup.format(data='digits()') + '''
for p in trainer.gan.parameters(): p.data.fill_(float('nan'))''', show)
    nb.until(lambda: 'G(z) is NaN or infinite' in look(nb).inner_text())
    part(nb, 'new').click()
    nb.until('e.latent.seed == 1')
    assert nb.errors == []

def test_reload_and_a_second_browser(notebook):
    "Both windows show the same place"
    nb = notebook(*cells('ring()'))
    part(nb, 'new').click()
    nb.until('e.latent.seed == 1')
    nb.page.evaluate('() => window.jupyterapp.commands.execute("docmanager:save")')
    nb.page.wait_for_timeout(500)
    other = nb.context.new_page()
    other.goto(nb.page.url.replace('?reset', ''))
    there = other.locator('.gan-explorer')
    nb.until(lambda: there.count() and 'drawn with seed 1' in there.inner_text(), 'the second', 20)
    there.locator('[data-do="new"]').click()
    nb.until(lambda: part(nb, 'seed').input_value() == '2', 'the first to follow')
    nb.page.reload()
    nb.until(lambda: look(nb).count() and 'seed 2' in look(nb).inner_text(), 'the reload', 20)
    other.close()

def test_saved_picture(notebook):
    "Whoever has no kernel sees a picture"
    nb = notebook(*cells('ring()'))
    nb.page.evaluate('() => window.jupyterapp.commands.execute("docmanager:save")')
    saved = lambda: nbformat.read(nb.path, as_version=4).cells[-1].get('outputs')
    nb.until(saved, 'the file')
    assert len(saved()[1]['data']['image/png']) > 5000

def test_kernel_restart(notebook):
    nb = notebook(*cells('ring()'))
    nb.page.evaluate('() => window.jupyterapp.shell.currentWidget.sessionContext.session'
                     '.kernel.restart()')
    nb.page.wait_for_timeout(1500)
    part(nb, 'new').click()
    nb.until(lambda: 'was restarted' in look(nb).inner_text(), 'the message', 30)

# ---- the window's own code

@pytest.mark.skipif(not shutil.which('node'), reason='there is no node')
def test_javascript():
    here = Path(__file__).parent
    res = subprocess.run(['node', '--test', here/'explorer.test.mjs'], capture_output=True,
                         text=True)
    assert res.returncode == 0, res.stdout + res.stderr
