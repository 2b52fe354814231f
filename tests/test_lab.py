"The Lab without a browser: the session's threads, its commands, its speed of answer, its failures."
import itertools, json, shutil, subprocess, sys, threading, time
from pathlib import Path

import numpy as np
import pandas as pd, pytest, torch

import forms
from gan_nbdev.all import *
from gan_nbdev.experiments import experiment
from gan_nbdev.lab import Explorer, Lab, record
from gan_nbdev.lab.controls import control_values, controls, turned
from gan_nbdev.lab.course import lessons
from gan_nbdev.lab.eye import Eye
from gan_nbdev.lab.rewinding import Rewindable
from gan_nbdev.lab.scenes import Scene
from gan_nbdev.lab.session import Session
from gan_nbdev.runs import Run

small = {'generator.hidden': [8], 'discriminator.hidden': [8], 'batch_size': 32}

def tiny(data='ring', **more): return Rewindable(experiment(data, 'lab', **small | more))

@pytest.fixture
def session():
    made = []
    def make(run=None, **kw):
        made.append(Session(run or tiny(), **kw))
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

lists = [name for name, c in controls.items() if c.options]
numbers = [name for name, c in controls.items() if c.limits and name != 'classes']   # which belong to data

@pytest.mark.parametrize('name', lists)
def test_every_choice_trains(name):
    "Each choice of each list builds, trains, is drawn, and is rebuilt by its code"
    skip = {'drawn', 'own', 'graphed', 'compiled'}   # the last two: tests/test_engines.py
    for option in set(controls[name].options) - skip:
        run = tiny()
        if name == 'data.name': run = tiny(option)
        else: run = run.become(turned(run, {name: option}))
        assert control_values(run)[name] == option
        run.fit(3)
        frame = Scene(run.trainer.gan, run.trainer.data, n=50, cells=20).frame(
            run.trainer.gan, run.trainer.game, ('heat', 'star', 'arrows', 'manifold', 'near'))
        assert all(np.isfinite(v).all() for v in frame.values()), option
        assert torch.equal(weights(run), rebuilt(run)) and run.iteration == 3

def rebuilt(run):
    exec(run.code(), names := {})
    return torch.cat([p.detach().flatten() for p in names['trainer'].gan.parameters()])

@pytest.mark.parametrize('name', numbers)
def test_every_end_of_a_range_builds(name):
    for v in controls[name].limits:
        first = tiny('two_gaussians')
        run = first.become(turned(first, {name: v}))
        assert torch.equal(weights(run), rebuilt(run))
        assert control_values(run)[name] == v
        assert (run is first) == (controls[name].live or v == control_values(tiny())[name])

def test_classes_are_those_of_the_data(session):
    s = session(tiny('digits', **{'batch_size': 16}))
    ask(s, 'set', classes=10); ask(s, 'step', n=2)
    assert (s.run.trainer.gan.classes, s.run.iteration) == (10, 2) and s.report()['settings']['classes'] == 10
    assert torch.equal(weights(s.run), rebuilt(s.run))
    with pytest.raises(ValueError, match='classes'): ask(s, 'set', classes=7)
    assert s.run.trainer.gan.classes == 10 and 'classes' in s.error
    ask(s, 'set', **{'data.name': 'ring'})
    assert s.run.trainer.gan.classes is None and s.run.trainer.data.name == 'ring'
    with pytest.raises(ValueError, match='classes'): ask(s, 'set', classes=3)
    ask(s, 'set', **{'data.name': 'digits', 'classes': 10}); assert s.run.trainer.gan.classes == 10
    ask(s, 'set', classes=0); assert s.run.trainer.gan.classes is None

def test_own_data_with_a_label_have_their_classes_again(session):
    import pandas
    x, y = np.random.default_rng(0).normal(size=(300, 2)).T
    data = table(pandas.DataFrame(dict(x=x, y=y, kind=['a', 'b', 'c']*100)), label='kind')
    s = session(tiny(data))
    assert s.run.trainer.gan.classes == 3
    ask(s, 'set', **{'data.name': 'ring'}); assert s.run.trainer.gan.classes is None
    ask(s, 'set', **{'data.name': 'own'}); assert s.run.trainer.gan.classes == 3

def nets(): return GAN(mlp_generator(2, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=1), normal(2))

def given(**kw): return Rewindable(trainer=Trainer(nets(), ring(), batch_size=32, device='cpu', **kw))

own = dict(schedule=adam(linear(1e-3, 0, 200)), adamw=Rule(torch.optim.AdamW, lr=1e-3),
           betas=adam(1e-3, (0., .9)), decay=adam(1e-3, weight_decay=.1))

@pytest.mark.parametrize('name', own)
def test_rules_of_ones_own_survive_changes_and_rewinding(name):
    run = given(d_rule=own[name], g_rule=own[name])
    run.fit(20).note(force=True).fit(15)
    end = weights(run)
    run.rewind(20)
    run.change({'k': 2})
    run.become(turned(run, {'d_rule.name': 'rmsprop'}))
    if name == 'schedule':
        with pytest.raises(ValueError, match='G: Rate cannot change: it follows the schedule of g_rule'):
            turned(run, {'g_rule.lr': .1})
    else:
        run.become(turned(run, {'g_rule.lr': .1}))
        assert run.trainer.g_rule.hypers == {**run.trainer.g_rule.hypers, **own[name].hypers, 'lr': .1}
    run.fit(3).rewind(0)
    assert run.trainer.d_rule is own[name] and run.trainer.k == 1
    run.fit(35)
    assert torch.equal(weights(run), end)
    twin = run.twin(run.experiment.changed({'k': 1})).fit(35)
    assert torch.equal(weights(twin), end)

def test_a_rule_without_a_form():
    "It is shown as it is; to turn it, another one has to be chosen"
    run = given(d_rule=adam(lambda t: 1e-3/(1 + t)))
    run.fit(5)
    assert control_values(run)['d_rule.name'] == 'own'
    assert control_values(run)['d_rule.lr'] == pytest.approx(1e-3/5)
    with pytest.raises(ValueError, match='it follows a rule of your own. Choose another'):
        turned(run, {'d_rule.lr': .1})
    run.become(turned(run, {'d_rule.name': 'sgd', 'd_rule.lr': .1}))
    assert type(run.trainer.d_opt) is torch.optim.SGD

def test_a_game_of_ones_own_is_kept():
    game = Game(*(lambda *o, f=f: f(*o) for f in games['minimax'][:2]))
    run = given(game=game)
    assert control_values(run)['game'] == 'own'
    run.fit(5).change({'game': 'minimax'}).fit(2).rewind(0)
    assert run.trainer.game is game
    run.change({'game': 'minimax'})
    with pytest.raises(ValueError, match='Game must be one of'): turned(run, {'game': 'own'})

def test_what_fails_is_not_recorded():
    "Half an iteration is no state: nothing goes on from there but back"
    gan = nets()
    run = Rewindable(trainer=Trainer(gan, ring(), batch_size=32, k=3, device='cpu'))
    run.fit(4).note(force=True)
    before = weights(run)
    calls = []
    def raises(*_):
        calls.append(1)
        if len(calls) == 2: raise RuntimeError('no idea')
    hook = gan.discriminator.register_forward_pre_hook(raises)
    with pytest.raises(RuntimeError): run.fit(5)
    hook.remove()
    run.note(force=True).change({'k': 2})
    for act in (lambda: run.fit(1), lambda: run.alone('d'), run.code, run.save):
        with pytest.raises(ValueError, match='training failed here'): act()
    run.rewind(4)
    assert torch.equal(weights(run), before) and run.trainer.k == 3
    run.fit(1)

@pytest.mark.parametrize('refused, why', [
    (lambda s: ask(s, 'step', n=-1), 'n must be'), (lambda s: ask(s, 'alone', player='x'), 'who must be'),
    (lambda s: s.between(lambda: s.run.alone('d', 0)), 'n must be'), (lambda s: s.between(lambda: s.run.slowly(print)), 'not order simultaneous'),
    (lambda s: untold(s, lambda: ask(s, 'step')), 'of which the story knows nothing')], ids=['n', 'who', 'times', 'order', 'untold'])
