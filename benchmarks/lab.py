"""How smooth is the Lab, how soon does it answer, what does it cost the training? Writes lab.md.

    python benchmarks/lab.py [kernel browser]

Needs what tests/test_lab_browser.py needs: JupyterLab, anywidget, playwright and a Chromium.
"""
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')
here = Path(__file__).parent
sys.path.insert(0, str(here.parent/'tests'))

import browser as tool
from gan_nbdev.experiments import experiment
from gan_nbdev.lab.rewinding import Rewindable
from gan_nbdev.lab.session import Session
from machine import by_turns, machine, report, table

ROUNDS = int(os.environ.get('ROUNDS', 7))
SECONDS = float(os.environ.get('LAB_SECONDS', 4))
cell = '''import time
from gan_nbdev.lab import Lab
lab = Lab(**{changes})
def play(seconds):
    "Iterations a second with the Lab, by the clock"
    i = lab.run.iteration
    lab.session.do('play').result(20); start = time.perf_counter()
    time.sleep(seconds)
    lab.session.do('pause').result(20)
    return (lab.run.iteration - i)/(time.perf_counter() - start)
def alone(seconds):
    "The same trainer, nobody looking"
    t = lab.trainer; i = t.iteration
    start = time.perf_counter()
    while time.perf_counter() < start + seconds: t.fit(50, progress=False)
    return (t.iteration - i)/(time.perf_counter() - start)
if {everything}:
    from gan_nbdev.lab.eye import layer_table
    lab.session.do('layers', layers=[o[0] for o in layer_table]).result(20)
lab'''
every = '64 × 3 units, all layers'
cases = {'64 × 3 units (the default)': {}, every: {}, '128 × 3 units': {'generator.hidden': [128]*3, 'discriminator.hidden': [128]*3}}


def kernel():
    "Training beside a painter whose frames nobody draws: what the Lab itself costs"
    rows = []
    for name, how in cases.items():
        if name == every: continue
        s = Session(Rewindable(experiment('ring', 'lab', **how)))
        def alone():
            start, i = time.perf_counter(), s.run.iteration
            while time.perf_counter() < start + SECONDS: s.run.trainer.fit(50, progress=False)
            return 1e3*(time.perf_counter() - start)/(s.run.iteration - i)
        def with_lab():
            i = s.run.iteration
            s.do('play').result()
            start = time.perf_counter()
            time.sleep(SECONDS)
            s.do('pause').result()
            return 1e3*(time.perf_counter() - start)/(s.run.iteration - i)
        t = by_turns(dict(alone=alone, lab=with_lab), ROUNDS)
        s.close()
        rows.append([name, *(f'{t[o][0]:.2f}' for o in t), f'{1 - 1/t["lab"][2]["alone"]:.0%}'])
    head = ['the ring, m = 256', 'ms an iteration alone', 'with the Lab', 'training loses']
    return f'''## Without a browser

The same with frames that are not sent: what the Lab costs where the browser has a processor to itself.

{table(head, rows)}'''


def measure(nb):
    "Frames a second in the browser; iterations a second with the Lab and alone, by turns; answers"
    lab = nb.page.locator('.gan-lab')
    nb.until(lambda: lab.count() and lab.get_attribute('data-iteration') == '0')
    nb.ask('[alone(1), play(1)]')
    frames, with_lab, alone = [], [], []
    for _ in range(ROUNDS):
        nb.page.evaluate('() => document.querySelector(".gan-lab").dataset.fps')
        alone.append(nb.ask(f'alone({SECONDS})'))
        lab.locator('[data-do="play"]').click()
        time.sleep(2.2)
        frames.append(float(lab.get_attribute('data-fps')))
        lab.locator('[data-do="pause"]').click()
        nb.until('not lab.session.playing')
        with_lab.append(nb.ask(f'play({SECONDS})'))
    return frames, with_lab, alone, answers(nb, lab)


def answers(nb, lab, n=20):
    "From a click in the browser to the new state in it, ms, while the Lab trains"
    lab.locator('[data-do="play"]').click()
    js = '''async n => {
        const root = document.querySelector(".gan-lab");
        const knob = root.querySelector('[data-name="k"]');
        const note = root.querySelector(".gl-note"), out = [];
        for (let i = 0; i < n; i++) {
            await new Promise(r => setTimeout(r, 150));
            note.textContent = "";
            await new Promise(r => setTimeout(r, 0));
            const start = performance.now();
            knob.value = 2 - i % 2;
            for (const what of ["input", "change"]) knob.dispatchEvent(new Event(what));
            const seen = new Promise(r => {
                const w = new MutationObserver(() => {
                    if (!note.textContent.includes("changed")) return;
                    w.disconnect();
                    r(performance.now()) });
                w.observe(note, { childList: true, characterData: true, subtree: true });
            });
            out.push(await seen - start);
        }
        return out; }'''
    out = nb.page.evaluate(js, n)
    lab.locator('[data-do="pause"]').click()
    return out


def in_browser():
    rows = []
    with tempfile.TemporaryDirectory() as d, tool.server(d) as url, tool.chromium() as b:
        for name, how in cases.items():
            nb = tool.Notebook(b, url, d, [cell.format(changes=how, everything=name == every)], name=f'n{len(rows)}')
            nb.run()
            frames, with_lab, alone, ms = measure(nb)
            loss = 1 - statistics.median(a/b for a, b in zip(with_lab, alone))
            rows.append([name, f'{statistics.median(frames):.1f} ({min(frames):.1f})',
                         f'{statistics.median(alone):.0f}', f'{statistics.median(with_lab):.0f}',
                         f'{loss:.0%}', f'{statistics.median(ms):.0f} ({max(ms):.0f})'])
            print(rows[-1], file=sys.stderr, flush=True)
            nb.close()
    head = ['the ring, m = 256', 'frames/s: median (least)', 'iterations/s alone', 'with the Lab',
            'training loses', 'answer, ms: median (longest)']
    return f'''## In a real browser

How many frames a second the Lab shows, and how much it slows training. Every frame has 1,000 examples, 1,000
fakes and D on 100 × 100 places, all new; Chromium runs without a GPU on the same two cores. Iterations with the
Lab and without take turns, {ROUNDS} rounds of {SECONDS:g} s; the loss is the median of the rounds' ratios. An answer is the time
from a change of k in the page, during training, until the page shows that the kernel has made it.

{table(head, rows)}'''


if __name__ == '__main__':
    head = f'# The Lab\n\nMeasured on {machine()}; written by `benchmarks/lab.py`.'
    parts = dict(kernel=kernel, browser=in_browser)
    report(here/'lab.md', head, [parts[o] for o in sys.argv[1:] or parts])
