"""All that is to be known of a GPU, in less than 9 minutes. Writes gpu.md, part by part.

    make gpu

First the tests marked `gpu`; then speed against a plain loop, JAX and what the kernels take themselves; many seeds
at once; the paper's recipe. A part that fails, or that is not done in its time, says so, and the next begins.

It runs on a bare machine whose `python3` has torch and JAX for its GPU, and nothing is installed there. What else this
package needs and such a machine lacks can be carried along in build/carried, as a rule fastcore alone:
`python3 -m pip install --no-deps --target build/carried fastcore`. With MNIST_DIR the recipe learns MNIST, without it
random pixels. `--device cpu` tries all this with the CPU in the GPU's place: for tests, its figures mean nothing.
"""
import argparse
import faulthandler
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from traceback import print_exc

here = Path(__file__).resolve().parent
root = here.parent
sys.path[:0] = [str(root), str(root/'build/carried')]
os.environ['PYTHONPATH'] = os.pathsep.join([*sys.path[:2], os.environ.get('PYTHONPATH', '')])

import torch
from torch.profiler import ProfilerActivity, profile

from contenders import contenders, mnist_task, ring_task
from machine import by_turns, machine, report, table
from speed import Ours, others, per_iteration, seeds
from gan_nbdev.support.checks import one_line
from gan_nbdev.all import Samples, coverage, experiment, mnist, parzen, parzen_sigma, ring

PARTS = dict(tests=('Tests', 200), others=('Against others', 110), kernels=("Against the kernels' own time", 50),
             many_seeds=('Many seeds at once', 80), recipe=('Whole runs', 85))   # title and seconds; the next gets what is left over
LIMIT = 538   # seconds for all, the imports not counted


# What the parts do, with few iterations where the CPU stands in

