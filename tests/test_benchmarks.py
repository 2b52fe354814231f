"The benchmark of a GPU, with the CPU in its place: all of it that needs none. Its figures mean nothing."
import os, subprocess, sys
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import torch

from commands import apart

here = Path(__file__).parent.parent/'benchmarks'
titles = {'Tests', 'Against others', "Against the kernels' own time", 'Many seeds at once', 'Whole runs'}

def load():
    sys.path.insert(0, str(here))
    import gpu
    return gpu

def rows(text): return [o for o in text.splitlines() if o.startswith('| ') and '--' not in o]

def run(folder, *args, changes='', device='cpu'):
    "The command, as changed, and its page's parts by title"
    script = folder/'script.py'
    script.write_text(f'import sys; sys.path.insert(0, {str(here)!r})\nimport gpu, os, signal, subprocess, time\n{changes}\ngpu.command()\n')
    r = subprocess.run([sys.executable, script.name, *args, '--device', device, '--out', 'new/gpu.md'], cwd=folder, capture_output=True, text=True,
                       env={**os.environ, 'MNIST_DIR': '', 'OMP_NUM_THREADS': '1'}, timeout=120)
    text = (folder/'new/gpu.md').read_text()
    return r, text, {k: v.strip() for k, v in (o.split('\n\n', 1) for o in text.split('\n## ')[1:])}


# The parts

def parts(folder, *names, prepare=lambda gpu: None):
    "Here and not one process each, which all would import torch"
    gpu = load()
    prepare(gpu)
    for name in names: gpu.do(name, 100, 'cpu', '', folder/name)

def said(tmp_path, f, *names):
    r = apart(f, tmp_path, *names, cwd=tmp_path, MNIST_DIR='')
    assert r.returncode == 0, r.stderr
    return [(tmp_path/name).read_text() for name in names], r

def test_each_part_has_its_tables(tmp_path):
    (others, kernels, many, runs), r = said(tmp_path, parts, 'others', 'kernels', 'many_seeds', 'recipe')
    assert 'fail' not in others + kernels + many + runs, r.stderr
    assert len(rows(others)) >= 6 and [len(rows(o)) for o in (kernels, many, runs)] == [3, 3, 4]

def lossy(gpu):
    "The plain loop fails on MNIST alone, the compiled engine anywhere, and so does the paper's recipe; members have one data object, and the profiler sees no kernel"
    import contenders, speed, torch.profiler as profiler
    class Plain(contenders.Plain):
        def build(self):
            if self.task.name != 'ring': raise MemoryError('no room\nfor it')
            super().build()
    class Ours(speed.Ours):
        def __init__(self, task, engine, **kw):
            if engine == 'compiled': raise ValueError('Failed to find C compiler')
            super().__init__(task, engine=engine, **kw)
    class Blind(profiler.profile):
        def key_averages(self): return []
    def together(members, Ensemble=speed.Ensemble, **kw):
        assert len({id(o.data) for o in members}) == 1
        return Ensemble(members, **kw)
    def paper(self, precision): raise torch.OutOfMemoryError('CUDA out of memory')
    def begin(self, *args): first(self, *args); self.engines = 'eager', 'compiled'
    contenders.contenders['plain'], speed.Ours, speed.Ensemble, profiler.profile = Plain, Ours, together, Blind
    first, gpu.Parts.__init__, gpu.Parts.paper = gpu.Parts.__init__, begin, paper

def lossy_parts(folder, *names): parts(folder, *names, prepare=lossy)

