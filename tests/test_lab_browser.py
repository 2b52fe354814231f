"""The Lab in a real JupyterLab and Chromium: every control changes the kernel and the picture.

Screenshots go to the folder that `LAB_PICTURES` names, or to pytest's own.
"""
import json, os, subprocess
from pathlib import Path

import pytest

import browser as tool
from gan_nbdev.lab import lessons

pytestmark = pytest.mark.skipif(tool.missing() is not None, reason=f'no browser: {tool.missing()}')
widths = {'generator.hidden': [16]*3, 'discriminator.hidden': [16]*3, 'batch_size': 64}
small = f'from gan_nbdev.lab import Lab\nlab = Lab(**{widths})\nlab'

@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    p = Path(os.environ.get('LAB_PICTURES') or tmp_path_factory.mktemp('pictures'))
    p.mkdir(parents=True, exist_ok=True)
    return p

@pytest.fixture(scope='module')
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp('lab')
    with tool.server(folder, OMP_NUM_THREADS='1') as u: yield u, folder

@pytest.fixture(scope='module')
def chromium():
    with tool.chromium() as b: yield b

@pytest.fixture(scope='module')
def books():
    "Notebooks that are open and empty, by what their windows have"
    books = {}
    yield books
    for nb in books.values(): nb.close()

@pytest.fixture
def notebook(url, chromium, books):
    "A notebook with the cells given, run"
    used = {}
    def make(*sources, size=tool.laptop, **kw):
        kind, name = str(kw), f'n{len([*url[1].glob("n*.ipynb")])}'
        if nb := books.pop(kind, None): nb.put(*sources, size=size)
        else: nb = tool.Notebook(chromium, *url, sources, size, name, **kw)
        used[kind] = nb
        nb.run()
        return nb
    yield make
    for kind, nb in used.items():
        nb.put()   # whatever is going on ends
        books[kind] = nb

@pytest.fixture(scope='module')
def shared(url, chromium):
    "One Lab for the tests that only press buttons"
    nb = tool.Notebook(chromium, *url, [small], name='shared')
    nb.run()
    nb.until(lambda: begun(nb), 'the first frame')
    nb.at_first = nb.ask('lab.session.report()["settings"]')
    yield nb
    nb.close()

@pytest.fixture
def lab(shared):
    "At iteration 20, paused, without errors from before"
    do(shared, 'pause'); do(shared, 'speed', speed='full'); do(shared, 'uncompare')
    do(shared, 'set', **{k: v for k, v in shared.at_first.items() if k != 'data.file'})
    do(shared, 'clear'); do(shared, 'reset')
    do(shared, 'step', n=20)
    shared.until(lambda: 'iteration 20' in count(shared), 'iteration 20')
    shared.errors.clear()
    yield shared
    assert shared.errors == [] and shared.outside == []

def do(nb, what, **how):
    "A command from the kernel's side, awaited"
    nb.ask(f'str(lab.session.do({what!r}, **{how!r}).result({60*tool.patience}))')

def look(nb): return nb.page.locator('.gan-lab').last
def begun(nb): return look(nb).get_attribute('data-iteration') == '0'   # the first frame is there
def count(nb): return look(nb).locator('.gl-when').inner_text()
def button(nb, what): return look(nb).locator(f'[data-do="{what}"]')

def pixels(nb, selector='.gl-canvas'):
    return look(nb).locator(selector).first.evaluate('c => c.toDataURL()')

def changes(nb, act, selector='.gl-canvas'):
    "Do something; wait until the picture is another"
    before = pixels(nb, selector)
    act()
    nb.until(lambda: pixels(nb, selector) != before, 'another picture')

def tab(nb, name):
    "What is one click away"
    button(nb, f'tab-{name}').click()

def choose(nb, name, value):
    tab(nb, 'knobs')
    look(nb).locator('.gl-all').evaluate('e => { e.open = true }')
    knob = look(nb).locator(f'.gl-knob [data-name="{name}"]')
    if knob.evaluate('e => e.tagName') == 'SELECT': knob.select_option(value)
    else:
        knob.fill(str(value))
        knob.press('Enter')

# ---- what a student does first

def test_first_sight(lab, pictures):
    "The Lab shows itself, at once and whole, and asks nobody outside"
    for text in ('Play', 'Reset', 'Rewind', 'Lessons', 'Settings', 'Line by line', 'Losses'):
        assert text in look(lab).inner_text()
    lab.page.screenshot(path=pictures/'first.png')

@pytest.fixture
def laptop(shared, lab):
    "The same Lab on a small screen"
    lab.page.set_viewport_size(dict(width=1366, height=768))
    tab(lab, 'now')
    lab.until(lambda: look(lab).bounding_box()['width'] > 900, 'room')
    look(lab).evaluate('e => e.closest(".jp-WindowedPanel-outer, .jp-NotebookPanel-notebook").scrollTo(0, 0)')
    yield lab
    lab.page.set_viewport_size(dict(width=1280, height=900))

def whole(nb, *selectors):
    "All of these are to be seen without scrolling, above the bar at the foot"
    foot = nb.page.locator('#jp-bottom-panel, #jp-main-statusbar').last.bounding_box()['y']
    for o in selectors:
        b = look(nb).locator(o).first.bounding_box()
        assert b and b['y'] > 80 and b['y'] + b['height'] <= foot, (o, b, foot)

def test_all_that_matters_is_seen_at_once(laptop, pictures):
    "1366 × 768, without scrolling: picture, diagram, both losses and V, Play and single steps"
    whole(laptop, '.gl-canvas', '.gl-flow', '[data-curve="losses"]', '[data-curve="value"]', '.gl-scale', '.gl-layers label', '.gl-readout',
          *(f'[data-do="{o}"]' for o in ('play', 'step', 'alone-d', 'alone-g', 'rewind', 'tab-lines', 'tab-knobs', 'draw')))
    laptop.page.screenshot(path=pictures/'first_1366.png')

def test_line_by_line_beside_the_picture(laptop, pictures):
    "Picture, diagram, all lines, words and button on a laptop; numbers of this minibatch; back and forth"
    tab(laptop, 'lines')
    lit = look(laptop).locator('.gl-lines .gl-lit')
    for text in ('draw m noise', 'draw m examples', 'let D judge x'):
        button(laptop, 'line').click()
        laptop.until(lambda: lit.count() == 1 and text in lit.inner_text(), text)
    assert 'D(x), D(G(z))' in lit.inner_text() and 'mean D(x) = 0.' in lit.inner_text()
    whole(laptop, '.gl-canvas', '.gl-flow', '.gl-lines', '.gl-told', '[data-do="line"]', '[data-do="line-back"]')
    laptop.page.screenshot(path=pictures/'lines_1366.png')
    third, i = lit.inner_text(), laptop.ask('lab.run.iteration')
    button(laptop, 'line-back').click()
    laptop.until(lambda: 'draw m examples' in lit.inner_text() and 'x⁽¹⁾ = (' in lit.inner_text(), 'the line before')
    button(laptop, 'line').click()
    laptop.until(lambda: lit.inner_text() == third, 'the third again')
    button(laptop, 'line').click()
    laptop.until(lambda: 'against ∇L_D' in lit.inner_text() and 'now mean D(x) = ' in lit.inner_text(), 'the fourth')
    assert 'log D(x) + log(1 − D(G(z)))' in lit.inner_text() and laptop.ask('lab.run.iteration') == i
    before = pixels(laptop)
    changes(laptop, button(laptop, 'line-back').click)    # the picture of then: D has not moved
    changes(laptop, button(laptop, 'line').click)
    assert pixels(laptop) == before
    do(laptop, 'pause')

