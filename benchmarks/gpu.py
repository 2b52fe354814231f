"""All that is to be known of a GPU, in less than 9 minutes. Writes gpu.md, part by part.

    make gpu [OUT=folder]

First the tests marked `gpu`; then speed against a plain loop, JAX and what the kernels take themselves; many seeds
at once; the paper's recipe. Each part is a process of its own, which at the end of its time is killed with all that it
has begun. What it has said until then is kept, the page says how it failed, and the next begins.

It runs on a bare machine whose `python3` has torch and JAX for its GPU, and nothing is installed there. What else this
package needs and such a machine lacks can be carried along in build/carried, as a rule fastcore alone:
`python3 -m pip install --no-deps --target build/carried fastcore`. With MNIST_DIR the recipe learns MNIST, without it
random pixels. `--device cpu` tries all this with the CPU in the GPU's place: for tests, its figures mean nothing.
"""
import time
BEGAN = time.monotonic()

import argparse
import faulthandler
import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from math import nan
from pathlib import Path
from traceback import print_exc

here = Path(__file__).resolve().parent
root = here.parent
script = os.path.abspath(sys.argv[0])   # this file, as a rule
sys.path[:0] = [str(root), str(root/'build/carried')]
os.environ['PYTHONPATH'] = os.pathsep.join([*sys.path[:2], os.environ.get('PYTHONPATH', '')])

from machine import by_turns, failed, machine, report, table, tried
from gan_nbdev.support.checks import one_line

# Title and seconds, counted from the beginning: the next gets what is left over. In all they are less than 9 minutes.
PARTS = dict(machine=('The machine', 40), tests=('Tests', 190), others=('Against others', 110), kernels=("Against the kernels' own time", 45),
             many_seeds=('Many seeds at once', 75), recipe=('Whole runs', 75))
LEAST = 5   # with less time than that a part is not begun


# What the parts do, with few iterations where the CPU stands in. Each imports what it needs: no other is lost by that.

