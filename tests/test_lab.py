"The Lab without a browser: the session's threads, its commands, its speed of answer, its failures."
import json, shutil, subprocess, threading, time
from pathlib import Path

import numpy as np
import pytest, torch

from gan_nbdev.all import *
from gan_nbdev.lab import Session, lessons
from gan_nbdev.runs import Run, choices, defaults
from gan_nbdev.scenes import Scene

tiny = dict(g_width=8, d_width=8, g_layers=1, d_layers=1, batch_size=32)

@pytest.fixture
def session():
    made = []
    def make(run=None, **kw):
        made.append(Session(run or Run(tiny), **kw))
        return made[-1]
    yield make
    for s in made: s.close()
    assert not [t for t in threading.enumerate() if t.name.startswith('gan-lab')]

def ask(s, what, **how): return s.do(what, **how).result(20)

def until(ready, seconds=20):
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end
        time.sleep(.005)

def weights(run): return torch.cat([p.detach().flatten() for p in run.trainer.gan.parameters()])

# ---- runs

lists = 'data', 'noise', 'value', 'engine', 'g_act', 'd_act', 'g_rule', 'd_rule', 'g_norm', 'd_norm', 'device'

@pytest.mark.parametrize('name', lists)
def test_every_choice_trains(name):
    "Each choice of each list builds, trains, is drawn, and is rebuilt by its code"
    skip = {'drawn', 'own', 'graphed', 'compiled'}   # the last two: tests/test_engines.py
    for option in set(choices[name]) - skip:
        run = Run(tiny | {name: option})
        run.advance(3)
        frame = Scene(run.trainer.gan, run.trainer.data, n=50, cells=20).frame(
            run.trainer.gan, run.trainer.value, ('heat', 'star', 'arrows', 'manifold', 'near'))
        assert all(np.isfinite(v).all() for v in frame.values()), option
        names = {}
        exec(run.code(), names)
        assert names['trainer'].iteration == 3
        assert torch.equal(weights(run), torch.cat(
            [p.detach().flatten() for p in names['trainer'].gan.parameters()]))

def test_a_rewound_run_goes_on_as_it_did():
    "Through changes of rule, value, k and batch, from every moment"
    run = Run(tiny | dict(d_dropout=.3))
    changes = {14: dict(value='minimax', batch_size=16), 21: dict(g_rule='momentum')}
    for change in (dict(), dict(k=3), *changes.values()):
        run.change(**change); run.advance(7); run.alone('d')
    end, score, moments = weights(run), run.score, sorted(run.moments)
    for i in (14, 21, 28):
        assert i in moments
        run.rewind(i)
        for k in changes:
            if k >= i: run.change(**changes[k]); run.advance(7); run.alone('d')
        assert torch.equal(weights(run), end)
    assert run.score == score

def test_forks_forget_what_will_not_be():
    run = Run(tiny)
    for _ in range(5): run.advance(2); run.note(force=True)
    run.rewind(4)
    assert max(run.moments) == 10                # still there to go forward to
    run.rewind(10); assert run.iteration == 10 and len(run.trainer.history['value']) == 10
    run.rewind(4); run.advance(1)
    assert max(run.moments) <= 5 and len(run.trainer.history['value']) == 5

# ---- sessions

def test_answers_while_training(session):
    s = session()
    ask(s, 'play')
    for i in range(20): ask(s, 'set', k=1 + i%3)
    assert s.playing and s.error == '' and s.run.settings['k'] == 2

def test_two_sessions_do_not_disturb_each_other(session):
    "Each gets what it gets alone"
    def end(s, n):
        ask(s, 'rewind', iteration=0)
        ask(s, 'step', n=n)
        return weights(s.run)
    alone = end(session(Run(tiny | dict(d_dropout=.5))), 40)
    a, b = session(Run(tiny | dict(d_dropout=.5))), session(Run(tiny | dict(seed=4)))
    ask(a, 'play'); ask(b, 'play')
    until(lambda: a.run.iteration > 60 and b.run.iteration > 60)
    assert torch.equal(end(a, 40), alone)

def test_close_in_the_middle_of_everything(session):
    for speed in ('full', 'slow', '1'):
        s = session()
        ask(s, 'speed', speed=speed); ask(s, 'play')
        time.sleep(.05)
        s.close()
        assert not any(t.is_alive() for t in s.threads)

def test_slow_motion_is_the_same_run(session):
    s = session(line_s=0.)
    ask(s, 'speed', speed='slow'); ask(s, 'play')
    until(lambda: s.run.iteration >= 3)
    ask(s, 'pause')
    plain = Run(tiny); plain.advance(s.run.iteration)
    assert torch.equal(weights(s.run), weights(plain))