def test_what_is_asked_for_is_answered_on_the_screen(laptop):
    "The text of a lesson, Compare, and what Save says"
    tab(laptop, 'lessons')
    look(laptop).locator('[data-lesson="saturation"]').click()
    laptop.until(lambda: look(laptop).locator('.gl-question').count() == 1, 'the question')
    whole(laptop, '.gl-lesson', '.gl-canvas')
    tab(laptop, 'compare')
    whole(laptop, '[data-do="compare"]', '[data-do="uncompare"]')
    tab(laptop, 'code')
    button(laptop, 'save').click()
    laptop.until(lambda: 'Saved.' in look(laptop).locator('.gl-note').inner_text(), 'the note')
    whole(laptop, '.gl-note')

def test_the_tab_is_remembered(notebook):
    nb = notebook(small)
    nb.until(lambda: look(nb).count() and look(nb).locator('.gl-panel-now').is_visible(), 'the first tab')
    tab(nb, 'knobs')
    nb.ask('globals().update(first=lab)')
    nb.run()
    nb.until('lab is not first')
    nb.until(lambda: look(nb).locator('.gl-panel-knobs').is_visible() and not look(nb).locator('.gl-panel-now').is_visible(), 'the tab')

def test_a_tab_that_is_not_there_is_not_remembered(notebook):
    "A trainer of one's own has no lessons: another tab is open, and the keyboard goes around"
    nb = notebook('from gan_nbdev.experiments import experiment\nfrom gan_nbdev.lab import Lab\n'
                  f'lab = Lab(experiment("ring", "lab", **{widths}).trainer())\nlab')
    nb.page.evaluate('() => localStorage.setItem("gan-lab-tab", "lessons")')
    nb.ask('globals().update(first=lab)')
    nb.run()
    nb.until('lab is not first')
    nb.until(lambda: look(nb).count() and look(nb).locator('.gl-panel-now').is_visible(), 'the first tab')
    heads = look(nb).locator('[role="tab"]')
    assert 'Lessons' not in look(nb).inner_text() and heads.evaluate_all('all => all.map(e => e.tabIndex)') == [0, -1, -1, -1, -1, -1]
    heads.first.press('ArrowLeft')
    nb.until(lambda: look(nb).locator('.gl-panel-code').is_visible(), 'the last tab')
    for _ in range(3): nb.page.keyboard.press('ArrowLeft')
    nb.until(lambda: look(nb).locator('.gl-panel-lines').is_visible(), 'the tab beside the lessons')

def test_the_only_run_there_is_is_not_lost_unasked(notebook):
    "A trainer of one's own is wound back in place, so that a reset has to be asked for twice"
    nb = notebook('from gan_nbdev.experiments import experiment\nfrom gan_nbdev.lab import Lab\n'
                  f'lab = Lab(experiment("ring", "lab", **{widths}).trainer())\nlab')
    do(nb, 'step', n=3); do(nb, 'step', n=4)
    nb.until(lambda: look(nb).locator('[data-do="rewind"]').input_value() == '7', 'iteration 7')
    button(nb, 'reset').click()
    assert 'forgets what is recorded after iteration 0' in look(nb).locator('.gl-note').inner_text() and nb.ask('lab.run.iteration') == 7
    button(nb, 'reset').click()
    nb.until('lab.run.iteration == 0')

# ---- the living diagram

def test_the_gradient_of_g_flows_through_d_and_the_fakes(lab):
    "And that of D from its loss to D; neither touches the data"
    js = """([path, part]) => {
        const svg = document.querySelector('.gl-flow'), p = svg.querySelector(path), b = svg.querySelector(`[data-part="${part}"] rect, .gl-${part} rect`).getBBox();
        const at = [];
        for (let i = 0; i <= 200; i++) {
            const q = p.getPointAtLength(p.getTotalLength()*i/200);
            if (q.x > b.x - 4 && q.x < b.x + b.width + 4 && q.y > b.y - 4 && q.y < b.y + b.height + 4) at.push(i);
        }
        return at }"""
    def inside(path, part): return lab.page.evaluate(js, [path, part])
    d, fakes, g = (inside('.gl-of-g', o) for o in ('D', 'fakes', 'g'))
    assert 0 < d[0] < d[-1] < fakes[0] < fakes[-1] < g[-1] == 200 and inside('.gl-of-g', 'data') == []
    assert inside('.gl-of-d', 'D')[-1] == 200 and inside('.gl-of-d', 'fakes') == inside('.gl-of-d', 'data') == []

def number(nb, name): return look(nb).locator(f'.gl-flow [data-number="{name}"]').text_content()

def test_the_numbers_of_the_diagram_are_current(lab):
    "Those of the kernel at this iteration; also when D alone has moved"
    for act in (lambda: do(lab, 'step', n=15), lambda: do(lab, 'alone', player='d')):
        act()
        now = lab.ask('(lambda e: (e.look(False), e.open(), e.numbers())[2])(__import__("gan_nbdev.lab.eye", fromlist=["Eye"]).Eye(lab.run))')
        for name in ('d_loss', 'g_loss'):
            lab.until(lambda: abs(float(number(lab, name)) - now[name]) < .006, f'{name} {now[name]}')
        lab.until(lambda: abs(float(number(lab, 'd_real').split()[-1]) - now['d_real']) < .006, 'D(x)')

def test_the_numbers_of_the_diagram_can_be_read(lab):
    "4.5 to 1 at least, as texts of their size need"
    ratio = look(lab).locator('svg [data-number="pull"]').evaluate('''e => {
        const g = document.createElement("canvas").getContext("2d");
        for (const o of ["#fff", getComputedStyle(e).fill]) { g.fillStyle = o; g.fillRect(0, 0, 1, 1) }
        const [r, v, b] = [...g.getImageData(0, 0, 1, 1).data].map(o => (o /= 255) <= .04045 ? o/12.92 : ((o + .055)/1.055)**2.4);
        return 1.05/(.2126*r + .7152*v + .0722*b + .05) }''')
    assert ratio > 4.5