def test_what_fails_within_a_part_is_named_and_the_rest_of_it_is_there(tmp_path):
    (others, kernels, many, runs), _ = said(tmp_path, lossy_parts, 'others', 'kernels', 'many_seeds', 'recipe')
    ring, pixels = others.split('### ')[1:]
    assert 'plain' in rows(ring)[1] and [o.split('|')[1].strip() for o in rows(pixels)[1:] if 'jax' not in o] == ['ours, eager']
    assert f"- plain, {pixels.partition(':')[0]}: MemoryError: no room for it\n" in others   # MNIST, or pixels in its shape
    assert '- ours, compiled, bf16, ring: ValueError: Failed to find C compiler\n' in others
    assert len(rows(kernels)) == 3 and all('| nan | nan |' in o for o in rows(kernels)[1:])
    assert '- ring, compiled: ValueError: Failed to find C compiler\n' in kernels
    assert 'by the eager engine' in many and len(rows(many)) == 3 and '- compiled, 2 members: ValueError: Failed to find' in many
    assert len(rows(runs)) == 2 and "- the paper's recipe, tf32: OutOfMemoryError: CUDA out of memory\n" in runs

def products():
    load()
    import contenders, jax
    assert os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'] == 'false'
    one = jax.numpy.ones((2, 2))
    assert 'HIGHEST' in str(jax.make_jaxpr(contenders.float32_dot)(one, one))

@pytest.mark.skipif(find_spec('jax') is None, reason='JAX is not here')
def test_jax_is_asked_for_products_in_float32(tmp_path):
    r = apart(products, cwd=tmp_path)
    assert r.returncode == 0, r.stderr


# Their processes

def test_the_benchmark_of_a_gpu_runs_through(tmp_path):
    r, text, parts = run(tmp_path, 'tests', '--keyword', 'first_step_agrees')
    assert r.returncode == 0 and [*parts] == ['Tests'], r.stderr
    assert 'torch 2' in text and ('| passed | 1 |' in parts['Tests'] or '| skipped | 1 |' in parts['Tests'])
    gpu = load()
    assert {title for title, _ in [*gpu.PARTS.values()][1:]} == titles
    assert sum(seconds for _, seconds in gpu.PARTS.values()) + 2 < 9*60   # the last one's end, too

def test_parts_that_fail_hang_or_die_say_so_and_the_rest_goes_on(tmp_path):
    "The one that hangs lets no signal in, and has begun another process"
    r, text, parts = run(tmp_path, changes='''
class Parts(gpu.Parts):
    def machine(self): self.say('it')
    def hangs(self):
        p = subprocess.Popen(['sleep', '100'])
        self.say(str(p.pid))
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            try: time.sleep(100)
            except BaseException: pass
    def fails(self):
        self.say('So far.')
        raise ValueError('no luck\\nhere')
    def dies(self):
        self.say('Half.')
        print('the driver is gone', file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGABRT)
    def large(self): os.kill(os.getpid(), signal.SIGKILL)
    def works(self): self.say('Done.')
gpu.Parts, gpu.LEAST = Parts, 0
gpu.PARTS = dict(machine=('', 1), hangs=('One', 4), fails=('Two', 40), dies=('Three', 0), large=('Four', 0), works=('Five', 0), tests=('Six', -90))''')
    assert r.returncode == 0 and 'Measured on it;' in text, r.stderr
    pid, _, one = parts.pop('One').partition('\n\n')
    assert one.startswith('It failed: it was not done in ') and 'time.sleep' not in one and ' in hangs' in r.stderr
    assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == 'zombie'
    assert parts == dict(Two='So far.\n\nIt failed: ValueError: no luck here', Five='Done.', Six='Left out for lack of time.',
                         Three='Half.\n\nIt failed: it ended by SIGABRT. Last it said: the driver is gone',
                         Four='It failed: it ended by SIGKILL, as where no memory is left')

