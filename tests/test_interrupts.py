"Ctrl-C while an engine is being made: it ends at once, everything is kept, and nothing stays behind."
import json, os, signal, subprocess, sys, time, weakref
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import gan_nbdev.engines.compiled as compiled
import gan_nbdev.engines.ensemble as ensembles
from gan_nbdev.algorithm import adam, momentum_sgd
from gan_nbdev.data import normal, ring
from gan_nbdev.engines.compiled import has_compiler
from gan_nbdev.engines.ensemble import Ensemble
from gan_nbdev.networks import GAN, mlp_discriminator, mlp_generator
from gan_nbdev.support.safety import GivenUp, give_up, interruptible, on_interrupt, until_given_up
from gan_nbdev.trainer import Trainer

import commands

pytestmark = pytest.mark.skipif(os.name == 'nt', reason='no signals there')
needs_compiler = pytest.mark.skipif(not has_compiler(), reason='needs a C++ compiler')
needs_proc = pytest.mark.skipif(not Path(f'/proc/{os.getpid()}/task').exists(), reason='needs /proc')
rules = dict(sgd=momentum_sgd(0.02), adam=adam(1e-3))


class Draws(nn.Module):
    "Draws from torch's global generator, which a trainer then lends to its networks"
    def forward(self, x): return x + .1*torch.randn_like(x)


def make(rule='adam', seed=0, draws=False, engine='compiled', **kw):
    D = mlp_discriminator(2, (8,), norm='batch', dropout=.3, seed=1)
    if draws: D = nn.Sequential(Draws(), D)
    return Trainer(GAN(mlp_generator(2, 2, (8,), seed=0), D, normal(2)), ring(), seed=seed, device='cpu',
                   batch_size=16, d_rule=rules[rule], g_rule=rules[rule], engine=engine, **kw)


def flat(o):
    "The tensors and numbers in a state, by place"
    if isinstance(o, dict): return {f'{k}.{i}': v for k, x in o.items() for i, v in flat(x).items()}
    if isinstance(o, (list, tuple)): return flat(dict(enumerate(o)))
    return {'': o}


def same(a, b):
    a, b = flat(a.state_dict()), flat(b.state_dict())
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def press(): os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def compiler(monkeypatch):
    "A compiler that gives the program as it is; `presses` says in which calls Ctrl-C is pressed"
    def machine_code(program, inputs):
        machine_code.calls += 1
        if machine_code.calls in machine_code.presses:
            press()
            time.sleep(600)
        return program
    machine_code.calls, machine_code.presses = 0, ()
    for room in (compiled, ensembles): monkeypatch.setattr(room, 'machine_code', machine_code)
    return machine_code


@needs_compiler
@pytest.mark.parametrize('kw', [dict(rule='sgd'), dict(rule='adam'), dict(draws=True)], ids=str)
@pytest.mark.parametrize('before', [0, 3])
def test_ends_at_once_and_keeps_everything(compiler, capsys, kw, before):
    handler = signal.getsignal(signal.SIGINT)
    def begun(): return make(engine='eager', **kw).fit(before, progress=False).change(engine='compiled')
    t, whole, compiler.presses = begun(), begun().fit(5, progress=False), (2,)
    assert t.fit(5) is t and (t.iteration, t.stopped, t.made_engine) == (before, 'interrupted', None)
    assert f'interrupted at iteration {before}; everything so far is kept' in capsys.readouterr().out
    assert same(t, begun()) and signal.getsignal(signal.SIGINT) is handler and compiler.calls == 2
    assert same(t.fit(5, progress=False), whole) and t.stopped is None and compiler.calls == 3


@needs_compiler
def test_a_compiler_that_fails_leaves_the_optimisers_as_they_were(monkeypatch):
    def fails(*_): raise RuntimeError('no room')
    monkeypatch.setattr(compiled, 'machine_code', fails)
    t = make()
    with pytest.raises(ValueError, match='no room'): t.fit(1, progress=False)
    assert same(t, make())