def test_the_diagram_moves_while_it_plays(lab):
    seen, tiles = set(), set()
    button(lab, 'play').click()
    def moves():
        seen.add(number(lab, 'g_loss'))
        tiles.add(pixels(lab, '[data-tile="fakes"]') + pixels(lab, '[data-tile="D"]'))
        return len(seen) > 3 and len(tiles) > 3
    lab.until(moves, 'numbers and pictures')
    def dashes(): return look(lab).locator('.gl-of-g').evaluate('e => getComputedStyle(e).strokeDashoffset')
    lab.until(lambda first=dashes(): dashes() != first, 'dashes that run')
    button(lab, 'pause').click()
    lab.until(lambda: look(lab).locator('[data-do="play"]').count(), 'rest')
    stood, before = dashes(), count(lab)
    do(lab, 'step', n=3)
    lab.until(lambda: count(lab) != before, 'one more picture')
    assert dashes() == stood

@pytest.mark.parametrize('what, words', [
    ('[data-part="z"] rect', 'random numbers'), ('.gl-of-g', 'through D'), ('.gl-loss-d rect', 'D descends it'), ('[data-curve="jsd"] canvas', 'Jensen'),
    ('[data-curve="losses"] canvas', 'At iteration'), ('.gl-scale', 'cannot tell'), ('[data-layer="star"]', 'best D'), ('.gl-canvas', 'here.')])
def test_every_part_explains_itself(lab, what, words):
    "In a sentence, under the pointer"
    tab(lab, 'curves')
    place = look(lab).locator(what).first
    if what == '.gl-of-g':   # a thin line: a place on it
        x, y = place.evaluate("""e => { const q = e.getPointAtLength(e.getTotalLength()*.9).matrixTransform(e.getScreenCTM()); return [q.x, q.y] }""")
        lab.page.mouse.move(x, y)
    else: place.hover(force=True)
    lab.until(lambda: words in look(lab).locator('.gl-readout').inner_text(), words)

@pytest.mark.parametrize('game', ['hinge', 'non-saturating'])
def test_explanations_are_those_of_the_game(lab, game):
    "Of probabilities only where D gives them"
    do(lab, 'set', game=game)
    sure, end = game == 'non-saturating', look(lab).locator('.gl-scale span').first
    lab.until(lambda: end.inner_text() == ('D = 0, fake' if sure else 'least'), 'the colour bar')
    def told(what):
        lab.page.mouse.move(5, 5)
        place = look(lab).locator(what).first
        if 'gl-hit' in what:
            x, y = place.evaluate('e => { const q = e.getPointAtLength(e.getTotalLength()/2).matrixTransform(e.getScreenCTM()); return [q.x, q.y] }')
            lab.page.mouse.move(x, y)
        else: place.hover(force=True)
        return look(lab).locator('.gl-readout').inner_text()
    for what, words, others in (
            ('[data-part="D"] rect', 'how likely', 'a value'), ('.gl-way .gl-hit[d^="M260 58"]', 'should say 0', 'G wants it to be like'),
            ('.gl-way .gl-hit[d^="M260 160"]', 'should say 1', 'higher than those of fakes'), ('.gl-scale', '½', 'its least value'),
            ('[data-layer="heat"]', 'D = ½', 'blue is high')):
        said = told(what)
        assert (words in said, others in said) == (sure, not sure), said
    tab(lab, 'lines')
    for _ in range(3): do(lab, 'line')
    lab.until(lambda: ('how likely' if sure else 'a value: in most games') in look(lab).locator('.gl-told').inner_text(), 'the third line')
    do(lab, 'pause')
    tab(lab, 'now')   # beside the lines the curves have no room

# ---- what used to go wrong

def test_clicks_on_layers_are_not_lost_while_it_plays(lab):
    button(lab, 'play').click()
    lab.until('lab.run.iteration > 25')
    boxes = [look(lab).locator(f'[data-layer="{o}"]') for o in ('arrows', 'star')]
    def state(): return [o.is_checked() for o in boxes]
    wanted = state()
    for i in range(8):
        boxes[i % 2].evaluate('e => e.click()')
        wanted[i % 2] = not wanted[i % 2]
        lab.page.wait_for_timeout(120)
        assert state() == wanted, i
    boxes[0].evaluate('e => e.click()')
    wanted[0] = not wanted[0]
    lab.until(lambda: [o in lab.ask('lab.session.layers') for o in ('arrows', 'star')] == wanted, 'the kernel to follow')
    button(lab, 'pause').click()
    lab.until('not lab.session.playing')
    assert state() == wanted
    if wanted[0]: boxes[0].evaluate('e => e.click()')

def test_a_stroke_is_not_closed(lab):
    "What is drawn is what the data are: an angle, without the edge back to its start"
    button(lab, 'draw').click()
    canvas, mouse = look(lab).locator('.gl-canvas'), lab.page.mouse
    canvas.scroll_into_view_if_needed()
    b = canvas.bounding_box()
    def at(x, y): return b['x'] + b['width']*x, b['y'] + b['height']*y
    mouse.move(*at(.2, .3)); mouse.down(); mouse.move(*at(.2, .8), steps=5); mouse.move(*at(.8, .8), steps=5); mouse.up()
    lab.until('len(lab.session.strokes) == 1')
    seen = """c => [[.2, .5], [.5, .8], [.5, .55], [.35, .425]].map(([x, y]) => {
        const d = c.getContext('2d').getImageData(c.width*x - 3, c.height*y - 3, 6, 6).data;
        return d.some((v, i) => i % 4 < 3 && v < 128) })"""
    lab.until(lambda: canvas.evaluate(seen) == [True, True, False, False], 'the angle, and nothing else')
    button(lab, 'draw').click()

def test_curves_are_sharp_after_a_resize_while_paused(lab):
    curve = look(lab).locator('[data-curve="losses"] canvas')
    lab.page.set_viewport_size(dict(width=1000, height=900))
    sharp = 'c => c.width === Math.round(c.clientWidth*devicePixelRatio) && c.width'
    lab.until(lambda: curve.evaluate(sharp), 'a sharp curve')
    narrow = curve.evaluate(sharp)
    lab.page.set_viewport_size(dict(width=1280, height=900))
    lab.until(lambda: (curve.evaluate(sharp) or narrow) != narrow, 'a sharp curve again')

def test_v_has_a_gap_where_the_game_had_none(lab):
    for game in ('hinge', 'non-saturating'):
        do(lab, 'set', game=game); do(lab, 'step', n=20)
    plot = look(lab).locator('[data-curve="value"]')
    seen = """c => {
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data, pink = new Set();
        for (let i = 0; i < d.length; i += 4) if (d[i + 3] && d[i] > d[i + 1] + 40 && d[i + 2] > d[i + 1] + 20)
            pink.add(Math.floor((i/4 % c.width/c.width*c.clientWidth - 40)/(c.clientWidth - 44)*12));
        return [...pink] }"""   # twelfths of the 60 iterations
    lab.until(lambda: plot.is_visible() and {1, 2, 9, 10} <= (told := {*plot.locator('canvas').evaluate(seen)}) and not {5, 6} & told, 'both parts, and the gap')
    assert 'Losses, nats' in look(lab).locator('[data-curve="losses"]').inner_text()