class Parts:
    "Each part is a method that says its text, or more and more of it: what it has said when it ends in any way is kept"
    def __init__(self, device, keyword, file):
        self.device, self.keyword, self.file, self.real = device, keyword, file, device == 'cuda'
        self.engines = ('eager', 'graphed', 'compiled') if self.real else ('eager',)
        self.rounds, self.share = (5, 1.) if self.real else (1, .002)
        self.text, self.lost = '', []

    def say(self, text):
        self.text = text
        new = self.file.with_suffix('.new')
        new.write_text(text + failed(self.lost), encoding='utf-8')
        new.replace(self.file)   # never half of it

    def tried(self, name, do, *args):
        "What it gives, or None, and then it is said that it failed"
        got = tried(self.lost, name, do, *args)
        self.say(self.text)
        return got

    def machine(self):
        import torch
        if self.real and not torch.cuda.is_available(): sys.exit('torch sees no CUDA device')
        self.say(machine())

    def tests(self):
        import pytest
        if self.real: os.environ['GAN_REQUIRE'] = 'gpu'
        files = [p for p in sorted((root/'tests').glob('test_*.py'))
                 if re.search(r'^@pytest\.mark\.gpu|marks=pytest\.mark\.gpu', p.read_text(encoding='utf-8'), re.M)]
        side_by_side = ['-n', '4']*(self.real and find_spec('xdist') is not None)   # most of their time, they compile
        code = pytest.main(['-v', '--tb=short', '-p', 'no:cacheprovider', '--continue-on-collection-errors', '-m', 'gpu',
                            '-k', self.keyword, *side_by_side, *map(str, files)], plugins=[Told(self.say)])
        if code not in (0, 1): sys.exit(code)   # passed, or failed and told

    def others(self):
        from contenders import contenders
        from speed import TASKS, about_others, against
        kinds = {o: contenders[o] for o in ('plain', 'jax', 'jax-tf32', 'jax-bf16') if o in contenders}
        text = about_others(self.rounds, self.device)
        for kind, n in TASKS:
            text += against(kind(self.device), max(1, round(self.share*n)), self.rounds, kinds, self.engines, self.lost)
            self.say(text)

    def kernels(self):
        from contenders import mnist_task, ring_task
        rows = []
        for task in (ring_task(self.device), mnist_task(self.device)):
            for engine in self.engines:
                if row := self.tried(f'{task.name}, {engine}', self.beside_kernels, task, engine): rows.append(row)
                self.say('ms an iteration, beside the sum of what its kernels, copies included, take by the profiler.\n\n'
                         + table(['', 'engine', 'iteration', 'kernels', 'ratio'], rows))

    def beside_kernels(self, task, engine):
        from torch.profiler import ProfilerActivity, profile
        from speed import Ours, per_iteration
        ours, n = Ours(task, engine=engine), 200 if self.real else 2
        ours.run(n)
        with profile(activities=[ProfilerActivity.CUDA if self.real else ProfilerActivity.CPU]) as prof: ours.run(n)
        spent = 'self_device_time_total' if self.real else 'self_cpu_time_total'
        busy = sum(getattr(e, spent) for e in prof.key_averages())/n/1e3 or nan   # where the profiler sees none
        ms = by_turns({engine: per_iteration(ours, n)}, self.rounds)[engine][0]
        return [task.name, engine, f'{ms:.3g}', f'{busy:.3g}', f'{ms/busy:.2f}']

    def many_seeds(self):
        from speed import seeds
        rows = []
        for engine in reversed(self.engines):   # the fastest that can be made
            for S in (1, 4, 16, 64, 256) if self.real else (1, 2):
                text = self.tried(f'{engine}, {S} members', seeds, self.device, min(self.rounds, 3), [S], engine, self.share, self.lost)
                if not text: continue
                *head, row = text.partition('\n\n')[2].splitlines()
                rows.append(row)
                self.say('\n'.join([*head, *rows, '']))
            if rows: break

    def recipe(self):
        rows = []
        for name, run in (('gan-train ring', self.default), *((f"the paper's recipe, {p}", partial(self.paper, p)) for p in ('float32', 'tf32'))):
            if row := self.tried(name, run): rows.append(row)
            self.say('Seconds with everything, compiling too.\n\n' + table(['', 'iterations', 'seconds', 'at the end'], rows))

    def run(self, data, **changes):
        "A run of the recipe for this data, and its seconds"
        from gan_nbdev.all import experiment
        if not self.real: changes |= dict(steps=2, engine='eager')
        e = experiment(data, device=self.device, **changes)
        trainer = e.trainer(data)
        start = time.perf_counter()
        trainer.fit(e['steps'], progress=False)
        return trainer, time.perf_counter() - start

    def default(self):
        from gan_nbdev.all import coverage, ring
        t, seconds = self.run(ring())
        c = coverage(t.sample(2500), ring())
        return ['gan-train ring', f'{t.iteration:,}', f'{seconds:.1f}', f'{c.modes} modes, {c.high_quality:.1%} high quality']

    def paper(self, precision):
        import torch
        from gan_nbdev.all import Samples, mnist, parzen, parzen_sigma
        there = bool(os.environ.get('MNIST_DIR'))
        data = mnist(n=50_000) if there else Samples(torch.rand(50_000 if self.real else 500, 28, 28), name='random pixels')
        t, seconds = self.run(data, recipe='paper', precision=precision)
        row = [f"the paper's recipe, {data.name}, {precision}", f'{t.iteration:,}', f'{seconds:.1f}']
        if not there: return [*row, '']
        n = 10_000 if self.real else 100
        x = t.gan.sample(n, torch.Generator(self.device).manual_seed(0))
        valid, test = mnist().x[50_000:51_000], mnist(split='test').x[:n]
        p = parzen(x, test.to(x.device), parzen_sigma(x, valid.to(x.device)))
        return [*row, f'Parzen {p.mean:.0f} ± {p.stderr:.1f} nats']


class Told:
    "Of each test what pytest tells of it, said at once: whatever ends the process later, reasons are kept"
    def __init__(self, say): self.say, self.ways = say, {}   # name -> (way, reason)

    def pytest_runtest_logstart(self, nodeid): self.tell(nodeid, 'begun')

    def pytest_runtest_logreport(self, report):
        if report.failed and report.when != 'call': self.tell(report.nodeid, 'error', report.longrepr)
        elif report.when == 'call' or report.skipped: self.tell(report.nodeid, report.outcome, report.longrepr)

    def pytest_collectreport(self, report):
        if report.failed: self.tell(report.nodeid, 'error', report.longrepr)

    def tell(self, nodeid, way, why=''):
        crash = getattr(why, 'reprcrash', None)
        said = crash.message if crash else f'{why or ""}'.strip().rpartition('\n')[2].removeprefix('E ')
        self.ways[nodeid.removeprefix('tests/')] = way, said and one_line(said)
        ways = [way for way, _ in self.ways.values()]
        bad = ''.join(f'- `{name}` {why}\n' for name, (way, why) in self.ways.items() if way in ('failed', 'error'))
        late = ''.join(f'- `{name}`\n' for name, (way, _) in self.ways.items() if way == 'begun')
        self.say('Those marked `gpu`: parity of the engines, exact resume, NCCL, no waiting within a block.\n\n'
                 + table(['', 'tests'], [[way, ways.count(way)] for way in dict.fromkeys(ways)])
                 + f'\nThese failed:\n\n{bad}'*bool(bad) + f'\nThese had begun and were not done:\n\n{late}'*bool(late))