class Parts:
    "Each part is a method, which gives its text, or more and more of it: what there is when it fails is kept"
    def __init__(self, device, keyword=''):
        self.device, self.keyword, self.real = device, keyword, device == 'cuda'
        self.engines = ('eager', 'graphed', 'compiled') if self.real else ('eager',)
        self.rounds, self.share = (5, 1.) if self.real else (1, .002)

    def tests(self):
        files = [p for p in sorted((root/'tests').glob('test_*.py'))
                 if re.search('^@pytest.mark.gpu', p.read_text(encoding='utf-8'), re.M)]
        side_by_side = ['-n', '4']*(self.real and find_spec('xdist') is not None)   # most of their time, they compile
        p = subprocess.Popen([sys.executable, '-m', 'pytest', '-v', '--tb=short', '-rfE', '-p', 'no:cacheprovider', '-m', 'gpu',
                              '-k', self.keyword, *side_by_side, *map(str, files)], cwd=root, text=True,
                             env=os.environ | dict(GAN_REQUIRE='gpu'*self.real), start_new_session=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        got, reasons, lines, why = {}, {}, [], ''
        try:
            for line in p.stdout:
                print(line, end='', flush=True)
                lines.append(line.strip('= \n'))
                way = re.search('PASSED|FAILED|ERROR|SKIPPED', line)
                name = re.search(r'test_\w+\.py::(.+?)(?: +(?:PASSED|FAILED|ERROR|SKIPPED)\b.*| - (.*))?$', line.rstrip())
                if way and name: got[name[1]], reasons[name[1]] = way[0], name[2]
        except TimeoutError as e: why = f' They were stopped: {e}.'
        finally:
            with suppress(ProcessLookupError): os.killpg(p.pid, signal.SIGKILL)   # those that they have begun, too
            p.wait()
        ways = [*got.values()]
        bad = ''.join(f'- `{name}` {reasons[name] or ""}\n' for name, way in got.items() if way in ('FAILED', 'ERROR'))
        yield (f'Those marked `gpu`: parity of the engines, exact resume, NCCL, no waiting within a block.{why} '
                f'The last line: {lines[-1] if lines else "none"}.\n\n'
                + table(['', 'tests'], [[way.lower(), ways.count(way)] for way in dict.fromkeys(ways)])
                + f'\nThese failed:\n\n{bad}'*bool(bad))

    def others(self):
        kinds, lost = {}, []
        for name in [o for o in ('plain', 'jax', 'jax-bf16') if o in contenders]:
            try: contenders[name](ring_task(self.device))
            except Exception as e: lost.append(f'{name} failed: {one_line(e)}.\n')
            else: kinds[name] = contenders[name]
        yield '\n'.join(lost)
        yield '\n'.join([others(self.device, self.rounds, kinds, self.engines, self.share), *lost])

    def kernels(self):
        rows, n = [], 200 if self.real else 2
        for task in (ring_task(self.device), mnist_task(self.device)):
            for engine in self.engines:
                ours = Ours(task, engine=engine)
                ours.run(n)
                with profile(activities=[ProfilerActivity.CUDA if self.real else ProfilerActivity.CPU]) as prof: ours.run(n)
                spent = 'self_device_time_total' if self.real else 'self_cpu_time_total'
                busy = sum(getattr(e, spent) for e in prof.key_averages())/n/1e3
                ms = by_turns({engine: per_iteration(ours, n)}, self.rounds)[engine][0]
                rows.append([task.name, engine, f'{ms:.3g}', f'{busy:.3g}', f'{ms/busy:.2f}'])
                yield ('ms an iteration, beside the sum of what its kernels, copies included, take by the profiler.\n\n'
                       + table(['', 'engine', 'iteration', 'kernels', 'ratio'], rows))

    def many_seeds(self):
        sizes = (1, 4, 16, 64, 256) if self.real else (1, 2)
        rows = []
        for S in sizes:
            *head, row = seeds(self.device, min(self.rounds, 3), [S], self.engines[-1], self.share).splitlines()
            rows.append(row)
            yield '\n'.join([*head, *rows])

    def recipe(self):
        rows = []
        for run in (self.default, partial(self.paper, 'float32'), partial(self.paper, 'tf32')):
            rows.append(run())
            yield 'Seconds with everything, compiling too.\n\n' + table(['', 'iterations', 'seconds', 'at the end'], rows)

    def run(self, data, **changes):
        "A run of the recipe for this data, and its seconds"
        if not self.real: changes |= dict(steps=2, engine='eager')
        e = experiment(data, device=self.device, **changes)
        trainer = e.trainer(data)
        start = time.perf_counter()
        trainer.fit(e['steps'], progress=False)
        return trainer, time.perf_counter() - start

    def default(self):
        t, seconds = self.run(ring())
        c = coverage(t.sample(2500), ring())
        return ['gan-train ring', f'{t.iteration:,}', f'{seconds:.1f}', f'{c.modes} modes, {c.high_quality:.1%} high quality']

    def paper(self, precision):
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


# One after the other, each in its time

@contextmanager
def at_most(seconds):
    "Inside, a `TimeoutError` after so many seconds"
    def late(*_): raise TimeoutError(f'it was not done in {seconds:.0f} s')
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try: yield
    finally: signal.setitimer(signal.ITIMER_REAL, 0)


def tried(title, part, seconds):
    "Its text under its title, or what went wrong"
    if seconds < 5: return f'## {title}\n\nLeft out for lack of time.'
    said = ''
    try:
        with at_most(seconds):
            for said in part(): print(said, flush=True)
    except Exception as e:
        print_exc()
        said += f'\n\nIt failed: {type(e).__name__}: {one_line(e)}'
    return f'## {title}\n\n' + re.sub(r'^## .*\n+', '', said).strip()


def main(device, out, names, keyword):
    head = '# On a GPU\n\nWhether the engines keep their promises on a GPU, and how fast they are there.\n\n'
    if device == 'cuda' and not torch.cuda.is_available():
        if not out.exists(): out.write_text(f'{head}Not measured yet: where this was written there was no GPU.\n')
        sys.exit('torch sees no CUDA device')
    faulthandler.dump_traceback_later(LIMIT, exit=True)   # whatever may hang; what is written is kept
    begin, made, until, todo = time.perf_counter(), Parts(device, keyword), 0, []
    for name, (title, seconds) in PARTS.items():
        until += seconds
        def part(title=title, do=getattr(made, name), until=until):
            return tried(title, do, begin + until - time.perf_counter())
        if name in names: todo.append(part)
    report(out, f'{head}Measured on {machine()}; written by `benchmarks/gpu.py`.', todo)
    faulthandler.cancel_dump_traceback_later()


if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    p.add_argument('parts', nargs='*', help=f'some of {", ".join(PARTS)}; all, if none is named')
    p.add_argument('--device', default='cuda', choices=('cuda', 'cpu'))
    p.add_argument('--out', type=Path, default=here/'gpu.md')
    p.add_argument('--keyword', default='', help="of the tests, as pytest's -k")
    o = p.parse_args()
    if wrong := {*o.parts} - {*PARTS}: p.error(f'there is no part {min(wrong)}')
    main(o.device, o.out, o.parts or [*PARTS], o.keyword)