def cut_words(nb):
    "Choices that do not fit into their controls"
    tab(nb, 'knobs')
    look(nb).locator('.gl-all').evaluate('e => { e.open = true }')
    cut = look(nb).evaluate("""root => {
        const g = document.createElement('canvas').getContext('2d'), out = [];
        for (const e of root.querySelectorAll('.gl-knob select, .gl-bar select')) {
            g.font = getComputedStyle(e).font;
            for (const o of e.options) if (g.measureText(o.text).width > e.clientWidth - 16 - 20) out.push(o.text);
        }
        return out }""")
    look(nb).locator('.gl-all').evaluate('e => { e.open = false }')
    return cut

def test_no_word_is_cut(laptop): assert cut_words(laptop) == []

def test_the_slider_is_linear_in_iterations(lab):
    do(lab, 'step', n=1); do(lab, 'step', n=1); do(lab, 'step', n=78)
    slider = button(lab, 'rewind')
    lab.until(lambda: slider.evaluate('e => [e.max, e.value].join()') == '100,100', 'the end')
    slider.evaluate('e => { e.value = 24; e.dispatchEvent(new Event("input")) }')
    near = lab.ask('min(lab.session.moments(), key=lambda o: abs(o - 24))')   # the hundredth part of the way is an iteration
    lab.until(f'lab.run.iteration == {near}')
    lab.until(lambda: slider.evaluate('e => e.value') == str(near), 'the moment')

def test_a_future_is_not_dropped_unasked(lab):
    "Training alone keeps it; another way has to be asked for twice"
    do(lab, 'step', n=20); do(lab, 'rewind', iteration=20)
    button(lab, 'step').click()
    lab.until('lab.run.iteration == 21 and 40 in lab.run.ahead()')
    button(lab, 'alone-d').click()
    lab.until(lambda: 'This forgets what is recorded after iteration 21' in look(lab).locator('.gl-note').inner_text(), 'the question')
    assert 40 in lab.ask('lab.run.ahead()')
    button(lab, 'alone-d').click()
    lab.until('lab.run.ahead() == [] and lab.run.story[-1].get("alone") == "d"')

def test_a_text_opens_the_same_state(lab):
    tab(lab, 'code')
    button(lab, 'text').click()
    code = look(lab).locator('.gl-code')
    lab.until(lambda: 'Lab.from_text(' in code.inner_text(), 'the text')
    lab.ask(f'globals().update(again=eval({code.inner_text()!r}.split(chr(10))[1], dict(Lab=Lab)))')
    assert lab.ask('[again.run.story == lab.run.story, bool(again.trainer.history["value"][-1] == lab.trainer.history["value"][-1])]') == [True, True]
    lab.ask('str(again.close())')

def test_play_and_pause(lab):
    changes(lab, lambda: button(lab, 'play').click())
    lab.until(lambda: 'iterations/s' in look(lab).locator('.gl-bar').inner_text(), 'the rate')
    lab.until('lab.session.playing and lab.run.iteration > 60')
    button(lab, 'pause').click()
    lab.until('not lab.session.playing')
    i = lab.ask('lab.run.iteration')
    assert lab.ask('lab.run.iteration') == i
    lab.until(lambda: f'{i:,}' in count(lab), 'the count')

@pytest.mark.parametrize('what', ['step', 'alone-d', 'alone-g', 'line', 'reset'])
def test_steps(lab, what):
    story = lab.ask('lab.run.story')
    if what == 'line':
        tab(lab, 'lines')
        button(lab, what).click()
        lab.until(lambda: look(lab).locator('.gl-lines .gl-lit').count() == 1, 'a lit line')
        assert 'noise' in look(lab).locator('.gl-told').inner_text()
        for _ in range(7): button(lab, what).click()   # the last goes on to the next iteration
        lab.until('lab.run.iteration == 21')
        return
    changes(lab, lambda: button(lab, what).click())
    lab.until(f'lab.run.story != {story}')

def test_rewind(lab):
    "To the start by the slider, and on: the same as before"
    before = lab.ask('float(lab.trainer.history["value"][-1])')
    slider = button(lab, 'rewind')
    changes(lab, lambda: slider.evaluate(
        'e => { e.value = 0; e.dispatchEvent(new Event("input")) }'))
    lab.until('lab.run.iteration == 0')
    changes(lab, lambda: do(lab, 'step', n=20))
    assert lab.ask('float(lab.trainer.history["value"][-1])') == before

@pytest.mark.parametrize('name', ['real', 'fakes', 'heat', 'star', 'manifold', 'arrows'])
def test_layers(lab, name):
    box, fakes = (look(lab).locator(f'[data-layer="{o}"]') for o in (name, 'fakes'))
    if name == 'manifold': fakes.uncheck()       # which lie on it
    on = box.is_checked()
    changes(lab, box.click)
    lab.until(f'({name!r} in lab.session.layers) != {on}')
    changes(lab, box.click)
    fakes.check()

def test_hover(lab):
    "The pointer reads off D, as the kernel has it"
    look(lab).locator('.gl-canvas').hover(position=dict(x=100, y=90))
    readout = look(lab).locator('.gl-readout')
    lab.until(lambda: 'log D' in readout.inner_text() and "G's loss" in readout.inner_text())
    x, y = (float(o.split('= ')[1]) for o in readout.inner_text().split('   ')[:2])
    D = lab.ask(f'lab.trainer.gan.prob(__import__("torch").tensor([[{x}, {y}]])).item()')
    assert abs(float(readout.inner_text().split('   D ')[1].split()[0]) - D) < .005
    before = readout.inner_text()
    do(lab, 'step', n=80)                            # under a pointer that rests
    lab.until(lambda: readout.inner_text() != before, 'new numbers')
    lab.page.mouse.move(5, 5)
    lab.until(lambda: 'Point at the picture' in readout.inner_text(), 'the hint')
    look(lab).locator('.gl-canvas').hover(position=dict(x=100, y=90))
    changes(lab, lambda: look(lab).locator('.gl-canvas').press('ArrowLeft'))

def test_morph(lab): changes(lab, button(lab, 'morph').click)

def test_morph_from_the_diagram(lab):
    changes(lab, look(lab).locator('.gl-flow .gl-g').click)

# ---- data of one's own

def own(data):
    "A cell that opens the Lab on an expression, which may name `forms`"
    return f'''import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import forms
from gan_nbdev.datasets.samples import Samples
from gan_nbdev.lab import Lab
lab = Lab(data={data}, **{{'generator.hidden': [16], 'discriminator.hidden': [16]}})
lab'''