@needs_compiler
def test_hooks_are_called_as_at_any_interrupt(compiler):
    said = []
    class Says:
        def before_fit(self, trainer, n): said.append('before')
        def after_block(self, trainer): said.append('block')
        def after_fit(self, trainer): said.append('after')
    class Last(Says): last = True
    compiler.presses = 1,
    make(hooks=[Last(), Says()]).fit(5, progress=False)
    assert said == ['before', 'before', 'after', 'after']


@needs_compiler
@pytest.mark.parametrize('presses, before', [(1, 3), (2, 0)])
def test_an_ensemble(compiler, presses, before):
    "Its first stack or its second is being made; the members can also go on alone"
    def members():
        kinds = [make(seed=i, engine='eager').fit(before, progress=False) for i in range(5)]
        return [t.change(engine='compiled') for t in kinds]
    handler, whole = signal.getsignal(signal.SIGINT), Ensemble(members(), 'compiled').fit(4, progress=False)
    e, compiler.presses = Ensemble(members(), 'compiled'), (compiler.calls + presses,)
    assert e.fit(4, progress=False) is e and e.stopped == 'interrupted'
    assert all(map(same, e.trainers, members())) and signal.getsignal(signal.SIGINT) is handler
    e.fit(4, progress=False)
    assert e.stopped is None and all(map(same, e.trainers, whole.trainers))


def test_where_nothing_is_made_a_press_is_only_noted():
    with on_interrupt(lambda *_: give_up()):
        press()                                   # no work
        with until_given_up() as work:
            press()                               # not interruptible here, but in the next part
            assert work.asked
            with interruptible(): raise AssertionError
        with interruptible(): press()             # for nobody
    assert work.asked


class Whole:
    "Something that must be done and undone as a whole"
    def __init__(self, at): self.at, self.done = at, []
    def __enter__(self): self._do('enter')
    def __exit__(self, *_): self._do('exit')
    def _do(self, what):
        if what == self.at: press()
        for _ in range(3): str()
        self.done.append(what)


@pytest.mark.parametrize('at', ['enter', 'exit'])
def test_what_is_half_done_is_finished_first(at):
    whole, after = Whole(at), []
    with on_interrupt(lambda *_: give_up()), until_given_up():
        with interruptible():
            with whole: pass
            for i in range(3): after.append(str(i))
    assert whole.done == ['enter', 'exit'] and not after and sys.getprofile() is None


def test_an_exception_that_leads_nowhere_comes_again():
    "As in what a weak reference calls, where Python ignores them"
    class Thing: pass
    thing, after, hook = Thing(), [], sys.unraisablehook
    ref = weakref.ref(thing, lambda _: press())
    with on_interrupt(lambda *_: give_up()), until_given_up():
        with interruptible():
            del thing
            for i in range(3): after.append(str(i))
    assert ref() is None and not after and sys.getprofile() is None and sys.unraisablehook is hook


def test_an_import_is_finished_first(tmp_path, monkeypatch):
    code = 'import os, signal\nos.kill(os.getpid(), signal.SIGINT)\ndef f(): return 1\ndone = f()\n'
    (tmp_path/'presses_ctrl_c.py').write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    after = []
    with on_interrupt(lambda *_: give_up()), until_given_up():
        with interruptible():
            import presses_ctrl_c
            after.append(str(presses_ctrl_c))
    assert sys.modules['presses_ctrl_c'].done == 1 and not after and sys.getprofile() is None


def test_an_impatient_press_is_no_other(compiler):
    "A second one, while the first is obeyed, changes nothing"
    t, done = make(), []
    @contextmanager
    def twice():
        try: yield
        finally: press(); done.append('finished')
    with on_interrupt(lambda *_: give_up()), until_given_up() as work:
        with interruptible(), twice():
            press()
            done.append('not reached')
    assert done == ['finished'] and work.asked


def below(pid):
    "Processes that `pid` has started, and those that they have"
    try: mine = Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
    except OSError: return []
    return [o for c in mine for o in (int(c), *below(c))]