# One after the other, each in a process and a time of its own

def said(name, seconds, device, keyword):
    "What a part has said by its end, and how it failed, or an empty text"
    if seconds < LEAST: return 'Left out for lack of time.', ''
    with tempfile.TemporaryDirectory() as folder:
        text, errors = Path(folder)/'text', Path(folder)/'errors'
        text.touch()
        with errors.open('wb') as f:   # no pipe, which what it has begun could hold open
            p = subprocess.Popen([sys.executable, script, '--part', name, '--said', text, '--seconds', str(seconds), '--device', device,
                                  '--keyword', keyword], cwd=root, stderr=f, start_new_session=True)
            late = False
            try: p.wait(seconds)
            except subprocess.TimeoutExpired: late = True
            finally:
                with suppress(ProcessLookupError): os.killpg(p.pid, signal.SIGKILL)
                with suppress(subprocess.TimeoutExpired): p.wait(2)   # one that a driver holds is left
        errors = errors.read_text(encoding='utf-8', errors='replace')
        print(errors, end='', file=sys.stderr, flush=True)
        return text.read_text(encoding='utf-8'), f'it was not done in {seconds:.0f} s' if late else ending(p.returncode, errors)


def ending(code, errors):
    "How a process failed, by its exit status and its last words"
    if not code: return ''
    last = errors.partition('Fatal Python error')[0].strip().rpartition('\n')[2][:200]   # there faulthandler begins
    if code == 1 and last: return last
    by = {-s: f'by {s.name}' for s in signal.Signals}.get(code, f'with exit status {code}')
    return f'it ended {by}' + ', as where no memory is left'*(code == -signal.SIGKILL) + f'. Last it said: {last}'*bool(last)


def do(name, seconds, *args):
    "A part, in its own process"
    errors = os.fdopen(os.dup(2), 'w')   # pytest takes the other
    faulthandler.enable(errors)
    faulthandler.dump_traceback_later(max(seconds - 1, 1), file=errors)   # where it is when it is killed
    part = Parts(*args)
    try: getattr(part, name)()
    except Exception as e:
        print_exc()
        print(f'{type(e).__name__}: {one_line(e)}', file=sys.stderr, flush=True)
        os._exit(1)   # at a usual end others might have the last word


def main(device, out, names, keyword):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped'))   # and what it has begun
    out.parent.mkdir(parents=True, exist_ok=True)
    head = '# On a GPU\n\nWhether the engines keep their promises on a GPU, and how fast they are there.\n\n'
    until, todo = BEGAN, []
    for name, (title, seconds) in PARTS.items():
        until += seconds
        def part(name=name, title=title, until=until):
            text, why = said(name, until - time.monotonic(), device, keyword)
            return f'## {title}\n\n{text.strip()}' + f'\n\nIt failed: {why}'*bool(why)
        if name == 'machine':
            what, why = said(name, seconds, device, keyword)
            if why:
                if not out.exists(): out.write_text(f'{head}Not measured yet: {why}.\n')
                sys.exit(why)
        elif name in names: todo.append(part)
    report(out, f'{head}Measured on {what}; written by `benchmarks/gpu.py`.', todo, days=False)


def command():
    p = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    p.add_argument('parts', nargs='*', help=f'some of {", ".join([*PARTS][1:])}; all, if none is named')
    p.add_argument('--device', default='cuda', choices=('cuda', 'cpu'))
    p.add_argument('--out', type=Path, default=here/'gpu.md')
    p.add_argument('--keyword', default='', help="of the tests, as pytest's -k")
    for name, kind in dict(part=str, said=Path, seconds=float).items(): p.add_argument(f'--{name}', type=kind, help=argparse.SUPPRESS)
    o = p.parse_args()
    if wrong := {*o.parts} - {*[*PARTS][1:]}: p.error(f'there is no part {min(wrong)}')
    if o.part: do(o.part, o.seconds, o.device, o.keyword, o.said)
    else: main(o.device, o.out, o.parts or PARTS, o.keyword)


if __name__ == '__main__': command()