def test_colour_images_with_their_channels_first(notebook, pictures):
    "The real ones beside the fakes have the colours that were given"
    nb = notebook(own('forms.images["(n, 3, 8, 8)"]'))
    look(nb).locator('[data-layer="near"]').check()
    changes(nb, lambda: do(nb, 'step', n=20))
    nb.page.wait_for_timeout(300)
    seen = look(nb).locator('.gl-canvas').first.evaluate('''c => {
        const g = c.getContext("2d"), d = g.getImageData(c.width/2 + 8, 0, c.width/2 - 8, c.height*.85).data, out = {};
        for (let i = 0; i < d.length; i += 4) {
            const k = d.slice(i, i + 3).join();
            out[k] = (out[k] || 0) + 1;
        }
        return out }''')
    squares = {','.join(map(str, o)) for o in nb.ask('forms.colour.max((1, 2)).tolist()')}
    whole = sum(n for k, n in seen.items() if k not in ('255,255,255',))
    assert sum(seen.get(k, 0) for k in {*squares, '0,0,0'}) > .9*whole and sum(seen.get(k, 0) for k in squares) > .1*whole
    assert look(nb).locator('[data-layer="heat"]').is_hidden() and look(nb).locator('[data-layer="near"]').is_visible()
    nb.page.screenshot(path=pictures/'own_colours.png')
    assert nb.errors == []

def test_a_mixed_table(notebook, pictures):
    "By the names of its columns, in their units"
    nb = notebook(own('forms.people()'))
    changes(nb, lambda: do(nb, 'step', n=20))
    assert 'height and income, 2 of 6 columns' in look(nb).inner_text()
    for name, there in dict(real=True, fakes=True, arrows=True, heat=False, star=False, manifold=False, near=False).items():
        assert look(nb).locator(f'[data-layer="{name}"]').is_visible() == there
    look(nb).locator('.gl-canvas').hover(position=dict(x=150, y=120))
    readout = look(nb).locator('.gl-readout')
    nb.until(lambda: 'income = ' in readout.inner_text(), 'the place')
    height, income = (float(o.split('= ')[1].replace(',', '')) for o in readout.inner_text().split('   ')[:2])
    assert 140 < height < 210 and 10_000 < income < 100_000
    nb.page.screenshot(path=pictures/'own_table.png')
    assert nb.errors == []

def test_series(notebook, pictures):
    "Lines over those of the data; the pointer asks for another one"
    nb = notebook(own('Samples(forms.series["(n, 64, 2)"], kind="series")'))
    changes(nb, lambda: do(nb, 'step', n=20))
    changes(nb, lambda: look(nb).locator('.gl-canvas').hover(position=dict(x=150, y=120)))
    nb.until(lambda: 'D of the series at this place' in look(nb).locator('.gl-readout').inner_text(), 'D')
    changes(nb, lambda: look(nb).locator('[data-layer="real"]').click())
    nb.page.screenshot(path=pictures/'own_series.png')
    assert nb.errors == []

# ---- every control

knobs = {
    'data.name': 'checkerboard', 'noise.name': 'uniform', 'noise.dim': 5, 'seed': 3, 'game': 'minimax', 'k': 3,
    'k_g': 2, 'batch_size': 32, 'pack': 2, 'ema': 5., 'engine': 'compiled', 'generator.layers': 1, 'generator.width': 9,
    'generator.act': 'tanh', 'generator.norm': 'batch', 'generator.dropout': .3, 'g_rule.name': 'sgd',
    'g_rule.lr': .002, 'g_rule.momentum': .8, 'discriminator.layers': 2, 'discriminator.width': 7,
    'discriminator.act': 'maxout', 'discriminator.norm': 'batch', 'discriminator.dropout': .2,
    'd_rule.name': 'rmsprop', 'd_rule.lr': .004, 'd_rule.momentum': .3}

def test_every_control_is_tried(lab):
    names = lab.ask('[c["name"] for _, o in lab.widget.fixed["controls"] for c in o]')
    assert {*names} - {'data.file', 'device', 'classes'} == {*knobs}     # one device; a ring has no classes

@pytest.mark.parametrize('name', knobs)
def test_controls(lab, name):
    "The setting arrives, the picture changes, and the Lab says whether it started again"
    value, old = knobs[name], lab.at_first[name]
    choose(lab, name, value)
    lab.until(f'lab.session.report()["settings"][{name!r}] == {value!r}')
    live = lab.ask(f'{name!r} in lab.widget.fixed["live"]')
    note = look(lab).locator('.gl-note')
    lab.until(lambda: ('changed from here on' if live else 'Started again') in note.inner_text())
    assert lab.ask('lab.run.iteration') == (20 if live else 0)
    changes(lab, lambda: do(lab, 'step', n=5))
    do(lab, 'set', **{name: old})

def test_own_file(lab, url):
    import numpy as np
    np.save(url[1]/'mine.npy', np.random.default_rng(0).normal(size=(600, 2))*[1, 5] + 3)
    changes(lab, lambda: choose(lab, 'data.file', 'mine.npy'))
    lab.until('lab.run.experiment["data.file"].endswith("mine.npy") and lab.trainer.data.dim == 2')
    do(lab, 'set', **{'data.file': '', 'data.name': 'ring'})

def test_a_wrong_value_is_explained(lab):
    choose(lab, 'g_rule.lr', -1)
    error = look(lab).locator('.gl-error').nth(1)
    lab.until(lambda: 'G: Rate must be a number from 0.0000001' in error.inner_text())
    assert lab.ask('lab.run.iteration') == 20
    choose(lab, 'g_rule.lr', .001)
    lab.until(lambda: error.is_hidden(), 'the message to go')

def test_draw(lab, pictures):
    "Two strokes with the mouse, one undone"
    button(lab, 'draw').click()
    canvas, mouse = look(lab).locator('.gl-canvas'), lab.page.mouse
    canvas.scroll_into_view_if_needed()
    b = canvas.bounding_box()
    for n, y in ((1, .3), (2, .6)):
        mouse.move(b['x'] + 60, b['y'] + b['height']*y)
        mouse.down()
        mouse.move(b['x'] + b['width'] - 60, b['y'] + b['height']*y, steps=8)
        mouse.up()
        lab.until(f'len(lab.session.strokes) == {n} and lab.trainer.data.name == "drawn"')
    lab.page.screenshot(path=pictures/'draw.png')
    button(lab, 'undo').click()
    lab.until('len(lab.session.strokes) == 1')
    button(lab, 'draw').click()
    changes(lab, lambda: do(lab, 'step', n=30))
    lab.page.screenshot(path=pictures/'drawn.png')
    button(lab, 'draw').click()
    do(lab, 'lesson', name='healthy')                # which ends the drawing
    lab.until(lambda: 'gl-drawing' not in look(lab).get_attribute('class'))
    assert lab.ask('lab.session.strokes') == []
    do(lab, 'stroke', points=[[0, 0], [1, 1]])
    button(lab, 'clear').click()
    lab.until('lab.trainer.data.name == "ring" and not lab.session.strokes')

def test_speed(lab):
    button(lab, 'speed').select_option('10')
    lab.until('lab.session.speed == "10"')
    button(lab, 'play').click()
    lab.until('lab.run.iteration > 22')
    button(lab, 'pause').click()
    assert lab.ask('lab.run.iteration') < 60

def test_slow_motion(lab, pictures):
    button(lab, 'speed').select_option('slow')
    button(lab, 'play').click()
    lab.ask('setattr(lab.session, "line_s", .4)')
    lab.until(lambda: 'new fakes' in look(lab).locator('.gl-told').inner_text(), 'line 8')
    lab.page.screenshot(path=pictures/'slow.png')
    assert look(lab).locator('.gl-flow .gl-lit').count() >= 3
    button(lab, 'pause').click()

