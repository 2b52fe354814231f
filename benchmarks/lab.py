"""How smooth is the Lab, how soon does it answer, what does it cost the training? Writes lab.md.

    python benchmarks/lab.py [kernel browser]

Needs what tests/test_lab_browser.py needs: JupyterLab, anywidget, playwright and a Chromium.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault('OMP_NUM_THREADS', '1')
here = Path(__file__).parent
sys.path.insert(0, str(here.parent/'tests'))

import browser as tool
from playwright.sync_api import sync_playwright
from gan_nbdev.experiments import experiment
from gan_nbdev.lab.rewinding import Rewindable
from gan_nbdev.lab.session import Session
from machine import by_turns, machine, report, table

ROUNDS = int(os.environ.get('ROUNDS', 7))
SECONDS = float(os.environ.get('LAB_SECONDS', 4))
cell = '''import json, os, threading, time
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
def rounds(n, seconds, out):
    "Both by turns, once the driver of the browser has gone"
    def go():
        time.sleep(3)
        said = [[alone(seconds), play(seconds)] for _ in range(n)]
        with open(out + '.part', 'w') as f: json.dump(said, f)
        os.rename(out + '.part', out)
    threading.Thread(target=go).start()
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


def watch(nb):
    "Frames a second in the browser, and answers"
    lab = nb.page.locator('.gan-lab')
    nb.until(lambda: lab.count() and lab.get_attribute('data-iteration') == '0')
    nb.ask('[alone(1), play(1)]')
    frames = []
    for _ in range(ROUNDS):
        lab.locator('[data-do="play"]').click()
        time.sleep(2.2)
        frames.append(float(lab.get_attribute('data-fps')))
        lab.locator('[data-do="pause"]').click()
        nb.until('not lab.session.playing')
    return frames, answers(nb, lab)


def answers(nb, lab, n=20):
    "From a click in the browser to the new state in it, ms, while the Lab trains"
    lab.locator('[data-do="play"]').click()
    js = '''async n => {
        const root = document.querySelector(".gan-lab");
        const knob = root.querySelector('[data-name="k"]');
        const note = root.querySelector(".gl-note"), out = [];
        for (let i = 0; i < n; i++) {
            await new Promise(r => setTimeout(r, 150));
            const seen = new Promise(r => {
                const w = new MutationObserver(() => {
                    if (!note.textContent.includes("changed")) return;
                    w.disconnect();
                    r(performance.now()) });
                w.observe(note, { childList: true, characterData: true, subtree: true });
            });
            note.textContent = "";   // or the same words would be no change
            const start = performance.now();
            knob.value = 2 - i % 2;
            for (const what of ["input", "change"]) knob.dispatchEvent(new Event(what));
            out.push(await seen - start);
        }
        return out; }'''
    out = nb.page.evaluate(js, n)
    lab.locator('[data-do="pause"]').click()
    return out


@contextmanager
def window(folder):
    "A browser that goes on when its driver has gone: it sends a driver all that it receives, which costs a tenth of a processor"
    port = tool.free_port()
    with subprocess.Popen([tool.find_chromium(), *tool.flags, '--headless=new', f'--remote-debugging-port={port}',
                           f'--user-data-dir={folder}/browser', '--window-size=1280,1000', 'about:blank'], stderr=subprocess.DEVNULL) as p:
        address = f'http://127.0.0.1:{port}'
        tool.wait_for(lambda: tool.answers(f'{address}/json/version'), 20, 'the browser')
        try: yield address
        finally: p.terminate()


def one(how, everything):
    "Frames a second, answers; iterations a second alone and with the Lab, by turns"
    with tempfile.TemporaryDirectory() as d, tool.server(d) as url, window(d) as address:
        out = Path(d)/'rounds.json'
        with sync_playwright() as driver:
            page = driver.chromium.connect_over_cdp(address)
            there = SimpleNamespace(new_context=lambda viewport: page.contexts[0])
            nb = tool.Notebook(there, url, d, [cell.format(changes=how, everything=everything)])
            nb.run()
            seen = watch(nb)
            nb.ask(f'rounds({ROUNDS}, {SECONDS}, {str(out)!r})')
        tool.wait_for(out.exists, 60*ROUNDS, 'the rounds')
        return *seen, json.loads(out.read_text())


def in_browser():
    rows = []
    for name, how in cases.items():
        frames, ms, rounds = one(how, name == every)
        alone, with_lab = zip(*rounds)
        loss = 1 - statistics.median(b/a for a, b in rounds)
        rows.append([name, f'{statistics.median(frames):.1f} ({min(frames):.1f})',
                     f'{statistics.median(alone):.0f}', f'{statistics.median(with_lab):.0f}',
                     f'{loss:.0%}', f'{statistics.median(ms):.0f} ({max(ms):.0f})'])
        print(rows[-1], file=sys.stderr, flush=True)
    head = ['the ring, m = 256', 'frames/s: median (least)', 'iterations/s alone', 'with the Lab',
            'training loses', 'answer, ms: median (longest)']
    return f'''## In a real browser

How many frames a second the Lab shows, and how much it slows training. Every frame has 1,000 examples, 1,000
fakes and D on 100 × 100 places, all new; Chromium runs without a GPU on the same two cores. Iterations with the
Lab and without take turns, {ROUNDS} rounds of {SECONDS:g} s, with no driver at the browser; the loss is the median of the rounds' ratios. An answer is the time
from a change of k in the page, during training, until the page shows that the kernel has made it.

{table(head, rows)}'''


if __name__ == '__main__':
    head = f'# The Lab\n\nMeasured on {machine()}; written by `benchmarks/lab.py`.'
    parts = dict(kernel=kernel, browser=in_browser)
    report(here/'lab.md', head, [parts[o] for o in sys.argv[1:] or parts])