def test_tests_that_end_the_process_lose_no_reason(tmp_path):
    "Nor does a file that cannot be imported lose the tests of the others"
    (tmp_path/'tests').mkdir()
    (tmp_path/'pytest.ini').write_text('[pytest]\nmarkers = gpu\n')
    mark = 'import pytest\n@pytest.mark.gpu\n'
    (tmp_path/'tests/test_a.py').write_text('import not_there, ' + mark.removeprefix('import ') + 'def test_a(): pass\n')
    (tmp_path/'tests/test_b.py').write_text(mark + 'def test_bad(): assert 1 == 2, "the reason"\n')
    (tmp_path/'tests/test_c.py').write_text("import pytest\n@pytest.mark.parametrize('i', [pytest.param(0, marks=pytest.mark.gpu), 1])\ndef test_good(i): pass\n")
    (tmp_path/'tests/test_d.py').write_text(mark + 'def test_last():\n    import os\n    os.kill(os.getpid(), 9)\n')
    _, _, parts = run(tmp_path, 'tests', changes=f'gpu.root = gpu.Path({str(tmp_path)!r})\ngpu.Parts.machine = lambda self: self.say("it")')
    assert [o.partition('|')[2] for o in rows(parts['Tests'])[1:]] == [' error | 1 |', ' failed | 1 |', ' passed | 1 |', ' begun | 1 |']
    for o in ("- `test_a.py` ModuleNotFoundError: No module named 'not_there'\n", '- `test_b.py::test_bad` AssertionError: the reason assert 1 == 2\n',
              'These had begun and were not done:\n\n- `test_d.py::test_last`\n\nIt failed: it ended by SIGKILL'): assert o in parts['Tests']

def test_tests_that_cannot_begin_say_why(tmp_path):
    (tmp_path/'tests').mkdir()
    (tmp_path/'tests/conftest.py').write_text('import not_there\n')
    (tmp_path/'tests/test_a.py').write_text('import pytest\n@pytest.mark.gpu\ndef test_a(): pass\n')
    _, _, parts = run(tmp_path, 'tests', changes=f'gpu.root = gpu.Path({str(tmp_path)!r})\ngpu.Parts.machine = lambda self: self.say("it")')
    assert parts['Tests'] == "It failed: it ended with exit status 4. Last it said: E   ModuleNotFoundError: No module named 'not_there'"

def test_make_gpu_writes_where_it_is_asked_to():
    def command(*args): return subprocess.run(['make', '-n', '--no-print-directory', 'gpu', *args], cwd=here.parent, capture_output=True, text=True, check=True).stdout.strip()
    assert command('PYTHON=', 'OUT=') == 'python3 benchmarks/gpu.py' and command('PYTHON=py', 'OUT=/a b') == "py benchmarks/gpu.py --out '/a b/gpu.md'"

@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_without_a_gpu_the_page_says_so_and_what_was_measured_stays(tmp_path):
    r, text, _ = run(tmp_path, device='cuda')
    assert r.returncode == 1 and 'torch sees no CUDA device' in r.stderr and 'Not measured yet: torch sees no CUDA device' in text
    (tmp_path/'new/gpu.md').write_text('# Measured\n')
    assert run(tmp_path, device='cuda')[1] == '# Measured\n'

# What is kept

def luck(what, seed):
    "For a process of its own"
    if what == 'bad' and not seed: raise ValueError('no luck')
    return [what, seed]

def test_a_run_that_fails_costs_no_other_and_is_asked_again(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(here)
    import machine
    file = tmp_path/'runs.json'
    machine.keep(file, 'kept', 'good', '0')
    with pytest.raises(ValueError, match='no luck'): machine.by_seed(file, luck, [('bad',), ('good',)], 3, 1)
    known = {'good': {'0': 'kept', '1': ['good', 1], '2': ['good', 2]}, 'bad': {'1': ['bad', 1], '2': ['bad', 2]}}
    assert machine.known_in(file) == known
    monkeypatch.setattr(machine.json, 'dumps', lambda *_, **__: 1/0)
    with pytest.raises(ZeroDivisionError): machine.keep(file, 'more', 'good', '3')
    assert machine.known_in(file) == known   # and not half of it

def test_each_part_of_a_page_has_its_day(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(here)
    import machine
    page = tmp_path/'page.md'
    page.write_text('# Page\n\n## One\n\nMeasured on 2020-01-01.\n\nOld.\n\n## Two\n\nOld.\n')
    machine.report(page, '# Page', [lambda: '## Two\n\nNew.'])
    today = machine.date.today()
    assert page.read_text() == f'# Page\n\n## One\n\nMeasured on 2020-01-01.\n\nOld.\n\n## Two\n\nMeasured on {today}.\n\nNew.\n'