@pytest.mark.parametrize('name', lessons)
def test_lessons(lab, name):
    tab(lab, 'lessons')
    if not (one := look(lab).locator(f'[data-lesson="{name}"]')).is_visible(): look(lab).locator('.gl-list summary').click()
    one.click()
    lab.until(f'lab.session.playing and lab.session.lesson is not None')
    lab.until(lambda: look(lab).locator('.gl-question').inner_text().endswith('?'))
    lab.until('lab.run.iteration > 20', seconds=60)
    button(lab, 'pause').click()

def test_compare(lab, pictures):
    tab(lab, 'compare')
    button(lab, 'compare-value').select_option('minimax')
    button(lab, 'compare').click()
    lab.until(lambda: look(lab).locator('.gl-canvas').count() == 2, 'two pictures')
    button(lab, 'play').click()
    lab.until('lab.session.runs[1].iteration > 30', seconds=60)
    button(lab, 'pause').click()
    lab.until('not lab.session.playing')
    (i, a), (j, b) = lab.ask('[(r.iteration, r.experiment["game"]) for r in lab.session.runs]')
    assert i == j and (a, b) == ('non-saturating', 'minimax')
    tab(lab, 'now')
    said = look(lab).locator('.gl-said')
    lab.until(lambda: said.locator('ul').count() == 2 and 'minimax' in said.inner_text(), 'both diagnoses')
    assert ' | ' in look(lab).locator('[data-curve="losses"] figcaption').inner_text()      # and the figures of both
    lab.page.screenshot(path=pictures/'compare.png')
    tab(lab, 'compare')
    button(lab, 'uncompare').click()
    lab.until(lambda: look(lab).locator('.gl-canvas').count() == 1, 'one picture')

def test_what_was_started_over_can_be_brought_back(lab, pictures):
    "By a comparison, a lesson, a setting, Reset or a stroke; and what took its place, too"
    back, seen = button(lab, 'back'), 'lab.run.iteration, len(lab.session.runs), lab.run.experiment["generator.act"]'
    do(lab, 'alone', player='d')
    def compare():
        tab(lab, 'compare')
        button(lab, 'compare-value').select_option('minimax')
        button(lab, 'compare').click()
    def lesson():
        tab(lab, 'lessons')
        if not (one := look(lab).locator('[data-lesson="healthy"]')).is_visible(): look(lab).locator('.gl-list summary').click()
        one.click()
    for start_over in (compare, lesson, lambda: choose(lab, 'generator.act', 'tanh'), button(lab, 'reset').click,
                       lambda: do(lab, 'stroke', points=[[0, 0], [1, 1]])):
        was = lab.ask('id(lab.run)')
        start_over()
        lab.until(f'id(lab.run) != {was}')
        do(lab, 'pause')
        lab.until(lambda: back.is_visible() and 'at 20' in back.inner_text(), 'the way back')
        if start_over is compare: lab.page.screenshot(path=pictures/'back.png')
        back.click()
        lab.until(f'id(lab.run) == {was}')
        assert lab.ask(f'({seen}, len(lab.run.story))') == [20, 1, 'relu', 2] and lab.ask('lab.session.strokes') == []
    do(lab, 'reset'); do(lab, 'step', n=3)
    lab.until(lambda: 'iteration 3' in count(lab), 'iteration 3')
    back.click(); lab.until('lab.run.iteration == 20')
    lab.until(lambda: 'at 3' in back.inner_text(), 'the other way')
    back.click(); lab.until('lab.run.iteration == 3')

def test_drawing_begins_with_a_pause(lab):
    button(lab, 'play').click()
    lab.until('lab.session.playing and lab.run.iteration > 30')
    button(lab, 'draw').click()
    lab.until('not lab.session.playing')
    lab.page.wait_for_timeout(300)
    assert 'gl-drawing' in look(lab).get_attribute('class') and button(lab, 'draw').inner_text() == 'Done drawing'
    button(lab, 'draw').click()
    assert 'gl-drawing' not in look(lab).get_attribute('class')

def test_an_emptied_field_changes_nothing(lab):
    "Nor does one in the comparison"
    choose(lab, 'k', '')
    knob = look(lab).locator('.gl-knob [data-name="k"]')
    assert knob.input_value() == '1' and look(lab).locator('.gl-error').nth(1).is_hidden()
    tab(lab, 'compare')
    button(lab, 'compare-which').select_option('k')
    button(lab, 'compare-value').fill('')
    button(lab, 'compare').click()
    assert lab.ask('(lab.run.iteration, len(lab.session.runs), lab.session.error)') == [20, 1, '']
    button(lab, 'compare-which').select_option('game')
    choose(lab, 'data.file', '')
    assert lab.ask('lab.session.error') == ''

def test_fakes_outside_the_picture_are_counted(lab, pictures):
    "In words, since nothing is to be seen of them"
    written = """c => new Promise(done => {
        const p = CanvasRenderingContext2D.prototype, fillText = p.fillText;
        p.fillText = function (...a) {
            fillText.apply(this, a);
            if (/fakes are outside/.test(a[0])) { p.fillText = fillText; done(a[0]); }
        };
        dispatchEvent(new Event("resize"));
    })"""
    lab.ask('str([p.data.add_(9.) for p in [*lab.trainer.gan.generator.parameters()][-1:]])')
    do(lab, 'layers', layers=['real', 'fakes'])
    assert look(lab).locator('.gl-canvas').first.evaluate(written) == 'All fakes are outside'
    lab.page.screenshot(path=pictures/'outside.png')

def test_code_and_save(lab, url):
    "The cell that is shown rebuilds this very state; the folder is one that gan-eval reads"
    tab(lab, 'code')
    button(lab, 'alone-d').click()
    lab.until('len(lab.run.story) > 1')
    button(lab, 'code').click()
    code = look(lab).locator('.gl-code')
    lab.until(lambda: 'trainer.alone(' in code.inner_text(), 'the code')
    check = f'''(lambda names: (exec({code.inner_text()!r}, names), bool(
        (names["trainer"].gan.state_dict()["generator.0.weight"]
         == lab.trainer.gan.state_dict()["generator.0.weight"]).all()))[1])(dict())'''
    assert lab.ask(' '.join(check.split('\n')))
    button(lab, 'copy').click()
    assert lab.page.evaluate('getSelection().toString()').strip() == code.inner_text().strip()
    assert "record(lab).save('run.html')" in look(lab).inner_text() and 'lab.picture()' in look(lab).inner_text()
    button(lab, 'save').click()
    note = look(lab).locator('.gl-note')
    lab.until(lambda: 'gan-eval' in note.inner_text(), 'the note')
    assert (url[1]/'runs/lab-1/config.json').exists()