def test_a_command_finishes_the_iteration_that_is_shown(session):
    s = session(line_s=60.)
    s.do('line')
    until(lambda: s.presses == 0 and s.run.trainer.iteration == 0 and hasattr(s, 'losses'))
    ask(s, 'set', k=2)
    assert s.run.iteration == 1 and s.run.settings['k'] == 2

def test_compare(session):
    s = session()
    ask(s, 'step', n=3); ask(s, 'compare', name='k', value=4)
    assert [r.iteration for r in s.runs] == [0, 0]
    ask(s, 'step', n=5); ask(s, 'set', k=2, d_lr=2e-3)
    now = [(r.iteration, r.trainer.k, r.settings['d_lr']) for r in s.runs]
    assert now == [(5, 2, 2e-3), (5, 4, 2e-3)]
    ask(s, 'rewind', iteration=0)
    assert [r.iteration for r in s.runs] == [0, 0]
    ask(s, 'set', g_width=9)
    assert all(r.settings['g_width'] == 9 and r.iteration == 0 for r in s.runs)
    ask(s, 'uncompare'); assert len(s.runs) == 1

@pytest.mark.parametrize('name', lessons)
def test_lessons(session, name):
    "Two sentences, a question, and settings that run"
    text, question = lessons[name].text, lessons[name].question
    assert question.endswith('?') and text.endswith('.')
    s = session()
    ask(s, 'lesson', name=name)
    until(lambda: s.run.iteration > 3)
    assert s.error == ''

# ---- failures

class Moody(torch.nn.Linear):
    bad = False
    def forward(self, x):
        if self.bad: raise RuntimeError('no idea')
        return super().forward(x)

def test_a_network_that_raises(session):
    gan = GAN(Moody(2, 2), mlp_discriminator(2, (8,)), normal(2))
    s = session(Run(trainer=Trainer(gan, ring(), device='cpu')))
    ask(s, 'step', n=2)
    gan.generator.bad = True
    ask(s, 'play')
    until(lambda: 'RuntimeError while training: no idea' in s.error)
    assert not s.playing
    gan.generator.bad = False
    ask(s, 'reset'); ask(s, 'step', n=2)
    assert s.error == '' and s.run.iteration == 2

def test_nan(session):
    s = session()
    wild = dict(g_rule='momentum', g_lr=10., d_rule='momentum', d_lr=10., d_momentum=.99)
    ask(s, 'set', **wild); ask(s, 'play')
    until(lambda: s.error)
    assert 'NaN or infinite' in s.error and 'rewind' in s.error and not s.playing
    ask(s, 'rewind', iteration=0)
    assert s.error == '' and weights(s.run).isfinite().all()

def test_what_does_not_fit_changes_nothing(session):
    s = session()
    ask(s, 'step', n=4)
    before = weights(s.run), dict(s.run.settings)
    for bad in (dict(k=0), dict(data='nothing'), dict(depth=3), dict(data='drawn'),
                dict(file='there/is/none.csv'), dict(g_lr=float('nan'))):
        with pytest.raises((ValueError, OSError)): ask(s, 'set', **bad)
        assert s.error
    assert torch.equal(weights(s.run), before[0]) and s.run.settings == before[1]

def test_dropped_sessions_leave_no_thread(session): session()

# ---- what was saved, and then changed by somebody

@pytest.mark.parametrize('bad', [7, [], dict(g_width='wide'), dict(g_act=['relu']), dict(d_act={}),
                                 dict(g_layers=10**9), dict(noise='__import__("os")'),
                                 dict(noise_dim=True), dict(d_dropout=None), dict(seed=-1),
                                 dict(depth=3), dict(g_width=9)], ids=str)
def test_a_saved_run_with_other_settings_is_refused(tmp_path, bad):
    from gan_nbdev.cli import load_run
    run = Run(tiny); run.advance(2); out = run.save(tmp_path/'run')
    config = json.loads((out/'config.json').read_text())
    assert load_run(out)[0].noise.dim == 2
    config['run'] = {**config['run'], **bad} if isinstance(bad, dict) else bad
    (out/'config.json').write_text(json.dumps(config))
    with pytest.raises(ValueError, match=str(out)): load_run(out)

# ---- the window's own code

@pytest.mark.skipif(not shutil.which('node'), reason='there is no node')
def test_javascript():
    here = Path(__file__).parent
    res = subprocess.run(['node', '--test', here/'lab.test.mjs'], capture_output=True, text=True)
    assert res.returncode == 0, res.stdout + res.stderr