def state(pid):
    "Its letter and its parent"
    try: return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[:2]
    except OSError: return 'Z', None


def runs(pid): return state(pid)[0] != 'Z'


@needs_proc
def test_what_the_work_has_started_is_ended_and_nothing_else(monkeypatch):
    kill = os.kill
    def and_what_follows(pid, number):   # the shell has all the time to go on
        parent = int(state(pid)[1])
        kill(pid, number)
        for o in {pid, parent} - {os.getpid(), os.getppid()}:
            while state(o)[0] not in 'TZ': time.sleep(.01)
    mine = subprocess.Popen(['sleep', '600'])
    before = set(below(os.getpid()))   # `mine`, and what other tests have left at work
    with on_interrupt(lambda *_: give_up()), until_given_up():
        with interruptible():
            seen = []
            class Pressing(subprocess.Popen):
                def communicate(self, *args, **kw):
                    while len(new := set(below(os.getpid())) - before) < 2: time.sleep(.01)
                    seen.extend(new)
                    monkeypatch.setattr(os, 'kill', and_what_follows)
                    press()
            with Pressing(['sh', '-c', 'sleep 600; true']) as p: p.communicate()
    monkeypatch.undo()
    while any(map(runs, seen)): time.sleep(.01)
    assert runs(mine.pid) and p.returncode == -signal.SIGTERM
    mine.kill(); mine.wait()


small_ring = 'ring', '--engine', 'compiled', '--g-hidden', '8', '--d-hidden', '8', '--device', 'cpu'

def begin(cwd, *args):
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1', 'TORCHINDUCTOR_CACHE_DIR': str(cwd/'made')}
    return subprocess.Popen([Path(sys.executable).parent/'gan-train', *small_ring, *args], cwd=cwd, env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def command(pid):
    try: return Path(f'/proc/{pid}/cmdline').read_text()
    except OSError: return ''


def stop_while_it_compiles(p, signum):
    while p.poll() is None and not any('cc1plus' in command(o) for o in below(p.pid)): time.sleep(.005)
    started = below(p.pid)
    p.send_signal(signum)
    out, err = p.communicate()
    while any(map(runs, started)): time.sleep(.01)   # what is left may take a moment to go
    assert 'Traceback' not in err and 'compiling' in err and started, err
    return p.returncode, out


@needs_compiler
@needs_proc
def test_a_real_compiler(tmp_path):
    "The command writes its run folder, and goes on from there as if nothing had been"
    said = stop_while_it_compiles(begin(tmp_path, '--steps', '20000', '--out', 'a'), signal.SIGTERM)
    assert said[0] == 143 and 'terminated at iteration 0; everything so far is kept' in said[1]
    assert [o.name for o in (tmp_path/'a').iterdir()] == ['checkpoints']
    said = stop_while_it_compiles(begin(tmp_path, '--resume', '--out', 'a'), signal.SIGINT)
    assert said[0] == 130 and 'interrupted at iteration 0; everything so far is kept' in said[1]
    about = json.loads((tmp_path/'a/metrics.json').read_text())
    assert (about['iterations'], about['stopped']) == (0, 'interrupted')
    def there(): return {o: o.read_bytes() for o in (tmp_path/'a').rglob('*') if o.is_file()}
    before = there()
    for signum, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):   # another run, that does not begin, leaves it as it is
        assert stop_while_it_compiles(begin(tmp_path, '--steps', '9', '--seed', '4', '--force', '--out', 'a'), signum)[0] == status
        assert there() == before
    for name, more in dict(a=['--resume'], b=[]).items():
        r = commands.run('gan-train', *small_ring, '--steps', '40', '--quiet', '--out', name, *more, cwd=tmp_path,
                         TORCHINDUCTOR_CACHE_DIR=str(tmp_path/'made'))
        assert r.returncode == 0, r.stderr
    a, b = (load_file(tmp_path/name/'weights.safetensors') for name in 'ab')
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