def test_keyboard_and_names(lab):
    "Everything that can be operated can be reached, and has a name"
    unnamed = look(lab).evaluate('''root => [...root
        .querySelectorAll("button,select,input,canvas:not([aria-hidden]),svg")].filter(e => !(e.textContent.trim()
            && e.tagName !== "SELECT" || e.getAttribute("aria-label") || e.labels?.length))
        .map(e => e.outerHTML)''')
    assert unnamed == []
    button(lab, 'step').focus()
    lab.page.keyboard.press('Enter')
    lab.until('lab.run.iteration == 21')
    for key in ('d', 'd'): lab.page.keyboard.press(key)      # which deletes a cell, elsewhere
    assert look(lab).is_visible()

def test_compiled_engine(lab):
    "It takes a while, the window says so, and other buttons still answer"
    choose(lab, 'engine', 'compiled')
    note = look(lab).locator('.gl-note')
    lab.until(lambda: 'Compiling' in note.inner_text(), 'the note')
    button(lab, 'step').click()
    button(lab, 'speed').select_option('100')
    lab.until('lab.run.iteration == 21 and lab.session.speed == "100"', seconds=120)
    assert lab.ask('type(lab.trainer.made_engine[-1]).__name__') == 'Compiled'

def test_live_plot(notebook):
    "No Lab: the picture of a training in progress is replaced in place"
    nb = notebook('''from gan_nbdev.all import *
t = experiment('ring', device='cpu', steps=400).trainer()
t.hooks = [LivePlot(every_s=0)]
t.fit(400)''')
    assert nb.page.locator('.jp-OutputArea-output img').count() == 1
    assert '400/400' in nb.page.locator('.jp-OutputArea').inner_text()

# ---- images and lines

@pytest.mark.parametrize('data', ['digits', 'mixture_1d', 'two_gaussians'])
def test_other_data(notebook, pictures, data):
    nb = notebook(f'from gan_nbdev.lab import Lab\nlab = Lab(data="{data}")\nlab')
    changes(nb, lambda: button(nb, 'play').click())
    nb.until('lab.run.iteration > 100', seconds=60)
    button(nb, 'pause').click()
    if data == 'digits':
        before = look(nb).locator('.gl-canvas').bounding_box()
        changes(nb, look(nb).locator('[data-layer="near"]').click)
        changes(nb, lambda: look(nb).locator('.gl-canvas').hover(position=dict(x=90, y=80)))
    nb.page.screenshot(path=pictures/f'{data}.png')
    if data == 'digits':
        assert look(nb).locator('.gl-canvas').bounding_box()['height'] < before['height']
        do(nb, 'lesson', name='healthy'); do(nb, 'pause')      # square again
        nb.until(lambda: abs(1 - (b := look(nb).locator('.gl-canvas').bounding_box())['height']
                             / b['width']) < .01, 'a square')
    assert nb.errors == []

# ---- themes and widths

def theme(nb, name):
    nb.page.evaluate('theme => window.jupyterapp.commands.execute("apputils:change-theme", { theme })', f'JupyterLab {name}')

def test_dark(notebook, pictures):
    nb = notebook(small, size=(1024, 800))
    theme(nb, 'Dark')
    changes(nb, lambda: button(nb, 'play').click())
    nb.until('lab.run.iteration > 200', seconds=60)
    ground = look(nb).evaluate('e => getComputedStyle(e).backgroundColor')
    assert max(map(int, ground[4:-1].split(', '))) < 80
    nb.page.screenshot(path=pictures/'dark_1024.png')
    theme(nb, 'Light')

@pytest.fixture
def phone(notebook):
    nb = notebook(small, size=(390, 844), has_touch=True)
    nb.until(lambda: begun(nb), 'the first frame')
    nb.page.evaluate('() => window.jupyterapp.shell.collapseLeft()')
    nb.until(lambda: look(nb).bounding_box()['width'] > 200, 'room')
    return nb

def test_phone(phone, pictures):
    nb = phone
    changes(nb, lambda: button(nb, 'play').tap())
    nb.until('lab.run.iteration > 50')
    nb.page.screenshot(path=pictures/'phone.png')
    wide = look(nb).evaluate('''root => [...root.querySelectorAll("*")].filter(e =>
        e.getBoundingClientRect().right > root.getBoundingClientRect().right + 1)
        .map(e => e.className || e.tagName)''')
    assert wide == []

def test_all_numbers_and_formulas_on_a_phone(phone, pictures):
    "Those of the diagram below it; formulas in as many lines as they need"
    below = look(phone).locator('.gl-below')
    phone.until(lambda: [o.split()[0] for o in below.locator('span').all_inner_texts() if o] == ['D(x)', 'D(G(z))', 'gradient'], 'the numbers')
    below.scroll_into_view_if_needed()
    phone.page.screenshot(path=pictures/'phone_diagram.png')
    button(phone, 'tab-lines').tap()   # a mouse would lie where the next test taps
    look(phone).locator('.gl-lines').scroll_into_view_if_needed()
    phone.page.screenshot(path=pictures/'phone_lines.png')
    cut = look(phone).locator('.gl-lines').evaluate("""e => [...e.querySelectorAll("span")].filter(o =>
        o.getBoundingClientRect().right > e.getBoundingClientRect().right + 1 || o.scrollWidth > o.clientWidth + 1 && o.clientWidth).map(o => o.textContent)""")
    assert cut == [] and 'log(1 − D(G(z)))]' in look(phone).locator('.gl-lines').inner_text()

def test_no_word_is_cut_on_a_phone(phone): assert cut_words(phone) == []

def test_draw_with_a_finger(phone):
    "The stroke is drawn; the page does not scroll away under it"
    nb = phone
    button(nb, 'draw').tap()
    canvas = look(nb).locator('.gl-canvas')
    canvas.scroll_into_view_if_needed()
    b = canvas.bounding_box()
    finger = nb.context.new_cdp_session(nb.page)
    def touch(kind, *at):
        points = [dict(x=b['x'] + b['width']*x, y=b['y'] + b['height']*y) for x, y in at]
        finger.send('Input.dispatchTouchEvent', dict(type=kind, touchPoints=points))
    touch('touchStart', (.3, .2))
    for i in range(1, 7): touch('touchMove', (.3, .2 + .1*i))
    touch('touchEnd')
    nb.until('len(lab.session.strokes) == 1 and lab.trainer.data.name == "drawn"')
    assert nb.ask('lab.session.strokes[0][0][1] - lab.session.strokes[0][-1][1]') > 1
    assert abs(canvas.bounding_box()['y'] - b['y']) < 1
    assert nb.errors == []

def test_reading_off_with_a_finger(phone):
    look(phone).locator('.gl-canvas').tap()
    phone.until(lambda: 'x₁ = ' in look(phone).locator('.gl-readout').inner_text(), 'a reading')

# ---- what can go wrong

def test_the_cell_runs_again(notebook):
    "The old session ends, the new one works"
    nb = notebook(small)
    nb.ask('globals().update(first=lab)')
    nb.run()
    nb.until('lab is not first')
    assert nb.ask('first.session.closed')
    assert not nb.ask('any(t.is_alive() for t in first.session.threads)')
    changes(nb, lambda: button(nb, 'play').click())
    nb.ask('str(lab.close())')
    nb.until(lambda: 'This Lab is closed' in look(nb).inner_text(), 'the message')
    threads = '[t.name for t in __import__("threading").enumerate() if "gan-lab" in t.name]'
    assert nb.ask(threads) == []
    button(nb, 'play').click()                   # to no effect
    assert nb.ask('lab.session.closed')