def test_what_is_refused_breaks_nothing(session, refused, why):
    s = session(given(order='simultaneous'))
    ask(s, 'step', n=3)
    with pytest.raises(ValueError, match=why): refused(s)
    ask(s, 'step', n=2)
    assert s.run.iteration == 5 and not s.run.broken

def untold(s, f):
    "With a trainer that was changed behind the back of its run, and then as it was"
    s.run.trainer.batch_size = 16
    try: f()
    finally: s.run.trainer.batch_size = 32

def test_a_minibatch_larger_than_the_data_is_refused():
    run = tiny(get_data(np.random.default_rng(0).normal(size=(100, 2))))
    with pytest.raises(ValueError, match='100'): run.change({'batch_size': 512})
    assert run.experiment['batch_size'] == run.trainer.batch_size == 32

def same(a, b):
    "Two trainers, to the bit"
    return all(torch.equal(u, v) for u, v in zip(a.gan.state_dict().values(), b.gan.state_dict().values())) \
        and all((a.history[k] == b.history[k]).all() for k in a.history)

def test_the_commands_repeat_resume_and_measure_a_run_of_the_lab(tmp_path):
    "A run with a change, a step of D alone and a line-by-line iteration"
    from gan_nbdev.cli import gan_eval, gan_sample, gan_train
    run = tiny('line').fit(10).alone('d').change({'g_rule.lr': .01, 'k': 2}).fit(5).slowly(lambda *_: None)
    out = run.save(tmp_path/'lab')
    gan_train(config=str(out/'config.json'), out=str(tmp_path/'again'), quiet=True)
    again = Run.open(tmp_path/'again')
    assert again.iteration == 16 and again.story == run.story and same(again.trainer, run.trainer)
    gan_sample(str(out), n=5, out=str(tmp_path/'fakes.csv'))
    gan_eval(str(out), n=200)
    gan_train(resume=True, out=str(out), steps=30, quiet=True)
    assert same(Run.open(out).trainer, run.fit(14).trainer)

def test_the_lab_takes_up_a_run_of_the_commands(tmp_path):
    "It goes on, goes back, and its folder is again one for the commands"
    from gan_nbdev.cli import gan_train
    out = tmp_path/'run'
    gan_train('ring', g_hidden='8', d_hidden='8', steps=40, out=str(out), quiet=True, device='cpu')
    run = Rewindable.open(out)
    assert run.iteration == 40 and {0, 40} <= {*run.moments}
    end = weights(run)
    run.rewind(0); run.fit(40)
    assert torch.equal(weights(run), end)                    # its rates fall, as they did
    run.change({'steps': 60}); run.fit(20)
    more = run.save(tmp_path/'more')
    gan_train(config=str(more/'config.json'), out=str(tmp_path/'again'), quiet=True)
    assert same(Run.open(tmp_path/'again').trainer, run.trainer)

def test_a_rewound_run_goes_on_as_it_did():
    "Through changes of rule, value, k and batch, from every moment"
    run = tiny(**{'discriminator.dropout': .3})
    changes = {14: {'game': 'minimax', 'batch_size': 16}, 21: {'g_rule': dict(name='sgd', lr=.01, momentum=.5)}}
    for change in ({}, {'k': 3}, *changes.values()): run.change(change).fit(7).alone('d')
    end, story, moments = weights(run), run.story, sorted(run.moments)
    for i in (14, 21, 28):
        assert i in moments
        run.rewind(i)
        for k in changes:
            if k >= i: run.change(changes[k]).fit(7).alone('d')
        assert torch.equal(weights(run), end)
    assert run.story == story

def test_forks_forget_what_will_not_be():
    run = tiny()
    for _ in range(5): run.fit(2).note(force=True)
    run.rewind(4)
    assert max(run.moments) == 10                # still there to go forward to
    run.rewind(10); assert run.iteration == 10 and len(run.trainer.history['value']) == 10
    run.rewind(4); run.change({'k': 2}).fit(1)
    assert max(run.moments) <= 5 and len(run.trainer.history['value']) == 5

def test_training_after_a_rewind_keeps_the_future_that_it_leads_to():
    run = tiny().fit(4).note(force=True).fit(6).note(force=True)
    end = weights(run)
    run.rewind(4); run.fit(3)
    assert run.ahead(training=True) == [10]
    run.note(force=True).rewind(10)
    assert torch.equal(weights(run), end) and len(run.trainer.history['value']) == 10
    run.rewind(7); run.fit(5)
    assert run.ahead() == [] and len(run.trainer.history['value']) == 12
    run.rewind(10); assert torch.equal(weights(run), end)
    run.change({'k': 2}).fit(3).note(force=True).rewind(4)
    assert run.ahead() and not {13} & {*run.ahead(training=True)}   # the change is not on the way
    run.fit(20); assert run.trainer.k == 1 and all(m.held['k'] == 1 for m in run.moments.values())

# ---- sessions

def test_answers_while_training(session):
    s = session()
    ask(s, 'play')
    for i in range(20): ask(s, 'set', k=1 + i%3)
    assert s.playing and s.error == '' and s.run.trainer.k == 2

def test_two_sessions_do_not_disturb_each_other(session):
    "Each gets what it gets alone"
    def end(s, n):
        ask(s, 'rewind', iteration=0)
        ask(s, 'step', n=n)
        return weights(s.run)
    drops = {'discriminator.dropout': .5}
    alone = end(session(tiny(**drops)), 40)
    a, b = session(tiny(**drops)), session(tiny(seed=4))
    ask(a, 'play'); ask(b, 'play')
    until(lambda: a.run.iteration > 60 and b.run.iteration > 60)
    assert torch.equal(end(a, 40), alone)

def test_no_progress_bar_is_written(session, capfd):
    "Neither by a run that is steered nor by a film of one"
    s = session()
    ask(s, 'step', n=5); ask(s, 'compare', name='game', value='minimax'); ask(s, 'step', n=5)
    record(tiny(), 5, frames=2)
    assert capfd.readouterr() == ('', '')

def test_others_train_while_a_line_waits(session):
    "Another Lab, in full or slow; a trainer of one's own"
    a, b, c = session(line_s=60.), session(), session(line_s=60.)
    alone = tiny().fit(2)
    a.do('line'); until(lambda: hasattr(a, 'judged') and not a.presses)
    ask(b, 'play'); until(lambda: b.run.iteration > 30)
    c.do('line'); until(lambda: hasattr(c, 'judged') and not c.presses)
    Trainer(nets(), ring(), device='cpu').fit(20, progress=False)
    ask(c, 'pause'); ask(b, 'pause')
    ask(a, 'step')
    assert a.run.iteration == 2 and torch.equal(weights(a.run), weights(alone))

class Shaky(torch.nn.Linear):
    def forward(self, z): return super().forward(z) + .01*torch.randn(len(z), 2)

def test_looking_disturbs_no_network_that_draws(session):
    def run(): return Rewindable(trainer=Trainer(GAN(Shaky(2, 2), mlp_discriminator(2, (8,), seed=1),
                                              normal(2)), ring(), device='cpu'))
    torch.manual_seed(0); plain = run()
    torch.manual_seed(0); s = session(run())
    ask(s, 'play'); until(lambda: s.run.iteration > 100); ask(s, 'pause')
    s.close(); plain.fit(s.run.iteration)
    assert torch.equal(weights(s.run), weights(plain))

def test_a_hook_that_stops_the_training(session):
    s = session(given_stop())
    ask(s, 'play')
    until(lambda: not s.playing)
    assert s.run.iteration == 20 and 'Stopped: enough' in s.note

def test_what_stops_one_of_two_runs_is_said(session):
    class Stop:
        def after_iteration(self, trainer):
            if trainer.k == 2 and trainer.iteration >= 18: trainer.stop('enough')
    s = session(given(hooks=[Stop()]))
    ask(s, 'compare', name='k', value=2); ask(s, 'play')
    until(lambda: not s.playing)
    assert [r.iteration for r in s.runs] == [20, 18] and s.note == 'Stopped: enough. The runs are at iterations 20 and 18.'
    for kw in ({}, dict(line_s=0.)):
        s = session(given_stop(), **kw)
        ask(s, 'step', n=30); assert s.run.iteration == 20 and s.note == 'Stopped: enough.'
    ask(s, 'speed', speed='slow'); ask(s, 'play'); until(lambda: not s.playing)
    assert s.run.iteration == 21 and s.note == 'Stopped: enough.'