def test_two_labs_have_names_of_their_own(notebook):
    "A click on a label goes to its own window's field; arrows have their own heads"
    nb = notebook('from gan_nbdev.lab import Lab\nfrom IPython.display import display\n'
                  f'labs = [Lab(seed=i, **{widths}) for i in range(2)]\nfor o in labs: display(o)')
    windows = nb.page.locator('.gan-lab')
    nb.until(lambda: windows.count() == 2, 'two windows')
    ids = windows.evaluate_all('all => all.flatMap(o => [...o.querySelectorAll("[id]")].map(e => e.id))')
    assert len(ids) > 30 and len(ids) == len({*ids})
    tips = windows.evaluate_all('''all => all.map(o => [o.querySelector("marker").id,
        getComputedStyle(o.querySelector(".gl-way path")).markerEnd])''')
    assert all(f'#{tip}"' in used for tip, used in tips)
    windows.nth(1).locator('[data-do="tab-knobs"]').click()
    windows.nth(1).locator('.gl-first label').first.click()
    assert windows.nth(1).locator('.gl-first select, .gl-first input').first.evaluate('e => e === document.activeElement')
    assert nb.errors == []

def test_three_labs(notebook):
    "Three windows of one notebook: each trains, steps and rewinds for itself"
    nb = notebook('from gan_nbdev.lab import Lab\nfrom IPython.display import display\n'
                  f'labs = [Lab(seed=i, **{widths}) for i in range(3)]\nfor o in labs: display(o)')
    windows = nb.page.locator('.gan-lab')
    def control(i, what): return windows.nth(i).locator(f'[data-do="{what}"]')
    def shows(i, n): nb.until(lambda: windows.nth(i).get_attribute('data-iteration') == str(n), f'window {i} at {n}')
    nb.until(lambda: windows.count() == 3, 'three windows')
    control(0, 'play').click()
    control(1, 'step').click()
    control(2, 'play').click()
    nb.until('labs[0].run.iteration > 30 and labs[2].run.iteration > 30', seconds=60)
    control(0, 'pause').click()
    nb.until('not labs[0].session.playing')
    control(0, 'rewind').evaluate('e => { e.value = 0; e.dispatchEvent(new Event("input")) }')
    nb.until('labs[0].run.iteration == 0')
    there = nb.ask('labs[2].run.iteration')
    nb.until(f'labs[2].run.iteration > {there + 20}', seconds=60)   # goes on, while the others stand
    control(2, 'pause').click()
    nb.until('not labs[2].session.playing')
    for i, n in enumerate((0, 1, nb.ask('labs[2].run.iteration'))): shows(i, n)
    assert nb.ask('[o.run.iteration for o in labs[:2]]') == [0, 1] and nb.errors == []

def test_errors_in_training(notebook, pictures):
    own = '''import torch
from gan_nbdev.all import *
from gan_nbdev.lab import Lab
class Mine(torch.nn.Linear):
    bad = False
    def forward(self, z):
        if self.bad: raise RuntimeError('no idea what to do')
        return super().forward(z)
torch.manual_seed(0)   # with some weights D is as sure of both at once, and nothing moves any more
gan = GAN(Mine(2, 2), mlp_discriminator(2, seed=0), normal(2))
lab = Lab(Trainer(gan, ring(), device='cpu'))
lab'''
    nb = notebook(own)
    do(nb, 'step', n=3)
    nb.ask('setattr(lab.trainer.gan.generator, "bad", True)')
    button(nb, 'play').click()
    nb.until(lambda: 'RuntimeError while training: no idea what to do' in look(nb).inner_text())
    nb.ask('setattr(lab.trainer.gan.generator, "bad", False)')
    do(nb, 'reset')
    do(nb, 'set', **{'g_rule.name': 'sgd', 'g_rule.lr': 10., 'd_rule.name': 'sgd', 'd_rule.lr': 10.,
                      'g_rule.momentum': .99})
    button(nb, 'play').click()
    nb.until(lambda: 'NaN or infinite' in look(nb).inner_text(), seconds=60)
    nb.page.screenshot(path=pictures/'error.png')
    do(nb, 'rewind', iteration=0)
    assert nb.ask('lab.run.iteration') == 0

def test_reload_and_a_second_browser(notebook, url, chromium):
    "Both windows show the kernel that lives on"
    nb = notebook(small)
    do(nb, 'step', n=7)
    other = nb.context.new_page()
    nb.page.evaluate('() => window.jupyterapp.commands.execute("docmanager:save")')
    nb.page.wait_for_timeout(500)
    other.goto(nb.page.url.replace('?reset', ''))
    there = other.locator('.gan-lab')
    nb.until(lambda: there.count() and there.get_attribute('data-iteration') == '7', 'the second')
    do(nb, 'step', n=2)
    nb.until(lambda: there.get_attribute('data-iteration') == '9', 'the second to follow')
    there.locator('[data-layer="star"]').click()     # what is shown is the same everywhere
    nb.until(lambda: look(nb).locator('[data-layer="star"]').is_checked(), 'the layer')
    nb.page.reload()
    nb.until(lambda: look(nb).count() and look(nb).get_attribute('data-iteration') == '9',
             'the reload')
    other.close()

def test_a_saved_notebook_without_its_kernel(notebook, pictures):
    "Alive, the window alone is to be seen; reopened with a new kernel, its picture, until it is run"
    nb = notebook(small)
    still = nb.page.locator('.jp-OutputArea-output img')
    nb.until(lambda: still.count() == 1, 'the picture')
    assert not still.is_visible()
    first = still.get_attribute('src')
    do(nb, 'step', n=30)
    nb.until(lambda: still.get_attribute('src') != first, 'the picture of now')
    assert nb.ask('lab.shown == lab.run.story')
    nb.page.evaluate('() => window.jupyterapp.commands.execute("docmanager:save")')
    nb.until(lambda: 'image/png' in nb.path.read_text(), 'the file')
    nb.page.evaluate('() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()')
    nb.open()
    nb.until(lambda: still.count() and still.is_visible(), 'the picture')
    assert still.get_attribute('src') != first
    gone = nb.page.get_by_text('model not found')
    nb.until(lambda: gone.count() == 1 and not gone.is_visible(), 'the message to be hidden')
    nb.page.screenshot(path=pictures/'reopened.png')
    nb.run()
    changes(nb, lambda: button(nb, 'play').click())
    assert not still.is_visible()

def test_kernel_restart(notebook):
    nb = notebook(small)
    nb.page.evaluate('() => window.jupyterapp.shell.currentWidget.sessionContext.session'
                     '.kernel.restart()')
    nb.until(lambda: 'was restarted' in look(nb).inner_text(), 'the message', 30)