def given_stop():
    class Enough:
        def after_iteration(self, trainer):
            if trainer.iteration >= 20: trainer.stop('enough')
    t = Trainer(nets(), ring(), batch_size=32, device='cpu', hooks=[Enough()])
    return Rewindable(trainer=t)

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
    plain = tiny().fit(s.run.iteration)
    assert torch.equal(weights(s.run), weights(plain))

def test_a_command_finishes_the_iteration_that_is_shown(session):
    s = session(line_s=60.)
    s.do('line')
    until(lambda: s.presses == 0 and s.run.trainer.iteration == 0 and hasattr(s, 'judged'))
    ask(s, 'set', k=2)
    assert s.run.iteration == 1 and s.run.experiment['k'] == 2

def test_compare(session):
    s = session()
    ask(s, 'step', n=3); ask(s, 'compare', name='k', value=4)
    assert [r.iteration for r in s.runs] == [0, 0]
    ask(s, 'step', n=5); ask(s, 'set', **{'k': 2, 'd_rule.lr': 2e-3})
    now = [(r.iteration, r.trainer.k, r.experiment['d_rule.lr']) for r in s.runs]
    assert now == [(5, 2, 2e-3), (5, 4, 2e-3)]
    ask(s, 'rewind', iteration=0)
    assert [r.iteration for r in s.runs] == [0, 0]
    ask(s, 'set', **{'generator.width': 9})
    assert all(r.experiment['generator.hidden'] == [9] and r.iteration == 0 for r in s.runs)
    with pytest.raises(ValueError, match='both runs would have'):
        ask(s, 'compare', name='k', value=s.run.trainer.k)
    ask(s, 'play'); until(lambda: len(s.run.moments) > 4); ask(s, 'pause')
    for i in (s.run.iteration//2, s.run.iteration//3):
        ask(s, 'rewind', iteration=i)
        assert len({r.iteration for r in s.runs}) == 1 and 0 < s.run.iteration
    ask(s, 'uncompare'); assert len(s.runs) == 1

@pytest.mark.parametrize('compare, bad, why', [
    (('pack', 2), {'batch_size': 33}, 'a multiple of 2'), (('data.name', 'digits'), {'batch_size': 2000}, '1,?797')])
def test_what_one_of_two_runs_refuses_changes_neither(session, compare, bad, why):
    s = session()
    ask(s, 'compare', name=compare[0], value=compare[1]); ask(s, 'step', n=3)
    runs, before = s.runs, [(weights(r), r.story, sorted(r.moments)) for r in s.runs]
    with pytest.raises(ValueError, match=why): ask(s, 'set', **bad)
    assert s.runs == runs and [r.trainer.batch_size for r in s.runs] == [32, 32]
    for r, (w, story, moments) in zip(runs, before): assert weights(r).equal(w) and (r.story, sorted(r.moments)) == (story, moments)
    ask(s, 'step', n=2); assert weights(s.run).equal(weights(tiny().fit(5)))

def test_back_to_two_runs_of_which_one_went_on(session):
    "Both are as they were, and the way forward again is known"
    s = session()
    ask(s, 'step', n=1); ask(s, 'compare', name='k', value=2); ask(s, 'step', n=5)
    both, before = s.runs, [weights(r) for r in s.runs]
    ask(s, 'uncompare'); ask(s, 'set', **{'d_rule.lr': .01}); ask(s, 'step', n=7)
    end, story = weights(s.run), s.run.story
    assert s.report()['past'] == 5
    ask(s, 'back')
    assert s.runs == both and [r.iteration for r in both] == [5, 5] and s.note == 'At iteration 5, as it was.'
    assert all(weights(r).equal(w) for r, w in zip(both, before)) and s.run.experiment['d_rule.lr'] == 1e-3
    ask(s, 'step', n=2); assert s.report()['past'] == 12
    ask(s, 'back')
    assert s.runs == both[:1] and s.compared is None and weights(s.run).equal(end) and s.run.story == story
    ask(s, 'back'); assert [r.iteration for r in s.runs] == [7, 7]

@pytest.mark.parametrize('name', lessons)
def test_lessons(session, name):
    "Two sentences, a question, and settings that run"
    text, question = lessons[name].text, lessons[name].question
    assert question.endswith('?') and text.endswith('.')
    s = session()
    ask(s, 'lesson', name=name)
    assert s.playing and {*lessons[name].layers} < {*s.layers}
    until(lambda: 'Paused at' in s.note)
    assert not s.playing and s.run.iteration == lessons[name].until in s.moments() and s.error == ''
    ask(s, 'play'); until(lambda: s.run.iteration > lessons[name].until)

def test_what_is_said_follows_what_was_done(session):
    s = session()
    with pytest.raises(ValueError): ask(s, 'set', k=0)
    assert 'not 0' in s.error and not s.note
    ask(s, 'alone', player='d'); assert s.error == ''
    ask(s, 'set', k=s.run.trainer.k); assert s.note == 'Nothing is changed by that.'
    ask(s, 'compare', name='seed', value=7); assert 'from different seeds' in s.note
    for what in ('code', 'text', 'save'):
        with pytest.raises(ValueError, match='hold one run'): ask(s, what)
    ask(s, 'uncompare'); assert 'by itself' in s.note
    ask(s, 'compare', name='d_rule.name', value='sgd'); assert 'momentum' in s.report()['compare'][1]
    ask(s, 'uncompare'); ask(s, 'set', **{'generator.layers': 0})
    with pytest.raises(ValueError, match='G: Width: there are no hidden layers'): ask(s, 'set', **{'generator.width': 32})

def test_options_of_the_data_by_their_own_names(tmp_path, lab):
    "As get_data and the error name them; and what is wrong is said before anything is read"
    (tmp_path/'nan.csv').write_text('a,b\n1,2\n3,\n4,5\n2,2\n5,6\n')
    with pytest.raises(ValueError, match='missing="drop"'): lab(data=tmp_path/'nan.csv')
    o = lab(data=tmp_path/'nan.csv', missing='drop')
    assert len(o.trainer.data.x) == 4 and o.run.experiment['data.missing'] == 'drop'
    assert len(lab(data='ring', n=5).trainer.data.means) == 5
    with pytest.raises(ValueError, match="unknown entry 'mising'"): lab(data=tmp_path/'nan.csv', mising='drop')

def test_what_the_library_refuses_is_said_with_the_names_of_the_window(session):
    s = session()
    with pytest.raises(ValueError): ask(s, 'set', pack=16, batch_size=100)
    assert s.error.startswith('Minibatch must be a multiple of 16')

def test_a_lesson_that_pauses_leaves_what_was_said_meanwhile(session, tmp_path):
    s = session(tiny())
    ask(s, 'lesson', name='saturation'); ask(s, 'speed', speed='1'); ask(s, 'save', out=tmp_path/'run')
    ask(s, 'speed', speed='full')
    until(lambda: 'Paused at' in s.note)
    assert s.note.startswith('Saved.') and 'started' not in s.note

@pytest.mark.parametrize('game, words', [('non-saturating', 'bets on data'), ('hinge', 'what D says is high')])
def test_the_first_words_are_true_of_the_game(session, game, words): assert words in session(tiny(game=game)).note

def test_nothing_that_was_started_over_is_lost(session):
    "Runs, lesson, comparison and drawing; the way back leads both ways, and there is none before"
    s = session()
    with pytest.raises(ValueError, match='nothing was started over'): ask(s, 'back')
    ask(s, 'reset'); assert s.report()['past'] is None   # at its start already
    ask(s, 'step', n=7); ask(s, 'alone', player='d')
    first, story = s.run, s.run.story
    ask(s, 'compare', name='k', value=3); ask(s, 'step', n=2)
    both = s.runs
    assert s.report()['past'] == 7
    ask(s, 'back'); assert s.runs == [first] and first.story == story and s.compared is None and s.report()['past'] == 2
    ask(s, 'back'); assert s.runs == both and s.compared == ('k', 3)
    ask(s, 'uncompare'); ask(s, 'back'); assert s.runs == both
    ask(s, 'stroke', points=[[0, 0], [1, 1]]); assert s.strokes
    ask(s, 'back'); assert s.runs == both and not s.strokes
    ask(s, 'uncompare'); ask(s, 'lesson', name='k'); ask(s, 'pause'); ask(s, 'step', n=1)
    lesson, of_lesson = s.lesson, s.run
    ask(s, 'set', **{'generator.width': 5}); assert s.lesson is None
    ask(s, 'back'); assert s.lesson is lesson and s.run is of_lesson and s.until
    with pytest.raises(FileNotFoundError): ask(s, 'set', **{'data.file': 'nowhere.csv'})
    assert s.run is of_lesson

def test_measured_curves_come_back_with_their_run(session):
    "After Reset; and after a comparison that was left, in which the run went on by another way"
    heard = []
    s = session(tell=lambda *told: heard.append(told))
    def at(n):
        heard.clear(); s.dirty = s.urgent = True
        def told(): return [a for what, o, a in [*heard] if what == 'curves' and o['who'] == 0 and len(a['step']) == n]
        until(told)
        return [told()[-1][k].tolist() for k in ('at', 'jsd')]
    until(lambda: at(0)[0] == [0])   # measured before anything moves
    for i in range(1, 4): ask(s, 'step', n=5); at(5*i)
    before = at(15)
    assert before[0] == [0, 5, 10, 15]
    ask(s, 'reset'); at(0); ask(s, 'back'); assert at(15) == before
    ask(s, 'reset'); ask(s, 'back'); assert at(15) == before
    ask(s, 'compare', name='k', value=2)
    for i in range(1, 4): ask(s, 'step', n=5); at(5*i)
    before = at(15)
    ask(s, 'uncompare'); ask(s, 'step', n=5); at(20); ask(s, 'rewind', iteration=0); ask(s, 'set', k=3); ask(s, 'step', n=7); at(7)
    ask(s, 'back'); assert at(15) == before and len(before[0]) > 2

def test_a_file_that_needs_an_option_says_where_it_goes(session, tmp_path):
    (tmp_path/'nan.csv').write_text('a,b\n1,2\n3,\n4,5\n2,2\n5,6\n')
    s = session()
    with pytest.raises(ValueError, match='missing="drop".*into a cell: Lab'): ask(s, 'set', **{'data.file': str(tmp_path/'nan.csv')})

def test_the_picture_has_the_figures_of_the_window(lab, monkeypatch):
    "Of the same fakes"
    o, seen = lab(**small), []
    ask(o.session, 'step', n=30)
    monkeypatch.setattr('gan_nbdev.lab.window.plot_fakes', lambda x, data, ax: seen.append(coverage(x, data)))
    o.picture()
    told = Scene(o.trainer.gan, o.trainer.data).measure(o.trainer.gan)
    assert seen[0].high_quality == told['high_quality'] and seen[0].modes == told['modes']

def test_what_a_network_has_not_is_no_number_in_the_settings(lab):
    now = control_values(Rewindable(trainer=Trainer(GAN(torch.nn.Linear(2, 2), mlp_discriminator(2, ()), normal(2)), ring(), device='cpu')))
    assert [now[f'{net}.{o}'] for net in ('generator', 'discriminator') for o in ('layers', 'width', 'norm')] == [None, None, None, 0, None, 'none']

def test_a_reset_says_where_it_leads(session):
    t = Trainer(GAN(mlp_generator(2, 2, (8,)), mlp_discriminator(2, (8,)), normal(2)), ring(), device='cpu').fit(7, progress=False)
    s = session(Rewindable(trainer=t))
    ask(s, 'step', n=3); ask(s, 'reset')
    assert s.run.iteration == 7 and 'At iteration 7,' in s.note

def test_a_reset_says_whether_it_is_the_same_game(session):
    s = session()
    ask(s, 'step', n=5); ask(s, 'reset'); assert s.note == 'At iteration 0, with the same seed: the same game again.'
    ask(s, 'step', n=5); ask(s, 'set', game='hinge'); ask(s, 'reset')
    assert s.note == 'At iteration 0, with the settings as they are now.' and s.run.experiment['game'] == 'hinge'

@pytest.mark.parametrize('steps', [10, 11])
def test_a_run_whose_rates_have_fallen_to_0_can_go_on(lab, steps):
    "Also one that is exactly over, whose last step had a rate"
    falling = {f'{p}_rule.schedule': dict(lr=dict(kind='linear', to=0, begin=0, n=10)) for p in 'dg'}
    o = lab(Rewindable(experiment('ring', 'lab', steps=30, **small, **falling)).fit(steps))
    assert 'Its rates have fallen to 0: choose gradient rules' in o.session.note
    ask(o.session, 'set', **{'d_rule.name': 'adam'}); ask(o.session, 'set', **{'g_rule.name': 'sgd', 'g_rule.lr': .02})
    assert [o.run.experiment[f'{p}_rule.lr'] for p in 'dg'] == [1e-3, .02]
    before = weights(o.run)
    ask(o.session, 'step', n=1); assert not weights(o.run).equal(before)

def test_a_schedule_of_ones_own_that_has_ended_can_be_left(lab):
    o = lab(Trainer(nets(), ring(), batch_size=32, device='cpu', d_rule=adam([1e-3, 1e-4, 1e-5].__getitem__)).fit(3, progress=False))
    ask(o.session, 'set', **{'d_rule.name': 'sgd'}); ask(o.session, 'step', n=1)
    assert o.run.experiment['d_rule.lr'] == 1e-5

def test_clear_goes_back_to_the_data_before_the_drawing(session):
    s = session(Rewindable(experiment(dict(name='ring', n=5), 'lab')))
    ask(s, 'stroke', points=[[0, 0], [1, 1]]); ask(s, 'clear')
    assert len(s.run.trainer.data.means) == 5
    ask(s, 'stroke', points=[[0, 0], [1, 1]]); ask(s, 'compare', name='k', value=3); ask(s, 'clear')
    assert [len(o.trainer.data.means) for o in s.runs] == [5, 5] and [o.trainer.k for o in s.runs] == [1, 3]

# ---- failures

class Moody(torch.nn.Linear):
    bad = False
    def forward(self, x):
        if self.bad: raise RuntimeError('no idea')
        return super().forward(x)

def test_a_network_that_raises(session):
    gan = GAN(Moody(2, 2), mlp_discriminator(2, (8,)), normal(2))
    s = session(Rewindable(trainer=Trainer(gan, ring(), device='cpu')))
    ask(s, 'step', n=2)
    gan.generator.bad = True
    ask(s, 'play')
    until(lambda: 'RuntimeError while training: no idea' in s.error)
    assert not s.playing
    gan.generator.bad = False
    ask(s, 'reset'); ask(s, 'step', n=2)
    assert s.error == '' and s.run.iteration == 2

def test_an_error_is_told_at_once(session):
    "In training with slow steps, and in drawing"
    class Slow(Moody):
        def forward(self, x):
            time.sleep(.01)
            return super().forward(x)
    told = []
    def hear(what, info, _):
        if what == 'state': told.append((info['playing'], info['error']))
    gan = GAN(Slow(2, 2), mlp_discriminator(2, (8,)), normal(2))
    s = session(Rewindable(trainer=Trainer(gan, ring(), device='cpu')), tell=hear)
    ask(s, 'play'); until(lambda: s.run.iteration > 3)
    gan.generator.bad = True
    until(lambda: told and told[-1][1] and not told[-1][0])
    class Few(torch.nn.Linear):
        def forward(self, x):
            if len(x) > 300: raise RuntimeError('too many')
            return super().forward(x)
    told.clear()
    gan = GAN(Few(2, 2), mlp_discriminator(2, (8,)), normal(2))
    s = session(Rewindable(trainer=Trainer(gan, ring(), device='cpu')), tell=hear)
    ask(s, 'play')
    until(lambda: told and 'cannot be drawn. RuntimeError: too many' in told[-1][1])

@pytest.mark.parametrize('what, how', [('step', {}), ('play', {}), ('line', {}), ('alone', dict(player='d'))])
def test_of_two_runs_neither_moves_if_one_is_broken(session, what, how):
    "And the window says which it is"
    s = session(line_s=0.)
    ask(s, 'step', n=1); ask(s, 'compare', name='k', value=2); ask(s, 'step', n=5)
    for p in s.runs[1].trainer.gan.discriminator.parameters(): p.data.fill_(torch.nan)
    with pytest.raises(FloatingPointError): ask(s, 'step')
    assert s.error.startswith("In the second run: D's loss") and s.runs[1].broken
    at, before = [r.iteration for r in s.runs], weights(s.run)
    for _ in range(2):
        s.error = ''
        try: ask(s, what, **how)
        except ValueError: assert what in ('step', 'alone')
        until(lambda: s.error and not s.playing)
        assert s.error.startswith('In the second run: training failed here')
        assert [r.iteration for r in s.runs] == at and torch.equal(weights(s.run), before)
    ask(s, 'rewind', iteration=0); ask(s, 'step'); assert s.error == '' and [r.iteration for r in s.runs] == [1, 1]

def test_nan(session):
    s = session()
    wild = {'g_rule.name': 'sgd', 'g_rule.lr': 10., 'd_rule.name': 'sgd', 'd_rule.lr': 10.,
            'd_rule.momentum': .99}
    ask(s, 'set', **wild); ask(s, 'play')
    until(lambda: s.error)
    assert 'NaN or infinite' in s.error and 'rewind' in s.error and not s.playing
    ask(s, 'rewind', iteration=0)
    assert s.error == '' and weights(s.run).isfinite().all()

def test_what_does_not_fit_changes_nothing(session):
    s = session()
    ask(s, 'step', n=4)
    before = weights(s.run), s.run.experiment
    for bad in ({'k': 0}, {'data.name': 'nothing'}, {'depth': 3}, {'data.name': 'drawn'}, {'data.name': 'own'},
                {'data.file': 'there/is/none.csv'}, {'g_rule.lr': float('nan')}):
        with pytest.raises((ValueError, OSError)): ask(s, 'set', **bad)
        assert s.error
    assert torch.equal(weights(s.run), before[0]) and s.run.experiment == before[1]

def test_the_rooms_are_opened_when_something_is_asked_for():
    code = """import sys, gan_nbdev.lab
assert 'torch' not in sys.modules
from gan_nbdev.lab import Lab, Explorer, record, lessons
assert Lab.__name__ == 'Lab' and 'healthy' in lessons
try: gan_nbdev.lab.nothing
except AttributeError as e: assert 'nothing' in str(e)
else: assert False"""
    subprocess.run([sys.executable, '-c', code], check=True)

def test_dropped_sessions_leave_no_thread(session): session()

def test_every_window_knows_what_is_done(session):
    "By its own number; also of a command that failed"
    s = session()
    s.heard['a'] = 1
    assert s.report()['heard'] == {'a': 1}

def test_the_numbers_are_those_of_now(session):
    "Also after one player has moved alone, which the record does not tell of"
    told = []
    s = session(tell=lambda *o: told.append(o))
    def numbers(): return next(o[1]['numbers'] for o in told[::-1] if o[0] == 'frame' and 'numbers' in o[1])
    until(lambda: any('numbers' in o[1] for o in told))
    first = numbers()
    assert {'d_loss', 'g_loss', 'd_real', 'd_fake', 'value', 'pull'} <= {*first}    # before the first iteration
    ask(s, 'alone', player='d'); until(lambda: numbers() != first)
    assert numbers()['d_loss'] < first['d_loss'] and s.run.iteration == 0

def test_both_runs_have_a_diagnosis(session):
    told = []
    s = session(tell=lambda *o: told.append(o))
    ask(s, 'compare', name='k', value=4); ask(s, 'step', n=3)
    until(lambda: told and any(o[0] == 'state' and len(o[1]['said']) == 2 for o in told))

def test_a_text_opens_the_same_state(session):
    run = tiny('line', k=2).fit(5).alone('g').change({'game': 'minimax'}).fit(3)
    assert len(run.text()) < 400 and '\n' not in run.text()
    o = Lab.from_text(run.text())
    try:
        assert torch.equal(weights(o.run), weights(run)) and o.run.story == run.story
        assert o.text() == run.text()
        ask(o.session, 'text'); assert run.text() in o.session.source.replace("\\'", "'")
    finally: o.close()

# ---- data of one's own

def labelled(): return get_data(forms.people(), label='colour')

own_data = {
    **{f'images {k}': lambda v=v: Samples(v) for k, v in forms.images.items()}, 'digits': digits,
    **{f'series {k}': lambda v=v: Samples(v, kind='series') for k, v in forms.series.items()},
    **{f'table, {k}': lambda v=v: v for k, v in forms.tables.items()}, 'labelled table': labelled,
    '1-D': lambda: forms.waves[:, :1], '5-D': lambda: forms.waves[:, :5],
    'labelled images': lambda: Samples(forms.gray, labels=np.arange(forms.n) % 3)}

@pytest.fixture
def lab():
    "A `Lab` that tells a list what it would tell a window"
    made = []
    def make(*args, **kw):
        made.append(o := Lab(*args, **kw))
        o.heard, o.session.tell = [], lambda *told: o.heard.append(told)
        return o
    yield make
    for o in made: o.close()

def told(lab, what): return [o for o in lab.heard if o[0] == what]

def shows(lab, n=10):
    "The scene, and the frame after `n` iterations"
    ask(lab.session, 'layers', layers=['real', 'fakes', 'heat', 'star', 'arrows', 'manifold', 'near'])
    ask(lab.session, 'hello')
    ask(lab.session, 'step', n=n)
    until(lambda: told(lab, 'scene') and any(o[1]['iteration'] == lab.run.iteration for o in told(lab, 'frame')))
    assert lab.session.error == ''
    return told(lab, 'scene')[-1], told(lab, 'frame')[-1]

@pytest.mark.parametrize('name', own_data)
def test_data_of_ones_own_is_shown_in_its_own_units(lab, name):
    o = lab(data=own_data[name](), **small)
    (_, scene, still), (_, _, frame) = shows(o)
    json.dumps(scene)
    middle = np.mean(scene['box'], 1).tolist()
    o.session.probe(middle)
    assert all(np.isfinite(v).all() for v in frame.values())
    if scene['kind'] == 'images':
        assert [o.shape for o in (frame['near'], frame['pictures'])] == [(64, scene['dim'])]*2
        assert scene['dim'] == np.prod(scene['shape']) and scene['layers'] == ['near']
    if scene['kind'] == 'series':
        assert scene['shape'][0] == 64 and 16 < abs(still['real']).mean() < 24 and scene['box'][0] == [0, 63]
        assert len(told(o, 'at')[-1][1]['line']) == np.prod(scene['shape'])
    if 'table' in name:
        first = still['real'][:, 0]
        assert scene['names'] and (20 < first.mean() < 80 if scene['names'][0] == 'a' else 160 < first.mean() < 185)
        assert scene['box'][0][0] < first.mean() < scene['box'][0][1]
    assert o.picture() is not None

def _times(n=600): return 1_700_000_000 + np.arange(float(n)), np.random.default_rng(0).normal(size=n)
far = dict(table=lambda: pd.DataFrame(dict(t=_times()[0].astype(int), v=_times()[1])), plane=lambda: np.stack(_times(), 1),
           line=lambda: _times()[0][:, None], three=lambda: np.stack([*_times(), _times()[1]], 1),
           series=lambda: Samples(_times(6400)[0].reshape(100, 64)[:, np.random.default_rng(0).permutation(64)], kind='series'))

@pytest.mark.parametrize('form', far)
def test_unix_times_are_told_apart(lab, form):
    "Of which float32 has one in 128"
    o = lab(data=far[form](), **small)
    (_, scene, still), (_, _, frame) = shows(o)
    fakes, (low, high) = frame['lines' if form == 'series' else 'fakes'], scene['box'][form == 'series']
    assert len({*still['real'][..., 0].ravel()}) > 300 and len({*fakes[..., 0].ravel()}) > 300
    assert 500 < high - low < 20_000 and low < 1_700_000_000 < high
    if form in ('table', 'plane', 'line'):
        seen = Scene(o.trainer.gan, o.trainer.data, cells=100)
        assert len({*seen.places[:, 0].tolist()}) == 100
        at = [seen.probe(o.trainer.gan, o.trainer.game, [1_700_000_000 + t, 0.])['D'] for t in (300, 360)]
        assert at[0] != at[1]
    x = Explorer(o)
    assert x.view.ground()['fakes'].dtype == (np.float32 if form == 'line' else np.float64)
    assert x.view.box == scene['box']
    assert o.picture() is not None and record(o, 2, frames=2).picture() is not None

def test_a_large_constant_has_some_room():
    x = np.stack([np.full(50, 1e17), np.random.default_rng(0).normal(size=50)], 1)
    with pytest.warns(UserWarning, match='never vary'): data = Samples(x)
    scene = Scene(GAN(mlp_generator(2, 2, (8,)), mlp_discriminator(2, (8,)), normal(2)), data)
    assert len(scene.grid[:, 0].unique()) == 100

@pytest.mark.parametrize('form', forms.images)
def test_real_images_are_those_that_were_given(lab, form):
    "To the byte, whatever holds them"
    _, (_, _, frame) = shows(lab(data=Samples(forms.images[form]), **small), 1)
    assert {bytes(o) for o in frame['near']} <= forms.seen[form]

def test_a_table_is_read_by_its_columns(lab):
    o = lab(data=forms.people(), **small)
    (_, scene, still), _ = shows(o)
    assert (scene['names'], scene['kind'], scene['about']) == (['height', 'income'], 'table', 'Shown: height and income, 2 of 6 columns')
    assert scene['layers'] == ['real', 'fakes', 'arrows']
    assert 'Rings are data' in lab(data=forms.people(), **small).session.note

def test_labels_are_said(lab, tmp_path):
    "Left out, or the fakes are of all classes"
    o = lab(data=labelled(), **small, classes=None)
    assert 'without the label colour' in shows(o)[0][1]['about'] and o.trainer.gan.classes is None
    forms.people().to_csv(tmp_path/'people.csv', index=False)
    o = lab(data=str(tmp_path/'people.csv'), **small, **{'data.label': 'colour'})
    (_, scene, _), (_, _, frame) = shows(o)
    assert 'fakes of all 3 classes' in scene['about'] and o.trainer.gan.classes == 3 and [*frame] == ['fakes']

def test_paths(lab, tmp_path):
    from PIL import Image
    forms.people().to_csv(tmp_path/'people.csv', index=False)
    (tmp_path/'pics').mkdir()
    for i, o in enumerate(forms.clear[:40]): Image.fromarray(o).save(tmp_path/f'pics/{i}.png')
    np.save(tmp_path/'waves.npy', forms.waves)
    for name, how, kind in (('people.csv', {}, 'table'), ('pics', {}, 'images'), ('waves.npy', {'data.kind': 'series'}, 'series')):
        o = lab(data=tmp_path/name, **small, **how)
        assert shows(o)[0][1]['kind'] == kind and o.run.experiment['data.file'] == str(tmp_path/name)
        assert rebuilt(o.run).equal(weights(o.run))

@pytest.mark.parametrize('data, why', [
    (forms.blocks, 'items of shape 2×5×7 have no picture'), (forms.only_categories, 'no column holds numbers'),
    (forms.waves[:, 0], 'give rows and columns')], ids=['blocks', 'categories', 'no columns'])
def test_what_cannot_be_drawn_is_refused_before_anything_begins(data, why):
    before = threading.active_count()
    for make in (lambda: Lab(data=data, **small), lambda: Lab(Trainer(nets(), data, device='cpu'))):
        with pytest.raises(ValueError) as e: make()
        assert '\n' not in str(e.value)
    with pytest.raises(ValueError, match=why): Lab(data=data)
    assert threading.active_count() == before

def test_the_picture_beside_the_window_is_square_like_the_window(lab):
    "Also for columns of different scale"
    import io
    import PIL.Image
    x = np.random.default_rng(0).normal(size=(500, 2))*[1, 1000]
    seen = np.asarray(PIL.Image.open(io.BytesIO(lab(data=x, **small).picture().data)).convert('RGB')).astype(int)
    left = seen[:, :seen.shape[1]//2]
    coloured = (abs(left - left.mean(2, keepdims=True)) > 12).any(2).any(0)   # the ground, and green dots
    assert coloured.sum() > 100

def test_what_is_not_shown_is_not_spoken_of(lab):
    o = lab(data=np.random.default_rng(0).normal(size=(500, 3)), **small)
    assert 'ground' not in o.session.note and shows(o)[0][1]['about'] == 'Shown: columns 1 and 2 of 3'
    packed = lab(**small, pack=2)
    assert 'ground' not in packed.session.note and 'heat' not in shows(packed)[0][1]['layers']
    assert 'blue where D bets on data' in lab(**small).session.note

def test_the_window_shows_the_settings_of_a_trainer():
    gan = GAN(mlp_generator(3, 2, (12, 12)), mlp_discriminator(2, (10,)), uniform(3))
    t = Trainer(gan, ring(), k=3, batch_size=100, seed=5, d_rule=momentum_sgd(.02), g_rule=adam(1e-4, (.3, .9)), device='cpu')
    o = Lab(t); now = o.session.report()['settings']; o.close()
    told = {'k': 3, 'batch_size': 100, 'seed': 5, 'noise.name': 'uniform', 'noise.dim': 3, 'generator.layers': 2, 'generator.width': 12,
            'discriminator.layers': 1, 'discriminator.width': 10, 'd_rule.name': 'sgd', 'd_rule.lr': .02, 'g_rule.lr': 1e-4, 'g_rule.momentum': .3}
    assert {k: now[k] for k in told} == told

def test_a_game_without_v_has_a_picture(lab, monkeypatch):
    "Without V at its start, too"
    o, figures = lab(game='wgan-gp', **small), []
    with monkeypatch.context() as m:
        m.setattr('gan_nbdev.lab.window.as_image', figures.append)
        o.picture(); lab(**small).picture()
    assert [ax.get_ylabel() for ax in (figures[0].axes[-1], figures[1].axes[1])] == ['', 'V (nats)']
    assert o.picture() and ask(o.session, 'step', n=3) is None and o.picture()

def test_curves_have_a_gap_where_the_game_has_no_v():
    "Least, most and last over what is finite in a stretch; what never is, is left out"
    run = tiny().fit(250)
    for game, n in (('hinge', 101), ('non-saturating', 149)): run = run.become(turned(run, {'game': game})).fit(n)
    eye = Eye(run)
    eye.look(True)
    curves, v = eye.curves(), run.trainer.history['value']
    for k in ('value', 'd_real', 'd_fake'): assert np.isnan(curves[k]).any() and np.isfinite(curves[k][:, [0, -1]]).all()
    told = [v[a:b][np.isfinite(v[a:b])] for a, b in itertools.pairwise([0, *curves['step'].astype(int)])]
    assert {*map(len, told)} == {0, 1, 2, 3}   # some are only partly told
    for one, f in zip(curves['value'], (np.min, np.max, lambda o: o[-1])):
        assert np.array_equal(one, np.float32([f(o) if len(o) else np.nan for o in told]), equal_nan=True)
    eye.history = {k: o[250:351] for k, o in run.trainer.history.items()}
    assert not {'value', 'd_real', 'd_fake'} & eye.curves().keys()

class Logs:
    "Figures whose names are the window's own"
    every, names = 1, ('step', 'at', 'accuracy', 'jsd', 'floor', 'modes', 'modes_total', 'high_quality', 'missed', 'pull', 'real', 'fakes',
                       'heat', 'z', 'p', 'q', '__proto__', 'constructor')
    def after_block(self, t):
        for i, name in enumerate(self.names): t.log(name, 1000. + i)

def test_what_is_logged_may_have_any_name(session):
    "In the window it lives apart from what the Lab measures and draws; the columns of games are no free names"
    heard = []
    run = Rewindable(trainer=Trainer(nets(), two_moons(), batch_size=32, device='cpu', hooks=[Logs()]))
    s = session(run, tell=lambda *told: heard.append(told))
    ask(s, 'step', n=3); until(lambda: any(what == 'curves' and len(a['step']) == 3 for what, _, a in [*heard]))
    curves = [a for what, _, a in [*heard] if what == 'curves'][-1]
    assert s.error == '' and curves['step'].tolist() == [1, 2, 3] and not {'modes', 'high_quality', 'real', 'fakes'} & {*curves}
    for i, name in enumerate(Logs.names): assert curves[f' {name}'].tolist() == [[1000. + i]*3]*3
    for name in ('accuracy', 'jsd', 'missed', 'floor'): assert curves[name].max() < 100
    eye = Eye(run); eye.open(50, 20); eye.look(True); eye.measure()
    assert eye.numbers()['pull'] < 1000
    t = Trainer(nets(), ring(), batch_size=32, device='cpu', game='hinge')
    for name in ('value', 'd_real', 'd_fake'):   # where all windows show those of other games
        with pytest.raises(ValueError, match='already, in this game or another'): t.log(name, 1.)
        with pytest.raises(ValueError, match='different names'): games['hinge'].with_(figures={name: lambda real: real.mean()}) and Trainer(
            nets(), ring(), game=games['hinge'].with_(figures={name: lambda real: real.mean()}))

@pytest.mark.parametrize('data', ['point', dict(name='drawn', strokes=[[[0., 0.]]])])
def test_all_pictures_have_the_box_of_the_window(lab, monkeypatch, data):
    figures, image = [], 'gan_nbdev.lab.window.as_image'
    monkeypatch.setattr(image, figures.append)
    o = lab(data=data, **small); o.picture()
    eye = Eye(o.run); eye.open(50, 20)
    box = eye.still()[0]['box']
    ax = figures[0].axes[0]
    assert box == [[-1.5, 1.5]]*2 == [[*ax.get_xlim()], [*ax.get_ylim()]] == Explorer(o).view.box

def test_noise_at_any_place_of_a_picture_is_noise():
    "Images, and series, whose fakes follow the pointer"
    data = Samples(torch.rand(50, 8, 8))
    for noise in (uniform(20), uniform(20, 0, 1), sphere(20), rademacher(20), normal(20)):
        gan, seen = GAN(mlp_generator(20, 64, (8,), seed=0), mlp_discriminator(64, (8,), seed=0), noise), []
        scene, generate = Scene(gan, data), gan.generate
        gan.generate = lambda z, *a: (seen.append(z.clone()), generate(z, *a))[1]
        for at in itertools.product([0., .3, .5, 1.], repeat=2): scene.probe(gan, games['non-saturating'], [*at])
        z = torch.cat(seen)
        assert torch.allclose(allowed_noise(noise, z), z, atol=1e-5) and len(z.unique(dim=0)) > 10

def test_where_d_says_nan_the_ground_is_blank():
    "As in `plot_probability`: no 'fake'; of a critic too, and only there"
    class Half(torch.nn.Module):
        def forward(self, x): return torch.where(x[:, :1] > 0, x[:, :1], torch.nan)
    gan, wild = GAN(mlp_generator(2, 2, (8,), seed=0), Half(), normal(2)), nets()
    for p in wild.discriminator.parameters(): torch.nn.init.constant_(p, torch.nan)
    for game in ('non-saturating', 'hinge'):
        for o, share in ((gan, .5), (wild, 0), (nets(), 1)):
            heat = Scene(o, ring(), 50, 20).frame(o, games[game])['heat']
            assert np.isfinite(heat).mean() == share and (heat[~np.isfinite(heat)] > 255).all()
            assert heat.dtype == ('u1' if share == 1 else 'f4')
        heat = Scene(gan, ring(), 50, 20).frame(gan, games[game])['heat']
        assert heat[np.isfinite(heat)].max() > 150

def test_logarithms_of_an_answer_that_is_sure():
    "From the logit: a sigmoid of 40 is 1 in float32, and its log(1 − D) −40 all the same"
    class Sure(torch.nn.Module):
        def forward(self, x): return x[:, :1]
    gan, data = GAN(mlp_generator(2, 2, (8,), seed=0), Sure(), normal(2)), ring()
    scene = Scene(gan, data, 50, 20)
    x = data.unscale(torch.tensor([[40., 0.], [-60., 0.]])).tolist()
    sure, not_at_all = (scene.probe(gan, games['non-saturating'], o) for o in x)
    assert np.allclose([sure['log_not_D'], sure['log_D'], not_at_all['log_D'], not_at_all['D']], [-40, 0, -60, 0], rtol=1e-4, atol=1e-12)

def test_layers_are_told_of_each_game(session):
    "No best D where the game has none, and again where it has"
    heard = []
    s = session(tiny(game='hinge'), tell=lambda *told: heard.append(told))
    last = lambda: [o['layers'] for what, o, _ in [*heard] if what == 'frame'][-1]
    until(lambda: any(what == 'frame' for what, *_ in [*heard]))
    assert 'star' not in last() and 'heat' in last()
    ask(s, 'set', game='minimax')
    until(lambda: 'star' in last())

def test_numbers_of_a_line_are_never_minus_0_nor_0_where_they_are_not():
    from gan_nbdev.lab.painter import _answers, _short
    assert [_short(o, '.3f') for o in (-0., 0., .0004, -2e-7, .5, 1234.5, 1e15)] == ['0.000', '0.000', '0.0004', '-2e-07', '0.500', '1,234', '1e+15']
    far = torch.tensor([-12.])
    assert _answers(games['minimax'], None, far) == 'mean D(G(z)) = 6.14e-06'

@pytest.mark.parametrize('game, judged, drawn, then', [
    ('non-saturating', 'how likely', 'noise', 'No data'), ('hinge', 'in most games', 'noise', 'No data'),
    *((o, 'in most games', 'compares', 'and the examples.') for o in ('relativistic', 'r3gan')),
    (dict(name='minimax', unroll=2), 'how likely', 'steps ahead', 'D, as it will be some steps ahead, judges the 32 new fakes.')])
def test_what_is_said_of_a_line_is_true_of_the_game(session, game, judged, drawn, then):
    "Also of games whose G looks at examples"
    heard = []
    s = session(tiny(game=game), line_s=0., tell=lambda *told: heard.append(told))
    ask(s, 'speed', speed='slow'); ask(s, 'play')
    until(lambda: s.run.iteration >= 1)
    ask(s, 'pause')
    told = [o for what, o, _ in [*heard] if what == 'line' and o['line'] is not None]
    said = {o['line']: o['said'] for o in told}
    assert judged in said[4] and drawn in said[6] and then in said[7] and s.error == ''
    assert [o['line'] for o in told[:8]] == [2, 3, 4, 5, 6, *[6]*(drawn != 'noise'), 7, 8, *[2]*(drawn == 'noise' and len(told) > 7)]
    assert drawn == 'noise' or 'x⁽¹⁾' in told[5]['told']

@pytest.mark.parametrize('name', ['images', 'plane'])
def test_lines_of_a_gan_with_classes_are_told_without_the_labels(session, name):
    "The minibatch brings its labels along"
    heard, hear = [], lambda *told: heard.append(told)
    data = Samples(torch.randn(90, 2), labels=torch.arange(90)%3)
    run = Rewindable(lessons['digits'].experiment) if name == 'images' else Rewindable(experiment(data, 'lab', classes=3, **small), data)
    s = session(run, tell=hear, line_s=0.)
    until(lambda: any(what == 'frame' for what, *_ in [*heard]))
    ask(s, 'speed', speed='slow'); ask(s, 'play'); until(lambda: s.run.iteration)
    ask(s, 'pause')
    told = {o['line']: (o['told'], arrays) for what, o, arrays in [*heard] if what == 'line' and o['line'] is not None}
    assert run.trainer.gan.classes and s.error == '' and 'x⁽¹⁾' in told[3][0] and {*told} == {*range(2, 9)}
    assert name == 'images' or told[3][1]['x'].shape == (32, 2)

def test_lines_of_an_unrolled_game_are_told_of_its_fakes():
    "Not of the steps ahead, with noise or without; D(x) of one's own game is no D(G(z))"
    noisy = instance_noise(unrolled(games['minimax'], 2), .1)
    own = Game(lambda D, x, fakes: -D(x).sigmoid().log().mean() - (1 - D(fakes).sigmoid()).log().mean(), lambda fake: -fake.mean())
    for game in (unrolled(games['minimax'], 2), noisy, own):
        run, lines, z, off = given(game=game), {}, None, []
        def line(i, gave):
            nonlocal z
            lines[i], z = [*gave], gave.get('z', z)
            if i in (4, 7): off.append((gave['fakes'] - run.trainer.gan(z)).abs().max().item())
        run.slowly(line)
        assert weights(run).equal(weights(given(game=game).fit(1)))
        assert {*lines[4]} == {'x', 'real', 'fakes', 'fake'} and 'real' not in lines[7] and max(off) < .6   # of the noise

@pytest.mark.parametrize('noise, whole', [(normal(2), True), (rademacher(2), False), (rademacher(10, 2), True), (rademacher(3, 1), False),
                                          (Noise('rademacher', 2, lambda n, dim, generator: torch.randn(n, dim, generator=generator)), True)], ids=str)
def test_no_bridges_are_drawn_between_the_sides_of_a_coin(noise, whole):
    gan = GAN(mlp_generator(noise.dim, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=1), noise)
    scene = Scene(gan, ring(), n=50, cells=20)
    assert ('manifold' in scene.layers) == whole
    scene.frame(gan, games['minimax'], ('manifold',))


@pytest.mark.parametrize('unit, told', [(1e-4, '0.000123, -0.000456'), (1., '1.23, -4.56'), (1e6, '1,234,500, -4,560,000')])
def test_numbers_of_any_size_can_be_read_line_by_line(session, unit, told):
    heard = []
    s = session(Rewindable(experiment(torch.tensor([[1.2345, -4.56], [9., -9.]])*unit, 'lab', **small)), line_s=0., tell=lambda *told: heard.append(told))
    ask(s, 'speed', speed='slow'); ask(s, 'play')
    until(lambda: s.run.iteration >= 1)
    numbers = next(o['told'] for what, o, _ in [*heard] if what == 'line' and o['line'] == 3)
    assert f'({told})' in numbers or '(9' in numbers.replace('0.0009', '9')   # the other one

@pytest.mark.parametrize('game', ['hinge', 'non-saturating'])
def test_d_of_a_picture_is_what_d_says(game):
    run = tiny('digits', game=game)
    gan, scene = run.trainer.gan, Scene(run.trainer.gan, run.trainer.data, n=64)
    at = scene.probe(gan, run.trainer.game, [.3, .6])
    with torch.no_grad(): gan.discriminator[-1].weight.mul_(100)   # far from what a probability could be
    far = scene.probe(gan, run.trainer.game, [.3, .6])
    assert (0 <= far['D'] <= 1) == (game == 'non-saturating') and at['picture'] == far['picture']

def test_figures_of_a_future_that_was_given_up_are_dropped():
    "Also if nothing looks between the commands"
    run = tiny(); eye = Eye(run); eye.open(50, 20)
    def measure(n): run.fit(n).note(force=True); eye.look(True); eye.measure()
    for _ in range(4): measure(5)
    run.rewind(5); run.fit(15); eye.look(True)
    assert sorted(eye.figures) == [5, 10, 15, 20]   # the way was known
    run.rewind(10); run.change({'d_rule.lr': .01}).fit(30); eye.look(True)
    assert sorted(eye.figures) == [5, 10]
    measure(5); run.rewind(5); run.fit(70); eye.look(True)
    assert max(eye.figures) <= 10
    run = given(); eye = Eye(run); eye.open(50, 20)
    measure(5); run.restarted(run.experiment.changed({'k': 2})).fit(7); eye.look(True)
    assert not eye.figures

class Veiled(Samples):
    "Data that nobody can see any more once `off` is set"
    off = False
    def unscale(self, x):
        if self.off: raise RuntimeError('no\nsight')
        return super().unscale(x)

def test_no_run_is_lost_to_a_picture(session):
    "Drawing fails: at full speed, line by line, under the pointer. The training is that of a run unseen"
    rows, told = np.random.default_rng(0).normal(size=(200, 2)), []
    data = Veiled(rows)
    s = session(tiny(data), tell=lambda *o: told.append(o), line_s=0.)
    ask(s, 'play'); until(lambda: s.run.iteration > 20 and s.eyes and s.eyes[0].scene); ask(s, 'pause')
    data.off, start = True, s.run.iteration
    ask(s, 'play'); until(lambda: s.run.iteration > start + 20 and 'cannot be drawn. RuntimeError: no sight' in s.error)
    ask(s, 'speed', speed='slow'); until(lambda: s.run.iteration > start + 24)
    s.probe([0., 0.])
    ask(s, 'pause')
    assert s.run.broken is False and weights(s.run).equal(weights(tiny(Samples(rows)).fit(s.run.iteration)))
    data.off = False
    ask(s, 'play'); until(lambda: s.error == ''); ask(s, 'pause')

def test_a_closed_lab_answers_each_press(lab):
    "Or a window would wait for it, and say nothing the second time"
    o = lab(**small)
    o.close()
    for count in (1, 2):
        o._heard(None, dict(do='step', window='w', count=count), [])
        assert o.widget.state['heard']['w'] == count and 'is closed' in o.widget.state['error']

def test_a_window_that_is_gone_costs_nothing(session):
    def gone(*_): raise OSError('closed')
    s = session(tell=gone, line_s=0.)
    ask(s, 'play'); until(lambda: s.run.iteration > 20); ask(s, 'speed', speed='slow')
    n = s.run.iteration
    until(lambda: s.run.iteration > n + 4); ask(s, 'pause')
    assert not s.run.broken and all(t.is_alive() for t in s.threads)

@pytest.mark.parametrize('name', [*own_data, 'blocks', 'only categories'])
def test_live_plots_of_everything(monkeypatch, name):
    "Drawn, or at least not in the way"
    import warnings
    monkeypatch.setattr('gan_nbdev.plots._in_notebook', lambda: True)
    class Live(LivePlot):
        drawn = 0
        def _show(self, png): self.drawn += png[:4] == b'\x89PNG'
    data = get_data({'blocks': forms.blocks, 'only categories': forms.only_categories}[name] if name not in own_data else own_data[name]())
    e = experiment(data, **small, device='cpu', engine='eager')
    t, live = e.trainer(), Live(every_s=0)
    t.hooks.append(live)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        t.fit(3, progress=False)
    assert t.iteration == 3 and live.drawn >= 2

def test_a_live_plot_that_fails_says_so_once(monkeypatch):
    monkeypatch.setattr('gan_nbdev.plots._in_notebook', lambda: True)
    data = Veiled(np.random.default_rng(0).normal(size=(200, 2)))
    data.off = True
    t = experiment(data, **small, device='cpu', engine='eager').trainer()
    t.hooks.append(LivePlot(every_s=0))
    with pytest.warns(UserWarning, match='LivePlot is off, the training goes on: RuntimeError: no sight') as w:
        t.fit(5, progress=False)
    assert t.iteration == 5 and len([o for o in w if 'LivePlot' in str(o.message)]) == 1

# ---- what was saved, and then changed by somebody

@pytest.mark.parametrize('name, bad', [
    ('generator', 7), ('generator', []), ('generator.hidden', 'wide'), ('generator.act', ['relu']),
    ('discriminator.act', {}), ('generator.hidden', [10**9]*9), ('noise.name', '__import__("os")'),
    ('noise.dim', True), ('discriminator.dropout', None), ('seed', -1), ('depth', 3),
    ('generator.hidden', [9])], ids=str)
def test_a_saved_run_with_another_description_is_refused(tmp_path, name, bad):
    from gan_nbdev.run_folders import load_run
    out = tiny().fit(2).save(tmp_path/'run')
    config = json.loads((out/'config.json').read_text())
    assert load_run(out)[0].noise.dim == 2
    part, _, entry = name.partition('.')
    if entry: config['experiment'][part][entry] = bad
    else: config['experiment'][part] = bad
    (out/'config.json').write_text(json.dumps(config))
    with pytest.raises(ValueError, match=str(out)): load_run(out)

# ---- the window's own code

@pytest.mark.skipif(not shutil.which('node'), reason='there is no node')
def test_javascript():
    here = Path(__file__).parent
    res = subprocess.run(['node', '--test', here/'lab.test.mjs'], capture_output=True, text=True)
    assert res.returncode == 0, res.stdout + res.stderr
